"""A private folder in memory for one run of a tool: what it writes is read once and unlinked; nothing goes to a disk.

The second place where identifiable bytes have a name (the first is the project's private folder). The name is the
owner's process, the folder is readable by its user only, and what a dead process left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pacsferry.core import processes
from pacsferry.core.errors import ConfigError
from pacsferry.core.ledger_model import Owner

_PREFIX = "pacsferry-dcmtk-"
_TAG = re.compile(rf"{_PREFIX}(\d+)-(\d+)-([0-9a-f]{{8}})-([0-9a-f]{{8}})-.*")
_MEMORY = frozenset({"tmpfs", "ramfs"})
_HINT = "set XDG_RUNTIME_DIR, or `folder` of the transport, to a folder of yours on a tmpfs"


def parent_of(given: str = "") -> Path:
    """Where folders in memory are made: ``given``, ``$XDG_RUNTIME_DIR``, else one of ours in /dev/shm.

    Raises ``ConfigError`` where there is no memory file system, or the folder belongs to somebody else.
    """
    named = given or os.environ.get("XDG_RUNTIME_DIR", "")
    if named:
        return _checked(Path(named).expanduser())
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made there, for this user only
    if not shared.is_dir():
        raise ConfigError("there is no folder in memory for DCMTK to write to", hint=_HINT)
    path = shared / f"pacsferry-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    return _checked(path)


def _checked(path: Path) -> Path:
    try:
        found = path.lstat()
    except OSError as err:
        raise ConfigError(f"cannot use {path}: {err.strerror}", hint=_HINT) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ConfigError(f"{path} is no folder of this user", hint=_HINT)
    if found.st_mode & 0o077:
        raise ConfigError(f"{path} is open to others; only its owner may enter it (chmod 700)", hint=_HINT)
    if processes.file_system(path) not in _MEMORY:
        raise ConfigError(f"{path} does not lie in memory", hint=_HINT)
    return path


def sweep(parent: Path) -> int:
    """Remove what dead processes of this host left; how many folders."""
    dead = [path for path in parent.glob(f"{_PREFIX}*") if _left(path.name)]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)


def _left(name: str) -> bool:
    found = _TAG.fullmatch(name)
    if found is None or found[3] != processes.short(processes.host()):
        return False
    if found[4] != processes.short(processes.boot()):
        # Memory does not outlive a boot; another container's process numbers say nothing here.
        return False
    return processes.started(int(found[1])) != int(found[2])


@dataclass(frozen=True, slots=True)
class MemoryFolder:
    """One folder; gone with all that is in it when the ``with`` block ends."""

    path: Path

    @classmethod
    def make(cls, parent: Path) -> Self:
        """A new one, 0700."""
        return cls(Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{Owner.me().tag}-", dir=parent)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def names(self) -> list[str]:
        """The files that are there now, oldest first."""
        with os.scandir(self.path) as entries:
            found = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries]
        return [name for _, name in sorted(found)]

    def size(self) -> int:
        """Bytes of all files that are there now."""
        total = 0
        with os.scandir(self.path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_size
        return total

    @contextlib.contextmanager
    def taken(self, name: str) -> Iterator[int]:
        """A file that has no name any more: its descriptor, closed afterwards. Raises OSError."""
        path = self.path / name
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            path.unlink()
            yield fd
        finally:
            os.close(fd)


def written(pid: int, folder: Path) -> frozenset[str]:
    """The names in ``folder`` that a process has open: it is not finished with them."""
    names: set[str] = set()
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = fd.readlink()
                if target.parent == folder:
                    names.add(target.name)
    return frozenset(names)
