"""How requests, studies and runs ended: the nouns of reports and documents, as released unless they say otherwise."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


class Status(enum.StrEnum):
    """What became of one request; the one vocabulary of every document (spec: output)."""

    OK = "ok"
    INCOMPLETE = "incomplete"
    UNVERIFIED = "unverified"
    CHANGED = "changed"
    OFFLINE = "offline"
    HELD = "held"
    SKIPPED = "skipped"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    WAIVED = "waived"
    INTERRUPTED = "interrupted"
    DRY_RUN = "dry-run"


class Evidence(enum.StrEnum):
    """What the expected set of a study rests on, best first."""

    INSTANCE_UIDS = "instance-uids"
    SERIES_COUNTS = "series-counts"
    STUDY_COUNT = "study-count"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a run's result: a study that was found, or a request without one (spec: output).

    ``accession`` is what the user typed. Everything else is as released.
    """

    request: int
    accession: str | None
    case_id: str | None = None
    study_uid: str | None = None
    status: Status
    study_date: str | None = None
    modality: str | None = None
    description: str | None = None
    series_count: int = 0
    image_count: int = 0
    expected: int | None = None
    received: int = 0
    stored: int = 0
    held: int = 0
    missing: int = 0
    excluded: int = 0
    evidence: Evidence = Evidence.NONE
    transports: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    retryable: bool = False
    path: str | None = None
    error: str | None = None
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """One line of a manifest: what was written, as released."""

    series_uid: str
    instance_uid: str
    sop_class: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that a report may know of one run. ``identified`` tells a private report from a released one.

    In a released one no row names an accession, and rows are in the order of ``case_id``. ``project_rows`` has one row
    per study of the whole project, with its accession as the archive has it, and is empty in a released one.
    ``manifests`` maps a released study UID to what is stored of it, ``unresolved`` to the number of instances that it
    refers to and the project does not have. ``rules_digest`` is that of the compiled
    anonymization rules; ``described`` are the sentences of ``describe``.
    """

    project: str
    run: str
    command: str
    started: datetime
    status: str
    rows: Sequence[Row]
    verification: Mapping[str, object]
    manifests: Mapping[str, Sequence[StoredInstance]]
    project_rows: Sequence[Row] = ()
    version: str
    rules_digest: str
    described: Sequence[str] = ()
    audit_head: str = ""
    unresolved: Mapping[str, int] = field(default_factory=dict)
    identified: bool = False
