"""In place: an original goes once its released version is durable and recorded; what is held goes to private.

Whatever the moment of a crash, each object is there as an original, as a released file, or as both; the next run
finds out which. It removes nothing that it has not seen to be stored, byte for byte of what would be stored again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from .drafts import left_behind
from .errors import StoreError
from .folder_rehearsal import Rehearsal
from .folder_scan import Contents, File, opened
from .ledger import Ledger
from .ledger_model import InstanceState, Owner
from .means import Result
from .model import Keys
from .places import plain
from .publish import make_folders, sync_folder

#: Below the project's private folder.
HELD, JOURNALS = "held-originals", "publishing"
_STEP = 2**20


class Journal:
    """Notes which files are about to get their names, so that after a crash ours can be told from originals."""

    def __init__(self, private: Path, images: Path, ledger: Ledger) -> None:
        self._folder, self._images, self._ledger = private / JOURNALS, images, ledger
        self._file = self._folder / f"{Owner.me().tag}.json"
        self._pending: dict[str, str] = {}

    def usher(self, files: Mapping[str, str]) -> set[str]:
        """Note paths and digests, durably. A path where something lies that is not ours is refused."""
        known = self._ledger.known_paths(self._pending)
        self._pending = {path: digest for path, digest in self._pending.items() if path not in known}
        taken = {path for path in files if path not in self._pending and os.path.lexists(self._images / path)}
        self._pending |= {path: digest for path, digest in files.items() if path not in taken}
        make_folders(self._folder.parent, self._folder, mode=0o700)
        fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(self._pending, file)
            file.flush()
            os.fsync(fd)
        sync_folder(self._folder)
        return taken

    def sweep(self) -> int:
        """Remove what dead runs named and never recorded: the originals of these are still there. How many."""
        if not self._folder.is_dir():
            return 0
        dead = [self._folder / entry.name for entry in os.scandir(self._folder) if left_behind(entry)]
        count = 0
        for journal in sorted(dead):
            count += sum(self._sweep(path, digest) for path, digest in _read(journal).items())
            journal.unlink()
        return count

    def _sweep(self, path: str, digest: str) -> bool:
        file = self._images / path
        if not plain(PurePosixPath(path)) or self._ledger.path_owner(path) is not None or file.is_symlink():
            return False
        if not file.is_file() or _digest(file) != digest:
            return False
        file.unlink()
        return True

    def close(self) -> None:
        """Forget what is recorded; the next run sweeps what is not."""
        if not set(self._pending) - self._ledger.known_paths(self._pending):
            self._file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _read(journal: Path) -> dict[str, str]:
    """A journal that was not written to its end belongs to files that never got their names."""
    try:
        found = json.loads(journal.read_bytes())
    except ValueError:
        return {}
    return {str(path): str(digest) for path, digest in found.items()} if isinstance(found, dict) else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class InPlace:
    """What becomes of the originals of each study once it is concluded."""

    def __init__(
        self,
        contents: Contents,
        private: Path,
        *,
        ledger: Ledger,
        keys: Keys,
        rehearsal: Rehearsal,
        handed: set[str],
    ) -> None:
        self._contents, self._private = contents, private
        self._ledger, self._keys, self._rehearsal, self._handed = ledger, keys, rehearsal, handed
        self._lock = threading.Lock()
        self.moved = 0
        self.removed = 0

    def concluded(self, result: Result) -> Result:
        """See ``study.Means``: the study is still leased."""
        study = self._contents.studies[result.found.study_uid]
        if result.state is None and "objection" in result.reasons:
            self.put_aside(study.all())
            return result
        states = self._ledger.instance_states(result.found.key)
        gone: list[File] = []
        aside: list[File] = []
        doubtful: list[File] = []
        for uid, files in study.files.items():
            key = self._keys.uid(uid)
            match states.get(key):
                case InstanceState.STORED if f"{result.found.key}/{key}" in self._handed and not files[0].code:
                    gone += files
                case InstanceState.STORED:
                    doubtful += files
                case InstanceState.HELD | InstanceState.EXCLUDED:
                    aside += files
        for file, same in zip(doubtful, self._stored_already(doubtful, result), strict=True):
            (gone if same else aside).append(file)
        self._remove(gone)
        self.put_aside(aside)
        return result

    def _stored_already(self, files: Sequence[File], result: Result) -> list[bool]:
        """Whether each would be released as what an earlier run stored: it is cleared again, and compared."""
        if not files:
            return []
        digests = {one.instance_uid: one.sha256 for one in self._ledger.stored(result.found.key)}
        return [
            one is not None and digests.get(one.instance_uid) == one.sha256
            for one in self._rehearsal.of(files, result.case_id)
        ]

    def _remove(self, files: Sequence[File]) -> None:
        """Only what is still the file that was read."""
        touched: set[Path] = set()
        for file in files:
            path = file.root / file.path
            try:
                status = path.lstat()
                if (status.st_size, status.st_mtime_ns) != file.stamp:
                    continue
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as err:
                raise StoreError(
                    f"an original could not be removed ({err.strerror})", hint="check permissions"
                ) from None
            touched.add(path.parent)
            with self._lock:
                self.removed += 1
        _tidy(touched, {file.root for file in files})

    def put_aside(self, files: Iterable[File]) -> None:
        """Move what must not stay among released files and may not be lost to the private folder."""
        self.put_paths_aside([(file.root, file.path) for file in files])

    def put_paths_aside(self, files: Iterable[tuple[Path, str]]) -> None:
        """The same by path."""
        held = self._private / HELD
        touched: set[Path] = set()
        roots: set[Path] = set()
        for root, path in files:
            if root == held:
                continue
            try:
                _move(root / path, held, path)
            except FileNotFoundError:
                continue
            except OSError as err:
                raise StoreError(f"a held original could not be moved ({err.strerror})", hint="free space") from None
            touched.add((root / path).parent)
            roots.add(root)
            with self._lock:
                self.moved += 1
        _tidy(touched, roots)

    def left_over(self) -> None:
        """At the end: what belongs to no study that is known, directories and malformed files."""
        self.put_paths_aside(
            [(one.root, one.path) for one in self._contents.others if one.kind in {"malformed", "dicomdir"}]
        )


def _tidy(folders: set[Path], roots: Iterable[Path]) -> None:
    """Make it durable, and remove the folders that are empty now: their names may be a patient's."""
    for folder in folders:
        if folder.is_dir():
            sync_folder(folder)
    stop = set(roots)
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        empty = folder
        while empty not in stop:
            try:
                empty.rmdir()
            except OSError:
                break
            empty = empty.parent


def _move(source: Path, held: Path, path: str) -> None:
    """By name where it is one file system, else a durable copy first. Raises OSError."""
    target = held / path
    make_folders(held.parent, target.parent, mode=0o700)
    number = 1
    while os.path.lexists(target):
        target = target.with_name(f"{Path(path).name}.{number}")
        number += 1
    try:
        source.rename(target)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        _copy(source, target)
        sync_folder(target.parent)
        source.unlink()
    target.chmod(0o600)
    sync_folder(target.parent)


def _copy(source: Path, target: Path) -> None:
    """Under another name until it is whole."""
    fresh = target.with_name(f".part-{os.getpid()}-{target.name}")
    try:
        with os.fdopen(opened(source), "rb") as come, fresh.open("xb") as go:
            while block := come.read(_STEP):
                go.write(block)
            go.flush()
            os.fsync(go.fileno())
        fresh.rename(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
