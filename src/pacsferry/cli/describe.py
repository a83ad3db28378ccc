"""``pacsferry describe``: what will be done to the data, in sentences or per element."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options as o
from . import tables
from .screen import Screen, shown, write

_COLUMNS = ("tag", "keyword", "vr", "action", "source")


def describe(
    table: Annotated[bool, typer.Option("--table", help="Every element that has a rule, and the rule.")] = False,
    conformance: Annotated[
        bool, typer.Option("--conformance", help="The conformance statement of PS3.15, in Markdown.")
    ] = False,
    preset: o.Preset = None,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Say in sentences what will be done to the data; without a site, what the Basic profile does."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, text=True, quiet=quiet, verbose=verbose)
    told = list(app.describe(site, sets or (), preset=preset))
    elements = [_element(rule) for rule in app.describe_table(site, sets or (), preset=preset)] if table else []
    more: dict[str, Any] = {"elements": elements} if table else {}
    if conformance:
        more["conformance"] = app.conformance(site, sets or (), preset=preset)
        if not screen.json:
            write(more["conformance"])
            return 0
    if not table and not screen.json:
        write("".join(f"{shown(sentence)}\n" for sentence in told))
        return 0
    screen.result(
        document("describe", "ok", sentences=told, **more),
        table=lambda out: tables.draw(out, _COLUMNS, [list(line.values()) for line in elements]),
        rows=(_COLUMNS, elements),
    )
    return 0


def _element(rule: Any) -> dict[str, str]:
    """A plugin's row: as many of our columns as it has."""
    return {name: shown(value) for name, value in zip(_COLUMNS, rule, strict=False)}
