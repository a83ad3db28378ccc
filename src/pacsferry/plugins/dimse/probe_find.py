"""What ``doctor`` finds out over C-FIND: whether the archive is there, who it says it is, how it answers queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydicom import Dataset

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level
from pacsferry.core.ports import Finding, Standing
from pacsferry.core.probing import Inquiry, Reply
from pacsferry.core.probing_words import EVER

from .association import MODELS, VERIFICATION, Call, Caller
from .identifiers import PATIENT_KEYS, RETURN_KEYS
from .probe_advice import NOTHING_OFFERED, advice_on
from .probe_charset import charset_finding
from .probe_talk import Talk, Told
from .statuses import SUCCESS

_SERVICES = (("find", "c-find"), ("get", "c-get"), ("move", "c-move"))


class FindProbe:
    """One run over C-FIND, in ``model`` where the archive has it. ``today`` of the inquiry is this machine's."""

    usual = RETURN_KEYS

    def __init__(self, archive: Archive, caller: Caller, model: str) -> None:
        self._talk = Talk(caller, archive.charset)
        self._caller, self._model = caller, model
        self._heard: list[Dataset] = []
        self._inquiry = Inquiry(self, "dimse.find")

    def findings(self) -> Iterator[Finding]:
        """Everything. What is raised is a connection that was lost for good."""
        try:
            call = self._talk.open()
        except TransferError as err:
            yield _no_association(err)
            return
        yield _association(call, self._caller.address)
        yield from self._echo(call)
        models = [name for name, uids in MODELS.items() if call.syntax(uids["find"])]
        yield _models(call, models, self._model)
        if models:
            self._model = self._model if self._model in models else models[0]
            yield from self._inquiry.findings()
            yield from self._without_patient()
            yield from self._patients(models)
            if (told := charset_finding(self._heard)) is not None:
                yield told
        self._talk.close()

    def ask(self, level: Level, keys: Mapping[str, str], *, limit: int) -> Reply:
        """See ``core.probing.Asker``."""
        told = self._talk.ask(level, keys, limit=limit, model=self._model)
        self._heard += told.answers[:100] if len(self._heard) < 1000 else ()
        return _reply(told)

    def _echo(self, call: Call) -> Iterator[Finding]:
        if call.syntax(VERIFICATION) is None:
            yield Finding(probe="dimse.echo", status=Standing.WARNING, text="C-ECHO is not offered")
            return
        with call.watched():
            status = call.assoc.send_c_echo().get("Status")
        if status is None:
            raise call.lost()
        good = status == SUCCESS
        text = "C-ECHO is answered" if good else f"C-ECHO is answered with status 0x{status:04X}"
        yield Finding(probe="dimse.echo", status=Standing.OK if good else Standing.WARNING, text=text)

    def _without_patient(self) -> Iterator[Finding]:
        """Over Patient Root each query names the patient, unless the archive is lenient (PS3.4 C.4.1.2.1)."""
        if self._model == "patient" and not self._inquiry.learnt.series:
            yield Finding(
                probe="dimse.find.patient-root",
                status=Standing.FAILED,
                text="over Patient Root nothing is found below a study: the archive may want the patient's ID in each "
                "query, which pacsferry does not send",
                advice="ask the archive's administrator to allow the Study Root model for our AE title",
                serves=False,
            )

    def _patients(self, models: Sequence[str]) -> Iterator[Finding]:
        """PATIENT level, which only the Patient Root model has."""
        known = self._inquiry.learnt
        patient = known.study.get("PatientID", "")
        if "patient" not in models or not patient or set(patient) & set("*?\\"):
            return
        try:
            fill = self._inquiry.fill
            keys = {**{key: "" if key.endswith("Date") else fill for key in PATIENT_KEYS}, "PatientID": patient}
            if self._inquiry.dated:
                keys["StudyDate"] = EVER
            told = self._talk.ask(Level.PATIENT, keys, limit=2, model="patient")
        except TransferError as err:
            yield Finding(probe="dimse.find.patients", status=Standing.WARNING, text=f"PATIENT level: {err}")
            return
        good = bool(told.answers)
        text = "PATIENT level is answered" if good else "Patient Root is offered, and PATIENT level is not answered"
        yield Finding(
            probe="dimse.find.patients",
            status=Standing.OK if good else Standing.WARNING,
            text=text,
            quirks={"study_root_only": not good},
        )


def _reply(told: Told) -> Reply:
    err = told.failure()
    return Reply(
        answers=tuple(told.texts()),
        refused="" if err is None or told.answers else str(err),
        cut=told.cut,
        announced=not told.cut and told.status != SUCCESS and bool(told.answers),
    )


def _no_association(err: TransferError) -> Finding:
    return Finding(
        probe="dimse.association",
        status=Standing.FAILED,
        text=str(err),
        advice=advice_on(err),
        behaviour={"dimse.services": []} if err.code == "no-context" else {},
    )


def _association(call: Call, address: str) -> Finding:
    """That it came to be, and what the archive says of its own implementation (PS3.7 D.3.3.2)."""
    peer: Any = call.assoc.acceptor
    signs = {
        "implementation": str(peer.implementation_class_uid or ""),
        "version": _plain(peer.implementation_version_name),
    }
    said = " ".join(filter(None, (signs["version"], signs["implementation"])))
    services = ["c-echo"] if call.syntax(VERIFICATION) else []
    services += [name for verb, name in _SERVICES if any(call.syntax(uids[verb]) for uids in MODELS.values())]
    return Finding(
        probe="dimse.association",
        status=Standing.OK,
        text=f"{address} accepts associations" + (f"; its implementation: {said}" if said else ""),
        behaviour={"dimse.services": services},
        signs={key: value for key, value in signs.items() if value},
    )


def _plain(name: object) -> str:
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name or "")
    return "".join(char for char in text if char.isprintable()).strip()[:16]


def _models(call: Call, models: Sequence[str], wanted: str) -> Finding:
    """Which information models (PS3.4 C.6) are accepted for which service; the ``wanted`` one is asked over."""
    accepted = [
        f"{verb.upper()} ({' and '.join(roots)})"
        for verb, _ in _SERVICES
        if (roots := [f"{name} root" for name, uids in MODELS.items() if call.syntax(uids[verb])])
    ]
    quirks = {"study_root_only": "patient" not in models} if "study" in models else {}
    if wanted not in models:
        text = f"queries of the {wanted.capitalize()} Root model are not accepted"
        other = f"; the {models[0].capitalize()} Root model is used" if models else ""
        return Finding(
            probe="dimse.models",
            status=Standing.WARNING if models else Standing.FAILED,
            text=text + other,
            advice="" if models else NOTHING_OFFERED,
            behaviour={"dimse.find.models": list(models)},
            quirks=quirks,
            profile={"find.model": models[0]} if models else {},
        )
    return Finding(
        probe="dimse.models",
        status=Standing.OK,
        text=f"accepted: {', '.join(accepted)}",
        behaviour={"dimse.find.models": sorted(models)},
        quirks=quirks,
    )
