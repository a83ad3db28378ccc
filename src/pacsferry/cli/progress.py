"""A run's progress on stderr: bars on a terminal, NDJSON when asked for, else only what is waited for."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pacsferry.core.progress import Progress, Told, silent

from .screen import Screen, console, shown, write

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: Seconds between two events of instances; a million lines would help nobody.
_PACE = 0.1


@contextmanager
def told(screen: Screen) -> Iterator[Told]:
    """Whom to tell, chosen by what stderr is."""
    if screen.events:
        yield Events()
    elif screen.quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield Shown(bars)
    else:
        yield Lines(screen)


@dataclass(slots=True)
class Sums:
    """What came so far: a run tells of single instances, people and programs want to know how many there are."""

    studies: int = 0
    instances: int = 0
    expected: int = 0
    size: int = 0

    def add(self, step: Progress) -> None:
        """Take a step into account."""
        if step.kind == "study-started":
            self.expected += step.total or 0
        elif step.kind == "study-done":
            self.studies += 1
        elif step.kind == "instance":
            self.instances = max(self.instances + 1, step.done)
            self.size += step.size


class Events:
    """One JSON document per line (schema ``pacsferry.event``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums = Sums()
        self._next = 0.0
        self._late: Progress | None = None

    def __call__(self, step: Progress) -> None:
        with self._lock:
            self._sums.add(step)
            if step.kind == "instance" and time.monotonic() < self._next:
                self._late = step
                return
            if self._late is not None and step.kind != "instance":
                self._write(self._late)
            self._write(step)

    def _write(self, step: Progress) -> None:
        if step.kind == "instance":
            self._next, self._late = time.monotonic() + _PACE, None
        write(json.dumps(_event(step, self._sums)) + "\n", sys.stderr)


def _event(step: Progress, sums: Sums) -> dict[str, object]:
    return {
        "schema": "pacsferry.event",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": step.kind,
        "case_id": step.case_id or None,
        "done": step.done,
        "total": step.total,
        "studies": sums.studies,
        "instances": sums.instances,
        "size": sums.size,
        "text": step.text or None,
    }


class Lines:
    """For logs: only what is waited for and what is noted."""

    def __init__(self, screen: Screen) -> None:
        self._verbose = screen.verbose

    def __call__(self, step: Progress) -> None:
        if step.text and (self._verbose or step.kind in {"waiting", "note"}):
            write(f"pacsferry: {shown(step.text)}\n", sys.stderr)


@contextmanager
def _bars() -> Iterator[Bars]:
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console(sys.stderr), transient=True) as bars:
        yield bars


class Shown:
    """Live bars: requests asked, studies, instances."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._sums = Sums()

    def __call__(self, step: Progress) -> None:
        with self._lock:
            self._sums.add(step)
            getattr(self, "_" + step.kind.replace("-", "_"))(step)

    def _bar(self, name: str, **fields: object) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None, note="")
        self._bars.update(self._tasks[name], **fields)  # type: ignore[arg-type]

    def _query(self, step: Progress) -> None:
        self._bar("asking", completed=step.done, total=step.total, note=shown(step.text))

    def _planned(self, step: Progress) -> None:
        if "asking" in self._tasks:
            self._bars.remove_task(self._tasks.pop("asking"))
        self._bar("studies", completed=self._sums.studies, total=step.total)

    def _study_started(self, step: Progress) -> None:
        self._bar("studies", note=shown(step.case_id))
        self._images()

    def _instance(self, _: Progress) -> None:
        self._images()

    def _images(self) -> None:
        size = self._sums.size
        note = f"{size / 1e6:,.0f} MB" if size else ""
        self._bar("images", completed=self._sums.instances, total=self._sums.expected or None, note=note)

    def _study_done(self, _: Progress) -> None:
        self._bar("studies", completed=self._sums.studies)

    def _waiting(self, step: Progress) -> None:
        self._note(step)

    def _note(self, step: Progress) -> None:
        if step.text:
            self._bars.console.print(shown(step.text), style="dim")
