"""The socket of one association: bounded reads, progress byte by byte, ended from outside; it reads no object."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

#: What we advertise as the longest P-DATA PDU that we take. Larger ones were not faster (field notes 3.1).
MAX_PDU = 131_072
#: Longest PDU before an association is established: 128 contexts with all their syntaxes need some 200 kB.
MAX_NEGOTIATION = 1 << 20
#: Peers that count the PDU header in, or a PDV header more, are not worth an abort.
SLACK = 64
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Line(AssociationSocket):
    """The socket of one association: bounded reads, the time of the last byte, and whether we timed out.

    ``touched`` is the monotonic time of the last byte in either direction. ``opened`` says that TCP connected.
    ``owner`` is whatever the receiver knows of the connection.
    """

    touched: float
    opened: bool
    timed_out: bool
    oversized: bool
    owner: Any

    @classmethod
    def adopt(cls, wire: AssociationSocket) -> Line:
        """Turn a stock socket wrapper into one of these."""
        wire.__class__ = cls
        line = cast("Line", wire)
        line.touched = time.monotonic()
        line.opened = line.timed_out = line.oversized = False
        line.owner = None
        return line

    @property
    def ready(self) -> bool:
        """Whether there is something to read; the stock method uses select(), which ends at 1024 descriptors."""
        if self.socket is None or not self._is_connected:
            return False
        try:
            return readable(self.socket)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly ``nr_bytes``, or fewer at the end of the stream. Raises OSError for a PDU longer than agreed."""
        limit = MAX_PDU + SLACK if self.assoc.is_established else MAX_NEGOTIATION
        if nr_bytes > limit:
            self.oversized = True
            raise ConnectionAbortedError("PDU longer than agreed")
        buffer = bytearray(nr_bytes)
        got = self.fill(memoryview(buffer))
        del buffer[got:]
        return buffer

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
                self.touched = time.monotonic()
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
            sock.shutdown(socket.SHUT_RDWR)


def on_open(stall: float) -> tuple[Any, Callable[[Any], None]]:
    """A handler for new connections: no read or write may stall for longer, and dead peers are noticed by TCP.

    pynetdicom itself makes the socket blocking again after connecting, and then hangs in the middle of a PDU.
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
            line.touched = time.monotonic()

    return (evt.EVT_CONN_OPEN, opened)
