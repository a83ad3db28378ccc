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
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
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
from .core.staging import stage

#: What a worker may use: bytes of private memory, seconds of CPU per object plus one for so many bytes.
MEMORY = 3 * 2**30
CPU_SECONDS = 60
BYTES_PER_CPU_SECOND = 4 * 2**20
#: Cleared objects that may wait to be written, and how often (seconds) the two threads of a worker take turns.
AHEAD = 2
SWITCH = 5e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The plugins of one run, built; the same ones in the main process and in every worker."""

    deidentifier: Deidentifier
    gates: Mapping[str, Gate]
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """All that clearing needs. ``ahead``: a processor is free to write while the next object is cleared."""

    chosen: Chosen
    keys: ProjectKeys
    selection: Selection
    staging: Path
    prefix: str
    mode: int
    group: int | None
    sync: bool = True
    ahead: bool = False
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
    """A cleared object that is still to be written: where it goes, and what to tell once it is there."""

    cleared: Cleared
    told: Mapping[str, Any]


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
        staging=Path(message["staging"]),
        prefix=message["prefix"],
        mode=message["mode"],
        group=message["group"],
        sync=message.get("sync", True),
        ahead=message.get("ahead", False),
        shifts=message.get("shifts"),
    )


def handle(at: Desk, request: Mapping[str, Any], data: memoryview, name: str) -> dict[str, Any]:
    """Clear one object and stage it. The answer holds nothing original."""
    ready = cleared(at, request, data)
    return written(at, ready, name) if isinstance(ready, Ready) else ready


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


def written(at: Desk, ready: Ready, name: str) -> dict[str, Any]:
    """Stage a cleared object. Needs nothing of the interpreter for most of its time."""
    try:
        staged = stage(ready.cleared, at.staging, f"{at.prefix}-{name}", mode=at.mode, group=at.group, sync=at.sync)
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
    startup.over(seldom=True)
    desk_writer = Writer(at, sock)
    try:
        for number in itertools.count():
            request = heard.receive()
            if request is None:
                return 0
            message, fd = request
            _limit(message["size"])
            desk_writer.put(_open(at, message, fd, f"{os.getpid()}-{number}"))
    finally:
        desk_writer.close()
    return 0  # pragma: no cover - the count never ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is left to do for one object; ``unchanged`` is what its file must still look like."""

    name: str
    ready: Ready | dict[str, Any]
    fd: int = -1
    unchanged: tuple[int, int] | None = None


class Writer:
    """Writes and answers; ahead, in a thread, in order, while the next object is cleared.

    Digest and write need no interpreter, but taking turns costs time where no processor is free. At most ``AHEAD``
    objects wait, so that memory stays within bounds.
    """

    def __init__(self, at: Desk, sock: socket.socket) -> None:
        self._at, self._sock = at, sock
        self._thread: threading.Thread | None = None
        if not at.ahead:
            return
        self._sheets: queue.Queue[Sheet | None] = queue.Queue(AHEAD)
        # The other thread computes all the time; with the usual 5 ms ours would wait longer than it writes.
        sys.setswitchinterval(SWITCH)
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def put(self, sheet: Sheet) -> None:
        """Write one, or hand it over; waits while too many wait."""
        if self._thread is None:
            wire.send(self._sock, self._done(sheet))
        else:
            self._sheets.put(sheet)

    def close(self) -> None:
        """Write what waits and end."""
        if self._thread is not None:
            self._sheets.put(None)
            self._thread.join()

    def _serve(self) -> None:
        try:
            while (sheet := self._sheets.get()) is not None:
                wire.send(self._sock, self._done(sheet))
        except BaseException:
            # The main process sees the end of the socket; a traceback could show a value of a data set.
            os._exit(70)

    def _done(self, sheet: Sheet) -> dict[str, Any]:
        ready = sheet.ready
        answer = written(self._at, ready, sheet.name) if isinstance(ready, Ready) else ready
        if sheet.unchanged is None:
            return answer
        status = os.fstat(sheet.fd)
        os.close(sheet.fd)
        if (status.st_size, status.st_mtime_ns) == sheet.unchanged:
            return answer
        if "staged" in answer:
            (self._at.staging / answer["staged"]).unlink()
        return _told(Verdict.hold("file-changed"))


def _open(at: Desk, message: Mapping[str, Any], fd: int | None, name: str) -> Sheet:
    if fd is None or not message["size"]:
        if fd is not None:
            os.close(fd)
        return Sheet(name=name, ready=_told(Verdict.hold("malformed")))
    unchanged = message.get("unchanged")
    try:
        mapped = mmap.mmap(fd, message["size"], prot=mmap.PROT_READ)
    except ValueError:  # shorter than it was
        mapped = None
    if unchanged is None:
        os.close(fd)
    ready = _told(Verdict.hold("file-changed")) if mapped is None else cleared(at, message, memoryview(mapped))
    return Sheet(name=name, ready=ready, fd=fd, unchanged=unchanged and (unchanged[0], unchanged[1]))


if __name__ == "__main__":
    # A traceback could show a value of a data set, so none is printed: the main process sees the end of the socket.
    try:
        sys.exit(main(sys.argv))
    except Exception:
        os._exit(70)
