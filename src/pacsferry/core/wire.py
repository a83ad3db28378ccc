"""How the process and its workers talk: length-prefixed JSON over a socket pair, with a file descriptor alongside.

It never leaves this host and is never logged; requests are identified, answers are not.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")


def send(sock: socket.socket, message: dict[str, Any], fd: int | None = None) -> None:
    """Send one message. Raises OSError when the other side is gone."""
    body = json.dumps(message, separators=(",", ":")).encode()
    head = _LENGTH.pack(len(body))
    if fd is None:
        sock.sendall(head)
    else:
        socket.send_fds(sock, [head], [fd])
    sock.sendall(body)


def receive(sock: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """One message and its descriptor, or None at the end. Raises OSError (also on a time-out)."""
    head, fds, _, _ = socket.recv_fds(sock, _LENGTH.size, 1)
    while head and len(head) < _LENGTH.size:
        head += _more(sock, _LENGTH.size - len(head))
    if not head:
        return None
    body = bytearray()
    (length,) = _LENGTH.unpack(head)
    try:
        while len(body) < length:
            body += _more(sock, length - len(body))
    except OSError:
        for fd in fds:
            os.close(fd)
        raise
    message: dict[str, Any] = json.loads(body)
    return message, fds[0] if fds else None


def _more(sock: socket.socket, size: int) -> bytes:
    data = sock.recv(size)
    if not data:
        raise ConnectionResetError("the other side ended in the middle of a message")
    return data
