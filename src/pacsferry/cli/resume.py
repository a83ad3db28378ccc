"""``pacsferry resume``: goes on with what is not complete."""

from __future__ import annotations

import enum
from typing import Annotated

from . import options as o
from .load import AcceptChanged, concluded
from .screen import Screen


class Again(enum.StrEnum):
    """What else to ask for again."""

    NOT_FOUND = "not_found"


def resume(
    project: o.Project,
    again: Annotated[Again | None, o.option("--again", help="Ask also for what the archive did not have.")] = None,
    workers: o.Workers = None,
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
    """Go on with what is not complete."""
    from pacsferry import app

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    options = app.LoadOptions(wait=not no_wait, workers=workers, accept_changed=accept_changed)
    return concluded(
        screen,
        project,
        lambda told, stop: app.resume(
            project, options, again=again is not None, site=site, sets=sets or (), told=told, stop=stop
        ),
    )
