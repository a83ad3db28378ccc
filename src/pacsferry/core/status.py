"""What a project looks like as a whole: counts, cases, outliers, problems and what to do; pure, it reads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .ledger_model import StudyState
from .ledger_steps import SETTLED
from .model import Row, Status
from .reasons import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When numbers look wrong. An outlier has less than ``1/low`` or more than ``high`` times the median."""

    least_cases: int = 3
    series_low: float = 2
    series_high: float = 2
    images_low: float = 3
    images_high: float = 3
    fewest_images: int = 5
    most_images: int = 5000


USUAL = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is stored of one case, over all its studies."""

    case_id: str
    studies: int
    series: int
    images: int
    modalities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A study that is unlike the others. ``kind`` is series, images or modality; ``usual`` the median or majority."""

    case_id: str
    study_uid: str
    kind: str
    value: int | str
    usual: float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outliers:
    """``note`` says why nothing was compared."""

    ok: bool
    note: str = ""
    found: tuple[Outlier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why a study is not complete. ``code`` is "" where only the verdict is known."""

    case_id: str
    study_uid: str
    status: Status
    code: str
    count: int
    means: str
    advice: str
    retryable: bool


#: What to do about a verdict that has no reason of its own.
_VERDICTS: Mapping[Status, tuple[str, str, bool]] = {
    Status.INCOMPLETE: ("some instances did not come", "run `pacsferry resume`", True),
    Status.UNVERIFIED: (
        "nobody can say whether all instances came",
        "compare with the archive; then `pacsferry waive` accepts it",
        True,
    ),
    Status.CHANGED: ("the study changed while it was retrieved", "run `pacsferry resume` when it is finished", True),
    Status.OFFLINE: ("the archive says it is offline", "ask the archive's administrator to load it", True),
    Status.HELD: ("some instances could not be made safe", "see the reasons; `pacsferry waive` accepts the gap", False),
    Status.NOT_FOUND: ("nothing matched", "check the accession number", False),
    Status.FAILED: ("it could not be retrieved", "run `pacsferry resume`", True),
    Status.INTERRUPTED: ("the run ended before it was done", "run `pacsferry resume`", True),
}


def status_of(state: StudyState) -> Status:
    """The verdict; a study without one was being worked on when its run ended."""
    return state.status or Status.INTERRUPTED


def row(state: StudyState, *, request: int = 0, accession: str | None = None) -> Row:
    """A study of the ledger as one line."""
    verdict = status_of(state)
    return Row(
        request=request,
        accession=accession,
        case_id=state.case_id or None,
        study_uid=state.study_uid or state.key,
        status=verdict,
        study_date=state.study_date or None,
        modality=state.modality or None,
        description=state.description or None,
        series_count=state.series_count,
        image_count=state.stored,
        expected=state.expected,
        received=state.stored + state.held,
        stored=state.stored,
        held=state.held,
        missing=state.missing,
        excluded=state.excluded,
        evidence=state.evidence,
        transports=state.transports,
        reasons=dict(state.reasons),
        retryable=any(one.retryable for one in problems([state])),
        path=state.path or None,
        duration_s=state.duration_s,
    )


def counts(states: Iterable[StudyState]) -> dict[str, int]:
    """How many instances became what, and how many studies have which verdict ("ok_studies" ...)."""
    known = list(states)
    by_status = Counter(f"{status_of(state).value}_studies" for state in known)
    summed = {name: sum(getattr(state, name) for state in known) for name in ("stored", "held", "missing", "excluded")}
    return {
        "studies": len(known),
        "cases": len({state.case_id for state in known}),
        "series": sum(state.series_count for state in known),
        **summed,
        **dict(sorted(by_status.items())),
    }


def cases(states: Iterable[StudyState]) -> list[Case]:
    """The cases in order."""
    by_case: dict[str, list[StudyState]] = {}
    for state in states:
        by_case.setdefault(state.case_id, []).append(state)
    return [
        Case(
            case_id=case_id,
            studies=len(mine),
            series=sum(state.series_count for state in mine),
            images=sum(state.stored for state in mine),
            modalities=tuple(sorted({state.modality for state in mine} - {""})),
        )
        for case_id, mine in sorted(by_case.items())
    ]


def outliers(states: Iterable[StudyState], limits: Limits = USUAL) -> Outliers:
    """Studies unlike the others of the project, by series, images and modality; those with nothing stored apart."""
    filled = [state for state in states if state.stored]
    if len({state.case_id for state in filled}) < limits.least_cases:
        return Outliers(ok=True, note=f"fewer than {limits.least_cases} cases: nothing to compare")
    found = [
        *_off(filled, "series", [state.series_count for state in filled], limits.series_low, limits.series_high),
        *_off(filled, "images", [state.stored for state in filled], limits.images_low, limits.images_high),
        *_other_modality(filled),
    ]
    found.sort(key=lambda one: (one.case_id, one.study_uid))
    return Outliers(ok=not found, found=tuple(found))


def _off(states: list[StudyState], kind: str, values: list[int], low: float, high: float) -> Iterator[Outlier]:
    usual = median(values)
    for state, value in zip(states, values, strict=True):
        if value < usual / low or value > usual * high:
            yield _outlier(state, kind, value, usual)


def _other_modality(states: list[StudyState]) -> Iterator[Outlier]:
    """Nothing where two modalities are equally common: then none is the majority."""
    common = Counter(state.modality for state in states).most_common(2)
    if len(common) == 2 and common[0][1] > common[1][1]:
        for state in states:
            if state.modality != common[0][0]:
                yield _outlier(state, "modality", state.modality, common[0][0])


def _outlier(state: StudyState, kind: str, value: int | str, usual: float | str) -> Outlier:
    return Outlier(case_id=state.case_id, study_uid=state.study_uid or state.key, kind=kind, value=value, usual=usual)


def problems(states: Iterable[StudyState]) -> list[Problem]:
    """What is not complete, one entry per study and reason; excluded instances are no problem."""
    return [problem for state in states if status_of(state) not in SETTLED for problem in _problems(state)]


def _problems(state: StudyState) -> Iterator[Problem]:
    verdict = status_of(state)
    told = {code: count for code, count in state.reasons.items() if code not in {"select", "objection"}}
    if told and state.status is not None:
        for code, count in sorted(told.items(), key=lambda item: (-item[1], item[0])):
            why = reason(code)
            yield _problem(state, verdict, code, count, (why.means, why.advice, why.retryable))
    else:
        yield _problem(state, verdict, "", state.missing + state.held, _VERDICTS[verdict])


def _problem(state: StudyState, verdict: Status, code: str, count: int, told: tuple[str, str, bool]) -> Problem:
    means, advice, retryable = told
    return Problem(
        case_id=state.case_id,
        study_uid=state.study_uid or state.key,
        status=verdict,
        code=code,
        count=count,
        means=means,
        advice=advice,
        retryable=retryable,
    )


#: How a request counts in ``verification``; whatever is not here is a failure.
_COUNTED: Mapping[Status, str] = {
    Status.OK: "loaded",
    Status.SKIPPED: "skipped",
    Status.WAIVED: "skipped",
    Status.DRY_RUN: "",
    Status.NOT_FOUND: "not_found",
}
#: When the studies of one request end differently, the first of these that applies.
_WORST = ("failed", "not_found", "loaded", "skipped", "")


def verification(rows: Sequence[Row], limits: Limits = USUAL) -> dict[str, object]:
    """The ``verification`` block of a load: its requests by how they ended, and what looks odd in the studies."""
    by_request: dict[int, set[str]] = {}
    for one in rows:
        by_request.setdefault(one.request, set()).add(_COUNTED.get(one.status, "failed"))
    ended = Counter(next(name for name in _WORST if name in kinds) for kinds in by_request.values())
    return {
        "ok": not ended["failed"] and not ended["not_found"],
        "total_requested": len(by_request),
        "loaded": ended["loaded"],
        "skipped": ended["skipped"],
        "failed": ended["failed"],
        "not_found": ended["not_found"],
        "warnings": [text for one in rows for text in _warnings(one, limits)],
    }


def _warnings(one: Row, limits: Limits) -> Iterator[str]:
    """Of studies that were found: names the case, never what the user asked for."""
    if one.study_uid is None or one.status in {Status.DRY_RUN, Status.NOT_FOUND}:
        return
    if one.image_count < limits.fewest_images:
        yield f"{one.case_id}: only {one.image_count} image(s), fewer than {limits.fewest_images}"
    if one.image_count > limits.most_images:
        yield f"{one.case_id}: {one.image_count} images, more than {limits.most_images}"
