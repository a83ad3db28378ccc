"""Compare the released files with the ledger, and sweep what dead processes left; a released file is never changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath

from .drafts import left_behind
from .errors import StoreError
from .ledger import Ledger
from .model import StoredInstance
from .places import plain

#: Folders of the released tree that hold no images.
STAGING, REPORTS = ".staging", "reports"

_SAME, _MISSING, _CHANGED = "same", "missing", "changed"
_STEP = 2**20
_BATCH = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """``checked`` files were compared; the others are relative paths. Links are foreign, wherever they point."""

    checked: int = 0
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether exactly what the ledger says is there."""
        return not (self.missing or self.changed or self.foreign)


def verify_files(
    root: Path, ledger: Ledger, *, quick: bool = False, progress: Callable[[int], None] | None = None
) -> VerifyReport:
    """Compare ``<images>/<project>`` with the ledger: sizes, and digests unless ``quick``. Raises ``StoreError``.

    ``progress`` is told how many files are compared, now and then. What other processes store meanwhile is not
    reported: a file is looked up in the ledger after it was seen.
    """
    found: dict[str, list[str]] = {_MISSING: [], _CHANGED: [], _SAME: []}
    straight = lru_cache(maxsize=4096)(_straight)
    checked = 0
    for checked, one in enumerate(ledger.all_stored(), start=1):
        way = straight(root, PurePosixPath(one.path).parent)
        verdict = _compare(root, one, quick=quick) if way else _MISSING
        if verdict != _SAME:
            found[verdict].append(one.path)
        if progress is not None and checked % 64 == 0:
            progress(checked)
    if progress is not None:
        progress(checked)
    foreign = tuple(_foreign(root, ledger))
    return VerifyReport(
        checked=checked, missing=tuple(found[_MISSING]), changed=tuple(found[_CHANGED]), foreign=foreign
    )


def _compare(root: Path, one: StoredInstance, *, quick: bool) -> str:
    relative = PurePosixPath(one.path)
    if not plain(relative):
        return _MISSING
    try:
        handle = os.open(root / relative, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        if isinstance(err, PermissionError):
            raise StoreError(f"cannot read {one.path}: {err.strerror}") from None
        return _MISSING  # absent, or a link in its place
    try:
        same = os.fstat(handle).st_size == one.size and (quick or _digest(handle) == one.sha256)
    except IsADirectoryError:
        same = False
    finally:
        os.close(handle)
    return _SAME if same else _CHANGED


def _straight(root: Path, folder: PurePosixPath) -> bool:
    """Whether no part of the way is a link."""
    return not any((root / part).is_symlink() for part in [folder, *folder.parents] if part.parts)


def _digest(handle: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(handle, _STEP):
        digest.update(chunk)
    return digest.hexdigest()


def _foreign(root: Path, ledger: Ledger) -> Iterator[str]:
    found = _files(root, PurePosixPath())
    while batch := list(islice(found, _BATCH)):
        known = ledger.known_paths([path for path, is_file in batch if is_file])
        yield from (path for path, _ in batch if path not in known)


def _files(root: Path, below: PurePosixPath) -> Iterator[tuple[str, bool]]:
    """Everything that is no folder, with whether it is a plain file, by name. Links are not followed."""
    try:
        with os.scandir(root / below) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as err:
        raise StoreError(f"cannot read the folder {root / below}: {err.strerror}") from None
    for entry in inside:
        if not below.parts and entry.name in {STAGING, REPORTS} and entry.is_dir(follow_symlinks=False):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(root, below / entry.name)
        else:
            yield str(below / entry.name), entry.is_file(follow_symlinks=False)


def sweep_staging(images: Path) -> int:
    """Remove what processes that are gone left below ``<images>/<project>/.staging``; how many files.

    Names begin with ``Owner.tag``. Of another host, and of names that are nobody's, only what is older than a day
    goes. Raises ``StoreError``.
    """
    staging = images / STAGING
    if staging.is_symlink() or not staging.is_dir():
        return 0
    try:
        gone = [entry for entry in os.scandir(staging) if left_behind(entry)]
        for entry in gone:
            Path(entry.path).unlink()
    except FileNotFoundError:  # another process sweeps too
        return sweep_staging(images)
    except OSError as err:
        raise StoreError(f"cannot sweep {staging}: {err.strerror}") from None
    return len(gone)
