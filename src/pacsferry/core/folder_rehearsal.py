"""What a file would be released as: it is cleared like any other, and what comes out is thrown away."""

from __future__ import annotations

import queue
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .arrivals import ArrivalStore
from .clearing import Patient
from .errors import FerryError
from .folder_scan import Contents, File
from .folder_source import received_of
from .ledger import Ledger
from .means import Result
from .model import Keys, Outcome, StoredInstance
from .worker_pool import WorkerPool
from .workers import Answer, Task

#: Files that are open at once.
_AT_ONCE = 64
_Told = queue.SimpleQueue[Answer | FerryError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The released UID and the digest of the file that would be written."""

    instance_uid: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """All that it takes; nothing of it is stored."""

    keys: Keys
    pool: WorkerPool
    arrivals: ArrivalStore
    staging: Path

    def of(self, files: Sequence[File], case_id: str) -> list[Rehearsed | None]:
        """What each would become, None where it would be held. Raises ``FerryError`` where clearing ended the run."""
        found: list[Rehearsed | None] = []
        for start in range(0, len(files), _AT_ONCE):
            waiting = [self._asked(file, case_id) for file in files[start : start + _AT_ONCE]]
            found += [self._heard(told) for told in waiting]
        return found

    def _asked(self, file: File, case_id: str) -> _Told:
        """Have a file cleared; where its answer will be."""
        told: _Told = queue.SimpleQueue()
        received = received_of(file, self.keys, self.arrivals)
        if isinstance(received, str):
            told.put(Answer(outcome=Outcome.HOLD, code=received))
            return told
        patient = Patient(patient_id=file.look.patient_id, issuer=file.look.issuer)
        task = Task(received=received, pseudonym=case_id, patient=patient, told=lambda _, answer: told.put(answer))
        self.pool.submit(task)
        return told

    def _heard(self, told: _Told) -> Rehearsed | None:
        answer = told.get()
        if isinstance(answer, FerryError):
            raise answer
        if not answer.staged:
            return None
        (self.staging / answer.staged).unlink(missing_ok=True)
        return Rehearsed(instance_uid=str(answer.facts.get("instance_uid")), sha256=answer.sha256)


class Watch:
    """Notices files that were exchanged since their instance was released; what is released stays as it is."""

    def __init__(
        self,
        contents: Contents,
        images: Path,
        *,
        ledger: Ledger,
        keys: Keys,
        rehearsal: Rehearsal,
        handed: Collection[str],
    ) -> None:
        self._contents, self._images, self._ledger, self._keys = contents, images, ledger, keys
        self._rehearsal, self._handed = rehearsal, handed
        self._lock = threading.Lock()
        self.changed: set[File] = set()

    def concluded(self, result: Result) -> Result:
        """See ``study.Means``: the study is still leased."""
        study = self._contents.studies[result.found.study_uid]
        left = [
            file
            for uid, files in study.files.items()
            if f"{result.found.key}/{self._keys.uid(uid)}" not in self._handed
            for file in files
            if not file.code
        ]
        if left:
            self._look(left, result)
        return result

    def _look(self, files: Sequence[File], result: Result) -> None:
        """Clear again what was written to since its instance was released."""
        stored = {one.instance_uid: one for one in self._ledger.stored(result.found.key)}
        pairs = [(file, self._stored(file, stored)) for file in files]
        later = {file: one.sha256 for file, one in pairs if one is not None and self._is_later(file, one)}
        now = self._rehearsal.of(list(later), result.case_id)
        other = {file for file, one in zip(later, now, strict=True) if one is None or one.sha256 != later[file]}
        with self._lock:
            self.changed |= other

    def _stored(self, file: File, stored: Mapping[str, StoredInstance]) -> StoredInstance | None:
        """What is released of a file's instance, under a new UID or under its own."""
        return stored.get(self._keys.uid(file.look.instance)) or stored.get(file.look.instance)

    def _is_later(self, file: File, one: StoredInstance) -> bool:
        """Whether a file, or its place, changed after the released one was written."""
        try:
            source, released = (file.root / file.path).lstat(), (self._images / one.path).lstat()
        except OSError:
            return False  # gone meanwhile; the next run will see
        return max(source.st_mtime_ns, source.st_ctime_ns) > released.st_mtime_ns
