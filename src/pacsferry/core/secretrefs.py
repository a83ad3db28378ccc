"""Secrets by reference (``env:``, ``file:``, ``keyring:``, ``cmd:``): read when needed, never written, never shown."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr, WithJsonSchema

from .errors import ConfigError

_SCHEMES = ("env", "file", "keyring", "cmd")
_RIGHT = "write a reference: env:NAME, file:PATH, keyring:SERVICE/USER or cmd:COMMAND"
#: A command that asks something must not keep us waiting for ever.
_PATIENCE = 60.0
_LONGEST = 16 * 2**20


def reference(text: str) -> str:
    """The reference itself. Raises ``ValueError`` for a literal, which the message does not quote."""
    scheme, _, target = text.partition(":")
    if scheme not in _SCHEMES or not target.strip():
        raise ValueError(_RIGHT + "; secrets and lists of patients never stand in a profile")
    if scheme == "keyring" and "/" not in target:
        msg = "write keyring:SERVICE/USER"
        raise ValueError(msg)
    return text


def is_reference(text: str) -> bool:
    """Whether a text is a reference, where a plain one may stand too."""
    scheme, _, target = text.partition(":")
    return scheme in _SCHEMES and bool(target.strip())


SecretRef = Annotated[
    str,
    AfterValidator(reference),
    WithJsonSchema({"type": "string", "pattern": "^(env|file|keyring|cmd):.+", "examples": ["file:secret.txt"]}),
]


def secret(ref: str, base: Path, where: str) -> SecretStr:
    """What ``ref`` stands for, without the end of its last line. ``file:`` paths count from ``base``.

    Raises ``ConfigError`` naming ``where`` (the key that holds the reference).
    """
    return SecretStr(_fetch(ref, base, where).removesuffix("\n").removesuffix("\r"))


def lines(ref: str, base: Path, where: str) -> tuple[str, ...]:
    """The lines of a list, each once, without blanks and comments (``#`` at the start or after a space).

    Raises ``ConfigError`` as ``secret`` does.
    """
    text = _fetch(ref, base, where).removeprefix("\ufeff")
    cut = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in text.splitlines())
    return tuple(dict.fromkeys(line for line in cut if line))


def _fetch(ref: str, base: Path, where: str) -> str:
    try:
        scheme, _, target = reference(ref).partition(":")
    except ValueError as err:
        raise ConfigError(f"{where}: {err}") from None
    return _READERS[scheme](target, base, where)


def _env(name: str, _base: Path, where: str) -> str:
    if (value := os.environ.get(name)) is None:
        raise ConfigError(f"{where}: the environment variable {name} is not set")
    return value


def _file(target: str, base: Path, where: str) -> str:
    """Checks the open file, not its name: nobody can exchange it in between."""
    path = base / Path(target).expanduser()
    try:
        with open(path, "rb", opener=_unblocked) as stream:
            _guarded(os.fstat(stream.fileno()), path, where)
            raw = stream.read(_LONGEST + 1)
    except OSError as err:
        raise ConfigError(f"{where}: cannot read {path}: {err.strerror}") from None
    return _decoded(raw, where)


def private_file(path: Path, where: str) -> Path:
    """The path of a secret that a library reads by itself. Raises ``ConfigError`` unless only its owner can read it."""
    try:
        with open(path, "rb", opener=_unblocked) as stream:
            _guarded(os.fstat(stream.fileno()), path, where)
    except OSError as err:
        raise ConfigError(f"{where}: cannot read {path}: {err.strerror}") from None
    return path


def _unblocked(path: str, flags: int) -> int:
    """A named pipe must not make us wait before it is refused."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _guarded(status: os.stat_result, path: Path, where: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{where}: {path} is no file")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError(
            f"{where}: group or others can read {path}; only its owner may", hint=f"chmod 600 {shlex.quote(str(path))}"
        )


def _decoded(raw: bytes, where: str) -> str:
    if len(raw) > _LONGEST:
        raise ConfigError(f"{where}: it is longer than {_LONGEST} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: it is not UTF-8 text") from None


def _keyring(target: str, _base: Path, where: str) -> str:
    service, _, user = target.partition("/")
    try:
        import keyring
    except ImportError:
        raise ConfigError(
            f"{where}: keyring: needs the keyring package", hint="pip install 'pacsferry[keyring]'"
        ) from None
    try:
        value = keyring.get_password(service, user)
    except Exception as err:
        raise ConfigError(f"{where}: the keyring failed ({type(err).__name__})") from None
    if value is None:
        raise ConfigError(f"{where}: the keyring has nothing for {service}/{user}")
    return str(value)


def _cmd(command: str, base: Path, where: str) -> str:
    """No shell; its standard error goes nowhere, as it may quote what it was asked for."""
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as err:
        raise ConfigError(f"{where}: the command could not be run ({type(err).__name__})") from None
    if done.returncode:
        raise ConfigError(f"{where}: the command ended with {done.returncode}")
    return _decoded(done.stdout, where)


_READERS: Mapping[str, Callable[[str, Path, str], str]] = {
    "env": _env,
    "file": _file,
    "keyring": _keyring,
    "cmd": _cmd,
}
