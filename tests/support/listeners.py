"""A log server for tests (UDP, TCP, TLS or a local socket), which keeps what comes; and one that answers nobody."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"


class Listener:
    """Listens from ``__enter__`` on. ``way``: udp, tcp, tls, dgram or stream (both of them local sockets)."""

    def __init__(self, way: str, path: Path | None = None, context: ssl.SSLContext | None = None) -> None:
        self.way, self.path, self._context = way, path, context
        self.raw: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._ended = False
        self._socket = self._made()

    def _made(self) -> socket.socket:
        if self.path is not None:
            one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if self.way == "dgram" else socket.SOCK_STREAM)
            one.bind(str(self.path))
        else:
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if self.way == "udp" else socket.SOCK_STREAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((LOOPBACK, 0))
        if one.type == socket.SOCK_STREAM:
            one.listen()
        return one

    @property
    def address(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{self.way}://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if self._socket.type == socket.SOCK_DGRAM:
            with contextlib.suppress(OSError), socket.socket(self._socket.family, socket.SOCK_DGRAM) as poke:
                poke.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        for one in (self._socket, *self._open):
            one.close()

    def hang_up(self) -> None:
        """End the connections there are, and go on listening."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ended:
                if self._socket.type == socket.SOCK_DGRAM:
                    self.raw += [data] if (data := self._socket.recv(65536)) else []
                else:
                    line, _ = self._socket.accept()
                    self.connections += 1
                    self._open.append(line)
                    threading.Thread(target=self._read, args=(line,), daemon=True).start()

    def _read(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                line = self._context.wrap_socket(line, server_side=True)
                self._open.append(line)
            while data := line.recv(65536):
                self.raw.append(data)

    def messages(self, count: int, seconds: float = 10) -> list[bytes]:
        """The first ``count`` messages, without framing. Fails where they do not come."""
        end = time.monotonic() + seconds
        while len(found := self._parsed()) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} messages came"
            time.sleep(0.02)
        return found

    def _parsed(self) -> list[bytes]:
        if self._socket.type == socket.SOCK_DGRAM:
            return list(self.raw)
        data = b"".join(self.raw)
        if data[:1] == b"<":
            return [one for one in data.replace(b"\0", b"\n").split(b"\n") if one]
        found = []
        while data:
            length, _, rest = data.partition(b" ")
            if not rest or len(rest) < int(length):
                break
            found.append(rest[: int(length)])
            data = rest[int(length) :]
        return found

    def documents(self, count: int) -> list[dict[str, object]]:
        """The JSON inside the first ``count`` messages."""
        return [json.loads(one.split(b" ", 7)[7]) for one in self.messages(count)]


@contextlib.contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """The address of a listener that accepts nobody and whose queue is full: as behind a firewall that drops packets."""
    with contextlib.ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind((LOOPBACK, 0))
        hole.listen(0)
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(hole.getsockname())
        yield hole.getsockname()
