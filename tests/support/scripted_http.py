"""An HTTP server on 127.0.0.1 that does to order what real ones do by accident: stops, cuts, resets, redirects."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

#: Acts besides sending bytes and sleeping (a float).
HANG, RESET, CLOSE = "hang", "reset", "close"


@dataclass(frozen=True)
class Request:
    target: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""
    certificate: Mapping[str, object] | None = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def param(self, name: str) -> str | None:
        return dict(self.params).get(name)


Act = bytes | float | str
Script = Callable[[Request], Iterable[Act]]


@dataclass
class Server:
    """Answers each request with what the script says; ``requests`` are those that came, in order."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopped = threading.Event()
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.origin}/dicom-web"

    def stop(self) -> None:
        self._stopped.set()
        for line in [self._listener, *self._lines]:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        if self.tls:
            with contextlib.suppress(OSError):
                line = self.tls.wrap_socket(line, server_side=True)
                self._lines.append(line)
        with contextlib.suppress(OSError, ValueError), line.makefile("rb") as incoming:
            shown = line.getpeercert() if isinstance(line, ssl.SSLSocket) else None
            while request := _read(incoming, shown):
                self.requests.append(request)
                for act in self.script(request):
                    if not self._perform(line, act):
                        return

    def _perform(self, line: socket.socket, act: Act) -> bool:
        if isinstance(act, bytes):
            line.sendall(act)
        elif isinstance(act, float):
            time.sleep(act)
        elif act == HANG:
            self._stopped.wait(60)
            return False
        else:
            if act == RESET:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                line.shutdown(socket.SHUT_RDWR)
            line.close()
            return False
        return True


def _read(incoming, shown: Mapping[str, object] | None = None) -> Request | None:
    start = incoming.readline().split()
    if len(start) < 2:
        return None
    headers = {}
    while (text := incoming.readline().decode("latin-1").strip()) != "":
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = incoming.read(int(headers.get("content-length", 0)))
    return Request(start[1].decode(), headers, start[0].decode(), body, shown)


def answer(status: int = 200, body: bytes = b"", *, length: int | None = -1, **headers: str) -> bytes:
    """A whole HTTP answer. ``length=None`` leaves Content-Length out; header names are written with ``_``."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if length is not None:
        fields["Content-Length"] = str(len(body) if length == -1 else length)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def chunked(pieces: Iterable[bytes], **headers: str) -> list[bytes]:
    """A 200 in chunked coding, one piece at a time, without its last chunk; ``LAST_CHUNK`` ends it."""
    head = answer(200, length=None, Transfer_Encoding="chunked", **headers)
    return [head, *(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)]


LAST_CHUNK = b"0\r\n\r\n"


def related(parts: Iterable[bytes], boundary: str = "cut-here", *, length: bool = False, close: bool = True) -> bytes:
    """A multipart/related body."""
    body = b""
    for part in parts:
        size = f"Content-Length: {len(part)}\r\n" if length else ""
        body += f"--{boundary}\r\nContent-Type: application/dicom\r\n{size}\r\n".encode() + part + b"\r\n"
    return body + (f"--{boundary}--\r\n".encode() if close else b"")


RELATED = 'multipart/related; type="application/dicom"; boundary=cut-here'


def study(parts: Iterable[bytes], status: int = 200) -> bytes:
    """A whole multipart answer."""
    return answer(status, related(parts), Content_Type=RELATED)


def in_turn(*scripts: Iterable[Act]) -> Script:
    """One script after the other, the last one for ever."""
    left = list(scripts)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


@contextlib.contextmanager
def serving() -> Iterator[Callable[..., Server]]:
    """What starts servers, which stop at the end."""
    servers: list[Server] = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(script, tls))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.stop()


def secrets_in(text: str, *canaries: str) -> list[str]:
    """The canaries that occur in the text, also as URLs quote them."""
    return [canary for canary in canaries if re.search(re.escape(canary), text, re.IGNORECASE)]
