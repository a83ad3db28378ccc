"""Files that say they are the same instance: copies of one object, or a contradiction that holds them all.

It compares bytes and understands none of them; what the file meta information says counts for nothing, as all of it
is made anew (PS3.10 7.1).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from .encoding import Wrapped, unwrap
from .errors import HeldError
from .folder_look import Look

#: Two contents under one UID.
CONFLICT = "uid-conflict"
_BLOCK = 2**20
#: File meta information is shorter than this.
_HEAD = 2**16


class Copy(Protocol):
    """What is needed of a file (``folder_scan.File``)."""

    size: int
    code: str
    look: Look
    path: str
    root: Path

    def open(self) -> int:
        """Open for reading. Raises OSError."""


def settled(files: Sequence[Copy]) -> int:
    """How many of them are copies of the first; 0, and all of them held, where they contradict each other."""
    try:
        same = all(_same(files[0], other) for other in files[1:])
    except OSError:
        same = False
    if same:
        return len(files) - 1
    for file in files:
        file.code = CONFLICT
    return 0


def reconciled(files: Sequence[Copy], digests: Iterable[str | None]) -> int:
    """How many of contradicting files are copies of the first after all, as all would be released byte for byte alike.

    ``digests`` are of what each would be released as, None where it would be held.
    """
    found = set(digests)
    if len(found) != 1 or None in found:
        return 0
    for file in files:
        file.code = ""
    return len(files) - 1


def _same(one: Copy, other: Copy) -> bool:
    """Whether two files hold the same data set in the same encoding. Raises OSError."""
    with _opened(one) as first, _opened(other) as second:
        here, there = _data_set(first, one), _data_set(second, other)
        size = one.size - here.start
        if here.transfer_syntax != there.transfer_syntax or size != other.size - there.start:
            return False
        return all(
            os.pread(first, _BLOCK, here.start + at) == os.pread(second, _BLOCK, there.start + at)
            for at in range(0, size, _BLOCK)
        )


@contextmanager
def _opened(file: Copy) -> Iterator[int]:
    fd = file.open()
    try:
        yield fd
    finally:
        os.close(fd)


def _data_set(fd: int, file: Copy) -> Wrapped:
    """Where the data set begins; where that cannot be told the whole file counts."""
    try:
        return unwrap(os.pread(fd, _HEAD, 0), file.look.framing, file.look.transfer_syntax)
    except HeldError:
        return Wrapped(start=0, transfer_syntax="")
