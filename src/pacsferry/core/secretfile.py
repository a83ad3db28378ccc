"""The project's secret on disk: 32 random bytes that only their owner can read; no message ever quotes it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from .drafts import draft
from .errors import RefusedError
from .projectfile import sync_folder, write_new

NAME = "secret"
_SECRET = re.compile(rb"[0-9a-f]{64}\n?")


def make(folder: Path) -> None:
    """Written whole under another name, then linked: who links first has made it, and nobody sees half of it."""
    temporary = draft(folder / NAME)
    write_new(temporary, secrets.token_hex(32).encode() + b"\n")
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, folder / NAME)
    finally:
        temporary.unlink()
    sync_folder(folder)


def read(path: Path) -> bytes:
    """The secret's 32 bytes. Raises ``RefusedError`` where others could read it, or it is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            status, text = os.fstat(stream.fileno()), stream.read(128)
    except OSError as err:
        raise RefusedError(f"{path}: cannot be read: {err.strerror}", hint="restore it from a backup") from None
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise RefusedError(f"{path}: must be a file that only its owner can read", hint=f"chmod 600 {path}")
    if not _SECRET.fullmatch(text):
        raise RefusedError(f"{path}: does not hold a secret", hint="restore it from a backup")
    return bytes.fromhex(text.decode("ascii"))
