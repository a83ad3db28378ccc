"""A project: its folders, its secret, its rules; a secret is never made up anew for images that exist."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from . import projectfile, projectindex, secretfile
from .errors import ConfigError, RefusedError, StoreError
from .projectfile import ProjectFile, alone, sync_folder, write_new
from .pseudonyms import ProjectKeys

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
#: Names that something else has in the same folders.
_RESERVED = frozenset({"reports", "held", "secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a site keeps all its projects; absolute paths. ``mode`` and ``group`` are those of released files."""

    images: Path
    private: Path
    mode: int = 0o640
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One project. ``images`` and ``private`` are its own folders."""

    name: str
    images: Path
    private: Path
    settings: ProjectFile
    secret: bytes = field(repr=False)
    keys: ProjectKeys = field(repr=False, compare=False)

    @property
    def ledger_path(self) -> Path:
        """The ledger's database."""
        return self.private / "ledger.db"

    @property
    def file(self) -> Path:
        """Its ``project.toml``."""
        return self.private / projectfile.NAME


def check_name(name: str) -> str:
    """The name of a project, plain enough for a folder on every system. Raises ``ConfigError``."""
    if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
        raise ConfigError(
            "this is no name for a project",
            hint="letters, digits, dot, dash and underscore, starting with a letter or digit, at most 64; "
            f"not {', '.join(sorted(_RESERVED))}",
        )
    return name


def check_folders(folders: Folders) -> None:
    """Raises ``ConfigError`` where private things would lie among released ones, or the other way round."""
    images, private = folders.images.resolve(), folders.private.resolve()
    if images == private or images in private.parents:
        raise ConfigError(
            f"output.private: {private} lies inside output.images; who gets the images would get the identities",
            hint="choose two folders side by side",
        )
    if private in images.parents:
        raise ConfigError(
            f"output.images: {images} lies inside output.private, which nobody else may enter",
            hint="choose two folders side by side",
        )


# --- making one


def init_project(
    folders: Folders,
    name: str,
    *,
    site: str,
    require: Sequence[str] = (),
    approval: str | None = None,
    approved_until: str | date | None = None,
    responsible: str | None = None,
    max_cases: int | None = None,
    exist_ok: bool = False,
    images: Path | None = None,
    furnish: Callable[[Path], None] | None = None,
) -> Project:
    """Make a project: all of it, or nothing. Of two processes at once one makes it; the other opens it.

    ``site`` is what later commands resolve: a profile's name or an absolute path. With ``exist_ok`` one that is
    there is opened as it is. ``images`` is its folder of released images where that is not one of the project's name;
    what lies there already is then the caller's business. ``furnish`` gets the new private folder before it has its
    name. Raises ``ConfigError``, ``RefusedError`` (images without a secret, [policy]) and ``StoreError``.
    """
    check_name(name)
    check_folders(folders)
    given, private = images, folders.private / name
    images = given or folders.images / name
    if (private / projectfile.NAME).exists():
        return _opened_again(private, images, exist_ok=exist_ok)
    if given is None:
        _refuse_orphans(images, private)
    settings = projectfile.fit_file(
        {
            key: value
            for key, value in {
                "site": site,
                "approval": approval,
                "approved_until": approved_until,
                "responsible": responsible,
                "max_cases": max_cases,
                "images": _way(images, private),
            }.items()
            if value is not None
        },
        "the new project",
    )
    settings.require(tuple(require), f"project {name}")
    made = _make(private, settings, furnish)
    projectindex.remember(name, private)
    return open_project(private) if made else _opened_again(private, images, exist_ok=exist_ok)


def _opened_again(private: Path, images: Path, *, exist_ok: bool) -> Project:
    if not exist_ok:
        raise ConfigError(f"there is a project already in {private}", hint="change its project.toml instead")
    return open_project(private, images=images)


def _way(images: Path, private: Path) -> str:
    """Folders side by side move together, so the way from one to the other lasts; others keep their place."""
    images, private = images.resolve(), private.resolve()
    together = len(Path(os.path.commonpath((images, private))).parts) > 1
    return os.path.relpath(images, private) if together else str(images)


def _make(private: Path, settings: ProjectFile, furnish: Callable[[Path], None] | None) -> bool:
    """Whether we made it: the whole folder gets its name in one step, and only one process can do that."""
    try:
        private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = private.with_name(f".new-{private.name}-{secrets.token_hex(8)}")
        fresh.mkdir(mode=0o700)
    except OSError as err:
        raise StoreError(f"{private}: cannot be made: {err.strerror}") from None
    try:
        write_new(fresh / projectfile.NAME, projectfile.lines(settings.model_dump(exclude={"changed"})).encode())
        secretfile.make(fresh)
        if furnish is not None:
            furnish(fresh)
        sync_folder(fresh)
        return _named(fresh, private)
    except OSError as err:
        if (private / projectfile.NAME).exists():
            return False  # another process was faster, and swept ours away
        raise StoreError(f"{private}: cannot be written: {err.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _named(fresh: Path, private: Path) -> bool:
    """Renaming onto a folder that holds something fails; onto an empty one it takes its place."""
    try:
        fresh.rename(private)
    except OSError:
        if (private / projectfile.NAME).exists():
            return False
        raise ConfigError(
            f"{private} is there and is no project: it has no {projectfile.NAME}",
            hint="restore the file from a backup, or choose another name",
        ) from None
    sync_folder(private.parent)
    for unfinished in private.parent.glob(f".new-{private.name}-{'[0-9a-f]' * 16}"):
        shutil.rmtree(unfinished, ignore_errors=True)  # of who was slower, or was killed
    return True


# --- opening one


def open_project(private: Path, *, images: Path | None = None) -> Project:
    """Open the project whose private folder is ``private``; ``images`` where its file does not say.

    Checks that nobody else can read what is secret. Raises ``ConfigError`` (no project there), ``RefusedError``.
    """
    if not (private / projectfile.NAME).is_file():
        raise ConfigError(f"{private} is no project: it has no {projectfile.NAME}", hint="run `pacsferry init` first")
    _private(private)
    settings = projectfile.read(private / projectfile.NAME)
    folder = _images(private, settings, images)
    if not os.path.lexists(private / secretfile.NAME):
        _refuse_orphans(folder, private)
        secretfile.make(private)
    secret = secretfile.read(private / secretfile.NAME)
    return Project(
        name=private.name, images=folder, private=private, settings=settings, secret=secret, keys=ProjectKeys(secret)
    )


def _images(private: Path, settings: ProjectFile, images: Path | None) -> Path:
    """Released images belong to one place: a profile that now says another would split the project."""
    if settings.images is None:
        if images is None:
            raise ConfigError(f"{private / projectfile.NAME}: images: missing", hint="name the folder of its images")
        return images
    recorded = Path(os.path.normpath(private.resolve() / settings.images))
    if images is not None and images.resolve() != recorded.resolve():
        raise ConfigError(
            f"output.images: this project's images are in {recorded}, and the profile says {images}",
            hint=f"move them and change images in {private / projectfile.NAME}, or use the profile it began with",
        )
    return recorded


def _refuse_orphans(images: Path, private: Path) -> None:
    """Another secret would give the same patients other names and UIDs, silently."""
    if _holds_images(images) or (private / "ledger.db").exists():
        raise RefusedError(
            f"{private / secretfile.NAME} is missing, and the project has images or a ledger already",
            hint="restore the project's private folder from a backup, or begin a project under another name",
        )


def refuse_lost_ledger(project: Project) -> None:
    """Without its ledger a project would number its patients from the start again: two of them would share a name.

    Raises ``RefusedError``.
    """
    if not project.ledger_path.exists() and _holds_images(project.images):
        raise RefusedError(
            f"{project.ledger_path} is missing, and the project has images already",
            hint="restore the project's private folder from a backup, or begin a project under another name",
        )


def _holds_images(images: Path) -> bool:
    """Any file but reports and what was never published."""
    for folder, below, files in os.walk(images):
        if Path(folder) == images:
            below[:] = [name for name in below if name not in {"reports", ".staging"}]
        if files:
            return True
    return False


def _private(path: Path) -> None:
    """Nobody else may enter it, nor put another folder in its place."""
    mode, above = path.stat().st_mode, path.parent.stat().st_mode
    if mode & 0o077:
        raise RefusedError(f"group or others can enter {path}; only its owner may", hint=f"chmod 700 {path}")
    if above & 0o022 and not above & stat.S_ISVTX:
        raise RefusedError(f"group or others can change {path.parent}", hint=f"chmod 700 {path.parent}")


def allow_release(project: Project, require: Sequence[str] = (), *, today: date | None = None) -> None:
    """Whether policy lets anything be retrieved for it: keys that must be there, and the approval's last day.

    Raises ``RefusedError``.
    """
    project.settings.require(tuple(require), str(project.file))
    project.settings.approved(str(project.file), today or datetime.now(UTC).astimezone().date())


# --- finding one


def find_project(name: str, *, private: Path | None = None, cwd: Path | None = None) -> Path:
    """The private folder of a project: in ``private`` (the site's), else in ``./private``, else where it was made.

    Raises ``ConfigError`` where there is none, or several that were made elsewhere.
    """
    check_name(name)
    if private is not None:
        return _there(private / name, name)
    here = (cwd or Path.cwd()) / "private" / name
    if (here / projectfile.NAME).is_file():
        return here
    known = [path for path in projectindex.remembered(name) if (path / projectfile.NAME).is_file()]
    if len(known) > 1:
        places = ", ".join(str(path) for path in known)
        raise ConfigError(f"there are several projects {name}: {places}", hint="say which with --site")
    return known[0] if known else _there(here, name)


def _there(private: Path, name: str) -> Path:
    if not (private / projectfile.NAME).is_file():
        raise ConfigError(
            f"there is no project {name} in {private.parent}",
            hint=f"make it with `pacsferry init {name} --site SITE`, or say with --site where it is",
        )
    return private


# --- its rules


def pin_rules(project: Project, digest: str, accept: str | None = None) -> None:
    """Hold the project to the anonymization rules it began with.

    The first digest is written down. Another one raises ``RefusedError``, unless ``accept`` says why it may be.
    """
    with alone(project.private):
        pinned = projectfile.read(project.file).rules_digest
        if pinned is None:
            projectfile.pinned(project.file, digest)
        elif pinned != digest:
            if accept is None or not accept.strip():
                raise RefusedError(
                    "the anonymization rules are not those that this project began with",
                    hint="use the profile it began with, or say --accept-changed-profile REASON",
                )
            projectfile.repinned(project.file, digest, accept.strip())
