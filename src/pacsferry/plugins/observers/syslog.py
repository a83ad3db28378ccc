"""Sends audit lines to a log server or the host's own log; what cannot be sent in time is given up and told."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import time

from pacsferry.core.auditline import AuditLine

from . import SyslogSettings
from .message import message

#: Seconds after a failure in which nothing is tried: each try may take as long as the time-out.
_SULK = 5.0


class Syslog:
    """One sender; it is used by one thread. Certificates are required and names checked (RFC 5425 4.2)."""

    def __init__(self, settings: SyslogSettings) -> None:
        self._settings = settings
        self._host = settings.hostname or socket.gethostname()
        self._context = _context(settings) if settings.way == "tls" else None
        self._line: socket.socket | None = None
        self._until = 0.0

    def tell(self, line: AuditLine) -> None:
        """Send one line. Raises ``OSError``, for the caller to count."""
        settings = self._settings
        said = message(line, facility=settings.facility, host=self._host, app=settings.app_name, process=os.getpid())
        if time.monotonic() < self._until:
            raise ConnectionError("not reached a moment ago")
        try:
            self._send(said)
        except OSError:
            self.close()
            self._until = time.monotonic() + _SULK
            raise

    def _send(self, said: bytes) -> None:
        """Send over the connection there is, and over a new one where that was lost."""
        if self._line is not None and not _alive(self._line):
            self.close()
        fresh = self._line is None
        self._line = self._line or self._connect()
        try:
            self._line.sendall(self._framed(said, self._line))
        except OSError as err:
            # Over UDP the refusal is of an earlier line, and a server that does not read will not read more elsewhere.
            if fresh or self._settings.way == "udp" or isinstance(err, TimeoutError):
                raise
            self.close()
            self._line = self._connect()
            self._line.sendall(self._framed(said, self._line))

    def _framed(self, said: bytes, line: socket.socket) -> bytes:
        """A datagram as it is; over a stream with its length before it, or a line feed after it (RFC 6587 3.4)."""
        if line.type != socket.SOCK_STREAM:
            return said
        if self._settings.way == "tls" or (self._settings.way == "tcp" and self._settings.framing == "octets"):
            return f"{len(said)} ".encode() + said
        return said + (b"\0" if self._settings.way == "unix" else b"\n")

    def _connect(self) -> socket.socket:
        way, timeout = self._settings.way, self._settings.timeout
        if way == "unix":
            return _local(self._settings.address.partition(":")[2], timeout)
        host, port = self._settings.place
        if way == "udp":
            return _datagrams(host, port, timeout)
        line = socket.create_connection((host, port), timeout)
        if self._context is None:
            return line
        try:
            return self._context.wrap_socket(line, server_hostname=self._settings.server_name or host)
        except BaseException:
            line.close()
            raise

    def close(self) -> None:
        """Give the connection back; may be called twice."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.close()


def _datagrams(host: str, port: int, timeout: float) -> socket.socket:
    """A socket for datagrams to the first address of a host that has one."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    line = socket.socket(family, kind, protocol)
    line.settimeout(timeout)
    line.connect(address)
    return line


def _local(path: str, timeout: float) -> socket.socket:
    """The host's own log, which listens for datagrams or, on some hosts, for a stream."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        line = socket.socket(socket.AF_UNIX, kind)
        line.settimeout(timeout)
        try:
            line.connect(path)
        except OSError as err:
            line.close()
            if err.errno != errno.EPROTOTYPE:
                raise
        else:
            return line
    raise ConnectionError("what listens there takes neither datagrams nor a stream")


def _alive(line: socket.socket) -> bool:
    """Whether a stream was not ended by the other side, which else is noticed one line too late."""
    if line.type != socket.SOCK_STREAM:
        return True
    poller = select.poll()
    poller.register(line, select.POLLIN)
    if not poller.poll(0):
        return True
    try:
        return bool(line.recv(4096))  # log servers say nothing; what one does say is not for us
    except (TimeoutError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def _context(settings: SyslogSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context
