"""A folder in the place of an archive: what it has is known at once, and files are handed over as they are.

It answers a run's questions (``study.Surveying``, ``ports.Transport``) from what ``folder_scan`` found; it writes
nothing and connects to nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from .arrivals import ArrivalStore
from .errors import HeldError
from .folder_look import NotDicom
from .folder_scan import Contents, File, Study, examined
from .intake import Received, StudySink
from .ledger import Ledger
from .ledger_model import InstanceState
from .model import Head, Keys, Level, Match, Ping, Subject, Tally, Traits, Wanted
from .plan import Order, SeriesOrder, Target
from .ports import Sink
from .query import Asked
from .survey import Found, study_plan

#: Studies worked on at once: one that ends must not let the workers wait.
AT_ONCE = 6


class FolderSurvey:
    """What a folder has, as a run wants to hear it.

    ``per_accession``: pseudonyms are for accession numbers. ``keep``: what is stored has no original any more, so that
    it must not be taken back when files of another patient turn up; these alone are held.
    """

    def __init__(
        self, contents: Contents, keys: Keys, ledger: Ledger, *, per_accession: bool = False, keep: bool = False
    ) -> None:
        self._contents, self._keys, self._ledger = contents, keys, ledger
        self._per_accession, self._keep = per_accession, keep

    def studies(self, asked: Asked) -> list[Found]:
        """Every study, in the order of released UIDs, which says nothing of the folder's."""
        found = [self._found(asked, study) for study in self._contents.studies.values()]
        return sorted(found, key=lambda one: one.key)

    def _found(self, asked: Asked, study: Study) -> Found:
        one = self._new(asked, study)
        before = self._ledger.study(one.key) if self._keep else None
        if before is None or not before.stored:
            return one
        noted = self._ledger.get_meta(f"seen:{one.key}") or "{}"
        return self._as_stored(one, study, before.subject, json.loads(noted).get("subject") or before.subject)

    def _as_stored(self, one: Found, study: Study, subject: str, token: str) -> Found:
        """Under the patient whose files were stored; files of others are held."""
        for file in study.all():
            if self._token(file) != token:
                file.code = "mixed-patients"
        known = self._ledger.original(one.key)
        patient = Subject(
            token=subject,
            patient_id=known.patient_id if known else "",
            issuer=known.issuer if known else "",
            accession=known.accession if known else "",
        )
        return replace(one, subject=patient, mixed=False)

    def _new(self, asked: Asked, study: Study) -> Found:
        patients = {self._token(file): file for file in study.all()}
        token, file = min(patients.items(), key=lambda one: one[0])
        number = min((file.look.accession for file in study.all() if file.look.accession), default="")
        if self._per_accession and number:
            token = f"{self._keys.draw('accession', number):064x}"[:32]
        keys = {
            "StudyInstanceUID": study.uid,
            "AccessionNumber": number,
            "NumberOfStudyRelatedInstances": str(len(study.files)),
        }
        return Found(
            asked=asked,
            study_uid=study.uid,
            key=self._keys.uid(study.uid),
            subject=Subject(token=token, patient_id=file.look.patient_id, issuer=file.look.issuer, accession=number),
            match=Match(level=Level.STUDY, keys=keys),
            mixed=len(patients) > 1,
        )

    def _token(self, file: File) -> str:
        return self._keys.subject(file.look.patient_id, file.look.issuer, file.look.study)

    def grown(self, found: Found, order: Order) -> int:  # noqa: ARG002 - see ``study.Surveying``
        """Nothing: a file that changes while it is read says so itself."""
        return 0

    def order(self, found: Found, *, case_id: str) -> Order:
        """Everything that is there, and what is stored of the study already: a file that left is not missed."""
        study = self._contents.studies[found.study_uid]
        series: dict[str, list[Target]] = {}
        for uid, files in study.files.items():
            target = Target(key=self._keys.uid(uid), uid=uid, sop_class=files[0].look.sop_class)
            series.setdefault(files[0].look.series, []).append(target)
        orders = {
            self._keys.uid(uid): _series(self._keys.uid(uid), uid, targets, study) for uid, targets in series.items()
        }
        self._add_stored(found.key, orders)
        listed = tuple(orders[key] for key in sorted(orders))
        count = sum(len(one.targets or ()) for one in listed)
        return Order(
            study_uid=found.study_uid,
            plan=study_plan(found, case_id, listed, count, narrowed=False),
            series=listed,
        )

    def _add_stored(self, study: str, orders: dict[str, SeriesOrder]) -> None:
        listed = {target.key for order in orders.values() for target in order.targets or ()}
        states = self._ledger.instance_states(study)
        for key, series in self._ledger.settled(study).items():
            if key not in listed and states[key] is InstanceState.STORED:
                order = orders.get(series) or SeriesOrder(key=series, uid="", targets=())
                targets = (*(order.targets or ()), Target(key=key, uid=""))
                orders[series] = SeriesOrder(
                    key=series, uid=order.uid, modality=order.modality, count=len(targets), targets=targets
                )


def _series(key: str, uid: str, targets: list[Target], study: Study) -> SeriesOrder:
    modality = study.files[targets[0].uid][0].look.modality
    return SeriesOrder(key=key, uid=uid, modality=modality, count=len(targets), targets=tuple(targets))


class FolderTransport:
    """Hands over files without a copy: a worker maps the very file, and says if it changed meanwhile."""

    traits = Traits(takes=frozenset({Level.STUDY, Level.IMAGE}), protocol="folder")

    def __init__(self, contents: Contents, keys: Keys, arrivals: ArrivalStore) -> None:
        self._contents, self._keys, self._arrivals = contents, keys, arrivals
        #: "study key/instance key" of all that was handed over.
        self.handed: set[str] = set()

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """See ``ports.Transport``; the sink is a study's own."""
        code = ""
        for file in self._wanted(wanted):
            received = received_of(file, self._keys, self._arrivals)
            if isinstance(received, str):
                code = received
            else:
                self.handed.add(f"{self._keys.uid(file.look.study)}/{received.key}")
                cast("StudySink", sink).take(received)
        return Tally(code=code)

    def _wanted(self, wanted: Wanted) -> Iterator[File]:
        study = self._contents.studies[wanted.study]
        names = wanted.instances or tuple(study.files)
        return (study.files[name][0] for name in names if name in study.files)

    def ping(self) -> Ping:
        """A folder is there or it is not."""
        return Ping(service="folder", address="", seconds=0.0)

    def close(self) -> None:
        """Nothing is open."""


def received_of(file: File, keys: Keys, arrivals: ArrivalStore) -> Received | str:
    """An open file that is still what it was, or a reason code."""
    try:
        fd = file.open()
    except FileNotFoundError:
        return "file-gone"
    except OSError:
        return "unreadable"
    status = os.fstat(fd)
    if (status.st_size, status.st_mtime_ns) != file.stamp and not _looked_again(file):
        os.close(fd)
        return "file-changed"
    seen = file.look
    return Received(
        key=keys.uid(seen.instance),
        series=keys.uid(seen.series),
        sop_class=seen.sop_class,
        arrival=arrivals.adopt(Head(framing=seen.framing, transfer_syntax=seen.transfer_syntax), fd, file.size),
        modality=seen.modality,
        series_description=seen.series_description,
        code=file.code,
        unchanged=file.stamp,
    )


def _looked_again(file: File) -> bool:
    """Whether a file that was written since is the same object still; then it counts as it is now."""
    try:
        now = examined(file.root, file.path)
    except (OSError, HeldError, NotDicom):
        return False
    if now.look != file.look:
        return False
    file.size, file.time = now.size, now.time
    return True
