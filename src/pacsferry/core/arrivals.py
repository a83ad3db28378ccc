"""Anonymous files for objects on their way: a memory file, or an unlinked file in the private folder; never a name."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .model import Buffer, Head

#: Objects up to this size stay in memory, as long as all of them together stay below ``MEMORY_ALL``.
MEMORY_EACH = 8 * 2**20
MEMORY_ALL = 128 * 2**20
#: Files of others that are open at once; a process may usually have 1024. Once there are so many, no more are taken
#: until half of them are done: to wake somebody up for each would take longer than to open it.
OPEN_FILES = 128
#: Objects that are under way at once: each is an open file and a page at least, however small it is.
OBJECTS = 256

#: Bytes of memory files that are kept for the next objects: filling old pages costs a fifth of filling new ones.
SPARE = 16 * 2**20
#: And how many of them.
SPARES = 64

#: Copied at once when an object goes over from memory to disk.
_BLOCK = 2**20


class NoRoom(Exception):
    """An object could not be kept: no memory, no space, no descriptor. The argument is the errno."""


@dataclass(slots=True, eq=False)
class Arrival:
    """Bytes that came from a peer: identified, untrusted, not to be stored. ``close`` makes them gone."""

    head: Head
    fd: int
    size: int
    in_memory: bool
    store: ArrivalStore = field(repr=False)
    adopted: bool = False

    def opening(self, size: int) -> bytes:
        """The first ``size`` bytes, or all there are."""
        return os.pread(self.fd, size, 0)

    def close(self) -> None:
        """Give back file and memory, once nobody reads them any more; may be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self.store.give_back(self, fd)


class ArrivalStore:
    """Makes arrivals and bounds how many bytes are under way. Thread-safe.

    ``folder`` is private and on a real disk; ``limit`` is in bytes. A single object may exceed the limit: it then
    waits until it is alone. The usual limit is below ``MEMORY_ALL``, so that a peer is slowed down before small
    objects go to disk.
    """

    def __init__(self, folder: Path, *, limit: int = 96 * 2**20) -> None:
        self._folder = folder
        self._limit = limit
        self._changed = threading.Condition()
        self._flying = 0
        self._objects = 0
        self._adopted = 0
        self._crowded = False
        self._memory = 0
        self._closed = False
        self._spare: list[tuple[int, int]] = []

    def receive(self, head: Head, chunks: Iterable[Buffer]) -> Arrival:
        """Take one object. Raises ``NoRoom``, and whatever ``chunks`` raises; then nothing is kept."""
        with self._changed:
            self._changed.wait_for(self._room)
            self._objects += 1
        arrival = Arrival(head=head, fd=-1, size=0, in_memory=False, store=self)
        try:
            self._fill(arrival, chunks)
        except BaseException:
            self._drop(arrival)
            raise
        return arrival

    def adopt(self, head: Head, fd: int, size: int) -> Arrival:
        """Take an open file as it is, without a copy; its descriptor is ours from now on."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._room() and not self._crowded))
            self._flying += size
            self._objects += 1
            self._adopted += 1
            self._crowded = self._adopted >= OPEN_FILES or not self._room()
        return Arrival(head=head, fd=fd, size=size, in_memory=False, store=self, adopted=True)

    def _room(self) -> bool:
        return self._closed or (self._flying < self._limit and self._objects < OBJECTS)

    def _fill(self, arrival: Arrival, chunks: Iterable[Buffer]) -> None:
        for chunk in chunks:
            view = memoryview(chunk).cast("B")
            self._write(arrival, view)
            arrival.size += len(view)
            self._count(len(view), arrival)
        if arrival.fd < 0:
            self._write(arrival, memoryview(b""))
        if arrival.in_memory:
            os.ftruncate(arrival.fd, arrival.size)  # what an earlier object left behind it

    def _write(self, arrival: Arrival, view: memoryview) -> None:
        """Errors of our own files are told from those of the transport, which are ``OSError`` too."""
        try:
            self._make_room(arrival, len(view))
            _write_all(arrival.fd, view)
        except OSError as err:
            raise NoRoom(err.errno) from None

    def _make_room(self, arrival: Arrival, more: int) -> None:
        """Choose memory or disk, and go over to disk once the object proves to be large."""
        fits = arrival.size + more <= MEMORY_EACH and self._memory + more <= MEMORY_ALL
        if arrival.fd < 0:
            arrival.in_memory = fits and hasattr(os, "memfd_create")
            arrival.fd = self._memory_file() if arrival.in_memory else _unlinked(self._folder)
        elif arrival.in_memory and not fits:
            fd = _unlinked(self._folder)
            try:
                _copy(arrival.fd, fd, arrival.size)
            except BaseException:
                os.close(fd)
                raise
            os.close(arrival.fd)
            arrival.fd, arrival.in_memory = fd, False
            with self._changed:
                self._memory -= arrival.size

    def _count(self, more: int, arrival: Arrival) -> None:
        with self._changed:
            self._flying += more
            self._memory += more if arrival.in_memory else 0

    def _memory_file(self) -> int:
        with self._changed:
            fd = self._spare.pop()[0] if self._spare else -1
        if fd < 0:
            return os.memfd_create("arrival", os.MFD_CLOEXEC)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def _drop(self, arrival: Arrival) -> None:
        """What did not come whole leaves nothing, not even a spare file."""
        fd, arrival.fd = arrival.fd, -1
        self._uncount(arrival)
        if fd >= 0:
            os.close(fd)

    def give_back(self, arrival: Arrival, fd: int) -> None:
        """Called by ``Arrival.close``: its file is kept for another object, or closed."""
        self._uncount(arrival)
        with self._changed:
            kept = arrival.in_memory and not self._closed and self._fits(arrival)
            if kept:
                self._spare.append((fd, arrival.size))
        if not kept:
            os.close(fd)

    def _uncount(self, arrival: Arrival) -> None:
        with self._changed:
            self._flying -= arrival.size
            self._objects -= 1
            self._adopted -= int(arrival.adopted)
            self._memory -= arrival.size if arrival.in_memory else 0
            self._crowded = self._crowded and (self._adopted > OPEN_FILES // 2 or 2 * self._flying > self._limit)
            if not self._crowded:
                self._changed.notify_all()

    def _fits(self, arrival: Arrival) -> bool:
        kept = sum(size for _, size in self._spare)
        return kept + arrival.size <= SPARE and len(self._spare) < SPARES

    def close(self) -> None:
        """Give memory back, and let everybody who waits for room go on, for the run ends."""
        with self._changed:
            self._closed = True
            while self._spare:
                os.close(self._spare.pop()[0])
            self._changed.notify_all()


def _unlinked(folder: Path) -> int:
    """A file without a name: O_TMPFILE, or created and unlinked at once where there is none (macOS, NFS)."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is not None:
        try:
            return os.open(folder, flag | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError:
            pass  # this file system cannot; the fallback says what is really wrong
    fd, name = tempfile.mkstemp(dir=folder)
    Path(name).unlink()
    return fd


def _write_all(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def _copy(source: int, target: int, size: int) -> None:
    for start in range(0, size, _BLOCK):
        _write_all(target, memoryview(os.pread(source, min(_BLOCK, size - start), start)))
