"""Read what to ask for from a file: text, CSV, JSON or Excel; what is no such list is refused with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .query import KEYS

#: Column names that hold accession numbers, compared without case, spaces and underscores.
_ACCESSION_COLUMNS = ("accessionnumber", "accession", "accno", "accessionno")

#: One request each: where it stands, and keyword to value.
Rows = list[tuple[str, Mapping[str, str]]]

LARGEST = 64 * 1024 * 1024


def read(file: str, stdin: bytes | None = None, *, sheet: str | None = None, column: str | None = None) -> Rows:
    """The requests of a file; ``-`` reads ``stdin``. Raises ``ConfigError`` naming file and line, never a value."""
    path, raw = (Path("standard input"), stdin or b"") if file == "-" else (Path(file), _bytes(Path(file)))
    kind = path.suffix.lower()
    if kind in {".xlsx", ".xlsm"}:
        return _table(_excel(raw, path.name, sheet), path.name, column)
    if sheet is not None:
        raise ConfigError(f"--sheet is for .xlsx files; {path.name} is none")
    text = _text(raw, path.name)
    if kind == ".json" or (file == "-" and text.lstrip()[:1] in {"[", "{"}):
        return _json(text, path.name)
    if kind == ".csv" or column is not None:
        return _table(_csv(text, path.name), path.name, column)
    return _lines(text, path.name)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path.name}: larger than {LARGEST} bytes; this is no list of accession numbers")
        return path.read_bytes()
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read ({err.strerror})") from None


def _text(raw: bytes, name: str) -> str:
    try:
        text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: this is not a text file in UTF-8", hint="save the list as UTF-8 text") from None
    if "\0" in text:
        raise ConfigError(f"{name}: this is not a text file", hint="one accession number per line")
    return text


def _lines(text: str, name: str) -> Rows:
    """One accession per line; blank lines, # lines and comments after a blank and # are skipped."""
    rows: Rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        value = (" " + line).split(" #")[0].split("\t#")[0].strip()
        if value:
            rows.append((f"{name}, line {number}", {"AccessionNumber": value}))
    return _some(rows, name)


def _some(rows: Rows, name: str) -> Rows:
    if not rows:
        raise ConfigError(f"{name}: there is nothing in it to ask for", hint="one accession number per line")
    return rows


def _csv(text: str, name: str) -> list[list[str]]:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [[cell.strip() for cell in row] for row in lines]
    except csv.Error:
        raise ConfigError(f"{name}, line {lines.line_num}: this is not CSV") from None


def _excel(raw: bytes, name: str, sheet: str | None) -> list[list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ConfigError(f"{name}: reading Excel files needs an extra", hint="install pacsferry[excel]") from None
    try:
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    except Exception:
        raise ConfigError(f"{name}: this is not an Excel file") from None
    if sheet is not None and sheet not in book.sheetnames:
        raise ConfigError(f"{name}: there is no sheet {sheet!r}", hint="sheets: " + ", ".join(book.sheetnames))
    page = book[sheet] if sheet is not None else book.worksheets[0]
    return [[_cell(value) for value in row] for row in page.iter_rows(values_only=True)]


def _cell(value: Any) -> str:
    """Excel keeps whole numbers as floats; an accession number is text."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _plain(text: str) -> str:
    return text.replace(" ", "").replace("_", "").replace("-", "").casefold()


def _table(table: Sequence[Sequence[str]], name: str, column: str | None) -> Rows:
    filled = [(number, row) for number, row in enumerate(table, start=1) if any(row) and not row[0].startswith("#")]
    if not filled:
        return _some([], name)
    head = list(filled[0][1])
    if column is not None:
        return _column(filled, head, name, column)
    plain = [_plain(cell) for cell in head]
    if any(cell in KEYS for cell in head):
        return _keyed(filled[1:], head, name)
    for known in _ACCESSION_COLUMNS:
        if known in plain:
            return _column(filled, head, name, head[plain.index(known)])
    if all(len([cell for cell in row if cell]) == 1 for _, row in filled):
        return [(f"{name}, row {number}", {"AccessionNumber": next(c for c in row if c)}) for number, row in filled]
    raise ConfigError(f"{name}: no column is named AccessionNumber", hint="say which one with --column")


def _column(filled: Sequence[tuple[int, Sequence[str]]], head: list[str], name: str, column: str) -> Rows:
    if column not in head:
        raise ConfigError(f"{name}: there is no column {column!r}", hint="columns: " + ", ".join(filter(None, head)))
    index = head.index(column)
    cells = [(number, row[index] if index < len(row) else "") for number, row in filled[1:]]
    return _some([(f"{name}, row {number}", {"AccessionNumber": cell}) for number, cell in cells if cell], name)


def _keyed(filled: Sequence[tuple[int, Sequence[str]]], head: list[str], name: str) -> Rows:
    if unknown := [cell for cell in head if cell and cell not in KEYS]:
        hint = f"--column takes one column of accession numbers and no other; columns that can: {', '.join(KEYS)}"
        raise ConfigError(f"{name}: column {unknown[0]!r} cannot be matched", hint=hint)
    rows: Rows = []
    for number, row in filled:
        if len(row) > len(head):
            raise ConfigError(f"{name}, row {number}: it has more cells than the first row")
        rows.append(
            (f"{name}, row {number}", {key: cell for key, cell in zip(head, row, strict=False) if key and cell})
        )
    return _some(rows, name)


def _json(text: str, name: str) -> Rows:
    try:
        data = json.loads(text)
    except ValueError as err:
        where = f", line {err.lineno}" if isinstance(err, json.JSONDecodeError) else ""
        raise ConfigError(f"{name}{where}: this is not JSON") from None
    rows: Rows = []
    for number, entry in enumerate(data if isinstance(data, list) else [data], start=1):
        where = f"{name}, entry {number}"
        if isinstance(entry, str | int) and not isinstance(entry, bool):
            rows.append((where, {"AccessionNumber": str(entry)}))
        elif isinstance(entry, dict) and all(isinstance(v, str | int | type(None)) for v in entry.values()):
            rows.append((where, {_named(key): str(v) for key, v in entry.items() if v not in {None, ""}}))
        else:
            raise ConfigError(
                f"{where}: neither an accession number nor an object of keyword and value",
                hint='write ["A1", "A2"], or [{"AccessionNumber": "A1"}, {"PatientID": "P1", "Modality": "CT"}]',
            )
    return _some(rows, name)


def _named(key: str) -> str:
    """An accession number may be called as in a table."""
    return "AccessionNumber" if _plain(key) in _ACCESSION_COLUMNS else key
