"""Reason codes: why something is held, excluded or missing, what that means, and what to do about it.

Codes stand in ledger, JSON and reports; the sentences are for people. Nothing here holds a value of a data set.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """``means`` says what happened, ``advice`` what to do; ``retryable`` that another try may end otherwise."""

    means: str
    advice: str
    retryable: bool = False


def _again(means: str, advice: str = "run `pacsferry resume`") -> Reason:
    return Reason(means=means, advice=advice, retryable=True)


REASONS: dict[str, Reason] = {
    # Held: could not be made safe.
    "malformed": Reason(
        means="the object is not well-formed DICOM", advice="ask the archive's administrator for a repaired object"
    ),
    "too-complex": Reason(
        means="depth, length or number of elements is beyond the limits", advice="look at the object with a DICOM tool"
    ),
    "sop-class": Reason(
        means="the anonymization rules cannot handle this kind of object yet",
        advice="leave it out with [select] sop_class or modality, or wait for a version that handles it",
    ),
    "burned-in": Reason(
        means="the pixels could carry text that identifies",
        advice="leave it out with [select], or wait for pixel cleaning",
    ),
    "residual-identifier": Reason(
        means="an identifier of the patient was found in what would have been written",
        advice="add a [[deidentify.rule]] for the element, or leave the series out with [select]",
    ),
    "other-patient": Reason(
        means="the object's patient is not the one the archive's answer named",
        advice="ask the archive's administrator which patient the object belongs to",
    ),
    "mixed-patients": Reason(
        means="the study holds objects of several patients",
        advice="ask the archive's administrator to separate the patients",
    ),
    "uid-mismatch": Reason(
        means="the object's UIDs are not those that the archive announced", advice="ask the archive's administrator"
    ),
    "path-taken": Reason(
        means="the layout gave a path that another instance has", advice="choose a layout that keeps them apart"
    ),
    "path-not-plain": Reason(
        means="the layout gave a path with an unsafe part", advice="report it to the layout's author"
    ),
    "deidentifier-failed": Reason(
        means="the anonymization profile failed on the object",
        advice="report it with the SOP class, never with the object",
    ),
    "gate-failed": Reason(means="a gate failed on the object", advice="report it to the gate's author"),
    "worker-died": _again(
        "the worker process died twice over the object", "run `pacsferry resume`; if it stays, report it"
    ),
    "worker-limit": Reason(
        means="the object needed more memory or time than a worker may use", advice="leave the series out with [select]"
    ),
    "uid-conflict": Reason(
        means="another file says it is the same instance and is not the same",
        advice="keep the right one of the two in the folder, then run the command again",
    ),
    "no-shift": Reason(
        means="dates move by a mapping, and it does not name the patient",
        advice="add the patient to the table of deidentify.dates.mapping, then run `pacsferry resume`",
    ),
    "changed-since": Reason(
        means="the file was changed after its instance was released; what is released stays as it is",
        advice="give the new content a SOP Instance UID of its own, or de-identify the folder into a new project",
    ),
    # Excluded: not wanted, or not allowed, by the profile.
    "select": Reason(
        means="the profile's [select] does not want it", advice="nothing; change [select] if you do want it"
    ),
    "objection": Reason(means="the patient is on the [exclude] list", advice="nothing"),
    # Missing: asked for and did not come.
    "not-sent": _again("the archive said all went well and did not send it"),
    "sub-operation-failed": _again("the archive could not send some of the instances"),
    "cannot-match": _again("the archive could not count what matches (0xA701)"),
    "cannot-perform": _again(
        "the archive could not perform the transfers (0xA702)",
        "check that the archive may open associations to us and offers the SOP class and transfer syntax; then resume",
    ),
    "destination-unknown": Reason(
        means="the archive does not know our AE title (0xA801)",
        advice="have AE title, host and port of [archive.dimse.receiver] registered in the archive",
    ),
    "identifier-mismatch": Reason(
        means="the archive refused the request's keys (0xA900)", advice="check the vendor's quirks of the profile"
    ),
    "not-authorised": Reason(means="the archive does not allow it", advice="ask the archive's administrator"),
    "unable-to-process": _again(
        "the archive failed to process the request (0xCxxx)",
        "run `pacsferry resume`; over C-MOVE, some archives say no more than this where our AE title is not registered",
    ),
    "not-supported": Reason(
        means="the archive does not support this kind of request", advice="choose another transport or finder"
    ),
    "no-context": Reason(
        means="the archive accepted no presentation context that the request needs",
        advice="check SOP classes and AE titles, or choose another transport; private classes go into "
        "archive.dimse.sop_classes",
    ),
    "cancelled": _again("the archive cancelled the request"),
    "refused-association": _again(
        "the archive rejected the association", "check host, port and both AE titles; then run `pacsferry resume`"
    ),
    "tls": Reason(
        means="no TLS connection to the archive could be agreed on",
        advice="check archive.dimse.tls, or archive.dicomweb (url, ca, auth), and the certificates of both sides",
    ),
    "user-identity": Reason(
        means="the archive did not accept our user identity, or did not say that it did",
        advice="check archive.dimse.user_identity; for an archive that accepts and never answers set confirm = false",
    ),
    "aborted": _again("the connection was aborted in the middle"),
    "unreachable": _again(
        "the archive could not be reached", "check host, port and network; then run `pacsferry resume`"
    ),
    "stalled": _again("the archive sent nothing for longer than archive.timeouts.stall"),
    "truncated": _again("the answer ended in the middle"),
    "bad-answer": _again("the archive's answer makes no sense"),
    "capped": Reason(
        means="the archive gives only some of its answers, and the query cannot be split further",
        advice="ask for less at once: fewer days, one modality, or accession numbers",
    ),
    "unmatched": Reason(
        means="the archive says nothing of a key that was asked for, so nobody knows what matches",
        advice="leave the key out, or ask another archive or finder",
    ),
    "not-found": _again("the archive does not have it any more", "check whether it was moved or deleted"),
    "http-401": Reason(means="the archive wants credentials", advice="check archive.dicomweb.auth"),
    "http-403": Reason(means="the archive does not allow it", advice="ask the archive's administrator"),
    "http-redirect": Reason(
        means="the archive sends us to another address", advice="check archive.dicomweb.url and what stands before it"
    ),
    "http-404": _again("the archive does not have it", "check archive.dicomweb.url, and whether it was deleted"),
    "http-406": Reason(means="the archive cannot give it in a form that we take", advice="choose another transport"),
    "http-413": Reason(means="the archive finds it too large to give at once", advice="choose another transport"),
    "http-429": _again("the archive asked us to slow down"),
    "http-503": _again("the archive is overloaded"),
    "http-error": _again("the archive answered with an error"),
    "partial-answer": _again("the archive sent a part only (206)"),
    "unexpected": Reason(
        means="objects came that nobody asked for; they were refused", advice="ask the archive's administrator"
    ),
    "counts-differ": Reason(
        means="the archive counts more instances than it lists",
        advice="ask the archive's administrator; `pacsferry waive` accepts it",
    ),
    "offline": Reason(means="the archive says it is offline", advice="ask the archive's administrator to load it"),
    "no-token": _again(
        "the token endpoint gave no access token", "check archive.dicomweb.auth; then run `pacsferry resume`"
    ),
    "web-auth-failed": Reason(means="the web auth plugin broke down", advice="report it to the plugin's author"),
    "nearline": _again("the archive did not bring it back from slow storage within archive.timeouts.nearline"),
    "turned-away": Reason(
        means="our receiver turned away whoever tried to send",
        advice="check AE titles, addresses and TLS of [archive.dimse.receiver] against the archive's entry for us",
    ),
    "receiver-busy": _again("another process holds the receiver's address"),
    "no-space": _again("there was no space to store it", "free space; then run `pacsferry resume`"),
    "unreadable": _again("the file could not be read", "check its permissions; then run the command again"),
    "file-gone": _again("the file was there when the folder was read, and then it was not"),
    "file-changed": _again("the file was changed while it was read", "run the command again when nobody writes to it"),
    "distress": _again(
        "the archive was in distress for longer than [budget] patience",
        "ask the archive's administrator; then run `pacsferry resume`",
    ),
    "outside-hours": _again(
        "the hours in which the archive may be worked ended ([budget] hours)",
        "run `pacsferry resume`; it waits until they begin again",
    ),
    "interrupted": _again("the run was interrupted"),
    "transport-failed": Reason(means="the transport plugin broke down", advice="report it to the plugin's author"),
    "finder-failed": Reason(means="the finder plugin broke down", advice="report it to the plugin's author"),
    "busy": _again("another process works on it", "wait for it, or run without --no-wait"),
    "study-changed": _again("the study grew while it was retrieved"),
    "not-tried": _again("it was not asked for because the run ended before"),
}

#: Of what is held, what may be put right at the archive without anybody telling us: each run looks again.
PUT_RIGHT_THERE = frozenset({"malformed", "mixed-patients", "other-patient", "uid-mismatch", "worker-died"})

_UNKNOWN = Reason(means="an unknown reason", advice="report it", retryable=False)


def reason(code: str) -> Reason:
    """The reason of a code; plugins may bring codes of their own."""
    return REASONS.get(code, _UNKNOWN)
