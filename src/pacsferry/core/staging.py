"""Write cleared objects under a passing name on the file system of their destination; it takes nothing else."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from .clearing import Cleared

#: At most this many buffers in one writev (POSIX guarantees 16, Linux has 1024).
_IOV = 512

#: Hashed and written in one go, so that a large object never needs its size twice.
_STEP = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A durable file that has no name among the released ones yet. ``size`` is in bytes."""

    name: str
    size: int
    sha256: str


def stage(cleared: Cleared, folder: Path, name: str, *, mode: int, group: int | None, sync: bool = True) -> Staged:
    """Write, digest and fsync in one pass. Raises OSError, and then leaves nothing.

    Without ``sync`` the file is whole for every other process, but a power failure may still lose it.
    """
    fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size, digest = _write(fd, [memoryview(part).cast("B") for part in cleared.parts])
        os.fchmod(fd, mode)
        if group is not None:
            os.fchown(fd, -1, group)
        if sync:
            os.fsync(fd)
    except BaseException:
        (folder / name).unlink()
        raise
    finally:
        os.close(fd)
    return Staged(name=name, size=size, sha256=digest)


def _write(fd: int, parts: list[memoryview]) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    batch: list[memoryview] = []
    for part in parts:
        for start in range(0, len(part), _STEP):
            piece = part[start : start + _STEP]
            digest.update(piece)
            batch.append(piece)
            size += len(piece)
            if len(batch) == _IOV or len(piece) == _STEP:
                _write_batch(fd, batch)
                batch = []
    _write_batch(fd, batch)
    return size, digest.hexdigest()


def _write_batch(fd: int, batch: list[memoryview]) -> None:
    while batch:
        written = os.writev(fd, batch)
        while batch and written >= len(batch[0]):
            written -= len(batch.pop(0))
        if batch and written:
            batch[0] = batch[0][written:]
