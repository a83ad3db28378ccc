"""Bytes per minute for all processes of a host together: it makes the receiving side wait, and refuses nothing.

Every process pays a tenth of a second's bytes at a time and waits its turn, so that several share evenly and none is
ever far ahead; an object larger than a minute's bytes passes like any other, slowly.
"""

from __future__ import annotations

import threading
from pathlib import Path

from .hoststate import HostState, number

#: What was not used up to so many seconds ago may still be used: threads wake up late.
_SLACK = 0.2
#: Seconds' worth of bytes that are paid at once, and their bounds.
_STEP, _LEAST, _MOST = 0.1, 512, 4 * 2**20
#: Nobody waits for longer than so many such steps: then the file makes no sense.
_TURNS = 256


class Rate:
    """The bytes of one archive. Thread-safe; ``stop`` ends every wait."""

    def __init__(self, path: Path, bytes_per_minute: int, stop: threading.Event) -> None:
        self._state = HostState(path)
        self._rate = bytes_per_minute / 60
        self._step = int(min(max(self._rate * _STEP, _LEAST), _MOST))
        self._stop = stop
        self._lock = threading.Lock()
        self._due = 0

    def spend(self, count: int) -> None:
        """So many bytes came: wait until the next may."""
        with self._lock:
            self._due += count
            steps, self._due = divmod(self._due, self._step)
        for _ in range(steps):
            if self._stop.wait(self.take(self._step)):
                return

    def take(self, count: int) -> float:
        """Pay for bytes; how many seconds to wait. Others who pay later wait longer."""
        with self._state.changing() as kept:
            now = self._state.clock()
            free, cost = number(kept, "free_at"), count / self._rate
            if free > now + _TURNS * max(self._step / self._rate, 1.0):
                free = now
            turn = max(free, now - _SLACK) + cost
            kept["free_at"] = turn
            return max(0.0, turn - now)
