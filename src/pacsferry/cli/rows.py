"""A run's rows and gaps as a table for people; what the numbers mean is said by core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import tables

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.core.model import Row

#: The columns of CSV, in the order of the document.
COLUMNS = (
    *("request", "accession", "case_id", "study_uid", "status", "study_date", "modality", "description"),
    *("series_count", "image_count", "expected", "received", "stored", "held", "missing", "excluded", "evidence"),
    *("transports", "reasons", "retryable", "path", "error", "duration_s"),
)

_HEADS = (
    *("request", "accession", "case", "date", "modality", "series", "expected"),
    *("stored", "held", "missing", "excluded", "status"),
)


def show(out: Console, rows: Sequence[Row], *, project: str) -> None:
    """The rows, then what is left to do."""
    if rows:
        tables.draw(out, _HEADS, [_line(row) for row in rows])
    _gaps(out, rows, project)


def _line(row: Row) -> tuple[object, ...]:
    counts = [row.held or None, row.missing or None, row.excluded or None]
    stored = row.stored if row.study_uid else None
    return (
        *(row.request, row.accession, row.case_id, row.study_date, row.modality, row.series_count or None),
        *(row.expected, stored, *counts, str(row.status)),
    )


def _gaps(out: Console, rows: Sequence[Row], project: str) -> None:
    """Counts per reason and what to do about each (spec: load)."""
    from pacsferry.core.documents import EXCLUDED, advice, gaps

    told = [gap for gap in gaps(rows) if gap.code not in EXCLUDED]
    for gap in told:
        tables.say(out, f"{gap.count:>7,}  {gap.means}", "bold")
        tables.say(out, f"         {gap.advice}")
    errors = {row.error for row in rows if row.error}
    for error in sorted(errors):
        tables.say(out, f"         {error}", "red")
    if hint := advice(project, rows):
        tables.say(out, f"\nNext: {hint}")


def summary(verification: Mapping[str, Any]) -> str:
    """One line of counts."""
    names = {"loaded": "loaded", "skipped": "complete before", "failed": "not complete", "not_found": "not found"}
    said = [f"{verification[key]:,} {name}" for key, name in names.items() if verification.get(key)]
    return ", ".join(said) or "nothing was asked for"
