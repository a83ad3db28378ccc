"""A run's rows as the JSON document that CLI and reports share; nothing here writes or prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .model import Row, Status
from .reasons import reason

VERSION = 1

#: Statuses after which nothing is left to do.
DONE = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED, Status.DRY_RUN})

#: Reason codes of the two ways in which an instance that came is not stored; every other one is of what is missing.
EXCLUDED = frozenset({"select", "objection"})
HELD = frozenset(
    {
        "malformed",
        "too-complex",
        "sop-class",
        "burned-in",
        "residual-identifier",
        "other-patient",
        "mixed-patients",
        "uid-mismatch",
        "uid-conflict",
        "path-taken",
        "path-not-plain",
        "deidentifier-failed",
        "gate-failed",
        "worker-died",
        "worker-limit",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Why ``count`` instances (or studies) are not there, and what to do about it."""

    code: str
    count: int
    means: str
    advice: str
    retryable: bool


def document(name: str, status: str, /, **fields: Any) -> dict[str, Any]:
    """A document with its head: ``schema``, ``version``, ``status``, then ``fields``."""
    return {"schema": f"pacsferry.{name}", "version": VERSION, "status": status, **fields}


def row_document(row: Row) -> dict[str, Any]:
    """One row of ``results``, in the order of the specification."""
    return {
        "request": row.request,
        "accession": row.accession,
        "case_id": row.case_id,
        "study_uid": row.study_uid,
        "status": str(row.status),
        "study_date": row.study_date,
        "modality": row.modality,
        "description": row.description,
        "series_count": row.series_count,
        "image_count": row.image_count,
        "expected": row.expected,
        "received": row.received,
        "stored": row.stored,
        "held": row.held,
        "missing": row.missing,
        "excluded": row.excluded,
        "evidence": str(row.evidence),
        "transports": list(row.transports),
        "reasons": [{"code": code, "count": count} for code, count in sorted(row.reasons.items())],
        "retryable": row.retryable,
        "path": row.path,
        "error": row.error,
        "duration_s": round(row.duration_s, 3),
    }


def load_document(
    *, project: str, run: str, status: str, rows: Sequence[Row], verification: Mapping[str, object]
) -> dict[str, Any]:
    """The ``pacsferry.load`` document; with a ``hint`` where something is left to do."""
    told = advice(project, rows)
    results = [row_document(row) for row in rows]
    hint = {"hint": told} if told else {}
    return document("load", status, run=run, project=project, results=results, verification=dict(verification), **hint)


def deidentify_document(
    *,
    project: str,
    run: str,
    status: str,
    rows: Sequence[Row],
    verification: Mapping[str, object],
    counts: Mapping[str, int],
    in_place: bool,
) -> dict[str, Any]:
    """The ``pacsferry.deidentify`` document: the rows of a load, and what the folder held."""
    held = sum(row.held for row in rows)
    whole = document(
        "deidentify",
        status,
        run=run,
        project=project,
        in_place=in_place,
        counts={**counts, "held": held},
        results=[row_document(row) for row in rows],
        verification=dict(verification),
    )
    left = [row for row in rows if row.status not in DONE]
    if not left:
        return whole
    if any(row.retryable or row.status is Status.INTERRUPTED for row in left):
        return {**whole, "hint": "the same command goes on with what is not complete"}
    if all(row.status is Status.NOT_FOUND for row in left):
        return {**whole, "hint": "there is nothing in the folder that is DICOM"}
    listed = "reports/files.csv in the project's private folder says which files and why"
    return {**whole, "hint": listed}


def gaps(rows: Iterable[Row]) -> list[Gap]:
    """Counts per reason over rows that are not waived, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({} if row.status is Status.WAIVED else row.reasons)
    return [
        Gap(code=code, count=count, means=why.means, advice=why.advice, retryable=why.retryable)
        for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        for why in [reason(code)]
    ]


def advice(project: str, rows: Sequence[Row]) -> str | None:
    """One sentence on how to go on, or None when nothing is left to do."""
    left = [row for row in rows if row.status not in DONE]
    if not left:
        return None
    if any(row.retryable or row.status is Status.INTERRUPTED for row in left):
        return f"`pacsferry resume {project}` goes on with what is not complete"
    if all(row.status is Status.NOT_FOUND for row in left):
        return f"check the accession numbers; `pacsferry resume {project} --again not_found` asks again"
    return f"`pacsferry status {project} --problems` says what is left and what to do"
