"""Write cleared objects under a passing name on the file system of their destination; it takes nothing else.

Writing needs the processor and making it last waits for the disk, so these are two steps.
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
    """A whole file that has no name among the released ones yet. ``size`` is in bytes, ``fd`` is still open."""

    path: str
    fd: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Its passing name."""
        return os.path.basename(self.path)  # noqa: PTH119 - for speed

    def finish(self, *, sync: bool) -> None:
        """Make it durable and close it. Raises OSError, and then leaves nothing.

        Without ``sync`` the file is whole for every other process, but a power failure may still lose it.
        """
        try:
            if sync:
                os.fsync(self.fd)
        except BaseException:
            self.remove()
            raise
        finally:
            os.close(self.fd)

    def remove(self) -> None:
        """Take the file away again."""
        os.unlink(self.path)  # noqa: PTH108 - for speed


def stage(cleared: Cleared, folder: str, name: str, *, mode: int, group: int | None) -> Staged:
    """Write and digest in one pass. Raises OSError, and then leaves nothing."""
    path = f"{folder}/{name}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size, digest = _write(fd, [memoryview(part).cast("B") for part in cleared.parts])
        os.fchmod(fd, mode)
        if group is not None:
            os.fchown(fd, -1, group)
    except BaseException:
        os.close(fd)
        os.unlink(path)  # noqa: PTH108 - for speed
        raise
    return Staged(path=path, fd=fd, size=size, sha256=digest)


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
