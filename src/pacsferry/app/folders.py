"""``deidentify``: a folder in the place of an archive; same engine, ledger, layouts, gates and reports as ``load``."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import platformdirs

from pacsferry.core.errors import ConfigError, RefusedError
from pacsferry.core.ledger import Ledger
from pacsferry.core.progress import Told, silent
from pacsferry.core.project import Folders, Project, find_project, init_project, open_project
from pacsferry.profiles.read import Resolved

from .folder_run import NOTE, Deidentified, FolderOptions, Job
from .loading import STAGING, Loaded, LoadOptions
from .opening import PRESET, opened, site

__all__ = ["Deidentified", "FolderOptions", "deidentify", "private_folder", "resumed"]


def deidentify(
    source: Path,
    target: Path,
    project: str,
    options: FolderOptions | None = None,
    *,
    told: Told = silent,
    stop: threading.Event | None = None,
) -> Deidentified:
    """De-identify the objects of a folder into another one, or in place. Raises ``FerryError`` before it begins."""
    options = options or FolderOptions()
    resolved = _resolved(options)
    private = (options.private or private_folder()).absolute()
    source, target = _folders(source, target, private, sync=options.sync)
    there = _project(project, source, target, private, options, resolved)
    with opened(there, resolved, accept_changed=options.accept_changed) as work:
        return Job(work, source, options, told, stop or threading.Event()).go()


def resumed(project: str, options: LoadOptions, told: Told, stop: threading.Event) -> Loaded | None:
    """Go on with a project that is of a folder; None for any other."""
    try:
        there = open_project(find_project(project))
    except ConfigError:
        return None
    if not there.ledger_path.exists():
        return None
    with Ledger.open(there.ledger_path, create=False) as ledger:
        noted = ledger.get_meta(NOTE)
    if noted is None:
        return None
    said = json.loads(noted)
    again = FolderOptions(
        site=there.settings.site,
        sets=tuple(said["sets"]),
        private=there.private.parent,
        workers=options.workers,
        wait=options.wait,
        accept_changed=options.accept_changed,
    )
    return deidentify(Path(said["source"]), there.images, project, again, told=told, stop=stop).loaded


def private_folder() -> Path:
    """Where private folders of projects lie unless the user says otherwise."""
    return platformdirs.user_data_path("pacsferry", appauthor=False) / "projects"


# --- before anything is done


def _resolved(options: FolderOptions) -> Resolved:
    if options.preset and options.site:
        raise ConfigError("--preset and --site exclude each other", hint="give one of them")
    return site(_reference(options), options.sets, need_archive=False)


def _reference(options: FolderOptions) -> str:
    return options.site or f"{PRESET}{options.preset or 'basic'}"


def _folders(source: Path, target: Path, private: Path, *, sync: bool) -> tuple[Path, Path]:
    """Absolute, and not within each other. Raises ``ConfigError``."""
    if not source.is_dir():
        raise ConfigError(f"{source} is no folder", hint="name the folder with the files to de-identify")
    source, target, private = source.resolve(), target.resolve(), private.resolve()
    for one, other in ((source, target), (target, source), (source, private)):
        if one in other.parents:
            raise ConfigError(f"{other} lies inside {one}", hint="choose folders side by side, or the same twice")
    if source == private:
        raise ConfigError(f"{source} is where private folders of projects lie", hint="say --private DIR")
    if source == target and not sync:
        raise ConfigError("in place nothing may be left to chance", hint="leave out --no-sync")
    return source, target


def _project(
    name: str, source: Path, target: Path, private: Path, options: FolderOptions, resolved: Resolved
) -> Project:
    """The project of that name, or a new one. Raises ``ConfigError``, ``RefusedError``."""
    if not (private / name / "project.toml").exists():
        _check_target(target, in_place=source == target)
    folders = Folders(images=target, private=private)
    return init_project(
        folders,
        name,
        site=resolved.reference if options.site else _reference(options),
        require=resolved.profile.policy.require,
        exist_ok=True,
        images=target,
        furnish=lambda fresh: Ledger.open(fresh / "ledger.db").close(),
    )


def _check_target(target: Path, *, in_place: bool) -> None:
    """A new project begins in an empty folder, or in the folder of originals; never in another project's."""
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is no folder", hint="name a folder that is empty or does not exist")
    inside = sorted(one.name for one in target.iterdir()) if target.is_dir() else []
    if STAGING in inside or (target / "reports" / "summary.json").exists():
        raise RefusedError(
            f"{target} holds the images of a project whose private folder is not there",
            hint="name that project, with --private where it was made; or restore its private folder from a backup",
        )
    if inside and not in_place:
        raise ConfigError(f"{target} is not empty", hint="name a folder that is empty or does not exist")
