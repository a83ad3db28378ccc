"""``pacsferry waive``: accepts a gap; it is shown for ever and no longer an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("case_id", "study_uid", "status", "missing", "held")


def waive(
    project: o.Project,
    accessions: Annotated[
        list[str], typer.Argument(metavar="ACCESSION…", help="Whose gaps are accepted.", show_default=False)
    ],
    reason: Annotated[str, o.option("--reason", metavar="TEXT", help="Why; it is kept.")],
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Accept a gap: shown for ever, no longer an error."""
    from pacsferry import app
    from pacsferry.core.documents import document
    from pacsferry.core.status import row

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    rows = [row(state) for state in app.waive(project, accessions, reason, site_name=site, sets=sets or ())]
    lines = [{name: getattr(one, name) for name in _COLUMNS} | {"status": str(one.status)} for one in rows]

    def table(out: Console) -> None:
        if lines:
            heads = ("case", "study", *_COLUMNS[2:])
            tables.draw(out, heads, [[line[name] for name in _COLUMNS] for line in lines])
        else:
            tables.say(out, "there was no gap to accept: everything of these accession numbers is complete")

    screen.result(document("waive", "ok", project=project, results=lines), table=table, rows=(_COLUMNS, lines))
    return 0
