"""How hard an archive may be worked, by everybody on this host together: associations at once, pauses after batches.

It counts and waits; it never decides what is fetched.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InterruptedRun
from .hostlocks import HostLeases, file_name, silent
from .shared import make_folder_like, open_shared, read_all, rewrite


class Pace:
    """A pause after each batch of series, in one count for all processes of the host.

    After a pause's length without any work the count starts again: the archive has had its rest.
    """

    def __init__(self, path: Path, *, batch_size: int, batch_wait: float) -> None:
        self._path = path
        self._size = batch_size
        self._wait = batch_wait

    def spend(self, series: int) -> float:
        """Count series that were fetched (0: only look); how many seconds to wait before the next."""
        if self._size <= 0 or self._wait <= 0:
            return 0.0
        make_folder_like(self._path.parent, self._path.parent.parent)
        handle = open_shared(self._path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            now = time.time()
            count, rest = self._read(handle, now)
            batches, count = divmod(count + series, self._size)
            rest = max(rest, now) + batches * self._wait if batches else rest
            rewrite(handle, json.dumps({"count": count, "rest_until": rest, "at": now}).encode())
            return max(rest - now, 0.0)
        finally:
            os.close(handle)

    def _read(self, handle: int, now: float) -> tuple[int, float]:
        """Count and end of the pause; nothing where the file makes no sense or the clock was put back."""
        try:
            kept = json.loads(read_all(handle))
            count, rest, at = int(kept["count"]), float(kept["rest_until"]), float(kept["at"])
        except (ValueError, KeyError, TypeError):
            return 0, 0.0
        if not at <= now <= max(at, rest) + self._wait:
            return 0, 0.0
        return count, rest


class Budget:
    """The budget of one archive. ``archive`` should be its address, which projects share, not a profile's name."""

    def __init__(
        self,
        leases: HostLeases,
        archive: str,
        *,
        associations: int = 2,
        batch_size: int = 0,
        batch_wait: float = 0.0,
        stop: threading.Event | None = None,
    ) -> None:
        self._leases = leases
        self._archive = archive
        self.associations = associations
        self._stop = stop or threading.Event()
        self._pace = Pace(
            leases.folder / f"{file_name(archive)}.pace.json", batch_size=batch_size, batch_wait=batch_wait
        )

    @contextmanager
    def association(self, *, wait: bool = True, told: Callable[[str], None] = silent) -> Iterator[None]:
        """One of the associations that the archive allows. Raises as ``HostLeases.hold``."""
        name = f"an association with {self._archive}"
        with self._leases.hold(name, slots=self.associations, wait=wait, told=told, stop=self._stop):
            yield

    def spend(self, series: int) -> None:
        """Count series that were fetched; the pause, if one is due, comes with the next ``rest``."""
        self._pace.spend(series)

    def rest(self, *, told: Callable[[str], None] = silent) -> None:
        """Wait out a pause that a full batch began, here or in another process. Raises ``InterruptedRun``."""
        seconds = self._pace.spend(0)
        if seconds <= 0:
            return
        told(f"pausing {seconds:.0f} s for {self._archive}, as [budget] batch_wait asks")
        if self._stop.wait(seconds):
            raise InterruptedRun("stopped during a pause")
