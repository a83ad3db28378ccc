"""``pacsferry explain``: what happens to each element of one file and why; prints no value of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("tag", "keyword", "vr", "happens", "because")


def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DICOM file.", show_default=False)],
    site: o.Site = None,
    preset: o.Preset = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Say for every element of one file what happens to it, and which rule says so. Nothing is written."""
    from pacsferry import app
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, text=True, quiet=quiet, verbose=verbose)
    told = app.explain(file, site, sets or (), preset=preset)
    gates = [{"gate": g.gate, "outcome": g.outcome, "code": g.code, "detail": g.detail} for g in told.gates]
    rows = list(_rows(told.elements))
    screen.result(
        document(
            "explain",
            "held" if told.held else "ok",
            rules=told.digest,
            gates=gates,
            elements=[_element(one) for one in told.elements],
            **({"hint": _HINT} if told.held else {}),
        ),
        table=lambda out: _draw(out, rows, gates),
        rows=(_COLUMNS, rows),
    )
    return 5 if told.held else 0


_HINT = "`pacsferry describe` says what the gates look for"


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _element(told: Any) -> dict[str, Any]:
    """One element for JSON; a sequence whose items are kept has them, equal neighbours as one."""
    items = [
        {"first": first, "last": last, "elements": [_element(one) for one in elements]}
        for first, last, elements in told.items
    ]
    own = {name: getattr(told, name) for name in _COLUMNS[1:]}
    return {"tag": _tag(told.tag), **own, **({"items": items} if items else {})}


def _rows(elements: Any, depth: int = 0) -> Iterator[dict[str, str]]:
    """The tree as lines, each level moved to the right."""
    for told in elements:
        yield {"tag": "  " * depth + _tag(told.tag), **{name: getattr(told, name) for name in _COLUMNS[1:]}}
        for first, last, inner in told.items:
            what = f"item {first}" if first == last else f"items {first} to {last}"
            yield {"tag": "  " * (depth + 1) + what, **dict.fromkeys(_COLUMNS[1:], "")}
            yield from _rows(inner, depth + 2)


def _draw(out: Console, rows: list[dict[str, str]], gates: list[dict[str, str]]) -> None:
    tables.draw(out, _COLUMNS, [list(row.values()) for row in rows])
    for gate in gates:
        why = f" ({gate['code']}): {gate['detail']}" if gate["code"] else ""
        style = "" if gate["outcome"] == "allow" else "yellow"
        tables.say(out, f"gate {gate['gate']}: {_SAID[gate['outcome']]}{why}", style)


_SAID = {"allow": "would let it pass", "exclude": "would leave it out", "hold": "would hold it"}
