"""Files that several users of a host may write, as wide as their folder says and no wider; it holds no secrets."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import StoreError


def make_folder(folder: Path) -> None:
    """Make a folder for this user only, unless it is there: its maker decides who shares it. Raises ``StoreError``."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise StoreError(f"cannot make the folder {folder}: {err.strerror}", hint="set PACSFERRY_STATE") from None


def make_folder_like(folder: Path, parent: Path) -> None:
    """Make a folder below ``parent`` that the same users may write. Raises ``StoreError``."""
    make_folder(parent)
    try:
        folder.mkdir(mode=0o700)
        folder.chmod(parent.stat().st_mode & 0o7777)
    except FileExistsError:
        return
    except OSError as err:
        raise StoreError(f"cannot make the folder {folder}: {err.strerror}", hint="set PACSFERRY_STATE") from None


def shared_mode(folder: Path) -> int:
    """The mode of a file that everybody who may write to the folder may write."""
    mode = folder.stat().st_mode
    return 0o600 | (0o060 if mode & 0o020 else 0) | (0o006 if mode & 0o002 else 0)


def open_shared(path: Path) -> int:
    """A descriptor to lock and, where allowed, to write. Raises ``StoreError``.

    Opened before it is created: with ``fs.protected_regular`` the kernel refuses O_CREAT on another user's file in a
    sticky folder. A lock needs no right to write, so a file that is only readable will do.
    """
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    for how in (os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR, os.O_RDONLY):
        try:
            handle = os.open(path, how | flags, 0o600)
        except (FileNotFoundError, PermissionError, FileExistsError):
            continue
        except OSError as err:
            raise StoreError(f"cannot open {path}: {err.strerror}") from None
        if how & os.O_CREAT:
            os.fchmod(handle, shared_mode(path.parent))  # whatever the umask says
        return handle
    raise StoreError(
        f"cannot open {path}: not allowed",
        hint="let all users of the host write to that folder, or set PACSFERRY_STATE to one of your own",
    )


def read_all(handle: int) -> bytes:
    """What stands in a small file."""
    return os.pread(handle, 65536, 0)


def rewrite(handle: int, content: bytes) -> None:
    """Replace what stands in a small file; nothing where it may only be read, or the disk is full."""
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, content, 0)
    except OSError:
        return
