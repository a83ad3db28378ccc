"""Writes tables as TOML that people may read and change: plain keys, one value per line, short tables inline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else json.dumps(name)


def value(item: Any) -> str:
    """A value on one line. JSON's strings are TOML's basic strings, as long as DEL is escaped."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(item, Mapping):
        inner = ", ".join(f"{key(name)} = {value(one)}" for name, one in item.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(item, Sequence):
        return f"[{', '.join(value(one) for one in item)}]"
    return str(item)


def lines(table: Mapping[str, Any], *, inline: frozenset[str] = frozenset()) -> Iterator[str]:
    """The plain values of a table, aligned; tables in it only where ``inline`` names them."""
    plain = {name: item for name, item in table.items() if name in inline or not isinstance(item, Mapping)}
    width = max((len(key(name)) for name in plain), default=0)
    for name, item in plain.items():
        yield f"{key(name):<{width}} = {value(item)}"
