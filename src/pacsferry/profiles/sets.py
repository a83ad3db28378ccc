"""``--set KEY=VALUE``: one key of a profile for one run; values are TOML, and text where they are none."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pacsferry.core.errors import ConfigError

_PART = r"""[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'"""
_ASSIGNMENT = re.compile(rf"\s*((?:{_PART})(?:\s*\.\s*(?:{_PART}))*)\s*=(.*)", re.DOTALL)
_HINT = "write --set archive.dimse.host=192.0.2.7, or --set transport.0.use=c-get for the first [[transport]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One parsed ``--set``. ``text`` is the value as typed, for a key that turns out to want text."""

    path: tuple[str, ...]
    value: Any
    text: str

    @property
    def address(self) -> str:
        """The key as typed."""
        return ".".join(self.path)


def parse(argument: str) -> Setting:
    """A ``KEY=VALUE``. Raises ``ConfigError``, which does not quote the value."""
    match = _ASSIGNMENT.fullmatch(argument)
    if match is None:
        raise ConfigError("--set: there is no KEY=VALUE", hint=_HINT)
    text = match[2].strip()
    return Setting(path=tuple(_keys(match[1])), value=_value(text), text=text)


def _keys(key: str) -> list[str]:
    """The parts of a dotted key, without quotes. TOML reads them, so they mean what they mean in a file."""
    try:
        node: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise ConfigError("--set: this is no key", hint=_HINT) from None
    keys: list[str] = []
    while isinstance(node, dict):
        ((part, node),) = node.items()
        keys.append(part)
    return keys


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"x = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["x"] if len(table) == 1 else text  # a line feed in it began another key


def applied(table: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """A copy of ``table`` with the key set. Raises ``ConfigError`` where the way to it is blocked."""
    changed: dict[str, Any] = _put(dict(table), setting, 0)
    return changed


def _put(node: Any, setting: Setting, depth: int) -> Any:
    if depth == len(setting.path):
        return setting.value
    part = setting.path[depth]
    if isinstance(node, list):
        return _put_item(node, setting, depth)
    if node is None and part == "0" and depth:
        return [_put(None, setting, depth + 1)]
    if node is None or isinstance(node, Mapping):
        below = (node or {}).get(part)
        return {**(node or {}), part: _put(below, setting, depth + 1)}
    raise ConfigError(f"--set {setting.address}: {'.'.join(setting.path[:depth])} is no table")


def _put_item(items: list[Any], setting: Setting, depth: int) -> list[Any]:
    """An item of a list by its number, from 0; the number after the last adds one."""
    part = setting.path[depth]
    if not re.fullmatch(r"\d{1,4}", part) or int(part) > len(items):
        known = ", ".join(str(number) for number in range(len(items) + 1))
        raise ConfigError(f"--set {setting.address}: {'.'.join(setting.path[:depth])} is a list; number: {known}")
    index = int(part)
    item = _put(items[index] if index < len(items) else None, setting, depth + 1)
    return [*items[:index], item, *items[index + 1 :]]
