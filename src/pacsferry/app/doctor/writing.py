"""Writes what ``doctor`` is asked to write: profile, letter, behaviour; it overwrites nothing unasked."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pacsferry.core.errors import ConfigError, StoreError

from .examining import Diagnosed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where to write what. ``overwrite`` replaces files that are there."""

    profile: Path | None = None
    letter: Path | None = None
    behaviour: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Raise ``ConfigError`` for what cannot be written, before anybody is contacted."""
        paths = list(self._all())
        for option, path in paths:
            self._check(option, path)
        if len({path.absolute() for _, path in paths}) < len(paths):
            raise ConfigError("two outputs have the same file", hint="give each its own")
        if self.profile is not None and self.profile.suffix != ".toml":
            raise ConfigError("--write: a profile's file name ends in .toml", hint=f"--write {self.profile}.toml")

    def _all(self) -> Iterator[tuple[str, Path]]:
        named = (("--write", self.profile), ("--letter", self.letter), ("--save-behaviour", self.behaviour))
        return ((option, path) for option, path in named if path is not None)

    def _check(self, option: str, path: Path) -> None:
        folder = path.parent
        if not folder.is_dir():
            raise ConfigError(f"{option}: there is no folder {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"{option}: {folder} cannot be written")
        if path.is_dir():
            raise ConfigError(f"{option}: {path} is a folder")
        if path.exists() and not self.overwrite:
            raise ConfigError(f"{option}: {path} is there already", hint="give another name, or --yes to replace it")

    def write(self, found: Diagnosed) -> dict[str, str]:
        """Write all that there is; which and where. Raises ``StoreError``."""
        written: dict[str, str] = {}
        if self.profile is not None and found.profile is not None:
            written["profile"] = self._put(self.profile, found.profile)
        if self.letter is not None:
            written["letter"] = self._put(self.letter, found.letter)
        if self.behaviour is not None:
            text = json.dumps(found.behaviour.document(), indent=2) + "\n"
            written["behaviour"] = self._put(self.behaviour, text)
        return written

    def _put(self, path: Path, text: str) -> str:
        """Whole or not at all, readable by the group, never written by others."""
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".pacsferry-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).chmod(0o640)
                self._name(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as err:
            raise StoreError(f"{path}: cannot be written ({os.strerror(err.errno or 0)})") from None
        return str(path)

    def _name(self, name: str, path: Path) -> None:
        """Replace where that was asked for; else a file that appeared meanwhile stays."""
        if self.overwrite:
            Path(name).replace(path)
            return
        os.link(name, path)
        Path(name).unlink()
