"""Write cleared objects under a passing name on the file system of their destination; it takes nothing else.

To digest needs a processor and to write waits for the disk, so a caller may do the one before the other.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from .clearing import Cleared

#: At most this many buffers in one writev (POSIX guarantees 16, Linux has 1024).
_IOV = 512

#: Hashed and written in one go, so that a large object never needs its size twice.
_STEP = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A whole file that has no name among the released ones yet. ``size`` is in bytes."""

    name: str
    size: int
    sha256: str


def digest(cleared: Cleared) -> str:
    """SHA-256 of what will be written, in hex; "" for an object so large that it is better read once only."""
    if sum(memoryview(part).nbytes for part in cleared.parts) > _STEP:
        return ""
    hashed = hashlib.sha256()
    for part in cleared.parts:
        hashed.update(part)
    return hashed.hexdigest()


def stage(
    cleared: Cleared, folder: str, name: str, *, mode: int, group: int | None, sync: bool = True, sha256: str = ""
) -> Staged:
    """Write, digest where nobody did, and fsync. Raises OSError, and then leaves nothing.

    Without ``sync`` the file is whole for every other process, but a power failure may still lose it.
    """
    path = f"{folder}/{name}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hashed = None if sha256 else hashlib.sha256()
        size = _write(fd, [memoryview(part).cast("B") for part in cleared.parts], hashed)
        os.fchmod(fd, mode)
        if group is not None:
            os.fchown(fd, -1, group)
        if sync:
            os.fsync(fd)
    except BaseException:
        os.unlink(path)  # noqa: PTH108 - for speed
        raise
    finally:
        os.close(fd)
    return Staged(name=name, size=size, sha256=sha256 if hashed is None else hashed.hexdigest())


def _write(fd: int, parts: list[memoryview], hashed: hashlib._Hash | None) -> int:
    size = 0
    batch: list[memoryview] = []
    for part in parts:
        for start in range(0, len(part), _STEP):
            piece = part[start : start + _STEP]
            if hashed is not None:
                hashed.update(piece)
            batch.append(piece)
            size += len(piece)
            if len(batch) == _IOV or len(piece) == _STEP:
                _write_batch(fd, batch)
                batch = []
    _write_batch(fd, batch)
    return size


def _write_batch(fd: int, batch: list[memoryview]) -> None:
    while batch:
        written = os.writev(fd, batch)
        while batch and written >= len(batch[0]):
            written -= len(batch.pop(0))
        if batch and written:
            batch[0] = batch[0][written:]
