"""Who a process is, so that nobody takes a dead one's place for a live one's; reads /proc, signals nobody."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import socket
from functools import lru_cache
from pathlib import Path

from .errors import StoreError

_PROC = Path("/proc")
_DEAD = frozenset("ZXx")  # a zombie keeps its number until its parent asks for it, and does nothing any more


def user() -> str:
    """The name of the operating system's user; its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@lru_cache(maxsize=1)
def host() -> str:
    """The name of the host."""
    return socket.gethostname()


@lru_cache(maxsize=1)
def boot() -> str:
    """The running boot and process namespace: process numbers are only comparable within both ("" if unknown)."""
    try:
        number = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{number}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None when there is none, 0 where the system cannot tell."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except FileNotFoundError:
        return None if (_PROC / "self").exists() else _started_without_proc(pid)
    except (ProcessLookupError, PermissionError):
        return None
    # The name in parentheses may hold spaces and parentheses itself: count from the last one (proc(5)).
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0].decode("ascii") in _DEAD else int(fields[19])


def _started_without_proc(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


def short(text: str) -> str:
    """Eight hex digits of a host or boot, for file names."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


@lru_cache(maxsize=32)
def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder ("ext4", "nfs4" ...); "" where the system does not tell."""
    try:
        lines = (_PROC / "self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    place, best = folder.resolve(), ("", "")
    for line in lines:
        left, _, right = line.partition(" - ")
        point = _unescaped(left.split()[4])
        if place.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, right.split()[0])
    return best[1]


def _unescaped(point: str) -> str:
    """Mount points have blanks as octal numbers (proc(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder last. Raises ``StoreError``."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as err:
        raise StoreError(f"cannot sync the folder {folder}: {err.strerror}") from None
