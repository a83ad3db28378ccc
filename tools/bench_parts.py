# ruff: noqa: INP001 - beside a script, no package
"""Measures what `load` is made of, one thing at a time in this process, so that a slow run can be blamed on something.

Figures of parts do not add up to a run's: there they overlap, share two processors with the archive, and wait.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pacsferry import app, clearer
from pacsferry.core.arrivals import Arrival, ArrivalStore
from pacsferry.core.clearing import Patient, clear
from pacsferry.core.intake import Received, StudySink
from pacsferry.core.model import Buffer, Head, Level, Query, Receipt, Source, Wanted
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.staging import stage
from pacsferry.core.workers import ProcessWorker, Setup

#: Images that stay in memory for the parts after the transport.
_KEPT = 100
_STARTS = 5
#: Of those kept, so many do not count.
_WARM = 10


def measure(sites: dict[str, Path], folder: Path, accession: str) -> dict[str, float]:
    """Milliseconds: per start for what happens once, per image for the rest."""
    wirings = {name: app.wire(app.site(str(path)), app.plugins()) for name, path in sites.items()}
    found = _starts(next(iter(wirings.values())), folder)
    kept: list[Received] = []
    for name, wiring in wirings.items():
        with _transport(wiring, name) as transport:
            study, count, classes = _expected(wiring, accession)
            wanted = Wanted(study=study, sop_classes=classes, expected=count)
            kept = []
            found[f"{name}: bytes only"] = _clock(transport.fetch, wanted, _Nowhere()) / count
            sink = _sink(study, folder, kept)
            found[f"{name}: into memory files, UIDs looked at"] = _clock(transport.fetch, wanted, sink) / count
    return found | _clearing(next(iter(wirings.values())), kept, folder)


def _clock(work: Callable[..., object], *given: object) -> float:
    began = time.perf_counter()
    work(*given)
    return (time.perf_counter() - began) * 1000


def _starts(wiring: app.Wiring, folder: Path) -> dict[str, float]:
    """Start-ups, the best of a few."""
    said = {
        "python": "pass",
        "imports of the command line": "import pacsferry.cli.main",
        "imports of a load": "import pacsferry.cli.main, pacsferry.app",
    }
    found = {f"start: {name}": min(_clock(_python, code) for _ in range(_STARTS)) for name, code in said.items()}
    setup = Setup(message=_message(wiring, folder), digest=wiring.chosen.deidentifier.digest)
    found["start: a worker, until it is ready"] = min(
        _clock(lambda: ProcessWorker(setup).close()) for _ in range(_STARTS)
    )
    return found


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def _message(wiring: app.Wiring, folder: Path) -> dict[str, Any]:
    staging = folder / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    return {
        "choices": wiring.choices,
        "secret": "00" * 32,
        "staging": str(staging),
        "prefix": "bench",
        "mode": 0o640,
        "group": None,
        "select": {},
    }


@contextmanager
def _transport(wiring: app.Wiring, name: str) -> Iterator[Any]:
    transport = dict(wiring.transports())[name]
    try:
        yield transport
    finally:
        transport.close()


def _expected(wiring: app.Wiring, accession: str) -> tuple[str, int, frozenset[str]]:
    finder = wiring.finder()
    try:
        (study,) = finder.find(Query(level=Level.STUDY, keys={"AccessionNumber": accession}))
        uid = study.text("StudyInstanceUID")
        (series,) = finder.find(Query(level=Level.SERIES, keys={"StudyInstanceUID": uid}))
        keys = {"StudyInstanceUID": uid, "SeriesInstanceUID": series.text("SeriesInstanceUID")}
        images = list(finder.find(Query(level=Level.IMAGE, keys=keys)))
    finally:
        finder.close()
    return uid, len(images), frozenset(image.text("SOPClassUID") for image in images)


class _Nowhere:
    """A sink that lets all bytes go."""

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:
        del head
        for _ in chunks:
            pass
        return Receipt.KEPT


def _sink(study: str, folder: Path, kept: list[Received]) -> StudySink:
    lock = threading.Lock()

    def take(received: Received) -> None:
        with lock:
            if len(kept) < _KEPT:
                kept.append(received)
            else:
                received.arrival.close()

    return StudySink(study, ProjectKeys(bytes(32)), ArrivalStore(folder), take)


def _clearing(wiring: app.Wiring, kept: list[Received], folder: Path) -> dict[str, float]:
    """De-identifying, gates and writing of the images that were kept; the first ones warm up."""
    desk = clearer.desk(_message(wiring, folder), wiring.plugins)
    times = [_cleared(desk, received.arrival, f"bench-{number}") for number, received in enumerate(kept)]
    for received in kept:
        received.arrival.close()
    counted = times[_WARM:]
    return {name: sum(one[name] for one in counted) / len(counted) for name in counted[0]}


def _cleared(desk: clearer.Desk, arrival: Arrival, name: str) -> dict[str, float]:
    data = memoryview(arrival.opening(arrival.size))
    source = Source(head=arrival.head, data=data, pseudonym="case0001", keys=desk.keys)
    began = time.perf_counter()
    draft = desk.chosen.deidentifier.apply(source)
    applied = time.perf_counter()
    for gate in desk.chosen.gates.values():
        gate.judge(draft)
    judged = time.perf_counter()
    cleared, _, _ = clear(source, desk.chosen.deidentifier, desk.chosen.gates, Patient())
    if cleared is None:
        raise SystemExit("an image was held")
    again = time.perf_counter()
    stage(cleared, desk.staging, name, mode=0o640, group=None)
    stamps = {
        "de-identify": applied - began,
        "gates": judged - applied,
        "write, digest, fsync": time.perf_counter() - again,
    }
    return {key: seconds * 1000 for key, seconds in stamps.items()}
