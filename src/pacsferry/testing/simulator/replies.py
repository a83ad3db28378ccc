"""The answer to one HTTP request on the wire: framing, compression, and the ways in which it can break off."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Final

#: How much is written at once.
BLOCK: Final = 1 << 16


class Over(Exception):
    """The answer has ended, as a fault wants it."""


class Reply:
    """Writes one answer. ``gzip`` compresses its body; ``silent`` says after (True) or before (False) the headers."""

    def __init__(
        self,
        handler: BaseHTTPRequestHandler,
        stopping: threading.Event,
        *,
        gzip: bool = False,
        silent: bool | None = None,
    ) -> None:
        self._handler, self._stopping, self._silent = handler, stopping, silent
        self._squeeze = zlib.compressobj(wbits=31) if gzip else None
        self._chunked = False

    # --- whole answers ---------------------------------------------------------------------------------------------

    def empty(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """An answer without a body."""
        length = {} if status == 204 else {"Content-Length": "0"}
        self._head(status, {**length, **(headers or {})})

    def body(self, status: int, body: bytes, content: str, headers: Mapping[str, str]) -> None:
        """An answer of known length."""
        packed = bytes(self._packed(body)) + self._rest()
        self._head(status, {"Content-Type": content, "Content-Length": str(len(packed)), **self._coding(), **headers})
        self._handler.wfile.write(packed)

    # --- streams ---------------------------------------------------------------------------------------------------

    def begin(self, status: int, content: str, *, length: int | None = None, until_close: bool = False) -> None:
        """The head of a stream: of known ``length``, in chunks, or until the connection is closed."""
        self._chunked = length is None and not until_close
        framing = {"Transfer-Encoding": "chunked"} if self._chunked else {}
        framing |= {"Connection": "close"} if until_close else {}
        framing |= {"Content-Length": str(length)} if length is not None and not self._squeeze else {}
        self._handler.close_connection = self._handler.close_connection or not (framing or self._chunked)
        self._head(status, {"Content-Type": content, **framing, **self._coding()})

    def write(self, data: bytes | memoryview, rate: int = 0) -> None:
        """A piece of the stream, at ``rate`` bytes per second (0: at once)."""
        step = min(BLOCK, max(1024, rate // 10)) if rate else BLOCK
        for start in range(0, len(data), step):
            self._put(self._packed(data[start : start + step]))
            if rate:
                self._handler.wfile.flush()
                time.sleep(step / rate)

    def end(self) -> None:
        """The end of the stream, in good order."""
        self._put(self._rest())
        if self._chunked:
            self._handler.wfile.write(b"0\r\n\r\n")

    # --- misdeeds --------------------------------------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Nothing for a while."""
        self._handler.wfile.flush()
        self._stopping.wait(seconds)

    def fall_silent(self) -> None:
        """Keep the connection and send nothing, until the client leaves."""
        self._handler.wfile.flush()
        while not self._stopping.is_set():
            readable, _, _ = select.select([self._handler.connection], [], [], 0.2)
            if readable:
                break
        raise Over

    def reset(self) -> None:
        """RST."""
        self._handler.wfile.flush()
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.connection.close()
        raise Over

    def break_off(self) -> None:
        """Close in the middle of the body: an error that HTTP notices, unless closing is how it ends."""
        self._handler.wfile.flush()
        raise Over

    def end_early(self) -> None:
        """End the body in good order, without the closing boundary: an error that only a reader notices."""
        self.end()
        self._handler.wfile.flush()
        raise Over

    # --- bytes -----------------------------------------------------------------------------------------------------

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        if self._silent is False:
            self.fall_silent()
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        if self._silent:
            self.fall_silent()

    def _coding(self) -> dict[str, str]:
        return {"Content-Encoding": "gzip"} if self._squeeze else {}

    def _packed(self, data: bytes | memoryview) -> bytes | memoryview:
        return self._squeeze.compress(data) if self._squeeze else data

    def _rest(self) -> bytes:
        return self._squeeze.flush() if self._squeeze else b""

    def _put(self, data: bytes | memoryview) -> None:
        if not len(data):  # an empty chunk would be the last one
            return
        if self._chunked:
            self._handler.wfile.write(b"%x\r\n" % len(data))
        self._handler.wfile.write(data)
        if self._chunked:
            self._handler.wfile.write(b"\r\n")
