"""Find and read profile files: by path, or by name where administrators, users and we keep them; never by name here."""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from pacsferry.core.errors import ConfigError

#: Profiles that ship with pacsferry.
SHIPPED = Path(__file__).parent / "sites"
SYSTEM = Path("/etc/pacsferry/profiles")
_LONGEST = 2**20
_DEEPEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFile:
    """One file as it stands, before it is merged with what it extends."""

    path: Path
    table: dict[str, Any]

    @property
    def shipped(self) -> bool:
        """Whether it is one of ours."""
        return self.path.parent == SHIPPED

    @property
    def label(self) -> str:
        """How messages call it."""
        return label(self.path)


def label(path: Path) -> str:
    """How messages call a profile's file."""
    return f"{path.stem} (shipped)" if path.parent == SHIPPED else str(path)


def is_path(text: str) -> bool:
    """A path has a slash or ends in ``.toml``; anything else is a name."""
    return "/" in text or text.endswith(".toml")


def folders() -> tuple[Path, ...]:
    """Where names are looked up, in order."""
    return SYSTEM, platformdirs.user_config_path("pacsferry", appauthor=False) / "profiles", SHIPPED


def names() -> list[str]:
    """Every name that can be used now."""
    return sorted({path.stem for folder in folders() if folder.is_dir() for path in folder.glob("*.toml")})


def locate(text: str, base: Path) -> Path:
    """The file of a name, or of a path (relative to ``base``). Raises ``ConfigError``."""
    if is_path(text):
        path = base / Path(text).expanduser()
        return path.parent.resolve() / path.name
    found = next((path for folder in folders() if (path := folder / f"{text}.toml").is_file()), None)
    if found is None:
        raise _unknown(text, base)
    return found


def _unknown(name: str, base: Path) -> ConfigError:
    near = difflib.get_close_matches(name, names(), n=1)
    text = f"no site profile named {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    places = ", ".join(str(folder) for folder in folders()[:-1])
    hint = f"looked in {places} and the shipped ones ({', '.join(_shipped())})"
    if (base / f"{name}.toml").is_file():
        hint = f"for the file in this folder write ./{name}.toml"
    return ConfigError(text, hint=hint)


def _shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read(path: Path) -> ProfileFile:
    """Read one file. Raises ``ConfigError`` where it is missing, no TOML, or anybody could have written it."""
    try:
        with open(path, "rb", opener=_unblocked) as stream:
            status = os.fstat(stream.fileno())
            _trusted(status, path)
            raw = stream.read(_LONGEST + 1)
    except OSError as err:
        raise ConfigError(f"site profile {path}: {err.strerror}") from None
    return ProfileFile(path=path, table=_parsed(raw, path))


def _unblocked(path: str, flags: int) -> int:
    """A named pipe must not make us wait before it is refused."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _trusted(status: os.stat_result, path: Path) -> None:
    """Who writes the profile decides what is removed from the data, and what ``cmd:`` runs."""
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"site profile {path}: this is no file")
    if status.st_mode & stat.S_IWOTH and path.parent != SHIPPED:
        raise ConfigError(f"site profile {path}: everybody can write it, so it is not used", hint=f"chmod o-w {path}")


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    if len(raw) > _LONGEST:
        raise ConfigError(f"site profile {path}: longer than {_LONGEST} bytes")
    try:
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"site profile {path}: this is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"site profile {path}: this is not TOML: {err}") from None
    except RecursionError:
        table = None
    if table is None or not _shallow(table):
        raise ConfigError(f"site profile {path}: nested too deeply")
    return table


def _shallow(table: dict[str, Any]) -> bool:
    """Tables nested a few levels, as a profile has them; a key with thousands of dots would exhaust the stack later."""
    level: list[Any] = [table]
    for _ in range(_DEEPEST):
        level = [below for one in level if isinstance(one, dict) for below in one.values()]
    return not any(isinstance(one, dict) for one in level)
