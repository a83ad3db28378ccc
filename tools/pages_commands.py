# ruff: noqa: INP001 - beside a script, no package
"""The page of all commands, from the command line itself; no terminal's width or colour gets into it."""

from __future__ import annotations

import enum
import typing
from collections.abc import Iterator
from typing import Any

from pages_text import table, told

HEAD = """# Commands

`pacsferry --help` shows the same on a terminal. Options of one kind are described once, at the end.

On a terminal you get tables and progress; where standard output is no terminal, exactly one JSON document
([documents](json.md)). `describe` and `schema` print text unless `--json` is given. Exit codes: [errors](errors.md).
"""

#: Options that many commands share: (heading, what to say first).
SHARED = {
    "Query": "What to ask for. `load`, `plan` and `find` take these, `find` without `--max-images`.",
    "Site": "Which archive. A project that exists knows its site.",
    "Output": "How the answer is printed. Not every command has `--quiet`, `--verbose` and `--events`.",
}


def commands() -> str:
    """Every command with its arguments and options."""
    import typer

    from pacsferry.cli.main import app

    root: Any = typer.main.get_command(app)
    known = {name: command for name, command in root.commands.items() if not command.hidden}
    panels: dict[str, list[str]] = {}
    for name, command in known.items():
        panels.setdefault(_panel(command), []).append(name)
    text = HEAD
    for panel, names in panels.items():
        text += f"\n## {panel}\n"
        for name in names:
            text += "".join(_command(f"pacsferry {name}", known[name]))
    text += "\n## Shared options\n"
    for panel, words in SHARED.items():
        text += f"\n### {panel} options\n\n{words}\n\n{_options(_shared(known, panel))}"
    return text


def _panel(command: Any) -> str:
    panel = command.rich_help_panel
    return panel if isinstance(panel, str) else "Tools"


def _command(name: str, command: Any) -> Iterator[str]:
    own = [one for one in command.params if _own(one)]
    arguments = [one for one in own if one.param_type_name == "argument"]
    options = [one for one in own if one.param_type_name == "option"]
    kinds = _kinds(command)
    shared = [
        panel for panel in SHARED if any(getattr(one, "rich_help_panel", None) == panel for one in command.params)
    ]
    usage = " ".join([name, *(one.metavar or one.name.upper() for one in arguments), "[OPTIONS]"])
    yield f"\n### {name.removeprefix('pacsferry ')}\n\n```text\n{usage}\n```\n\n{told(command.help)}"
    if arguments or options:
        yield "\n" + _options([(one, kinds.get(one.name)) for one in [*arguments, *options]])
    if shared:
        links = ", ".join(f"[{panel.lower()}](#{panel.lower()}-options)" for panel in shared)
        yield f"\nAnd the options for {links}.\n"
    for below, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {below}", inner)


def _own(one: Any) -> bool:
    return not one.hidden and getattr(one, "rich_help_panel", None) not in SHARED and one.name != "help"


def _shared(known: dict[str, Any], panel: str) -> list[tuple[Any, Any]]:
    """Each option of a panel once, with its type, in the order of the first command that has it."""
    found: dict[str, tuple[Any, Any]] = {}
    for command in known.values():
        kinds = _kinds(command)
        for one in command.params:
            if getattr(one, "rich_help_panel", None) == panel:
                found.setdefault(one.name, (one, kinds.get(one.name)))
    return list(found.values())


def _options(options: list[tuple[Any, Any]]) -> str:
    return table(("", "value", "what it does"), [(_names(one), _value(one, kind), _says(one)) for one, kind in options])


def _kinds(command: Any) -> dict[str, Any]:
    """The type of each parameter, from the function that answers the command."""
    return typing.get_type_hints(command.callback)


def _names(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{one.metavar or one.name.upper()}`"
    return ", ".join(f"`{name}`" for name in one.opts)


def _value(one: Any, kind: Any) -> str:
    if one.param_type_name == "argument" or one.is_flag:
        return ""
    kinds = [kind, *typing.get_args(kind)]
    choices = next((each for each in kinds if isinstance(each, enum.EnumMeta)), None)
    if choices is not None:
        return " ".join(f"`{each.value}`" for each in choices)
    if one.metavar:
        return f"`{one.metavar}`"
    return "number" if int in kinds else "text"


def _says(one: Any) -> str:
    words = f"{one.help or ''}{' Required.' if one.required and one.param_type_name == 'option' else ''}"
    return f"{words} Default: the variable `{one.envvar}`." if one.envvar else words
