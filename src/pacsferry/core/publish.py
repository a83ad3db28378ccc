"""Give staged files their names and record them, in batches: file before row, so that a row never claims a lie."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .errors import FerryError, HeldError, StoreError
from .intake import Received
from .ledger import Ledger
from .ledger_model import InstanceOutcome, InstanceState, Lease, LeaseLost
from .model import Outcome
from .places import plain_part, within
from .progress import Progress, Told
from .workers import Answer

#: A batch is published when it is this large, or this old (seconds).
BATCH = 128
PATIENCE = 0.5
#: Nothing came for so long (seconds): what is there goes out at once, for somebody may wait for it.
_LULL = 0.05

_STATES = {
    Outcome.ALLOW: InstanceState.STORED,
    Outcome.EXCLUDE: InstanceState.EXCLUDED,
    Outcome.HOLD: InstanceState.HELD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One object that clearing is finished with."""

    received: Received = field(repr=False)
    answer: Answer

    def outcome(self, code: str = "") -> InstanceOutcome:
        """For the ledger; with a ``code`` it is held for that."""
        answer, facts = self.answer, self.answer.facts
        state = InstanceState.HELD if code else _STATES[answer.outcome]
        stored = state is InstanceState.STORED
        return InstanceOutcome(
            key=self.received.key,
            series=self.received.series,
            state=state,
            code=code or answer.code,
            detail="" if code else answer.detail,
            sop_class=self.received.sop_class,
            path=answer.path if stored else "",
            size=answer.size if stored else 0,
            sha256=answer.sha256 if stored else "",
            instance_uid=str(facts.get("instance_uid", "")) if stored else "",
            series_uid=str(facts.get("series_uid", "")) if stored else "",
            references=tuple(facts.get("references", ())) if stored else (),
        )


class Work:
    """One study while a run works on it: what was handed over, what is settled, and what went wrong. Thread-safe."""

    def __init__(self, lease: Lease, case_id: str) -> None:
        self.lease = lease
        self.case_id = case_id
        self.settled: dict[str, InstanceOutcome] = {}
        self.facts: list[dict[str, object]] = []
        self.subjects: set[str] = set()
        self.failure: FerryError | None = None
        self._open = 0
        self._awaited = False
        self._changed = threading.Condition()

    def handed_over(self) -> None:
        """One more object is under way."""
        with self._changed:
            self._open += 1

    def settle(self, outcomes: Sequence[InstanceOutcome], facts: Sequence[dict[str, object]]) -> None:
        """These are recorded."""
        with self._changed:
            self.settled.update({outcome.key: outcome for outcome in outcomes})
            self.facts.extend(facts)

    def finished(self, count: int) -> None:
        """So many objects are no longer under way, settled or not."""
        with self._changed:
            self._open -= count
            self._changed.notify_all()

    def fail(self, error: FerryError) -> None:
        """Nothing more of this study can be recorded; the first error counts."""
        with self._changed:
            self.failure = self.failure or error

    def drain(self) -> None:
        """Wait until nothing is under way. Raises what made recording impossible."""
        with self._changed:
            self._awaited = True
            self._changed.wait_for(lambda: self._open == 0)
            self._awaited = False
            if self.failure is not None:
                raise self.failure

    def ends_with(self, count: int) -> bool:
        """Whether somebody waits for the end, and only so many objects are under way."""
        with self._changed:
            return self._awaited and self._open <= count


#: Gets the paths and digests of what is about to get its name; those paths that it must not get.
Usher = Callable[[Mapping[str, str]], Collection[str]]


class Publisher:
    """One thread that publishes for all studies of a run. ``failed`` is set when the whole run must stop.

    Without ``sync`` names may be lost in a power failure.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: str,
        images: Path,
        staging: Path,
        told: Told,
        *,
        sync: bool = True,
        usher: Usher | None = None,
    ) -> None:
        self._ledger, self._run, self._images, self._staging, self._told = ledger, run, images, staging, told
        self._sync, self._usher = sync, usher
        self._queue: queue.SimpleQueue[tuple[Work, Done] | None] = queue.SimpleQueue()
        self.failed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self._thread.start()

    def put(self, work: Work, received: Received, answer: Answer | FerryError) -> None:
        """Take what clearing says; called by its threads."""
        if isinstance(answer, FerryError):
            work.fail(answer)
            self.failed.set()
            work.finished(1)
        else:
            self._queue.put((work, Done(received=received, answer=answer)))

    def close(self) -> None:
        """Publish what is queued and end."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        more = True
        while more:
            batch, more = self._collect()
            for work in dict.fromkeys(work for work, _ in batch):
                self._settle(work, [done for owner, done in batch if owner is work])

    def _collect(self) -> tuple[list[tuple[Work, Done]], bool]:
        first = self._queue.get()
        if first is None:
            return [], False
        batch, until = [first], time.monotonic() + PATIENCE
        while len(batch) < BATCH and not _last(batch) and (left := until - time.monotonic()) > 0:
            try:
                item = self._queue.get(timeout=min(left, _LULL))
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
        return batch, True

    def _settle(self, work: Work, items: list[Done]) -> None:
        try:
            if work.failure is None:
                self._publish(work, items)
            else:
                self._discard(items)
        except FerryError as err:
            self._give_up(work, items, err)
        except OSError as err:
            self._give_up(work, items, StoreError(f"the images could not be stored ({err.strerror})"))
        except Exception as err:
            self._give_up(work, items, FerryError(f"publishing failed ({type(err).__name__})"))
        finally:
            work.finished(len(items))

    def _give_up(self, work: Work, items: list[Done], error: FerryError) -> None:
        work.fail(error)
        self._discard(items)
        if not isinstance(error, LeaseLost):
            self.failed.set()

    def _publish(self, work: Work, items: list[Done]) -> None:
        """Check the fence, name the files, make the names durable, then one transaction."""
        codes = self._codes(work, items)
        if self._usher is not None:
            codes |= self._refused(self._usher, [done for done in items if done.received.key not in codes])
        stored = [d for d in items if d.answer.outcome is Outcome.ALLOW and d.received.key not in codes]
        self._discard([done for done in items if done.received.key in codes])
        self._ledger.check(work.lease)
        touched = self._name(stored)
        for folder in sorted(touched) if self._sync else ():
            sync_folder(folder)
        outcomes = [done.outcome(codes.get(done.received.key, "")) for done in items]
        self._ledger.record(self._run, work.lease, outcomes)
        work.settle(outcomes, [{**done.answer.facts, "folder": done.answer.folder} for done in stored])
        self._report(work, outcomes)

    def _name(self, stored: Sequence[Done]) -> set[Path]:
        """Rename; the folders whose names must be made durable. Many files share few folders, so text is enough."""
        touched: set[Path] = set()
        folders: dict[str, str] = {}
        for done in stored:
            parent, _, name = done.answer.path.rpartition("/")
            if parent not in folders:
                folder = within(self._images, PurePosixPath(done.answer.path)).parent
                touched |= make_folders(self._images, folder) | {folder}
                folders[parent] = str(folder)
            if not plain_part(name):
                raise HeldError("the layout gave a path with an unsafe part", code="path-not-plain")
            os.rename(f"{self._staging}/{done.answer.staged}", f"{folders[parent]}/{name}")  # noqa: PTH104 - for speed
        return touched

    def _codes(self, work: Work, items: list[Done]) -> dict[str, str]:
        """Why an object that a worker cleared is held after all: another's path, or another patient in the study."""
        work.subjects |= {done.answer.subject for done in items} - {""}
        paths = {done.received.key: done.answer.path for done in items if done.answer.outcome is Outcome.ALLOW}
        if len(work.subjects) > 1:
            return dict.fromkeys(paths, "mixed-patients")
        late = self._ledger.taken(work.lease.study, paths)
        times = Counter(paths.values())
        return {key: "path-taken" for key, path in paths.items() if key in late or times[path] > 1}

    @staticmethod
    def _refused(usher: Usher, items: list[Done]) -> dict[str, str]:
        named = {done.answer.path: done for done in items if done.answer.outcome is Outcome.ALLOW}
        refused = usher({path: done.answer.sha256 for path, done in named.items()})
        return {named[path].received.key: "path-taken" for path in refused}

    def _discard(self, items: list[Done]) -> None:
        for done in items:
            if done.answer.staged:
                (self._staging / done.answer.staged).unlink(missing_ok=True)

    def _report(self, work: Work, outcomes: list[InstanceOutcome]) -> None:
        for outcome in outcomes:
            self._told(Progress(kind="instance", case_id=work.case_id, text=outcome.state.value, size=outcome.size))


def _last(batch: Sequence[tuple[Work, Done]]) -> bool:
    """Whether nothing can come that would be worth waiting for."""
    newest = batch[-1][0]
    return newest.ends_with(len(batch)) and all(
        work.ends_with(count) for work, count in Counter(work for work, _ in batch).items()
    )


def make_folders(root: Path, folder: Path, *, mode: int = 0o750) -> set[Path]:
    """Make ``folder`` below ``root``; the parents of what was made, which must be synced for the names to last."""
    touched: set[Path] = set()
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder == root:
            break
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=mode, exist_ok=True, parents=new == root)
        touched.add(new.parent)
    return touched


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def prune_folders(root: Path, paths: Sequence[str]) -> None:
    """Remove the folders that are empty now that these files are gone, up to ``root``."""
    for parent in sorted({root / PurePosixPath(path).parent for path in paths}, reverse=True):
        folder = parent
        while folder != root:
            try:
                folder.rmdir()
            except OSError:
                break  # not empty, or gone already
            folder = folder.parent
