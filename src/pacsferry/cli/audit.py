"""``pacsferry audit``: the trail, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables
from .screen import Screen
from .values import plain

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("seq", "at", "actor", "action", "object", "outcome", "details")


def audit(
    project: Annotated[
        str | None, typer.Argument(metavar="[PROJECT]", help="Without one: the host's own.", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, metavar="N", help="The last N events.")] = 20,
    check: Annotated[bool, typer.Option("--check", help="Recompute the chain, and say whether it is whole.")] = False,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Show what was done, by whom and when, and whether the trail is whole."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    trail = app.audit(project, last=last, checked=check, site_name=site, sets=sets or ())
    events = [plain(event) for event in trail.events]
    chain = plain(trail.report)
    broken = trail.report is not None and not trail.report.ok
    hint = (
        {"hint": "somebody changed the trail; compare it with a backup or with heads noted elsewhere"} if broken else {}
    )

    def table(out: Console) -> None:
        if not events:
            tables.say(out, "nothing was done yet")
            return
        tables.draw(out, _COLUMNS, [[event[name] for name in _COLUMNS[:-1]] + [_said(event)] for event in events])
        if trail.report is not None and broken:
            tables.say(out, f"broken at event {trail.report.first_bad}", "red")
        elif trail.report is not None:
            tables.say(out, f"whole: {trail.report.count:,} events, head {trail.report.head}", "green")

    screen.result(
        document("audit", "failed" if broken else "ok", project=project, events=events, chain=chain, **hint),
        table=table,
        rows=(_COLUMNS, [{**event, "details": _said(event)} for event in events]),
    )
    return trail.exit_code


def _said(event: dict[str, object]) -> str:
    details = event["details"]
    return " ".join(f"{key}={value}" for key, value in details.items()) if isinstance(details, dict) else ""
