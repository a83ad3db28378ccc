"""Reads what a profile refers to, and checks that it can be sent; no message says what was read."""

from __future__ import annotations

import ssl
from pathlib import Path

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.secretrefs import is_reference, secret

#: The address of the table in a profile.
AUTH = "archive.dicomweb.auth"


def read(reference: str, archive: Archive, key: str) -> str:
    """What a reference stands for. Raises ``ConfigError`` where it cannot be read or is empty."""
    where = f"{AUTH}.{key}"
    text = secret(reference, archive.base, where).get_secret_value()
    if not text:
        raise ConfigError(f"{where}: what it refers to is empty")
    return text


def named(text: str, archive: Archive, key: str) -> str:
    """A name as it stands in the profile, or what it refers to."""
    return read(text, archive, key) if is_reference(text) else text


def path_of(text: str, archive: Archive) -> Path:
    """A file of the profile; relative paths count from the profile's folder."""
    return archive.base / Path(text.removeprefix("file:")).expanduser()


def readable(text: str, archive: Archive, key: str) -> Path:
    """A file that is there. Raises ``ConfigError``."""
    path = path_of(text, archive)
    try:
        with path.open("rb") as stream:
            stream.read(1)
    except OSError as err:
        raise ConfigError(f"{AUTH}.{key}: cannot read {path}: {err.strerror}") from None
    return path


def trust(context: ssl.SSLContext, path: Path, key: str) -> None:
    """Let a context trust the authorities in a PEM file. Raises ``ConfigError``."""
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        raise ConfigError(f"{AUTH}.{key}: {path} holds no certificates in PEM form") from None
