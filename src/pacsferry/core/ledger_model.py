"""The nouns of the ledger: what is planned, what came of it, and who works on it; nothing here reads or writes."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from . import processes
from .errors import StoreError
from .model import Evidence, Status


class LeaseLost(StoreError):
    """Another process took the study over; nothing of this call was written."""


class UndefinedStep(StoreError):
    """A change of state that the table of steps does not have; nothing of this call was written."""


class PathTaken(StoreError):
    """Paths that other instances have already; nothing of this call was written. ``keys`` are the late-comers."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(
            f"{len(keys)} instance(s) got a path that another one has",
            hint="choose a layout that keeps them apart",
        )
        self.keys = keys

    @property
    def key(self) -> str:
        """The first of them."""
        return self.keys[0]


class InstanceState(enum.StrEnum):
    """Where an instance stands. Only ``EXPECTED`` ones are missing."""

    EXPECTED = "expected"
    STORED = "stored"
    HELD = "held"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePlan:
    """An instance that the archive listed; ``key`` and ``series`` are keyed UIDs, ``excluded`` a reason code or ""."""

    key: str
    series: str
    sop_class: str = ""
    excluded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlan:
    """A series that the archive listed; ``excluded`` is a reason code or "" and counts for all its instances."""

    key: str
    modality: str = ""
    expected: int | None = None
    excluded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What a study is called in the archive. Identified: kept in the linkage table and nowhere else."""

    study_uid: str = field(repr=False)
    accession: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """What is expected of a study.

    ``announced`` is what the archive counts (NumberOfStudyRelatedInstances), ``expected`` what must be accounted for,
    the excluded ones included (None: not known), ``evidence`` what that rests on.
    """

    key: str
    subject: str
    case_id: str
    original: Original
    evidence: Evidence
    announced: int | None = None
    expected: int | None = None
    series: tuple[SeriesPlan, ...] = ()
    instances: tuple[InstancePlan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOutcome:
    """What became of one arrival.

    ``detail`` names elements only; ``path`` is relative to ``<images>/<project>``; ``references`` are the released UIDs
    of the instances that it refers to.
    """

    key: str
    series: str
    state: InstanceState
    code: str = ""
    detail: str = ""
    sop_class: str = ""
    path: str = ""
    size: int = 0
    sha256: str = ""
    instance_uid: str = ""
    series_uid: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process: boot and process namespace, number, start in clock ticks, host."""

    boot_id: str
    pid: int
    started: int
    host: str

    @classmethod
    def me(cls) -> Owner:
        """The process that asks."""
        pid = os.getpid()
        return cls(boot_id=processes.boot(), pid=pid, started=processes.started(pid) or 0, host=processes.host())

    def dead(self) -> bool:
        """Whether it is known to be gone. Of other hosts and other containers nothing is known."""
        if self.host != processes.host():
            return False
        if self.boot_id != processes.boot():
            return self.boot_id.partition("/")[0] != processes.boot().partition("/")[0]
        return processes.started(self.pid) != self.started

    @property
    def tag(self) -> str:
        """A file name that tells whose file it is, see ``core.staging``."""
        return f"{self.pid}-{self.started}-{processes.short(self.host)}-{processes.short(self.boot_id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on a study; ``fence`` grows with every lease of it, so a late writer is known."""

    study: str
    fence: int
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """A study as released; what is not released is "". ``series_count`` 0: as many as the ledger counted."""

    study_uid: str = ""
    study_date: str = ""
    modality: str = ""
    description: str = ""
    path: str = ""
    series_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """Where a study stands. ``status`` is None until a run concluded it; ``waived`` is the reason of a waiver or ""."""

    key: str
    subject: str
    case_id: str
    study_uid: str
    status: Status | None
    evidence: Evidence
    announced: int | None
    expected: int | None
    stored: int
    held: int
    excluded: int
    missing: int
    series_count: int
    study_date: str
    modality: str
    description: str
    path: str
    transports: tuple[str, ...]
    reasons: Mapping[str, int]
    waived: str
    updated: datetime
    duration_s: float
    leased_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command on the project; ``ended`` and ``status`` are empty while it runs, or when it was killed."""

    id: str
    command: str
    actor: str
    started: datetime
    ended: datetime | None
    status: str
    counts: Mapping[str, int]
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of a run as the user typed it, how it ended, and the studies (keys) that it found."""

    run: str
    ordinal: int
    text: str = field(repr=False)
    status: Status | None
    studies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """How one run left one study: for reports of past runs."""

    study: str
    status: Status
    stored: int
    held: int
    excluded: int
    missing: int
    expected: int | None
    transports: tuple[str, ...]
    reasons: Mapping[str, int]
    duration_s: float
