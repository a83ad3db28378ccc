"""``pacsferry init``: makes a project; what it must name is the profile's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console


def init(
    project: o.Project,
    approval: Annotated[str | None, o.option("--approval", help="Number of the approval.")] = None,
    approved_until: Annotated[
        str | None, o.option("--approved-until", metavar="YYYY-MM-DD", help="Last day of the approval.")
    ] = None,
    responsible: Annotated[str | None, o.option("--responsible", help="Who answers for the project.")] = None,
    max_cases: Annotated[int | None, o.option("--max-cases", help="At most so many cases.", min=1)] = None,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Make a project: its project.toml, its secret and its folders."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    made = app.init(
        project,
        site=site,
        sets=sets or (),
        approval=approval,
        approved_until=approved_until,
        responsible=responsible,
        max_cases=max_cases,
    )
    where = {
        "project": made.name,
        "site": made.settings.site,
        "file": str(made.file),
        "private": str(made.private),
        "images": str(made.images),
    }

    def table(out: Console) -> None:
        tables.lines(out, where)
        tables.say(out, f"\nNext: `pacsferry load {made.name} ACCESSION…`")

    screen.result(document("init", "ok", **where), table=table, rows=(tuple(where), [where]))
    return 0
