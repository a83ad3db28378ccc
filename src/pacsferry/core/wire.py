"""How the process and its workers talk: length-prefixed JSON over a socket pair, with a file descriptor alongside.

It never leaves this host and is never logged; requests are identified, answers are not.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

#: Length of a message in bytes, and whether a descriptor comes with it.
_HEAD = struct.Struct("!I?")
_BLOCK = 65536


def send(sock: socket.socket, message: dict[str, Any], fd: int | None = None) -> None:
    """Send one message. Raises OSError when the other side is gone."""
    body = json.dumps(message, separators=(",", ":")).encode()
    whole = _HEAD.pack(len(body), fd is not None) + body
    sent = 0 if fd is None else socket.send_fds(sock, [whole], [fd])
    if sent < len(whole):
        sock.sendall(memoryview(whole)[sent:])


class Reader:
    """Reads messages from one socket; what came along with one is kept for the next."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._fds: list[int] = []

    def receive(self) -> tuple[dict[str, Any], int | None] | None:
        """One message and its descriptor, or None at the end. Raises OSError (also on a time-out)."""
        try:
            while (found := self._next()) is None:
                if not self._more():
                    return None
        except OSError:
            while self._fds:
                os.close(self._fds.pop())
            raise
        return found

    def _next(self) -> tuple[dict[str, Any], int | None] | None:
        """The first message that is kept, if it is whole."""
        data = self._data
        if len(data) < _HEAD.size:
            return None
        length, with_fd = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        if len(data) < end:
            return None
        message: dict[str, Any] = json.loads(data[_HEAD.size : end])
        del data[:end]
        # Descriptors come in the order of the messages that say they have one.
        return message, self._fds.pop(0) if with_fd else None

    def _more(self) -> bool:
        """Read on; False at an end between two messages."""
        data, fds, _, _ = socket.recv_fds(self._sock, _BLOCK, 1)
        self._fds += fds
        if not data and self._data:
            raise ConnectionResetError("the other side ended in the middle of a message")
        self._data += data
        return bool(data)
