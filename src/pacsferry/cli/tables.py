"""Tables for people: one look for every command; nothing is left out of them and nothing in them is markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .screen import shown

if TYPE_CHECKING:
    from rich.console import Console

#: How a status looks; one vocabulary, one palette.
STYLES: Mapping[str, str] = {
    **dict.fromkeys(("ok", "skipped", "kept", "whole"), "green"),
    **dict.fromkeys(("held", "unverified", "changed", "waived", "interrupted", "dry-run", "warning"), "yellow"),
    **dict.fromkeys(("incomplete", "failed", "not_found", "offline", "error", "broken", "missing"), "red"),
}

#: What may be folded where the terminal is narrow; everything else is short.
_LONG = frozenset(
    {"text", "path", "details", "error", "summary", "study", "object", "address", "file", "accession", "modality"}
)
_NUMBERS = frozenset(
    {"request", "series", "images", "expected", "stored", "held", "missing", "excluded", "seconds", "done", "seq"}
)


def draw(out: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table with a head; a column without any value is left out."""
    from rich import box
    from rich.table import Table

    lines = [[_text(value) for value in row] for row in rows]
    kept = [place for place in range(len(columns)) if any(line[place] for line in lines)] or range(len(columns))
    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for place in kept:
        name = columns[place]
        number = name in _NUMBERS
        table.add_column(
            name,
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=name not in _LONG,
            min_width=len(name),
        )
    for line in lines:
        table.add_row(*(_styled(columns[place], line[place]) for place in kept))
    out.print(table)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(shown(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else shown(value)


def _styled(column: str, text: str) -> Any:
    from rich.text import Text

    return Text(text, style=STYLES.get(text, "") if column == "status" else "")


def many(count: int, one: str, several: str) -> str:
    """A number and its noun."""
    return f"{count:,} {one if count == 1 else several}"


def say(out: Console, text: str, style: str = "") -> None:
    """Lines, never folded by us: terminals fold them so that a path can still be copied."""
    out.print("\n".join(shown(line) for line in text.split("\n")), style=style, soft_wrap=True)


def lines(out: Console, pairs: Mapping[str, object]) -> None:
    """Names and values below each other; empty values are left out."""
    present = {name: _text(value) for name, value in pairs.items() if value not in {None, ""}}
    width = max((len(name) for name in present), default=0)
    for name, text in present.items():
        out.print(f"{name:<{width}}  {text}", soft_wrap=True)
