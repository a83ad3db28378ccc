"""``pacsferry deidentify``: the same engine on a folder; it names no file of it, for names may be patients'."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables
from .load import AcceptChanged
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app.folders import Deidentified, FolderOptions

Source = Annotated[Path, typer.Argument(metavar="IN", help="The folder with the files.", show_default=False)]
Target = Annotated[
    Path,
    typer.Argument(metavar="OUT", help="The folder of the project's images; the same as IN replaces the files."),
]
Name = Annotated[str, o.option("--project", "-p", metavar="P", help="The project's name.")]
Preset = Annotated[str | None, o.option("--preset", metavar="NAME", help="The anonymization preset; basic by default.")]
Private = Annotated[
    Path | None,
    o.option(
        "--private",
        metavar="DIR",
        help="Where the project's private folder lies; by default in the user's data folder.",
    ),
]
NoSync = Annotated[
    bool,
    typer.Option("--no-sync", help="Do not wait for the disk: a power failure may lose files that count as stored."),
]


def deidentify(
    source: Source,
    target: Target,
    project: Name,
    preset: Preset = None,
    private: Private = None,
    workers: o.Workers = None,
    no_sync: NoSync = False,
    yes: o.Yes = False,
    no_wait: o.NoWait = False,
    accept_changed: AcceptChanged = None,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    events: o.Events = False,
) -> int:
    """De-identify the files of a folder into another folder, or in place; needs no archive."""
    from pacsferry.core.errors import InterruptedRun
    from pacsferry.core.workers import Waitings

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    if not (yes or _agreed(source, target)):
        raise InterruptedRun("nothing was done")
    with Waitings(workers) as waiting:
        # They import what they need while we do.
        from pacsferry.app import folders

        options = folders.FolderOptions(
            preset=preset,
            site=None if preset and site == os.environ.get("PACSFERRY_SITE") else site,
            sets=tuple(sets or ()),
            private=private,
            workers=workers,
            wait=not no_wait,
            sync=not no_sync,
            accept_changed=accept_changed,
            waiting=waiting,
        )
        return _shown(screen, _done(screen, source, target, project, options))


def _done(screen: Screen, source: Path, target: Path, project: str, options: FolderOptions) -> Deidentified:
    from pacsferry.app import folders
    from pacsferry.core.errors import InterruptedRun

    from .progress import told
    from .stopping import concluding

    try:
        with concluding(screen.say) as stop, told(screen) as tell:
            return folders.deidentify(source, target, project, options, told=tell, stop=stop)
    except KeyboardInterrupt:
        hint = "the same command goes on"
        raise InterruptedRun("interrupted; what is done is kept", hint=hint) from None


def _agreed(source: Path, target: Path) -> bool:
    """On a terminal, whether originals may go. No questions without one."""
    same = target.is_dir() and source.is_dir() and source.samefile(target)
    if not (same and sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return typer.confirm("The files in this folder will be replaced, and no original is kept. Go on?", err=True)


def _shown(screen: Screen, done: Deidentified) -> int:
    from pacsferry.core.documents import deidentify_document

    from . import rows

    loaded = done.loaded
    document = deidentify_document(
        project=loaded.project,
        run=loaded.run,
        status=loaded.status,
        rows=loaded.rows,
        verification=loaded.verification,
        counts=done.counts,
        in_place=done.in_place,
    )
    if loaded.error:
        document |= {"error": loaded.error, "hint": loaded.hint or document.get("hint")}

    def table(out: Console) -> None:
        rows.show(out, loaded)
        tables.say(out, _files(done))

    screen.result(document, table=table, rows=(rows.COLUMNS, document["results"]))
    return loaded.exit_code


def _files(done: Deidentified) -> str:
    names = {
        "files": "files",
        "dicom": "DICOM",
        "not_dicom": "not DICOM",
        "dicomdir": "media directories",
        "unreadable": "unreadable",
        "duplicates": "duplicates",
    }
    said = ", ".join(f"{done.counts[key]:,} {name}" for key, name in names.items() if done.counts.get(key))
    where = f"; which, stands in {done.listed}" if done.listed else ""
    return f"{said or 'no files'}{where}"
