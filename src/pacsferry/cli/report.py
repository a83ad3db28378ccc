"""``pacsferry report``: writes the reports again, for the whole project as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console


def report(
    project: o.Project,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Run the reports again, for the whole project as it stands."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    written = app.report(project, site=site, sets=sets or ())
    warnings = list(written.warnings)
    lines = [{"folder": "images", "file": name} for name in written.released]
    lines += [{"folder": "private", "file": name} for name in written.private]
    hint = {"hint": "the ledger has everything; tell the report's author"} if warnings else {}

    def table(out: Console) -> None:
        tables.draw(out, ("folder", "file"), [[line["folder"], line["file"]] for line in lines])
        for warning in warnings:
            tables.say(out, warning, "yellow")

    screen.result(
        document("report", "warning" if warnings else "ok", project=project, files=lines, warnings=warnings, **hint),
        table=table,
        rows=(("folder", "file"), lines),
    )
    return 1 if warnings else 0
