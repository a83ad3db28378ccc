"""Small numbers that all processes and users of a host keep together, one change at a time; nothing in it is trusted.

Times in it are those of the monotonic clock, which all processes of a host share and nobody can put back. What another
boot wrote, what makes no sense and what was cut off counts as nothing.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import processes
from .shared import make_folder_like, open_shared, read_all, rewrite

_BOOT = "boot"
#: Seconds between two looks whether another process is done with the file, and for how long that is waited for: it
#: takes microseconds, unless the process was put to sleep just then.
_LOOK, PATIENCE = 0.01, 5.0


class HostState:
    """One file, locked by the kernel while it is changed. ``this_boot``: what another boot wrote counts as nothing."""

    def __init__(self, path: Path, *, this_boot: bool = True) -> None:
        self._path, self._this_boot = path, this_boot
        self._own: dict[str, Any] = {}
        self._patience = PATIENCE

    @staticmethod
    def clock() -> float:
        """Seconds that go on whatever anybody does to the calendar."""
        return time.monotonic()

    @contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """What is kept; what the caller makes of it is kept instead. Raises ``StoreError``.

        Where the file belongs to somebody who lets us only read it, or another process fell asleep over it, this
        process keeps its own count.
        """
        make_folder_like(self._path.parent, self._path.parent.parent)
        handle = open_shared(self._path)
        try:
            ours = not self._locked(handle) or fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            kept = self._own if ours else self._read(handle)
            before = json.dumps(kept)
            yield kept
            self._own = kept
            if not ours and json.dumps(kept) != before:
                rewrite(handle, json.dumps({**kept, _BOOT: _boot()}).encode())
        finally:
            os.close(handle)

    def _locked(self, handle: int) -> bool:
        """Whether nobody else can change the file now; where that took too long once, it is only looked at."""
        until = self.clock() + self._patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self.clock() >= until:
                    self._patience = 0.0
                    return False
                time.sleep(_LOOK)
            else:
                self._patience = PATIENCE
                return True

    def _read(self, handle: int) -> dict[str, Any]:
        try:
            kept = json.loads(read_all(handle) or b"{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(kept, dict):
            return {}
        return kept if not self._this_boot or kept.get(_BOOT) == _boot() else {}

    def look(self) -> dict[str, Any]:
        """What is kept, without changing it; nothing where nobody kept anything. Raises ``StoreError``."""
        if not self._path.exists():
            return {}
        with self.changing() as kept:
            return dict(kept)


def number(kept: dict[str, Any], name: str, usual: float = 0.0) -> float:
    """A number of what is kept; ``usual`` where it is none."""
    value = kept.get(name, usual)
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else usual


def _boot() -> str:
    """The boot alone: containers of one host have process numbers of their own and share this clock."""
    return processes.boot().partition("/")[0]
