"""``pacsferry load``: the main job; it turns words into one call and the result into a table or a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from .asking import Words
from .plan import planned
from .screen import Screen

if TYPE_CHECKING:
    import threading

    from rich.console import Console

    from pacsferry.app import Loaded
    from pacsferry.core.progress import Told

Plan = Annotated[str | None, o.option("--plan", metavar="ID", help="Do exactly what that plan says.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only ask the archive, and say what would be done.")]
AcceptChanged = Annotated[
    str | None,
    o.option(
        "--accept-changed-profile",
        metavar="REASON",
        help="Go on although the anonymization rules are not those that the project began with.",
    ),
]


def load(
    project: o.Project,
    accessions: o.Accessions = None,
    file: o.File = None,
    sheet: o.Sheet = None,
    column: o.Column = None,
    match: o.Match = None,
    study_date: o.StudyDate = None,
    date_from: o.From = None,
    date_to: o.To = None,
    modality: o.Modality = None,
    max_studies: o.MaxStudies = None,
    max_images: o.MaxImages = None,
    dry_run: DryRun = False,
    plan_id: Plan = None,
    workers: o.Workers = None,
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
    """Retrieve, de-identify, store and account for what is asked for."""
    from pacsferry import app
    from pacsferry.core.errors import ConfigError

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    words = Words(
        accessions=accessions,
        file=file,
        sheet=sheet,
        column=column,
        match=match,
        study_date=study_date,
        date_from=date_from,
        date_to=date_to,
        modality=modality,
    )
    if plan_id is not None and (words.any() or dry_run):
        raise ConfigError("--plan ID says what to load; it goes with no query and no --dry-run", hint="leave one out")
    if dry_run:
        return planned(
            screen,
            project,
            words,
            site=site,
            sets=sets,
            max_studies=max_studies,
            max_images=max_images,
            wait=not no_wait,
        )
    options = app.LoadOptions(
        max_studies=max_studies,
        max_images=max_images,
        wait=not no_wait,
        yes=yes,
        workers=workers,
        plan_id=plan_id,
        accept_changed=accept_changed,
    )
    asked = words.asked()
    return concluded(
        screen,
        project,
        lambda told, stop: app.load(project, asked, options, site=site, sets=sets or (), told=told, stop=stop),
    )


def concluded(screen: Screen, project: str, work: Callable[[Told, threading.Event], Loaded]) -> int:
    """Run, show the rows and return the exit code; Ctrl-C lets the run conclude."""
    from pacsferry.core.documents import load_document
    from pacsferry.core.errors import InterruptedRun

    from . import rows
    from .progress import told
    from .stopping import concluding

    try:
        with concluding(screen.say) as stop, told(screen) as tell:
            result = work(tell, stop)
    except KeyboardInterrupt:
        hint = f"`pacsferry resume {project}` goes on"
        raise InterruptedRun("interrupted; what is done is kept", hint=hint) from None
    document = load_document(
        project=result.project,
        run=result.run,
        status=result.status,
        rows=result.rows,
        verification=result.verification,
    )
    if result.error:
        document |= {"error": result.error, "hint": result.hint or document.get("hint")}

    def table(out: Console) -> None:
        rows.show(out, result)

    screen.result(document, table=table, rows=(rows.COLUMNS, document["results"]))
    return result.exit_code
