"""What people and programs see: one table or one JSON document on stdout, all else on stderr; no decisions here."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from .options import Format
from .stopping import settle

if TYPE_CHECKING:
    from rich.console import Console

#: Commands whose result is a text: they print it unless JSON is asked for.
TEXTS = frozenset({"describe", "explain", "schema", "simulate"})

#: Wide enough that nothing is folded where nobody looks at it.
_UNFOLDED = 10_000
#: Characters of JSON that are indented.
_READABLE = 500_000
_PLAIN = re.compile(r"[-+]?[\w./ -]*")


def shown(value: object) -> str:
    """Text that a terminal may print: no escape sequences, no line breaks. What came from an archive is hostile."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def plain_json(document: Mapping[str, Any]) -> str:
    """One document; ASCII only where stdout could not print more.

    Indented as long as somebody could read it: a long one is for programs, and takes six times as long with indents.
    """
    utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    dense = json.dumps(document, ensure_ascii=not utf8, allow_nan=False)
    return json.dumps(document, ensure_ascii=not utf8, allow_nan=False, indent=2) if len(dense) < _READABLE else dense


def write(text: str, stream: TextIO | None = None) -> None:
    """Write and flush. A reader who has gone (``| head``) is no error."""
    stream = stream or sys.stdout
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _forget(stream)


def _forget(stream: TextIO) -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush does not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """How this command prints: ``format`` of the result, and what may go to stderr."""

    format: Format
    quiet: bool = False
    verbose: bool = False
    events: bool = False

    @classmethod
    def of(
        cls,
        fmt: Format | None = None,
        json_: bool = False,
        *,
        quiet: bool = False,
        verbose: bool = False,
        events: bool = False,
        text: bool = False,
    ) -> Screen:
        """Where stdout is no terminal the answer is JSON unless a format is asked for; ``text`` results stay text."""
        if json_ and fmt not in {None, Format.JSON}:
            from pacsferry.core.errors import ConfigError

            raise ConfigError(f"--json and --format {fmt} exclude each other", hint="give one of them")
        chosen = fmt or (Format.JSON if json_ or not (text or sys.stdout.isatty()) else Format.TABLE)
        return cls(format=chosen, quiet=quiet, verbose=verbose, events=events)

    @property
    def json(self) -> bool:
        return self.format is Format.JSON

    def result(
        self,
        document: Mapping[str, Any],
        *,
        table: Callable[[Console], None],
        rows: tuple[Sequence[str], Iterable[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Print a result in the chosen format: the document, columns and rows as CSV, or the table."""
        settle()
        if self.json:
            write(plain_json(document) + "\n")
        elif self.format is Format.CSV and rows is not None:
            write(_csv(*rows))
        else:
            with_console(table)

    def say(self, text: str) -> None:
        """A remark for people, on stderr."""
        if not (self.quiet or self.events or self.json):
            write(shown(text) + "\n", sys.stderr)


def with_console(draw: Callable[[Console], None]) -> None:
    """Draw on stdout with rich, which is imported only here."""
    out = console(sys.stdout)
    try:
        draw(out)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)


def console(stream: TextIO) -> Console:
    """A console that prints text as it is: no markup, no emoji, no highlighting. Knows NO_COLOR."""
    from rich.console import Console

    width = None if stream.isatty() else _UNFOLDED
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width, soft_wrap=False)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Columns and rows; what other people wrote is never a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(name, row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str) and name == "accession" and _PLAIN.fullmatch(value):
        # Programs join on it, so it is changed only where a spreadsheet could run it.
        return value
    if isinstance(value, str):
        from pacsferry.core.redact import guard_cell

        return guard_cell(value)
    if isinstance(value, list):
        return "; ".join(_pair(each) if isinstance(each, dict) else str(each) for each in value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _pair(reason: Mapping[str, Any]) -> str:
    return f"{reason.get('code')}: {reason.get('count')}"
