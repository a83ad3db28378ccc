"""Leases of what a host has only once, for all projects and users: receiver addresses, associations per archive.

The kernel frees them when their process dies (flock), so nothing is ever stale; nothing is stored but who holds what.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from . import processes
from .errors import BusyError, InterruptedRun
from .shared import make_folder_like, open_shared, read_all, rewrite

_FIRST_NAP, _LONGEST_NAP = 0.05, 0.4
_UNPLAIN = re.compile(r"[^A-Za-z0-9.-]+")


def file_name(name: str) -> str:
    """A plain file name for a lease; the hash keeps apart what sanitising would make equal."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_UNPLAIN.sub('_', name)[:48].strip('._-') or 'x'}-{digest}"


def silent(_message: str) -> None:
    """Tell nobody."""


class HostLeases:
    """The leases of one folder, ``<state>/archives``. ``project`` is told to those who must wait."""

    def __init__(self, folder: Path, *, project: str = "") -> None:
        self.folder = folder
        self._project = project

    @contextmanager
    def hold(
        self,
        name: str,
        *,
        slots: int = 1,
        wait: bool = True,
        told: Callable[[str], None] = silent,
        stop: threading.Event | None = None,
    ) -> Iterator[int]:
        """Hold one of ``slots`` leases of ``name``; the number of the slot.

        Who must wait calls ``told`` once, with the holders. Raises ``BusyError`` where ``wait`` is false,
        ``InterruptedRun`` when ``stop`` is set, ``StoreError`` when the folder cannot be used.
        """
        handle, slot = self._acquire(name, max(slots, 1), told if wait else None, stop or threading.Event())
        try:
            rewrite(handle, self._visiting_card())
            yield slot
        finally:
            rewrite(handle, b"")
            os.close(handle)  # and with it the lock

    def holders(self, name: str, *, slots: int = 1) -> list[str]:
        """Who holds the leases now, for people."""
        cards = [self._card(path) for path in self._paths(name, max(slots, 1)) if path.exists()]
        return [card for card in cards if card]

    def _paths(self, name: str, slots: int) -> list[Path]:
        return [self.folder / f"{file_name(name)}.{slot}.lock" for slot in range(slots)]

    def _acquire(
        self, name: str, slots: int, told: Callable[[str], None] | None, stop: threading.Event
    ) -> tuple[int, int]:
        make_folder_like(self.folder, self.folder.parent)
        nap, asked = _FIRST_NAP, False
        while True:
            for slot, path in enumerate(self._paths(name, slots)):
                handle = _locked(path)
                if handle is not None:
                    return handle, slot
            if told is None:
                raise BusyError(f"{name} is held by {self._who(name, slots)}", hint="try again later, or let it wait")
            if not asked:
                told(f"waiting for {name}, held by {self._who(name, slots)}")
                asked = True
            if stop.wait(nap):
                raise InterruptedRun(f"stopped while waiting for {name}")
            nap = min(nap * 1.5, _LONGEST_NAP)

    def _who(self, name: str, slots: int) -> str:
        return "; ".join(dict.fromkeys(self.holders(name, slots=slots))) or "another process"

    def _visiting_card(self) -> bytes:
        card = {"pid": os.getpid(), "since": time.time(), "user": processes.user(), "project": self._project}
        return json.dumps(card).encode()

    @staticmethod
    def _card(path: Path) -> str:
        handle = open_shared(path)
        try:
            return _introduced(json.loads(read_all(handle) or b"{}"))
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            return ""  # who holds it had no time to say so yet
        finally:
            os.close(handle)


def _introduced(card: dict[str, object]) -> str:
    """A holder in words; "" when it is gone. Any user of the host may have written the card."""
    pid, since = int(str(card["pid"])), datetime.fromtimestamp(float(str(card["since"]))).astimezone()
    user, project = (_UNPLAIN.sub("_", str(card[name]))[:64] for name in ("user", "project"))
    if processes.started(pid) is None:
        return ""
    return f"process {pid} since {since:%H:%M} (user {user}{f', project {project}' if project else ''})"


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or None while another one does."""
    handle = open_shared(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle
