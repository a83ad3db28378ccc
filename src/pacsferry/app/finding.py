"""``find``: what matches, cut down to what identifies nobody unless that was asked for; it retrieves nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from pacsferry.core.availability import summed
from pacsferry.core.errors import TransferError, strictest
from pacsferry.core.host import state_folder
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.model import Match
from pacsferry.core.pacing import asking, together
from pacsferry.core.progress import Progress, Told, silent
from pacsferry.core.query import Asked
from pacsferry.core.redact import quiet
from pacsferry.core.survey import matching

from .observing import host_audit
from .opening import site, wired
from .pacing import budget_of, saying


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A study that matches, cut down to what identifies nobody.

    ``identified`` holds all that the archive answered; only ``--identified`` shows it.
    """

    request: int
    accession: str | None
    modalities: tuple[str, ...]
    series_count: int | None
    image_count: int | None
    availability: str
    sex: str
    age: str
    year: str
    identified: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """All answers, and what went wrong for single requests; ``hint`` is what the first error suggests."""

    rows: tuple[FoundRow, ...]
    errors: tuple[tuple[int, str], ...]
    not_found: tuple[int, ...]
    exit_code: int
    hint: str | None = None


def find(
    name: str | None,
    asked: Sequence[Asked],
    *,
    sets: Sequence[str] = (),
    max_studies: int | None = None,
    max_images: int | None = None,
    identified: bool = False,
    wait: bool = True,
    told: Told = silent,
) -> FoundRows:
    """What matches; without a query the last 30 days. Audited.

    It may ask at any hour, over one of the associations that the archive allows. Raises ``BusyError`` where it may not
    ``wait`` for one.
    """
    from pacsferry.core.query import gather

    quiet()
    asked = asked or gather(date_from="-30d")
    wiring = wired(site(name, sets))
    finder = wiring.finder()
    budget, say = budget_of(wiring, HostLeases(state_folder() / "archives"), finder), saying(told)
    gathered = _Gathered()
    with closing(finder), together(budget, told=say, wait=wait):
        for done, one in enumerate(asked):
            told(Progress(kind="query", done=done, total=len(asked)))
            try:
                matches = asking(budget, lambda one=one: list(matching(finder, one)), told=say, wait=wait)  # type: ignore[misc]
            except TransferError as err:
                gathered.failed(one, err)
            else:
                gathered.answered(one, matches)
    with host_audit(wiring) as audit:
        details = {
            "requests": len(asked),
            "matches": len(gathered.rows),
            "kind": "identified" if identified else "plain",
        }
        audit.append("find", wiring.archive.name, outcome="failed" if gathered.errors else "ok", details=details)
    return gathered.limited(max_studies, max_images)


@dataclass(slots=True)
class _Gathered:
    """What came so far, by request."""

    rows: list[FoundRow] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    hint: str | None = None

    def answered(self, one: Asked, matches: Sequence[Match]) -> None:
        self.rows += [_found(one, match) for match in matches]
        self.empty += [] if matches else [one.ordinal]
        self.codes.append(0 if matches else 3)

    def failed(self, one: Asked, err: TransferError) -> None:
        self.errors.append((one.ordinal, str(err)))
        self.codes.append(err.exit_code)
        self.hint = self.hint or err.hint

    def limited(self, max_studies: int | None, max_images: int | None) -> FoundRows:
        """All of it, with the rows that the limits allow. Where some requests ended well, the others are gaps (5)."""
        mixed = len(set(self.codes)) > 1
        return FoundRows(
            rows=tuple(_limited(self.rows, max_studies, max_images)),
            errors=tuple(self.errors),
            not_found=tuple(self.empty),
            exit_code=strictest([5 if mixed and code in {3, 4} else code for code in self.codes]),
            hint=self.hint or None,
        )


def _limited(rows: Sequence[FoundRow], max_studies: int | None, max_images: int | None) -> Iterator[FoundRow]:
    """The first rows, up to the one that would exceed a limit."""
    images = 0
    for row in rows[:max_studies]:
        images += row.image_count or 0
        if max_images is not None and images > max_images:
            return
        yield row


def _found(asked: Asked, match: Match) -> FoundRow:
    return FoundRow(
        request=asked.ordinal,
        accession=asked.typed,
        modalities=match.many("ModalitiesInStudy"),
        series_count=match.number("NumberOfStudyRelatedSeries"),
        image_count=match.number("NumberOfStudyRelatedInstances"),
        availability=", ".join(summed([match.many("InstanceAvailability")])),
        sex=match.text("PatientSex") if match.text("PatientSex") in {"M", "F", "O"} else "",
        age=capped_age(match),
        year=match.text("StudyDate")[:4],
        identified=dict(match.keys),
    )


def capped_age(match: Match) -> str:
    """Years at the study, from PatientAge or the birth date; "90+" for all over 89 (45 CFR 164.514(b)(2)(i)(C))."""
    text, born, done = match.text("PatientAge"), match.text("PatientBirthDate"), match.text("StudyDate")
    years: int | None = None
    if len(text) == 4 and text[:3].isdecimal():
        years = int(text[:3]) if text[3] == "Y" else 0
    elif len(born) == 8 and len(done) == 8 and (born + done).isdecimal():
        years = int(done[:4]) - int(born[:4]) - (done[4:] < born[4:])
    if years is None or years < 0:
        return ""
    return "90+" if years > 89 else str(years)
