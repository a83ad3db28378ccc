"""One row per study found, one per request without a study: what a run tells about each, without originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .ledger_model import StudyState
from .means import Result
from .model import Row, Status
from .query import Asked
from .reasons import reason


def retryable(reasons: Mapping[str, int]) -> bool:
    """Whether another try may end otherwise."""
    return any(reason(code).retryable for code in reasons)


def of_request(asked: Asked, status: Status, *, code: str = "", error: str | None = None) -> Row:
    """A request that led to no study."""
    reasons = {code: 1} if code else {}
    return Row(
        request=asked.ordinal,
        accession=asked.typed,
        status=status,
        reasons=reasons,
        retryable=status is Status.INTERRUPTED or retryable(reasons),
        error=error,
    )


def of_result(result: Result) -> Row:
    """A study that a request found."""
    state, asked = result.state, result.found.asked
    row = Row(
        request=asked.ordinal,
        accession=asked.typed,
        case_id=result.case_id or None,
        status=result.status,
        transports=result.transports,
        reasons=result.reasons,
        retryable=result.status is Status.INTERRUPTED or retryable(result.reasons),
        error=result.error,
        duration_s=result.duration_s,
        excluded=result.reasons.get("objection", 0),
    )
    return row if state is None else _with_state(row, state, result.received)


def _with_state(row: Row, state: StudyState, received: int) -> Row:
    return replace(
        row,
        study_uid=state.study_uid or None,
        study_date=state.study_date or None,
        modality=state.modality or None,
        description=state.description or None,
        series_count=state.series_count,
        image_count=state.stored,
        expected=state.expected,
        received=max(received, state.stored + state.held),
        stored=state.stored,
        held=state.held,
        missing=state.missing,
        excluded=state.excluded,
        evidence=state.evidence,
        path=state.path or None,
    )
