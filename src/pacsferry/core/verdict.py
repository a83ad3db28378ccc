"""What to say of a study in the end: pure, from what the ledger counts and what went wrong; no peer is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import FerryError, HeldError, InterruptedRun, TransferError
from .ledger_model import StudyFacts, StudyState
from .model import Status

#: After these a study is nobody's problem.
FINE = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED, Status.DRY_RUN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What was noticed on the way.

    ``counted`` is the number of instances that the archive's counts speak of, where that is more than the ``listed``
    ones, of which ``lacking`` did not come; ``code`` the reason code of the last request that fell short; ``odd``
    counts what sinks refused, by reason code; ``unlisted`` instances came into being while the study was retrieved.
    ``offline`` of what is missing was not asked for, because the archive says that it is offline.
    """

    counted: int | None = None
    listed: int = 0
    lacking: int = 0
    code: str = ""
    error: FerryError | None = None
    stopped: bool = False
    unlisted: int = 0
    offline: int = 0
    odd: Mapping[str, int] = field(default_factory=dict)


def _accounted(now: StudyState) -> int:
    return now.stored + now.held + now.excluded


def _gap(now: StudyState, signs: Signs) -> int:
    """How many instances surely are missing: counts that speak of more than is listed may be stale."""
    return now.missing if signs.counted is None else signs.lacking


def _news(signs: Signs) -> int:
    """How much the study grew: not by what the archive counted all the time and only did not list."""
    known = max(0, (signs.counted or 0) - signs.listed)
    return max(0, signs.unlisted - known)


def status(now: StudyState, signs: Signs) -> Status:
    """The verdict; "ok" only where every expected instance is stored or excluded."""
    if _gap(now, signs):
        return _of_gap(now, signs)
    if now.held:
        return Status.HELD
    if now.expected is None:
        return _unknown(now, signs)
    if signs.counted is not None and _accounted(now) < signs.counted:
        return Status.UNVERIFIED
    return Status.CHANGED if _news(signs) else Status.OK


def _of_gap(now: StudyState, signs: Signs) -> Status:
    if signs.stopped:
        return Status.INTERRUPTED
    if signs.code == "offline" or signs.offline >= _gap(now, signs):
        return Status.OFFLINE
    if signs.code == "outside-hours":
        return Status.INCOMPLETE
    return Status.INCOMPLETE if now.stored or now.held else Status.FAILED


def _unknown(now: StudyState, signs: Signs) -> Status:
    """Nobody knows how many there should be."""
    if signs.stopped:
        return Status.INTERRUPTED
    if signs.code == "outside-hours":
        return Status.INCOMPLETE
    return Status.FAILED if signs.error is not None and not now.stored else Status.UNVERIFIED


def reasons(now: StudyState, signs: Signs, settled: Mapping[str, int]) -> dict[str, int]:
    """Counts per reason code: of what is held or excluded (``settled``), of what is missing, of what is odd."""
    # What was refused at first and held when it came by name is one thing.
    counts = Counter(settled) | Counter(signs.odd)
    if gap := _gap(now, signs):
        away = min(signs.offline, gap)
        counts["offline"] += away
        counts["interrupted" if signs.stopped else signs.code or "not-sent"] += gap - away
    if signs.counted is not None:
        counts["counts-differ"] += max(0, signs.counted - _accounted(now) - gap)
    counts["study-changed"] += _news(signs)
    return {code: count for code, count in sorted(counts.items()) if count}


def facts(stored: Sequence[Mapping[str, object]], now: StudyState) -> StudyFacts | None:
    """The study as released, from the facts of what was stored in this run and what the ledger had before."""
    if not stored or not now.stored:
        return None
    modalities = {str(one["modality"]) for one in stored} | set(now.modality.split(","))
    first = min(stored, key=lambda one: str(one["instance_uid"]))
    return StudyFacts(
        study_uid=str(first["study_uid"]),
        study_date=str(first["study_date"]),
        modality=",".join(sorted(modalities - {""})),
        description=str(first["study_description"]),
        path=str(first["folder"]),
    )


def exit_code(status_: Status, error: FerryError | None) -> int:
    """The exit code of one study (spec: exit codes).

    One of which nothing came is the archive's failure, whether it says so or speaks of success.
    """
    if status_ in FINE:
        return 0
    if status_ is Status.INTERRUPTED:
        return InterruptedRun.exit_code
    if status_ is not Status.FAILED:
        return HeldError.exit_code
    return TransferError.exit_code if error is None else error.exit_code
