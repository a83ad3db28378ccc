"""Connections of one archive that can be cut from another thread; nothing else can end a read on a silent peer."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: One connection per fetching thread, and some to spare; more are opened and thrown away.
POOL_SIZE = 32
#: Hospital firewalls drop connections that idle while the archive reads from tape.
SOCKET_OPTIONS = (*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))


class Lines:
    """The open sockets of a session. ``cut`` ends them all, and every one that opens later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.closed = threading.Event()

    def add(self, line: socket.socket) -> None:
        """Remember a new socket; end it at once when ``cut`` came first."""
        with self._lock:
            self._open.add(line)
            if self.closed.is_set():
                _end(line)

    def cut(self) -> None:
        """End all connections. A read on one of them returns or raises at once."""
        with self._lock:
            self.closed.set()
            for line in list(self._open):
                _end(line)


def _end(line: socket.socket) -> None:
    """Shut the TCP connection down below TLS: ``SSLSocket.shutdown`` is not for another thread."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def _followed(base: type[HTTPConnection], lines: Lines) -> type[HTTPConnection]:
    class Followed(base):  # type: ignore[valid-type,misc]
        def connect(self) -> None:
            super().connect()
            lines.add(self.sock)

    return Followed


class LinesAdapter(HTTPAdapter):
    """The adapter of ``requests``, whose connections are in ``lines``; it never tries again by itself."""

    def __init__(self, lines: Lines) -> None:
        plain = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": _followed(HTTPConnection, lines)})
        secure = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": _followed(HTTPSConnection, lines)})
        self._pools = {"http": plain, "https": secure}
        super().__init__(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=SOCKET_OPTIONS, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, socket_options=SOCKET_OPTIONS, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
