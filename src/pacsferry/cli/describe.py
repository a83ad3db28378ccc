"""``pacsferry describe``: what will be done to the data, in sentences."""

from __future__ import annotations

from . import options as o
from .screen import Screen, plain_json, shown, write


def describe(
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
) -> int:
    """Say in sentences what will be done to the data."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, text=True)
    told = app.describe(site, sets or ())
    if screen.json:
        write(plain_json(document("describe", "ok", sentences=list(told))) + "\n")
    else:
        write("".join(f"{shown(sentence)}\n" for sentence in told))
    return 0
