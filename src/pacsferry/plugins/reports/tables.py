"""CSV for spreadsheets: one line per study; a cell is never a formula, a released line never names an accession."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pacsferry.core.documents import row_document
from pacsferry.core.model import Row, Summary
from pacsferry.core.redact import guard_cell
from pacsferry.core.strict import NoSettings

from .released import LINKING, studies

KEY_COLUMNS = ("case_id", "accession", "study_date", "modality", "description", "series_count", "image_count")

_COLUMNS = (
    *("request", "accession", "case_id", "study_uid", "status", "study_date", "modality", "description"),
    *("series_count", "image_count", "expected", "received", "stored", "held", "missing", "excluded", "evidence"),
    *("transports", "reasons", "retryable", "path", "error", "duration_s"),
)
#: What other people wrote; numbers, codes and our own names are left as they are.
_FREE_TEXT = frozenset({"description", "modality", "error"})
_PLAIN = re.compile(r"[-+]?[\w./ -]*")


class Csv:
    """``reports/load.csv`` in private, ``reports/summary.csv`` in what is released."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def write(self, summary: Summary) -> Mapping[str, bytes]:
        if summary.identified:
            return {"reports/load.csv": _table(_COLUMNS, summary.rows)}
        columns = [name for name in _COLUMNS if name not in LINKING]
        return {"reports/summary.csv": _table(columns, studies(summary.rows))}


class Key:
    """``key.csv``: which case is which accession, for the whole project; private only."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def write(self, summary: Summary) -> Mapping[str, bytes]:
        return {"key.csv": _table(KEY_COLUMNS, summary.project_rows)} if summary.identified else {}


def _table(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = row_document(row)
        writer.writerow([_cell(name, values[name]) for name in columns])
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "reasons":
        return "; ".join(f"{each['code']}: {each['count']}" for each in value)
    if isinstance(value, list):
        return "; ".join(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if name == "accession":
        # Programs join on it, so it is changed only where a spreadsheet could run it.
        return text if _PLAIN.fullmatch(text) else guard_cell(text)
    return guard_cell(text) if name in _FREE_TEXT else text
