"""The socket of one association: bounded reads, progress byte by byte, ended from outside; it reads no object."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from .commands import CutError
from .exchange import MAX_PDU, SLACK, Store
from .tls import RECORD_STARTS

#: Longest PDU before an association is established: 128 contexts with all their syntaxes need some 200 kB.
MAX_NEGOTIATION = 1 << 20
#: Bytes read at once from an established association. It polls for each reading, and so reads much.
BUFFER = 1 << 18
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Line(AssociationSocket):
    """The socket of one association: bounded reads, the time of the last byte, and whether we timed out.

    ``touched`` is the monotonic time of the last byte in either direction, ``moved`` that of the last one that was no
    mere "still at it" (pending). ``opened`` says that TCP connected, ``midway`` that an object is under way, ``store``
    takes objects. ``owner`` is whatever the receiver knows of the connection. ``heard`` counts the bytes that came,
    ``foreign`` says that they were TLS where we speak plainly.

    Once an association is established, ``need``, ``skip`` and ``take`` read ahead; ``recv`` gives what they left.
    """

    touched: float
    moved: float
    opened: bool
    timed_out: bool
    oversized: bool
    midway: bool
    foreign: bool
    heard: int
    store: Store | None
    owner: Any
    _ahead: memoryview
    _start: int
    _end: int

    @classmethod
    def adopt(cls, wire: AssociationSocket) -> Line:
        """Turn a stock socket wrapper into one of these."""
        wire.__class__ = cls
        line = cast("Line", wire)
        line.touched = line.moved = time.monotonic()
        line.opened = line.timed_out = line.oversized = line.midway = line.foreign = False
        line.heard = 0
        line.store = line.owner = None
        line.forget()
        return line

    def forget(self) -> None:
        """Nothing was read ahead."""
        self._ahead, self._start, self._end = memoryview(b""), 0, 0

    @property
    def ready(self) -> bool:
        """Whether there is something to read; the stock method uses select(), which ends at 1024 descriptors."""
        if self._start < self._end:
            return True
        if self.socket is None or not self._is_connected:
            return False
        try:
            return readable(self.socket) and (not isinstance(self.socket, ssl.SSLSocket) or self._decrypts(self.socket))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False

    def _decrypts(self, sock: ssl.SSLSocket) -> bool:
        """Whether there is data: a session ticket makes a descriptor readable too, and reading would wait."""
        if not self._ahead:
            self._ahead = memoryview(bytearray(BUFFER))
        limit = sock.gettimeout()
        sock.settimeout(0)
        try:
            count = sock.recv_into(self._ahead)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True  # whoever reads finds out
        finally:
            sock.settimeout(limit)
        self._start, self._end = 0, count
        self._noted(count)
        return True

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly ``nr_bytes``, or fewer at the end of the stream. Raises OSError for a PDU longer than agreed."""
        limit = MAX_PDU + SLACK if self.assoc.is_established else MAX_NEGOTIATION
        if nr_bytes > limit:
            self.oversized = True
            raise ConnectionAbortedError("PDU longer than agreed")
        buffer = bytearray(self._ahead[self._start : min(self._end, self._start + nr_bytes)])
        self._start += len(buffer)
        left = bytearray(nr_bytes - len(buffer))
        got = self.fill(memoryview(left))
        buffer += left[:got]
        if buffer[:2] in RECORD_STARTS and not self.assoc.is_established:
            self.foreign = not isinstance(self.socket, ssl.SSLSocket)
        return buffer

    # --- an established association: reading ahead

    def need(self, count: int) -> memoryview:
        """The next ``count`` bytes, a few, which stay there until they are skipped. Raises ``CutError``."""
        while self._end - self._start < count:
            self._more()
        return self._ahead[self._start : self._start + count]

    def skip(self, count: int) -> None:
        """They were read."""
        self._start += count

    def take(self, most: int) -> memoryview:
        """At least one and at most so many bytes, valid until the next reading. Raises ``CutError``."""
        if self._start == self._end:
            self._more()
        piece = self._ahead[self._start : min(self._end, self._start + most)]
        self._start += len(piece)
        return piece

    def _more(self) -> None:
        """Read what there is, at least a byte."""
        if not self._ahead:
            self._ahead = memoryview(bytearray(BUFFER))
        kept = self._end - self._start
        if kept:
            self._ahead[:kept] = bytes(self._ahead[self._start : self._end])
        self._start, self._end = 0, kept
        sock = cast("socket.socket", self.socket)
        try:
            _acknowledge(sock)
            count = sock.recv_into(self._ahead[kept:])
        except (OSError, AttributeError) as err:  # the latter: closed meanwhile
            self.timed_out = self.timed_out or isinstance(err, TimeoutError)
            raise CutError from None
        if not count:
            raise CutError
        self._end += count
        self._noted(count)

    def _noted(self, count: int) -> None:
        self.touched = time.monotonic()
        self.heard += count

    def fill(self, view: memoryview) -> int:
        """Read until ``view`` is full or the stream ends; how many bytes came."""
        got = 0
        sock = cast("socket.socket", self.socket)
        try:
            _acknowledge(sock)
            while got < len(view):
                count = sock.recv_into(view[got:])
                if not count:
                    break
                got += count
                self._noted(count)
                self.moved = self.touched
        except TimeoutError:
            self.timed_out = True
            raise
        return got

    def send(self, bytestream: bytes) -> None:
        """Send all of it; the stock method turns failures into a closed connection."""
        super().send(bytestream)
        self.touched = time.monotonic()


def _acknowledge(sock: socket.socket) -> None:
    """Acknowledge at once (Linux): an archive without TCP_NODELAY waits 40 ms for it before each small answer."""
    if _QUICKACK is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def readable(sock: socket.socket) -> bool:
    """Whether ``sock`` has data, or has ended. Raises OSError or ValueError for a closed one."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True  # decrypted already, so the descriptor has nothing more to say
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))


def line_of(assoc: Association) -> Line | None:
    """The line of an association, if it was made here."""
    wire = assoc.dul.socket
    return wire if isinstance(wire, Line) else None


def hang_up(assoc: Association) -> None:
    """End an association from any thread: whoever waits on its socket returns at once."""
    sock = getattr(assoc.dul.socket, "socket", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            # Not ``sock.shutdown``: of a TLS socket that forgets the keys, and what is read then is still encrypted.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def on_open(stall: float, told: Callable[[Association], None] | None = None) -> tuple[Any, Callable[[Any], None]]:
    """A handler for new connections: no read or write may stall for longer, and dead peers are noticed by TCP.

    pynetdicom itself makes the socket blocking again after connecting, and then hangs in the middle of a PDU.
    ``told`` hears of the association, which nobody else knows yet.
    """

    def opened(event: Any) -> None:
        sock = event.assoc.dul.socket.socket
        sock.settimeout(stall)
        for level, name, value in (
            (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
            (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
            (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 60),
            (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 20),
        ):
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(level, getattr(socket, name), value)
        if (line := line_of(event.assoc)) is not None:
            line.opened = True
            line.touched = line.moved = time.monotonic()
        if told is not None:
            told(event.assoc)

    return (evt.EVT_CONN_OPEN, opened)
