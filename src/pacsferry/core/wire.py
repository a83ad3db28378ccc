"""How the process and its workers talk: length-prefixed JSON over a socket pair, with file descriptors alongside.

It never leaves this host and is never logged; requests are identified, answers are not.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

#: Length of a message in bytes, and how many descriptors come with it.
_HEAD = struct.Struct("!IB")
#: So many at most (Linux lets 253 pass).
DESCRIPTORS = 64
_BLOCK = 65536


def send(sock: socket.socket, message: Any, fds: Sequence[int] = ()) -> None:
    """Send one message, with at most ``DESCRIPTORS``. Raises OSError when the other side is gone."""
    body = json.dumps(message, separators=(",", ":")).encode()
    whole = _HEAD.pack(len(body), len(fds)) + body
    sent = socket.send_fds(sock, [whole], fds) if fds else 0
    if sent < len(whole):
        sock.sendall(memoryview(whole)[sent:])


class Reader:
    """Reads messages from one socket; what came along with one is kept for the next."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._fds: list[int] = []

    def receive(self) -> tuple[Any, list[int]] | None:
        """One message and its descriptors, or None at the end. Raises OSError (also on a time-out)."""
        try:
            while (found := self._next()) is None:
                if not self._more():
                    return None
        except OSError:
            while self._fds:
                os.close(self._fds.pop())
            raise
        return found

    def _next(self) -> tuple[Any, list[int]] | None:
        """The first message that is kept, if it is whole."""
        data = self._data
        if len(data) < _HEAD.size:
            return None
        length, count = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        if len(data) < end:
            return None
        message = json.loads(data[_HEAD.size : end])
        del data[:end]
        # Descriptors come in the order of the messages that say they have some.
        fds, self._fds = self._fds[:count], self._fds[count:]
        return message, fds

    def _more(self) -> bool:
        """Read on; False at an end between two messages."""
        data, fds, _, _ = socket.recv_fds(self._sock, _BLOCK, DESCRIPTORS)
        self._fds += fds
        if not data and self._data:
            raise ConnectionResetError("the other side ended in the middle of a message")
        self._data += data
        return bool(data)
