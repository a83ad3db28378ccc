"""``pacsferry check``: is a profile whole? Contacts nobody."""

from __future__ import annotations

from . import options as o
from . import tables
from .screen import Screen

_COLUMNS = ("status", "where", "text")


def check(
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Resolve every name and setting of a profile, and where it writes; contacts nobody."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    found = app.check(site, sets or ())
    good = all(line.ok for line in found)
    lines = [{"where": one.where, "status": "ok" if one.ok else "failed", "text": one.text} for one in found]
    hint = {} if good else {"hint": "correct what failed, then run the same command again"}
    screen.result(
        document("check", "ok" if good else "failed", checks=lines, **hint),
        table=lambda out: tables.draw(out, _COLUMNS, [[line[name] for name in _COLUMNS] for line in lines]),
        rows=(_COLUMNS, lines),
    )
    return 0 if good else 2
