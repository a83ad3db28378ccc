"""A run's progress on stderr: bars on a terminal, NDJSON when asked for, else only what is waited for."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


class Events:
    """One JSON document per line (schema ``pacsferry.event``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def __call__(self, step: Progress) -> None:
        with self._lock:
            if step.kind == "instance" and step.done != step.total:
                if time.monotonic() < self._next:
                    return
                self._next = time.monotonic() + _PACE
            write(json.dumps(_event(step)) + "\n", sys.stderr)


def _event(step: Progress) -> dict[str, object]:
    return {
        "schema": "pacsferry.event",
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": step.kind,
        "case_id": step.case_id or None,
        "done": step.done,
        "total": step.total,
        "size": step.size,
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
        self._size = 0

    def __call__(self, step: Progress) -> None:
        with self._lock:
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
        self._bar("studies", completed=step.done, total=step.total)

    def _study_started(self, step: Progress) -> None:
        self._bar("studies", note=shown(step.case_id))

    def _instance(self, step: Progress) -> None:
        self._size += step.size
        note = f"{self._size / 1e6:,.0f} MB" if self._size else ""
        self._bar("images", completed=step.done, total=step.total, note=note)

    def _study_done(self, step: Progress) -> None:
        self._bar("studies", completed=step.done, total=step.total)

    def _waiting(self, step: Progress) -> None:
        self._note(step)

    def _note(self, step: Progress) -> None:
        if step.text:
            self._bars.console.print(shown(step.text), style="dim")
