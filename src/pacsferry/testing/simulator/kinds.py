"""The misbehaviours that a simulator knows, as a table: name, what it does, who notices, parameters; nothing acts here.

What a plugin adds stands beside them: see ``pacsferry_simulator_faults``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pacsferry.core.ports import Misbehaviour

Value = int | float | str | bool

#: What may be asked of a simulator; the ``verb`` of its log.
VERBS: Final = (
    "associate",
    "c-echo",
    "c-find",
    "c-get",
    "c-move",
    "c-store",
    "qido-rs",
    "wado-rs",
    "wado-rs-metadata",
)

QUERY: Final = ("c-find", "qido-rs")
RETRIEVE: Final = ("c-get", "c-move", "wado-rs")
DIMSE_RETRIEVE: Final = ("c-get", "c-move")
WEB: Final = ("qido-rs", "wado-rs", "wado-rs-metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A misbehaviour that can be ordered: its parameters with their defaults, and the verbs that it touches.

    ``build`` makes the actor of a plugin's fault from its parameters; the built-in ones act where they are taken.
    """

    name: str
    summary: str
    verbs: tuple[str, ...]
    parameters: Mapping[str, Value] = field(default_factory=dict)
    build: Callable[[Mapping[str, Value]], Misbehaviour] | None = None


#: Parameters that every fault takes: how many requests it spoils (0: all), and which verb, study and level only.
COMMON: Final[Mapping[str, Value]] = {"times": 0, "verb": "", "study": "", "level": ""}


def _table(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


def _kind(name: str, summary: str, verbs: Iterable[str], **parameters: Value) -> FaultKind:
    return FaultKind(name=name, summary=summary, verbs=tuple(verbs), parameters=parameters)


def _http(code: int, summary: str, **parameters: Value) -> FaultKind:
    return _kind(f"http-{code}", summary, WEB, code=code, **parameters)


def _refuses(name: str, summary: str, **parameters: Value) -> FaultKind:
    """A query that fails: with a DIMSE status (0: it is answered with nothing instead) or an HTTP code."""
    return _kind(name, summary, QUERY, status=0xA900, code=400, **parameters)


_QUERIES: Final = (
    _kind("find-fails", "fails a query after so many answers", QUERY, status=0xC001, after=0, code=500),
    _kind("find-empty", "answers a query with success and no match", QUERY),
    _kind("find-cap", "answers with so many matches, and says or does not say so", QUERY, limit=10, told=False),
    _kind("find-page", "pages: so many answers unless asked, never more than most", ("qido-rs",), default=2, most=2),
    _kind("max-offset", "refuses a query whose offset is higher", ("qido-rs",), most=2, code=400),
    _kind("no-offset", "ignores offset: each page is the first", ("qido-rs",)),
    _kind("find-lacks", "leaves keywords (A+B) out of its answers", QUERY, keyword="SOPClassUID"),
    _kind("find-twice", "repeats every answer", QUERY),
    _kind("find-stranger", "answers with a study that does not match", QUERY),
    _kind("find-ignores", "ignores a key; every filter where none is named", QUERY, keyword=""),
    _kind("find-contains", "matches wherever the value contains the key", QUERY, keyword="AccessionNumber"),
    _kind("find-literal", "takes * and ? for what they are: no wildcards", QUERY),
    _refuses("find-refuses", "fails a query with a key; also where it is only asked for", keyword="", asked=False),
    _refuses("find-needs-date", "fails a query without StudyDate"),
    _refuses("find-needs-values", "fails a query with an empty text key; wants * there"),
    _refuses("find-no-star", "fails a query with a lone * in a text key, or with any in a date", dates=False),
    _refuses("find-needs-parents", "fails a query below study level without the UIDs of all levels above"),
    _refuses("find-one-modality", "fails a query for several modalities at once"),
    _kind("find-counts", "counts so many instances more than there are", QUERY, by=1),
    _kind("find-odd-values", "writes a time as 1113.672 and a number as +4", QUERY),
    _kind("find-odd-length", "writes a value of odd length, unpadded", ("c-find",), keyword="StudyInstanceUID"),
    _kind("find-traversal", "answers with a UID that climbs out of a folder", QUERY, keyword="SeriesInstanceUID"),
    _kind(
        "find-charset",
        "declares one character set and writes another",
        ("c-find",),
        says="ISO_IR 6",
        really="ISO_IR 100",
    ),
    _kind("find-ff01", "answers with 0xFF01: optional keys are not supported", ("c-find",)),
    _kind("find-silence", "goes silent after so many answers, or on a key", ("c-find",), after=0, keyword=""),
    _kind("find-pause", "takes so many seconds before it answers a query", QUERY, seconds=1.0),
    _kind("find-abort", "aborts after so many answers", ("c-find",), after=0),
    _kind("offline", "says OFFLINE, and sends nothing", (*QUERY, *RETRIEVE)),
    _kind("nearline", "says NEARLINE, and needs so many seconds to fetch it", (*QUERY, *RETRIEVE), seconds=1.0),
)

_TRANSFERS: Final = (
    _kind("drop", "does not send the nth instance, and counts it as failed or not at all", RETRIEVE, nth=1, told=False),
    _kind("nothing", "says success and sends nothing; counters are zero, or claim all", RETRIEVE, claim=False),
    _kind("cannot-perform", "refuses with 0xA702: unable to perform sub-operations", DIMSE_RETRIEVE, status=0xA702),
    _kind("out-of-resources", "refuses with 0xA701: unable to count matches", DIMSE_RETRIEVE, status=0xA701),
    _kind("destination-unknown", "refuses with 0xA801: the move destination is unknown", ("c-move",), status=0xA801),
    _kind("identifier-mismatch", "refuses with 0xA900: keys do not match the level", DIMSE_RETRIEVE, status=0xA900),
    _kind("unable-to-process", "refuses with 0xC000 or another status", DIMSE_RETRIEVE, status=0xC000),
    _kind("cancelled", "ends with 0xFE00 before the nth instance", DIMSE_RETRIEVE, nth=2),
    _kind("ignores-cancel", "goes on after a C-CANCEL", DIMSE_RETRIEVE),
    _kind("late", "C-MOVE says success first and sends the images so many seconds later", ("c-move",), seconds=1.0),
    _kind("no-pending", "sends no pending responses", DIMSE_RETRIEVE),
    _kind(
        "never-ends", "sends all, then pending (0: nothing) every so many seconds, for ever", DIMSE_RETRIEVE, every=0.2
    ),
    _kind("failed-list", "warns with 0xB000 and names instances as failed that it sent", DIMSE_RETRIEVE, nth=1),
    _kind("counters", "counts so many more than it sent; or has no counters", DIMSE_RETRIEVE, by=1, none=False),
    _kind("whole-study", "sends the whole study when a part is asked for", RETRIEVE),
    _kind("one-at-a-time", "fails a second retrieval of a study that is on its way", DIMSE_RETRIEVE, status=0xC000),
    _kind("grows", "gets so many more instances of the study once it is asked for it", RETRIEVE, by=1),
    _kind("other-title", "C-MOVE: images come from another AE title", ("c-move",), title="STORE-SCU"),
    _kind("no-originator", "C-MOVE: images do not say which request they belong to", ("c-move",)),
    _kind("reuse", "C-MOVE: keeps the association to us open and uses it for the next request", ("c-move",)),
    _kind(
        "private-syntax", "C-MOVE: sends the nth instance in a private transfer syntax (0: each)", ("c-move",), nth=1
    ),
    _kind("silence", "goes silent in the nth instance and keeps the connection", RETRIEVE, nth=1, after=0),
    _kind("abort", "aborts at the nth instance: A-ABORT, or HTTP ends in the middle of it", RETRIEVE, nth=1),
    _kind("reset", "resets the TCP connection in the nth instance", RETRIEVE, nth=1, after=0),
    _kind("slow", "sends so many bytes per second", RETRIEVE, rate=300_000),
    _kind("pause", "sends nothing for so many seconds before the nth instance", RETRIEVE, nth=2, seconds=1.0),
)

_OBJECTS: Final = (
    _kind("duplicate", "sends the nth instance twice (0: each)", RETRIEVE, nth=0),
    _kind(
        "stranger", "sends an object of another study instead of the nth, or besides it", RETRIEVE, nth=1, instead=False
    ),
    _kind("other-patient", "sends the nth instance under another patient (0: every second one)", RETRIEVE, nth=0),
    _kind("wrong-uid", "sends the nth instance with another SOP Instance UID inside", RETRIEVE, nth=1),
    _kind("traversal", "sends the nth instance under a UID that climbs out of a folder", RETRIEVE, nth=1),
    _kind("truncated-object", "sends only the first half of the nth object, well framed", RETRIEVE, nth=1),
)

_ASSOCIATIONS: Final = (
    _kind("no-storage", "accepts no storage context", ("associate",)),
    _kind("storage-only", "has these storage classes and syntaxes (A+B) only", ("associate",), classes="", syntaxes=""),
    _kind("no-role", "accepts storage contexts, but not that we are their SCP: C-GET cannot work", ("associate",)),
    _kind("no-service", "does not know a service: c-find, c-get, c-move, c-echo", ("associate",), service="c-get"),
    _kind("study-root-only", "does not know the Patient Root model", ("associate",)),
    _kind("patient-root-only", "does not know the Study Root model", ("associate",)),
    _kind("prefers-compressed", "takes the compressed syntax of a proposal, then cannot send in it", ("associate",)),
    _kind("reject", "rejects associations", ("associate",)),
    _kind("limit-associations", "rejects more than so many associations at once", ("associate",), limit=1),
    _kind("no-release", "never answers a release", ("associate",)),
    _kind("tls-expected", "wants TLS, and says so with an alert", ("associate", *WEB)),
)

_HTTP: Final = (
    _kind(
        "cut", "ends the multipart answer in or after the nth part, without an error", ("wado-rs",), nth=1, at="middle"
    ),
    _kind("no-length", "gives no length and ends by closing, in the nth part or (0) in the end", ("wado-rs",), nth=0),
    _kind("wrong-boundary", "uses another boundary than it announces", ("wado-rs",)),
    _kind("bare-boundary", "announces the boundary without quotes", ("wado-rs",)),
    _kind("gzip", "compresses its answers, asked or not", WEB),
    _http(503, "is overloaded", retry_after="1"),
    _http(429, "asks to slow down", retry_after="1"),
    _http(500, "fails"),
    _http(401, "wants credentials"),
    _http(403, "forbids"),
    _http(404, "has nothing there"),
    _http(406, "has no acceptable representation"),
    _kind("http-400", "refuses every query", ("qido-rs",), code=400),
    _kind("no-includefield", "refuses a query with includefield", ("qido-rs",), code=400),
    _kind("http-204", "answers that there is no content", ("wado-rs", "qido-rs"), code=204),
    _kind("http-206", "sends the first half with 206 Partial Content", ("wado-rs",)),
    _kind("accept-only", "takes these Accept fields (A|B) and no others: 406", ("wado-rs",), media=""),
    _kind("no-star", "refuses transfer-syntax=* with 406", ("wado-rs",)),
    _kind("single-part", "answers with one bare object instead of multipart", ("wado-rs",)),
    _kind("login-page", "answers with a web page and status 200", WEB),
    _kind("redirect", "redirects to another address", WEB, to="http://127.0.0.1:9/"),
    _kind("bulk-elsewhere", "points to bulk data at another address", WEB, to="http://127.0.0.1:9/bulk"),
    _kind("http-silence", "goes silent after the headers, or before them", WEB, headers=True),
    _kind("bad-json", "answers with broken JSON", ("qido-rs", "wado-rs-metadata")),
    _kind("warning-299", "announces a truncated result by header", ("qido-rs",)),
)

#: Every built-in misbehaviour by name.
FAULTS: Final[Mapping[str, FaultKind]] = _table(*_QUERIES, *_TRANSFERS, *_OBJECTS, *_ASSOCIATIONS, *_HTTP)
