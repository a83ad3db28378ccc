"""Connections of one archive that can be cut from another thread; nothing else can end a read on a silent peer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import weakref
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from .origins import is_metadata

#: One connection per fetching thread, and some to spare; more are opened and thrown away.
POOL_SIZE = 32
#: Hospital firewalls drop connections that idle while the archive reads from tape: say something each minute. Where a
#: system has no such option, its own pace remains.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
SOCKET_OPTIONS = (
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE.items()
        if hasattr(socket, name)
    ),
)


class LinkLocal(NewConnectionError):
    """A name led to a link-local address; nothing was sent."""


class Lines:
    """The open sockets of a session. ``cut`` ends them all, and every one that opens later.

    ``stall`` seconds without a byte end a body, however long its first byte was allowed to take.
    """

    def __init__(self, stall: float) -> None:
        self.stall = stall
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
        def _new_conn(self) -> socket.socket:
            line: socket.socket = super()._new_conn()
            if is_metadata(str(line.getpeername()[0])):
                line.close()
                raise LinkLocal(self, "a link-local address")
            return line

        def connect(self) -> None:
            super().connect()
            lines.add(self.sock)

        def getresponse(self) -> Any:
            line = self.sock
            response = super().getresponse()
            with contextlib.suppress(OSError):
                line.settimeout(lines.stall)
            return response

    return Followed


class LinesAdapter(HTTPAdapter):
    """The adapter of ``requests``, whose connections are in ``lines``; it never tries again by itself.

    ``context`` says all about TLS, and ``proxy_context`` all about that to a proxy, which learns nothing of who we are;
    what callers of ``requests`` say (``verify``, ``cert``) is not listened to.
    """

    def __init__(self, lines: Lines, context: ssl.SSLContext, proxy_context: ssl.SSLContext) -> None:
        self._context, self._proxy_context = context, proxy_context
        plain = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": _followed(HTTPConnection, lines)})
        secure = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": _followed(HTTPSConnection, lines)})
        self._pools = {"http": plain, "https": secure}
        super().__init__(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=SOCKET_OPTIONS, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs |= {"ssl_context": self._context, "proxy_ssl_context": self._proxy_context}
        manager = super().proxy_manager_for(*args, socket_options=SOCKET_OPTIONS, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - as in requests
        conn.cert_reqs = "CERT_REQUIRED"
