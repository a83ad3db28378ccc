"""``pacsferry verify-files``: whether the released files are what the ledger says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_KINDS = ("missing", "changed", "foreign")


def verify_files(
    project: o.Project,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only.")] = False,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> int:
    """Compare digests with the ledger; list missing, changed and foreign files."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    found = app.verify_files(project, quick=quick, site_name=site, sets=sets or ())
    lists = {kind: list(getattr(found, kind)) for kind in _KINDS}
    hint = {} if found.ok else {"hint": f"`pacsferry resume {project}` fetches what is missing; look at the others"}
    lines = [{"status": kind, "path": path} for kind, paths in lists.items() for path in paths]

    def table(out: Console) -> None:
        if lines:
            tables.draw(out, ("status", "path"), [[line["status"], line["path"]] for line in lines])
        said = "all as the ledger says" if found.ok else hint["hint"]
        tables.say(
            out, f"{tables.many(found.checked, 'file', 'files')} compared: {said}", "green" if found.ok else "red"
        )

    screen.result(
        document(
            "verify-files", "ok" if found.ok else "failed", project=project, checked=found.checked, **lists, **hint
        ),
        table=table,
        rows=(("status", "path"), lines),
    )
    return 0 if found.ok else 5
