"""Files on the way to their name: whose they are stands in their names, so that what the dead left can be removed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

from . import processes
from .ledger_model import Owner

_PREFIX = ".draft-"
_DAY = 86400.0
_TAG = re.compile(r"(\d+)-(\d+)-([0-9a-f]{8})-([0-9a-f]{8})(?:[-.].*)?")


def draft(path: Path) -> Path:
    """A name beside ``path`` for what will be called so."""
    return path.with_name(f"{_PREFIX}{Owner.me().tag}-{secrets.token_hex(4)}-{path.name}")


def sweep(folder: Path) -> None:
    """Remove drafts of processes that are gone. What cannot be removed stays: it does no harm."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in [one for one in entries if one.name.startswith(_PREFIX)]:
            with contextlib.suppress(OSError):
                if left_behind(entry, entry.name.removeprefix(_PREFIX)):
                    Path(entry.path).unlink()


def left_behind(entry: os.DirEntry[str], name: str = "") -> bool:
    """Whether a file whose name (or ``name``) begins with ``Owner.tag`` is of a process that is gone.

    Of another host or boot, and of names that are nobody's, only what is older than a day counts.
    """
    if entry.is_dir(follow_symlinks=False):
        return False
    match = _TAG.fullmatch(name or entry.name)
    me = Owner.me()
    if match is None or (match[3], match[4]) != (processes.short(me.host), processes.short(me.boot_id)):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY
    return processes.started(int(match[1])) != int(match[2])
