"""HTML that is escaped by construction: every child and attribute is text unless it is ``Markup`` already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"meta", "rect", "path", "circle", "br"})


class Markup(str):
    """Text that needs no escaping, because ``tag`` or ``join`` made it."""

    __slots__ = ()


def text(value: object) -> Markup:
    """``value`` escaped, unless it is markup already; characters that no page may hold are replaced."""
    if isinstance(value, Markup):
        return value
    shown = "".join(char if char.isprintable() or char in " \n\t" else "�" for char in str(value))
    return Markup(escape(shown, quote=True))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Several parts as one."""
    return Markup(between.join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. ``class_`` is written ``class``, other underscores as hyphens; None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>" if name in {"meta", "br"} else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")
