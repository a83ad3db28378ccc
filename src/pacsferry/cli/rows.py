"""A run's rows and gaps as a table for people; what the numbers mean is said by core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import tables

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app import Loaded
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


def show(out: Console, result: Loaded) -> None:
    """The rows, counts per reason and what to do about each (spec: load), and what is where."""
    from pacsferry.core.documents import advice

    if result.rows:
        tables.draw(out, _HEADS, [_line(row) for row in result.rows])
    _gaps(out, result.rows)
    for warning in result.verification.get("warnings", ()):
        tables.say(out, warning, "yellow")
    if result.error:
        tables.say(out, result.error, "red")
    said = f"{result.status}: {_counted(result.verification)}"
    tables.say(out, said, tables.STYLES.get(result.status, ""))
    tables.say(out, f"images in {result.images}")
    if result.report:
        tables.say(out, f"report  {result.report}")
    if hint := result.hint or advice(result.project, result.rows):
        tables.say(out, f"Next: {hint}")


def _line(row: Row) -> tuple[object, ...]:
    counts = [row.held or None, row.missing or None, row.excluded or None]
    stored = row.stored if row.study_uid else None
    return (
        *(row.request, row.accession, row.case_id, row.study_date, row.modality, row.series_count or None),
        *(row.expected, stored, *counts, str(row.status)),
    )


def _gaps(out: Console, rows: Sequence[Row]) -> None:
    from pacsferry.core.documents import EXCLUDED, gaps

    for gap in gaps(rows):
        if gap.code not in EXCLUDED:
            tables.say(out, f"{gap.count:>7,}  {gap.means}", "bold")
            tables.say(out, f"         {gap.advice}")
    for error in sorted({row.error for row in rows if row.error}):
        tables.say(out, f"         {error}", "red")


def _counted(verification: Mapping[str, Any]) -> str:
    """One line of counts."""
    names = {"loaded": "complete", "skipped": "complete before", "failed": "not complete", "not_found": "not found"}
    said = [f"{verification[key]:,} {name}" for key, name in names.items() if verification.get(key)]
    return ", ".join(said) or ("nothing was loaded" if verification.get("warnings") else "nothing was left to do")
