"""Go through a folder and say what is in it: studies, duplicates, what is no DICOM; it opens for reading only.

Nothing of a file is kept but what names it: a path is identified, and so is all that is found here.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .errors import HeldError, InterruptedRun
from .folder_copies import settled
from .folder_look import Look, NotDicom, look
from .peek import LIMIT

#: How much of a file is looked at, in this order; nearly all show their UIDs in the first.
_LOOKS = (16384, LIMIT)
#: Somebody else's files: do not even change when they were read last, where we may say so.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_UNSEEN = getattr(os, "O_NOATIME", 0)


@dataclass(slots=True, kw_only=True, eq=False)
class File:
    """A DICOM file. ``root`` is the folder that was gone through and ``path`` the way from there; ``code`` holds it."""

    root: Path = field(repr=False)
    path: str = field(repr=False)
    size: int
    time: int
    look: Look = field(repr=False)
    code: str = ""

    @property
    def stamp(self) -> tuple[int, int]:
        """Size and time stamp (ns): a file with the same is taken for the same."""
        return self.size, self.time

    def open(self) -> int:
        """Open for reading. Raises OSError."""
        return opened(f"{self.root}/{self.path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A file that is no object to work on: ``kind`` is not-dicom, link, special, dicomdir, unreadable or malformed."""

    root: Path = field(repr=False)
    path: str = field(repr=False)
    kind: str
    code: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Study:
    """The files of one study, by original instance UID; the first of each is worked on, the others are its copies."""

    uid: str = field(repr=False)
    files: dict[str, list[File]] = field(default_factory=dict, repr=False)

    def all(self) -> Iterator[File]:
        """Every file."""
        for files in self.files.values():
            yield from files


@dataclass(slots=True, kw_only=True, eq=False)
class Contents:
    """All that was found."""

    studies: dict[str, Study] = field(default_factory=dict, repr=False)
    others: list[Other] = field(default_factory=list, repr=False)
    counts: Counter[str] = field(default_factory=Counter)


class Known(Protocol):
    """Says of a path below the folder whether it is ours, and so no input."""

    def __call__(self, path: str) -> bool: ...


def opened(path: str | Path) -> int:
    """Open somebody else's file for reading. Raises OSError."""
    try:
        return os.open(path, _READ | _UNSEEN)
    except PermissionError:
        return os.open(path, _READ)


def scan(
    roots: Sequence[Path],
    *,
    ours: Callable[[Path, str], bool] = lambda _root, _path: False,
    told: Callable[[int], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Contents:
    """Go through ``roots`` in order of names. ``ours`` says what is no input. Raises ``InterruptedRun``."""
    found = Contents()
    for root in roots:
        for path, entry in _walk(root, "", found):
            if stop is not None and stop.is_set():
                raise InterruptedRun("the run is being stopped")
            if not ours(root, path):
                found.counts["files"] += 1
                _sort(root, path, entry, found)
                if found.counts["files"] % 100 == 0:
                    told(found.counts["files"])
    for study in found.studies.values():
        for files in study.files.values():
            found.counts["duplicates"] += settled(files)
    return found


def _walk(root: Path, below: str, found: Contents) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything that is no folder, by name. Links are not followed."""
    try:
        with os.scandir(root / below) as entries:
            inside = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        found.counts["files"] += 1
        _other(found, root, below or ".", "unreadable", "unreadable")
        return
    for entry in inside:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, found)
        else:
            yield path, entry


def _other(found: Contents, root: Path, path: str, kind: str, code: str = "") -> None:
    found.others.append(Other(root=root, path=path, kind=kind, code=code))
    found.counts[kind] += 1


def _sort(root: Path, path: str, entry: os.DirEntry[str], found: Contents) -> None:
    kind, code = "", ""
    try:
        if entry.is_file(follow_symlinks=False):
            file = examined(root, path)
            kind = "dicomdir" if file.look.directory else ""
        else:
            kind = "link" if entry.is_symlink() else "special"
    except NotDicom:
        kind = "not-dicom"
    except HeldError as err:
        kind, code = "malformed", err.code
    except OSError:
        kind = code = "unreadable"
    if kind:
        _other(found, root, path, kind, code)
        return
    found.counts["dicom"] += 1
    study = found.studies.setdefault(file.look.study, Study(uid=file.look.study))
    study.files.setdefault(file.look.instance, []).append(file)


def examined(root: Path, path: str) -> File:
    """Look at one file. Raises ``NotDicom``, ``HeldError``, OSError."""
    fd = opened(f"{root}/{path}")
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise NotDicom
        return File(root=root, path=path, size=status.st_size, time=status.st_mtime_ns, look=_looked(fd, status))
    finally:
        os.close(fd)


def _looked(fd: int, status: os.stat_result) -> Look:
    for size in _LOOKS:
        whole = status.st_size <= size
        try:
            return _interned(look(os.pread(fd, size, 0), whole=whole))
        except HeldError:
            if whole or size == _LOOKS[-1]:
                raise
        except NotDicom:
            # A bare data set could go on after what was read; what does not begin like one does not.
            if whole or size == _LOOKS[-1] or os.pread(fd, 2, 0) not in {b"\x08\x00", b"\x00\x08"}:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _interned(one: Look) -> Look:
    """A million files of a few studies do not need a million copies of their names."""
    for name in ("sop_class", "study", "series", "patient_id", "issuer", "accession", "modality", "series_description"):
        object.__setattr__(one, name, sys.intern(getattr(one, name)))
    return one
