"""``pacsferry echo``: whether the archive answers, and how fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("status", "service", "address", "seconds", "error")


def echo(
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> int:
    """C-ECHO and a QIDO-RS ping, each with its time."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    found = app.echo(site, sets or ())
    lines = [
        {
            "service": one.service,
            "address": one.address,
            "status": "ok" if one.ok else "failed",
            "seconds": None if one.seconds is None else round(one.seconds, 4),
            "error": one.error,
            "hint": one.hint,
        }
        for one in found
    ]
    code = _code([one.ok for one in found])
    hints = sorted({one.hint for one in found if one.hint})
    status = {0: "ok", 4: "failed"}.get(code, "incomplete")
    hint = {"hint": "; ".join(hints)} if hints else {}

    def table(out: Console) -> None:
        tables.draw(out, _COLUMNS, [[line[name] for name in _COLUMNS] for line in lines])
        for line in hints:
            tables.say(out, f"hint: {line}")

    screen.result(document("echo", status, answers=lines, **hint), table=table, rows=(_COLUMNS, lines))
    return code


def _code(answered: list[bool]) -> int:
    """4 only where nothing answered."""
    if all(answered):
        return 0
    return 5 if any(answered) else 4
