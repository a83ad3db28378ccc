"""``pacsferry plugins``: what is installed, from where, what failed to load; and a skeleton for a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.core.registry import Registry

app = typer.Typer(
    help="What is installed, from where, and what failed to load.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COLUMNS = ("kind", "name", "owner", "summary")


@app.callback()
def listed(
    ctx: typer.Context,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """What is installed, from where, and what failed to load."""
    if ctx.invoked_subcommand is not None:
        return 0
    from pacsferry.app import plugins
    from pacsferry.core.documents import document

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    registry = plugins()
    lines, broken = _offers(registry), [{"plugin": who, "why": why} for who, why in sorted(registry.broken.items())]
    trouble = broken or [line for line in lines if line["status"] != "ok"]
    hint = {"hint": "a broken plugin stops nothing until a profile chooses its name"} if trouble else {}
    screen.result(
        document("plugins", "warning" if trouble else "ok", plugins=lines, broken=broken, **hint),
        table=lambda out: _table(out, lines, broken),
        rows=((*_COLUMNS, "status"), lines),
    )
    return 0


def _offers(registry: Registry) -> list[dict[str, Any]]:
    """Every name; one that two plugins claim is a conflict."""
    return [
        {
            "kind": kind,
            "name": name,
            "owner": one.owner,
            "summary": one.offer.summary,
            "status": "ok" if len(found) == 1 else "conflict",
        }
        for kind, offers in registry.offers.items()
        for name, found in sorted(offers.items())
        for one in found
    ]


def _table(out: Console, lines: list[dict[str, Any]], broken: list[dict[str, str]]) -> None:
    tables.draw(out, _COLUMNS, [[line[name] for name in _COLUMNS] for line in lines])
    for line in lines:
        if line["status"] != "ok":
            tables.say(out, f"{line['kind']} {line['name']} is claimed by {line['owner']} and by another", "yellow")
    for one in broken:
        tables.say(out, f"{one['plugin']} did not load: {one['why']}", "red")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name to choose it by.", show_default=False)],
    kind: Annotated[str, o.option("--kind", metavar="KIND", help="finder, transport, gate, layout …")],
    into: Annotated[
        Path, typer.Option("--into", metavar="FOLDER", help="Where to write it.", show_default="the current folder")
    ] = Path(),
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Write a plugin's skeleton with its tests."""
    from pacsferry.core.documents import document
    from pacsferry.testing.skeleton import render

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    written = [str(path) for path in render(name, kind, into)]
    screen.result(
        document("plugin-new", "ok", name=name, kind=kind, files=written),
        table=lambda out: _written(out, written),
        rows=(("file",), [{"file": path} for path in written]),
    )
    return 0


def _written(out: Console, files: list[str]) -> None:
    for path in files:
        tables.say(out, path)
    tables.say(out, "Next: install it beside pacsferry, then `pacsferry plugins` lists it", "dim")
