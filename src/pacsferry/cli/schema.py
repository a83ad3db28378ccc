"""``pacsferry schema``: the JSON Schema of every document, as it ships."""

from __future__ import annotations

import json
from importlib import resources
from typing import Annotated, Any

import typer

from . import options as o
from .screen import Screen, plain_json, write

#: Made from the models that check these files, by functions of ``profiles.schema``.
_MADE = {"site": "site_schema", "project": "project_schema", "behaviour": "behaviour_schema"}


def shipped() -> list[str]:
    """The names of all schemas; ``_MADE`` are made from the models that check them."""
    files = resources.files("pacsferry.cli.schemas").iterdir()
    return sorted([*(one.name.removesuffix(".json") for one in files if one.name.endswith(".json")), *_MADE])


def named(name: str) -> dict[str, Any]:
    """One schema. Raises ``UnknownName``."""
    from pacsferry.core.errors import UnknownName

    name = name.removeprefix("pacsferry.")
    if name not in shipped():
        raise UnknownName("schema", name, shipped(), {})
    if name in _MADE:
        from pacsferry.profiles import schema as profiles

        return dict(getattr(profiles, _MADE[name])())
    text = resources.files("pacsferry.cli.schemas").joinpath(f"{name}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of the list.", show_default=False)] = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """List the JSON schemas, or print one."""
    screen = Screen.of(fmt, json_, text=True, quiet=quiet, verbose=verbose)
    if name is not None:
        write(plain_json(named(name)) + "\n")
    elif screen.json:
        names = shipped()
        write(plain_json({"schema": "pacsferry.schema", "version": 1, "status": "ok", "schemas": names}) + "\n")
    else:
        write("\n".join(shipped()) + "\n")
    return 0
