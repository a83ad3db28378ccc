"""Asks an archive what it has of a request, and settles what is expected; a failure is never read as "nothing"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from .availability import gone, summed
from .errors import TransferError
from .ledger_model import InstancePlan, Original, SeriesPlan, StudyPlan
from .matching import chosen, undecided
from .model import Evidence, Keys, Level, Match, Query, Subject
from .plan import Order, SeriesOrder, Target, evidence, expected
from .ports import Finder
from .query import Asked
from .quirks import Quirks
from .selection import Selection

#: Errors of a finder that mean "not at this level", or not all of it, so that counts are believed instead.
_NO_SUCH_LEVEL = frozenset({"not-supported", "identifier-mismatch", "http-404", "no-context", "capped"})
#: Some archives say no more than this of a level that they lack. It may be over the next time, so it counts as the same
#: only when the study is asked for again.
_UNABLE = "unable-to-process"

AVAILABILITY = "InstanceAvailability"
_COUNT = "NumberOfStudyRelatedInstances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A study that a request found. Identified: lives in memory only. ``mixed``: it was found under two patients."""

    asked: Asked
    study_uid: str = field(repr=False)
    key: str
    subject: Subject
    match: Match
    mixed: bool = False

    @property
    def original(self) -> Original:
        """What the archive calls the study, for the linkage table."""
        return Original(
            study_uid=self.study_uid,
            accession=self.match.text("AccessionNumber"),
            patient_id=self.subject.patient_id,
            issuer=self.subject.issuer,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyor:
    """The means of asking: one finder, the project's keys, and what the profile wants."""

    finder: Finder
    keys: Keys
    selection: Selection
    quirks: Quirks
    per_accession: bool = False
    #: Studies of which some level could not be had.
    unable: set[str] = field(default_factory=set)

    def studies(self, asked: Asked) -> list[Found]:
        """The studies of one request, each once, filtered again. Raises ``TransferError``."""
        found: dict[str, Found] = {}
        for match in matching(self.finder, asked):
            one = self._found(asked, match)
            earlier = found.setdefault(one.key, one)
            if _patient(earlier.match) != _patient(match):
                found[one.key] = replace(earlier, mixed=True)
        return list(found.values())

    def _found(self, asked: Asked, match: Match) -> Found:
        uid, number = match.text("StudyInstanceUID"), match.text("AccessionNumber")
        patient_id, issuer = _patient(match)
        token = self.keys.subject(patient_id, issuer, uid)
        if self.per_accession and number:
            token = f"{self.keys.draw('accession', number):064x}"[:32]
        subject = Subject(token=token, patient_id=patient_id, issuer=issuer, accession=number)
        return Found(asked=asked, study_uid=uid, key=self.keys.uid(uid), subject=subject, match=match)

    def order(self, found: Found, *, case_id: str) -> Order:
        """Ask for series and instances of a study. Raises ``TransferError``."""
        try:
            return self._order(found, case_id)
        except TransferError as err:
            if err.code == _UNABLE:
                self.unable.add(found.key)
            raise

    def _order(self, found: Found, case_id: str) -> Order:
        asked = found.asked
        answers = _series_of(self.finder, asked, found.match, again=found.key in self.unable)
        series = tuple(self._read_series(found, match) for match in chosen(asked.series, answers))
        announced = found.match.number(_COUNT)
        narrowed = bool(asked.series or asked.images)
        if narrowed and not series:
            raise TransferError("the study has no series any more that match", code="not-found")
        said = summed([one.availability for one in series]) or summed([found.match.many(AVAILABILITY)])
        return Order(
            study_uid=found.study_uid,
            plan=study_plan(found, case_id, series, announced, narrowed=narrowed),
            series=series,
            narrowed=narrowed,
            counted=_counted(series, announced, narrowed=narrowed),
            offline=_offline(series, found.match),
            nearline="NEARLINE" in said,
            availability=said,
        )

    def grown(self, found: Found, order: Order) -> int:
        """How many instances more the archive has by now than ``order`` says. Raises ``TransferError``."""
        before = {one.key: one for one in order.series}
        if not before:
            return self._grown_study(found, order.plan.announced)
        # Not with the count of series that the study had: a finder would think it has all of them.
        answers = _series_of(self.finder, found.asked, replace(found.match, keys=_above(found)))
        return sum(self._grown_series(found, match, before) for match in chosen(found.asked.series, answers))

    def _grown_study(self, found: Found, announced: int | None) -> int:
        """Where series are not listed: what the archive counts."""
        if announced is None:
            return 0
        counts = [match.number(_COUNT) for match in self.finder.find(Query(level=Level.STUDY, keys=_above(found)))]
        return max(0, max([count for count in counts if count is not None], default=0) - announced)

    def _grown_series(self, found: Found, match: Match, before: Mapping[str, SeriesOrder]) -> int:
        uid, count = match.text("SeriesInstanceUID"), match.number("NumberOfSeriesRelatedInstances")
        one = before.get(self.keys.uid(uid))
        if found.asked.images or not self.selection.wants(_series_values(match)):
            return 0  # what is new there may be nothing that anybody wants
        if one is None:
            return 1 if count is None else count
        if count is not None and one.count is not None:
            return max(0, count - one.count)
        if one.targets is None or one.narrowed:
            return 0
        return max(0, len(self._images(found, uid, None) or ()) - len(one.targets))

    def _read_series(self, found: Found, match: Match) -> SeriesOrder:
        uid, said = match.text("SeriesInstanceUID"), match.many(AVAILABILITY) or found.match.many(AVAILABILITY)
        series = SeriesOrder(
            key=self.keys.uid(uid),
            uid=uid,
            modality=match.text("Modality"),
            count=match.number("NumberOfSeriesRelatedInstances"),
            excluded="" if self.selection.wants(_series_values(match)) else "select",
            availability=said,
        )
        images = self._images(found, uid, series.count)
        if images is None and found.asked.images:
            raise _unmatched(found.asked.images)
        if images is None or (not images and series.count):
            return series
        wanted = chosen(found.asked.images, images)
        targets = {target.key: target for target in (self._target(image, series) for image in wanted)}
        further = summed([image.many(AVAILABILITY) for image in images])
        return replace(
            series,
            targets=tuple(targets.values()),
            narrowed=len(wanted) < len(images),
            availability=further or series.availability,
        )

    def _images(self, found: Found, series: str, counted: int | None) -> list[Match] | None:
        """The instances of a series; None where the archive does not answer at that level."""
        if self.quirks.image_level_find is False:
            return None
        keys = {"StudyInstanceUID": found.study_uid, "SeriesInstanceUID": series}
        return _images_of(self.finder, keys, counted, found.asked.images, again=found.key in self.unable)

    def _target(self, image: Match, series: SeriesOrder) -> Target:
        uid, sop_class = image.text("SOPInstanceUID"), image.text("SOPClassUID")
        wanted = self.selection.wants({"sop_class": sop_class or None})
        return Target(
            key=self.keys.uid(uid),
            uid=uid,
            sop_class=sop_class,
            syntaxes=image.many("AvailableTransferSyntaxUID"),
            excluded=series.excluded or ("" if wanted else "select"),
            offline=gone(image.many(AVAILABILITY) or series.availability),
        )


# --- asking at each level


def matching(finder: Finder, asked: Asked) -> Iterator[Match]:
    """The studies that match a request at every level that it has keys of. Raises ``TransferError``.

    A series or an instance is asked for only where a key needs it, or where the answer does not say its modalities.
    """
    answers = [match for match in finder.find(asked.query) if match.text("StudyInstanceUID")]
    for match in chosen(asked.query.keys, answers):
        needed = {**_not_said(asked, match), **undecided(asked.query.keys, match)}
        if not (needed or asked.images) or _matches_below(finder, asked, match, needed):
            yield match


def _not_said(asked: Asked, match: Match) -> dict[str, str]:
    """The series keys that the answer of the study does not settle."""
    settled = {"Modality"} if asked.query.keys.get("ModalitiesInStudy") == asked.series.get("Modality") else set()
    if not match.many("ModalitiesInStudy"):
        settled = set()
    return {word: value for word, value in asked.series.items() if word not in settled}


def _matches_below(finder: Finder, asked: Asked, match: Match, needed: Mapping[str, str]) -> bool:
    if not needed and not asked.images:
        return True
    series = chosen({**needed, **asked.series}, _series_of(finder, asked, match, needed))
    if not asked.images:
        return bool(series)
    above = {"StudyInstanceUID": match.text("StudyInstanceUID")}
    for one in series:
        keys = {**above, "SeriesInstanceUID": one.text("SeriesInstanceUID")}
        images = _images_of(finder, keys, one.number("NumberOfSeriesRelatedInstances"), asked.images)
        if images is None:
            raise _unmatched(asked.images)
        if chosen(asked.images, images):
            return True
    return False


def _series_of(
    finder: Finder, asked: Asked, study: Match, needed: Mapping[str, str] | None = None, *, again: bool = False
) -> list[Match]:
    """The series of a study; none where the archive does not answer at that level. Raises ``TransferError``."""
    wanted, uid = {**(needed or {}), **asked.series}, study.text("StudyInstanceUID")
    keys = {"StudyInstanceUID": uid, **_sent(wanted)}
    counted = None if len(keys) > 1 else study.number("NumberOfStudyRelatedSeries")
    query = Query(level=Level.SERIES, keys=keys, wants=tuple(wanted), expected=counted)
    answers = _at_level(finder, query, again=again)
    if answers is None and wanted:
        raise _unmatched(wanted)
    mine = [match for match in answers or () if match.text("StudyInstanceUID") in {"", uid}]
    return list({match.text("SeriesInstanceUID"): match for match in mine if match.text("SeriesInstanceUID")}.values())


def _images_of(
    finder: Finder,
    keys: Mapping[str, str],
    counted: int | None,
    wanted: Mapping[str, str] | None = None,
    *,
    again: bool = False,
) -> list[Match] | None:
    """The instances of a series; None where the archive does not answer at that level. Raises ``TransferError``."""
    query = Query(level=Level.IMAGE, keys=keys, wants=tuple(wanted or ()), expected=counted)
    answers = _at_level(finder, query, again=again)
    if answers is None:
        return None
    mine = [match for match in answers if match.text("SeriesInstanceUID") in {"", keys["SeriesInstanceUID"]}]
    return [match for match in mine if match.text("SOPInstanceUID")]


def _at_level(finder: Finder, query: Query, *, again: bool) -> list[Match] | None:
    """What is at a level, None where the archive has no such level. ``again``: it failed at one of them before."""
    try:
        return list(finder.find(query))
    except TransferError as err:
        if err.code not in _NO_SUCH_LEVEL and not (again and err.code == _UNABLE):
            raise
        return None


def _unmatched(keys: Mapping[str, str]) -> TransferError:
    """A key of a level at which the archive does not answer, or not with all of it."""
    return TransferError(
        f"the archive cannot be asked for {', '.join(sorted(keys))}: it does not list what is at that level",
        code="unmatched",
        retryable=False,
        hint="leave the key out, or ask over another protocol ([find] use)",
    )


def _above(found: Found) -> dict[str, str]:
    return {"StudyInstanceUID": found.study_uid}


def _patient(match: Match) -> tuple[str, str]:
    return match.text("PatientID"), match.text("IssuerOfPatientID")


def _series_values(match: Match) -> dict[str, str | None]:
    """The values of a series answer for [select]; an absent description is not known, an empty one is."""
    described = match.text("SeriesDescription") if "SeriesDescription" in match.keys else None
    return {"modality": match.text("Modality") or None, "series_description": described}


def _offline(series: tuple[SeriesOrder, ...], study: Match) -> bool:
    """Whether nothing that is wanted can be had now."""
    parts = [one for one in series if not one.excluded and (one.targets is None or one.wanted)]
    return all(one.offline for one in parts) if series and parts else not series and gone(study.many(AVAILABILITY))


def _sent(keys: Mapping[str, str]) -> dict[str, str]:
    """The keys that go out below a study: UIDs. A study has few series, and archives match "+4" and "4" differently."""
    return {keyword: value for keyword, value in keys.items() if keyword.endswith("UID")}


def _counted(series: tuple[SeriesOrder, ...], announced: int | None, *, narrowed: bool) -> int | None:
    """What the archive's counts speak of, where it is more than it lists: a capped answer looks just like this."""
    if narrowed or not series:
        return None
    listed = sum(len(one.targets) for one in series if one.targets is not None)
    most = max(sum(one.most for one in series), announced or 0)
    return most if most > listed and all(one.targets is not None for one in series) else None


def _counting(series: tuple[SeriesOrder, ...], counted: int) -> Evidence:
    """Whose count it is that speaks of more than is listed."""
    return Evidence.SERIES_COUNTS if sum(one.most for one in series) == counted else Evidence.STUDY_COUNT


def study_plan(
    found: Found, case_id: str, series: tuple[SeriesOrder, ...], announced: int | None, *, narrowed: bool
) -> StudyPlan:
    """What the ledger is to expect: where the archive counts more than it lists, that is the larger number."""
    known = None if narrowed else announced
    counted = _counted(series, announced, narrowed=narrowed)
    return StudyPlan(
        key=found.key,
        subject=found.subject.token,
        case_id=case_id,
        original=found.original,
        evidence=evidence(series, known) if counted is None else _counting(series, counted),
        announced=announced,
        expected=expected(series, known) if counted is None else counted,
        series=tuple(
            SeriesPlan(key=one.key, modality=one.modality, expected=one.expected, excluded=one.excluded)
            for one in series
        ),
        instances=tuple(
            InstancePlan(key=target.key, series=one.key, sop_class=target.sop_class, excluded=target.excluded)
            for one in series
            for target in one.targets or ()
        ),
    )
