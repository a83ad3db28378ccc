"""Those who are told each event of an audit trail: in order, in threads of their own, and never at a run's expense.

An observer that fails, hangs or is too slow loses lines, which are counted and told; the run goes on, and the trail
itself has them all.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .auditline import AuditLine, frozen

if TYPE_CHECKING:
    from .ledger_chain import Event
    from .ports import Observer

#: Lines that wait for one observer, at most; some 2 kB each.
ROOM = 10_000
#: Seconds that the end of a run waits for observers.
FAREWELL = 3.0
_log = logging.getLogger("pacsferry.observers")


class Audience:
    """The observers of one trail, ``chosen`` when the first event comes: names, and how to build each.

    Thread-safe; nothing raises or waits.
    """

    def __init__(
        self, trail: str, chosen: Callable[[], Iterable[tuple[str, Callable[[], Observer]]]], *, room: int = ROOM
    ) -> None:
        self._trail, self._chosen, self._room = trail, chosen, room
        self._lock = threading.Lock()
        self._seats: list[_Seat] | None = None

    def __call__(self, event: Event) -> None:
        """Tell an event."""
        seats = self._seated()
        if not seats:
            return
        line = AuditLine(
            trail=self._trail,
            seq=event.seq,
            at=event.at,
            run=event.run,
            actor=event.actor,
            action=event.action,
            object=event.object,
            outcome=event.outcome,
            details=frozen(event.details),
            prev=event.prev,
            hash=event.hash,
        )
        for seat in seats:
            seat.tell(line)

    def _seated(self) -> list[_Seat]:
        with self._lock:
            if self._seats is None:
                self._seats = []
                try:
                    self._seats = [_Seat(name, build, self._room) for name, build in self._chosen()]
                except Exception as err:
                    _log.warning("no observer is told (%s); the run goes on", type(err).__name__)
            return self._seats

    def flush(self, seconds: float = FAREWELL) -> list[str]:
        """Wait until all lines are told, for so long at most; what was lost so far, in sentences."""
        end = time.monotonic() + seconds
        for seat in self._seats or ():
            seat.settle(end)
        return [text for seat in self._seats or () if (text := seat.lost())]

    def close(self, seconds: float = FAREWELL) -> None:
        """Tell what waits, for so long at most, and let the observers go; may be called twice."""
        with self._lock:
            seats, self._seats = self._seats or [], []
        end = time.monotonic() + seconds
        for seat in seats:
            seat.leave(end)


class _Seat:
    """One observer, its queue and its thread."""

    def __init__(self, name: str, build: Callable[[], Observer], room: int) -> None:
        self._name, self._build = name, build
        self._lines: queue.Queue[AuditLine | None] = queue.Queue(room)
        self._changed = threading.Condition()
        self._told = self._given = self._missed = 0
        self._failed: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"observer-{name}", daemon=True)
        self._thread.start()

    def tell(self, line: AuditLine) -> None:
        """Put a line in the queue, unless it is full."""
        with self._changed:
            try:
                self._lines.put_nowait(line)
                self._given += 1
            except queue.Full:
                self._missed += 1

    def _run(self) -> None:
        observer = self._built()
        while (line := self._lines.get()) is not None:
            if observer is None:
                self._note("PluginError")
            else:
                self._try(lambda: observer.tell(line))
            with self._changed:
                self._told += 1
                self._changed.notify_all()
        if observer is not None:
            self._try(observer.close)

    def _built(self) -> Observer | None:
        try:
            return self._build()
        except Exception as err:
            _log.warning("observer %s cannot be built (%s); the run goes on", self._name, type(err).__name__)
            return None

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as err:
            self._note(type(err).__name__)

    def _note(self, kind: str) -> None:
        """Count a failure, and log its kind once: what an exception says may be anything."""
        with self._changed:
            self._failed[kind] = self._failed.get(kind, 0) + 1
            first = self._failed[kind] == 1
        if first:
            _log.warning("observer %s failed (%s); the run goes on", self._name, kind)

    def settle(self, end: float) -> None:
        """Wait until the queue is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._told >= self._given, max(0.0, end - time.monotonic()))

    def lost(self) -> str:
        """What was lost, in a sentence; "" for nothing."""
        with self._changed:
            waiting, failed = self._given - self._told, sum(self._failed.values())
            kinds = ", ".join(sorted(self._failed))
            parts = [
                f"{failed} failed ({kinds})" if failed else "",
                f"{self._missed} found no room" if self._missed else "",
                f"{waiting} still wait" if waiting else "",
            ]
        said = ", ".join(part for part in parts if part)
        return f"observer {self._name} was not told every audit line: {said}; the trail has them all" if said else ""

    def leave(self, end: float) -> None:
        """End the thread once it told what waits; one that hangs is left behind."""
        self.settle(end)
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            pass
        else:
            self._thread.join(max(0.0, end - time.monotonic()) + 0.1)
        if text := self.lost():
            _log.warning("%s", text)
