"""What a released report may say of a run: never an accession, a request's number, or a message that may hold one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pacsferry.core.documents import row_document
from pacsferry.core.model import Row, Summary

#: An order of requests, and what was typed, would link a case to an accession list.
LINKING = frozenset({"request", "accession", "error"})


def studies(rows: Iterable[Row]) -> list[Row]:
    """The rows that name a study, in an order that depends on released values only."""
    found = [row for row in rows if row.study_uid or row.case_id]
    return sorted(found, key=lambda row: (row.case_id or "", row.study_date or "", row.study_uid or ""))


def pseudonymous(row: Row) -> dict[str, Any]:
    """A row without what links it to a request."""
    return {name: value for name, value in row_document(row).items() if name not in LINKING}


def outcomes(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows ended in each status, requests without a study among them."""
    return dict(sorted(Counter(str(row.status) for row in rows).items()))


def counts(summary: Summary) -> dict[str, Any]:
    """The numbers of the verification; its warnings are sentences for the private report."""
    return {name: value for name, value in sorted(summary.verification.items()) if isinstance(value, int)}
