# ruff: noqa: INP001 - beside a script, no package
"""Runs a command to its end and says what it took: seconds, CPU, and (when asked) the peak of its memory.

Memory is anonymous memory of the process and its children plus the memory files that they hold open: what a host must
have for it. Shared libraries and page cache do not count. Looking takes time, so a run is either timed or looked at.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PERIOD = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ended command. ``began`` is Unix time, ``seconds`` wall clock, ``cpu`` of it and its children."""

    code: int
    began: float
    seconds: float
    cpu: float
    peak: int
    err: str


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, look: bool = False) -> Run:
    """Run ``command`` to its end; ``look`` samples its memory (``peak``, in bytes) some fifty times a second."""
    log = cwd / "stderr.log"
    os.sync()  # what an earlier run wrote is not this one's burden
    before = os.times()
    began, start = time.time(), time.perf_counter()
    with log.open("wb") as err:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=err, env={**os.environ, **(env or {})}
        )
    with _looking(process.pid if look else None) as peak:
        code = process.wait()
        seconds = time.perf_counter() - start
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(code=code, began=began, seconds=seconds, cpu=cpu, peak=peak[0], err=log.read_text(errors="replace"))


@contextlib.contextmanager
def _looking(pid: int | None) -> Iterator[list[int]]:
    peak, ended = [0], threading.Event()
    if pid is None:
        yield peak
        return

    def look() -> None:
        while not ended.wait(_PERIOD):
            peak[0] = max(peak[0], memory(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def memory(pid: int) -> int:
    """Bytes of anonymous memory of a process and its children, and of the memory files they have open, each once."""
    files: dict[int, int] = {}
    anonymous = 0
    for one in [pid, *_children(pid)]:
        with contextlib.suppress(OSError):
            anonymous += _anonymous(one)
            files |= _memory_files(one)
    return anonymous + sum(files.values())


def _children(pid: int) -> list[int]:
    found = []
    for task in _listed(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found + [each for child in found for each in _children(child)]


def _anonymous(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _memory_files(pid: int) -> dict[int, int]:
    found = {}
    for entry in _listed(Path(f"/proc/{pid}/fd")):
        with contextlib.suppress(OSError):
            if str(entry.readlink()).startswith("/memfd:"):
                state = entry.stat()
                found[state.st_ino] = state.st_blocks * 512
    return found


def _listed(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(folder.iterdir())
    return []
