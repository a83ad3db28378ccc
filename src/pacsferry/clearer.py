"""The worker's main: rebuilds de-identifier, gates and layout by name and clears one arrival at a time.

It opens no connection, reads no file but what it is handed, and tells nothing that came from the object.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import queue
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .core import registry, startup, wire
from .core.clearing import Cleared, Patient, clear
from .core.fitting import fit
from .core.model import Facts, Framing, Head, Outcome, Source, Verdict
from .core.places import plain
from .core.ports import Deidentifier, Gate, Layout
from .core.pseudonyms import ProjectKeys
from .core.redact import quiet
from .core.selection import Rule, Selection
from .core.staging import digest, stage

#: What a worker may use: bytes of private memory, seconds of CPU per object plus one for so many bytes.
MEMORY = 3 * 2**30
CPU_SECONDS = 60
BYTES_PER_CPU_SECOND = 4 * 2**20
#: Batches that may wait for the disk while the next one is cleared.
AHEAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The plugins of one run, built; the same ones in the main process and in every worker."""

    deidentifier: Deidentifier
    gates: Mapping[str, Gate]
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All that clearing needs. ``staging`` is a folder; without ``sync`` a power failure may lose what was written."""

    chosen: Chosen
    keys: ProjectKeys
    selection: Selection
    staging: str
    prefix: str
    mode: int
    group: int | None
    sync: bool = True
    shifts: Mapping[str, int] | None = field(default=None, repr=False)
    folders: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def folder(self, facts: Facts) -> str:
        """The folder of the object's study; asked of the layout once per study."""
        key = (facts.pseudonym, facts.study_uid, facts.study_date)
        if key not in self.folders:
            self.folders[key] = study_folder(self.chosen.layout, facts)
        return self.folders[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A cleared object that is still to be written, and what to tell once it is there."""

    cleared: Cleared
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One object that is done but for what takes the disk: ``name`` is what its file is called there.

    ``sha256`` is its digest, "" where that is still to be found; ``fd`` is a source that is somebody else's too (-1 for
    none), and ``unchanged`` what it must still look like.
    """

    name: str
    ready: Ready | dict[str, Any]
    sha256: str = ""
    fd: int = -1
    unchanged: Sequence[int] | None = None


def build(plugins: registry.Registry, choices: Mapping[str, Any]) -> Chosen:
    """Build what ``choices`` names: ``{"deidentify": [name, settings], "gates": [...], "layout": [...]}``."""

    def one(kind: str, choice: tuple[str, Mapping[str, Any]], where: str) -> Any:
        name, settings = choice
        offer = plugins.named(kind, name)
        return registry.resolve(offer.build)(fit(offer.settings, settings, where))

    return Chosen(
        deidentifier=one("anonymization profile", choices["deidentify"], "deidentify"),
        gates={choice[0]: one("gate", choice, f"gate.{choice[0]}") for choice in choices["gates"]},
        layout=one("layout", choices["layout"], "layout"),
    )


def desk(message: Mapping[str, Any], plugins: registry.Registry) -> Desk:
    """Set up from the first message of the main process."""
    rules = {key: Rule(only=tuple(only), never=tuple(never)) for key, (only, never) in message["select"].items()}
    return Desk(
        chosen=build(plugins, message["choices"]),
        keys=ProjectKeys(bytes.fromhex(message["secret"])),
        selection=Selection(rules=rules),
        staging=message["staging"],
        prefix=message["prefix"],
        mode=message["mode"],
        group=message["group"],
        sync=message.get("sync", True),
        shifts=message.get("shifts"),
    )


def handle(at: Desk, request: Mapping[str, Any], data: memoryview, name: str) -> dict[str, Any]:
    """Clear one object and stage it. The answer holds nothing original."""
    return finished(at, Sheet(name=name, ready=cleared(at, request, data)))


def cleared(at: Desk, request: Mapping[str, Any], data: memoryview) -> Ready | dict[str, Any]:
    """Clear one object and find its place; or the answer that says why not."""
    known = {"modality": request["modality"], "sop_class": request["sop_class"]}
    if not at.selection.wants({**known, "series_description": request["series_description"]}):
        return _told(Verdict.exclude("select"))
    head = Head(
        framing=Framing(request["framing"]),
        transfer_syntax=request["transfer_syntax"],
        sop_class=request["sop_class"],
        sop_instance=request["sop_instance"],
    )
    source = Source(head=head, data=data, pseudonym=request["pseudonym"], keys=at.keys, shifts=at.shifts)
    patient = Patient(patient_id=request["patient_id"], issuer=request["issuer"])
    made, verdict, subject = clear(source, at.chosen.deidentifier, at.chosen.gates, patient)
    if made is None:
        return _told(verdict, subject)
    try:
        path = at.chosen.layout.place(made.facts)
    except Exception:
        return _told(Verdict.hold("path-not-plain"), subject)
    if not plain(path):
        return _told(Verdict.hold("path-not-plain"), subject)
    told = {**_told(verdict, subject), "path": str(path), "folder": at.folder(made.facts), "facts": _plain(made.facts)}
    return Ready(cleared=made, told=told)


def finished(at: Desk, sheet: Sheet) -> dict[str, Any]:
    """Write the object if it was cleared, see whether the source is still what it was, and say what became of it."""
    answer = _written(at, sheet.ready, sheet) if isinstance(sheet.ready, Ready) else sheet.ready
    if sheet.unchanged is None:
        return answer
    status = os.fstat(sheet.fd)
    os.close(sheet.fd)
    if [status.st_size, status.st_mtime_ns] == list(sheet.unchanged):
        return answer
    if "staged" in answer:
        os.unlink(f"{at.staging}/{answer['staged']}")  # noqa: PTH108 - for speed
    return _told(Verdict.hold("file-changed"))


def _written(at: Desk, ready: Ready, sheet: Sheet) -> dict[str, Any]:
    name = f"{at.prefix}-{sheet.name}"
    try:
        staged = stage(ready.cleared, at.staging, name, mode=at.mode, group=at.group, sync=at.sync, sha256=sheet.sha256)
    except OSError as err:
        full = err.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        return {"error": "no-space" if full else errno.errorcode.get(err.errno or 0, "unknown")}
    return {**ready.told, "staged": staged.name, "size": staged.size, "sha256": staged.sha256}


def study_folder(layout: Layout, facts: Facts) -> str:
    """The folder that a layout gives to the whole study: what two different series of it share; "" for the root."""
    other = replace(facts, series_uid="2.25.1", instance_uid="2.25.2", series_number=facts.series_number + 1)
    parents = [str(layout.place(one).parent) for one in (facts, other)]
    shared = os.path.commonpath(parents)
    return "" if shared == "." else shared


_FACTS = tuple(one.name for one in fields(Facts))


def _plain(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in _FACTS}


def _told(verdict: Verdict, subject: str = "") -> dict[str, Any]:
    outcome: Outcome = verdict.outcome
    return {"outcome": int(outcome), "code": verdict.code, "detail": verdict.detail, "subject": subject}


def _limit(size: int) -> None:
    """CPU time is cumulative, so the soft limit moves on with each object."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + size // BYTES_PER_CPU_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.RLIM_INFINITY))


def _confine() -> None:
    """No core dumps (they would hold patients' data), a bound on memory, and no signals meant for the main process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def main(argv: list[str]) -> int:
    """Serve until the socket ends."""
    startup.begin()
    _confine()
    quiet()
    sock = socket.socket(fileno=int(argv[1]))
    heard = wire.Reader(sock)
    plugins = registry.load()
    first = heard.receive()
    if first is None:
        return 0
    at = desk(first[0], plugins)
    wire.send(sock, {"digest": at.chosen.deidentifier.digest})
    getattr(at.chosen.deidentifier, "prepare", _ready)()
    startup.over(seldom=True)
    answers = Answers(at, sock)
    numbers = itertools.count()
    try:
        while (request := heard.receive()) is not None:
            pairs = zip(*request, strict=True)
            answers.put([_one(at, *pair, f"{os.getpid()}-{next(numbers)}", answers) for pair in pairs])
    finally:
        answers.close()
    return 0


def _ready() -> None:
    """Of a de-identifier that needs no time."""


class Answers:
    """Writes objects and tells what became of them, batch by batch, in a thread: it waits for the disk all the time.

    At most ``AHEAD`` batches wait, so that memory and the number of open files stay within bounds.
    """

    def __init__(self, at: Desk, sock: socket.socket) -> None:
        self._at, self._sock = at, sock
        self._batches: queue.Queue[list[Sheet] | None] = queue.Queue(AHEAD)
        self._thread = threading.Thread(target=self._serve, name="disk", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something waits for the disk: then whoever can do more of the work should."""
        return not self._batches.empty()

    def put(self, batch: list[Sheet]) -> None:
        """Have these written and answered; waits while too many wait."""
        self._batches.put(batch)

    def close(self) -> None:
        """Write and answer what waits, and end."""
        self._batches.put(None)
        self._thread.join()

    def _serve(self) -> None:
        try:
            while (batch := self._batches.get()) is not None:
                answers = []
                while batch:
                    answers.append(finished(self._at, batch.pop(0)))
                wire.send(self._sock, answers)
        except BaseException:
            # The main process sees the end of the socket; a traceback could show a value of a data set.
            os._exit(70)


def _one(at: Desk, message: Mapping[str, Any], fd: int, name: str, answers: Answers) -> Sheet:
    """Clear what a descriptor holds; it stays open where somebody may change the object meanwhile."""
    size, unchanged = message["size"], message["unchanged"]
    _limit(size)
    try:
        mapped = mmap.mmap(fd, size, prot=mmap.PROT_READ) if size else None
    except ValueError:  # shorter than it was
        mapped = None
    if unchanged is None:
        os.close(fd)
    if mapped is None:
        ready: Ready | dict[str, Any] = _told(Verdict.hold("file-changed" if size else "malformed"))
    else:
        ready = cleared(at, message, memoryview(mapped))
    sha256 = digest(ready.cleared) if isinstance(ready, Ready) and answers.busy else ""
    return Sheet(name=name, ready=ready, sha256=sha256, fd=fd, unchanged=unchanged)


if __name__ == "__main__":
    # A traceback could show a value of a data set, so none is printed: the main process sees the end of the socket.
    try:
        sys.exit(main(sys.argv))
    except Exception:
        os._exit(70)
