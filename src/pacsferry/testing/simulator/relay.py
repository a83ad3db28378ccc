"""A TCP relay in front of a port: passes bytes on, until it is told to go silent, to reset, or to be slow.

DIMSE faults that lie below the protocol (silence in the middle of a PDU, a reset, a slow line) happen here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

_CHUNK = 1 << 16


class Wire:
    """One relayed connection. ``armed`` faults count the bytes that flow from the archive's side."""

    def __init__(self, client: socket.socket, server: socket.socket, *, archive_is_server: bool) -> None:
        self._ends = (client, server)
        source, target = (server, client) if archive_is_server else (client, server)
        self._lock = threading.Lock()
        self._left: int | None = None
        self._action = ""
        self._rate = 0
        self._gone = threading.Event()
        self._ended_sides = 0
        self._threads = [
            threading.Thread(target=self._pump, args=(source, target, True), daemon=True),
            threading.Thread(target=self._pump, args=(target, source, False), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def arm(self, action: str, after: int) -> None:
        """After ``after`` more bytes: "silence" (nothing more passes, the connection stays) or "reset"."""
        with self._lock:
            self._action, self._left = action, after

    def slow(self, rate: int) -> None:
        """From now on pass so many bytes per second."""
        with self._lock:
            self._rate = rate

    def close(self) -> None:
        """End both connections."""
        self._gone.set()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                end.close()

    def reset(self) -> None:
        """End both connections with RST: a reader that still holds the socket is woken first, without a FIN."""
        self._gone.set()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.close()

    def _pump(self, source: socket.socket, target: socket.socket, watched: bool) -> None:
        try:
            while data := source.recv(self._size(watched)):
                data = self._spoil(data) if watched else data
                target.sendall(data)
                if watched and self._rate:
                    time.sleep(len(data) / self._rate)
                if watched and self._left == 0:
                    self._act()
            self._ended(target)
        except OSError:
            self.close()

    def _ended(self, target: socket.socket) -> None:
        """One side said that it sends no more: pass that on, or give up a connection that is silent."""
        with self._lock:
            self._ended_sides += 1
        if self._left == 0 or self._ended_sides == 2:
            self.close()
        elif not self._gone.is_set():
            target.shutdown(socket.SHUT_WR)

    def _size(self, watched: bool) -> int:
        return min(_CHUNK, max(1024, self._rate // 10)) if watched and self._rate else _CHUNK

    def _spoil(self, data: bytes) -> bytes:
        with self._lock:
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
        return data

    def _act(self) -> None:
        """The fault has come: reset, or hold the connection until somebody ends it."""
        if self._action == "reset":
            self.reset()
        else:
            self._gone.wait()


#: TLS alert, fatal, protocol_version (RFC 8446 6.2): what a TLS server says to somebody who speaks plainly.
_ALERT = b"\x15\x03\x03\x00\x02\x02\x46"


def refuse_plain(client: socket.socket) -> None:
    """Answer the first bytes as a TLS server does, and close."""
    with contextlib.suppress(OSError), client:
        client.settimeout(5)
        client.recv(_CHUNK)
        client.sendall(_ALERT)
        client.shutdown(socket.SHUT_WR)
        client.recv(_CHUNK)


class Relay:
    """Listens on a free port of 127.0.0.1 and connects everybody through to ``target``."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        archive_is_server: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Callable[[], bool] = lambda: False,
    ) -> None:
        self._target, self._archive_is_server, self._tls = target, archive_is_server, tls
        self._listener = socket.create_server((host, port))
        self.host, self.port = host, int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._wires: dict[int, Wire] = {}
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def wire(self, port: int) -> Wire | None:
        """The wire whose end towards the target has this local port."""
        with self._lock:
            return self._wires.get(port)

    def only(self) -> Wire | None:
        """The newest wire."""
        with self._lock:
            return next(reversed(self._wires.values()), None)

    def close(self) -> None:
        """Stop listening and end every wire."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            wires = list(self._wires.values())
        for wire in wires:
            wire.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        if self._tls():
            threading.Thread(target=refuse_plain, args=(client,), daemon=True).start()
            return
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = server.getsockname()[1]
        with self._lock:  # registered before a byte passes
            self._wires[port] = Wire(client, server, archive_is_server=self._archive_is_server)
