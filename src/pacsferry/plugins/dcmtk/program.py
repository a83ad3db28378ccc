"""Find DCMTK's real tools: pynetdicom installs scripts of the same names, which do other things."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pacsferry.core.errors import ConfigError

_VERSION = re.compile(r"\$dcmtk: (\w+) v([0-9][0-9.]*\w*)")
_SECONDS = 10
_HINT = "install DCMTK (Debian package dcmtk), or name the tool with `program`"


@lru_cache(maxsize=16)
def find(tool: str, given: str = "") -> Path:
    """The path of ``tool``: ``given``, or the first on the PATH that is DCMTK's. Raises ``ConfigError``."""
    if given:
        path = Path(given).expanduser()
        if version(path, tool) is None:
            raise ConfigError(f"{path} is not DCMTK's {tool}", hint=_HINT)
        return path
    for path in _candidates(tool):
        if version(path, tool) is not None:
            return path
    raise ConfigError(f"DCMTK's {tool} is not installed", hint=_HINT)


def _candidates(tool: str) -> Iterator[Path]:
    # Where packages put programs, even if the PATH of a service does not name it.
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"]
    for folder in dict.fromkeys(folders):
        path = Path(folder) / tool
        if folder and path.is_file() and os.access(path, os.X_OK) and not _script(path):
            yield path


def _script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return True


def version(path: Path, tool: str) -> str | None:
    """The version of DCMTK that a program says it is of, "3.6.7"; None where it is another program."""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    said = _VERSION.search(done.stdout.decode("ascii", "replace"))
    return said[2] if said is not None and said[1] == tool else None
