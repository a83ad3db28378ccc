"""Presets: [deidentify] tables that ship under a name; they choose and set an anonymization profile."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pacsferry.core.errors import ConfigError

from .merging import merge

_FOLDER = Path(__file__).parent / "confidentiality"


@cache
def names() -> tuple[str, ...]:
    """Every preset there is."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def preset(name: str) -> Mapping[str, Any]:
    """The [deidentify] table of a preset. Raises ``ConfigError`` with the nearest name."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        text = f"no preset named {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        raise ConfigError(text, hint=f"there are {', '.join(names())}")
    table: dict[str, Any] = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return table


def expanded(table: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's tables in which [deidentify] names no preset any more: its table lies under what the profile adds."""
    chosen = table.get("deidentify")
    if not isinstance(chosen, Mapping) or not isinstance(chosen.get("use"), str) or chosen["use"] not in names():
        return dict(table)
    added = {key: value for key, value in chosen.items() if key != "use"}
    return {**table, "deidentify": merge(preset(chosen["use"]), added)}
