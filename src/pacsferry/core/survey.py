"""Asks an archive what it has of a request, and settles what is expected; a failure is never read as "nothing"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .archive import Quirks
from .errors import TransferError
from .ledger_model import InstancePlan, Original, SeriesPlan, StudyPlan
from .model import Keys, Level, Match, Query, Subject
from .plan import Order, SeriesOrder, Target, evidence, expected
from .ports import Finder
from .query import Asked, agrees
from .selection import Selection

#: Errors of a finder that mean "not at this level", so that counts are believed instead.
_NO_SUCH_LEVEL = frozenset({"not-supported", "identifier-mismatch", "http-404", "no-context"})


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

    def studies(self, asked: Asked) -> list[Found]:
        """The studies of one request, each once, filtered again. Raises ``TransferError``."""
        found: dict[str, Found] = {}
        for match in self.finder.find(asked.query):
            if not match.text("StudyInstanceUID") or not agrees(asked.query.keys, match):
                continue
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
        answers = self._series(found)
        chosen = [match for match in answers if agrees(found.asked.series, match)]
        availability = set(found.match.many("InstanceAvailability"))
        series = tuple(self._read_series(found, match, availability) for match in chosen)
        announced = found.match.number("NumberOfStudyRelatedInstances")
        narrowed = bool(found.asked.series or found.asked.images)
        return Order(
            study_uid=found.study_uid,
            plan=study_plan(found, case_id, series, announced, narrowed=narrowed),
            series=series,
            narrowed=narrowed,
            counted=_counted(series, announced, narrowed=narrowed),
            offline=availability == {"OFFLINE"},
            nearline="NEARLINE" in availability,
        )

    def _series(self, found: Found) -> list[Match]:
        """The series of a study; none where the archive does not answer at that level."""
        keys = {"StudyInstanceUID": found.study_uid, **_single(found.asked.series)}
        counted = None if found.asked.series else found.match.number("NumberOfStudyRelatedSeries")
        answers = self._at_level(Query(level=Level.SERIES, keys=keys, expected=counted)) or []
        mine = [match for match in answers if match.text("StudyInstanceUID") in {"", found.study_uid}]
        by_uid = {match.text("SeriesInstanceUID"): match for match in mine}
        return [match for uid, match in by_uid.items() if uid]

    def _at_level(self, query: Query) -> list[Match] | None:
        try:
            return list(self.finder.find(query))
        except TransferError as err:
            if err.code not in _NO_SUCH_LEVEL:
                raise
            return None

    def _read_series(self, found: Found, match: Match, availability: set[str]) -> SeriesOrder:
        uid = match.text("SeriesInstanceUID")
        series = SeriesOrder(
            key=self.keys.uid(uid),
            uid=uid,
            modality=match.text("Modality"),
            count=match.number("NumberOfSeriesRelatedInstances"),
            excluded="" if self.selection.wants(_series_values(match)) else "select",
        )
        images = self._images(found, uid, series.count)
        if images is None or (not images and series.count):
            return series
        for image in images:
            availability |= set(image.many("InstanceAvailability"))
        chosen = [image for image in images if agrees(found.asked.images, image)]
        targets = {target.key: target for target in (self._target(image, series) for image in chosen)}
        return replace(series, targets=tuple(targets.values()), narrowed=len(chosen) < len(images))

    def _images(self, found: Found, series: str, counted: int | None) -> list[Match] | None:
        """The instances of a series; None where the archive does not answer at that level."""
        if self.quirks.image_level_find is False:
            return None
        keys = {"StudyInstanceUID": found.study_uid, "SeriesInstanceUID": series}
        answers = self._at_level(Query(level=Level.IMAGE, keys=keys, expected=counted))
        if answers is None:
            return None
        mine = [match for match in answers if match.text("SeriesInstanceUID") in {"", series}]
        return [match for match in mine if match.text("SOPInstanceUID")]

    def _target(self, image: Match, series: SeriesOrder) -> Target:
        uid, sop_class = image.text("SOPInstanceUID"), image.text("SOPClassUID")
        wanted = self.selection.wants({"sop_class": sop_class or None})
        return Target(
            key=self.keys.uid(uid),
            uid=uid,
            sop_class=sop_class,
            excluded=series.excluded or ("" if wanted else "select"),
        )


def _patient(match: Match) -> tuple[str, str]:
    return match.text("PatientID"), match.text("IssuerOfPatientID")


def _series_values(match: Match) -> dict[str, str | None]:
    """The values of a series answer for [select]; an absent description is not known, an empty one is."""
    described = match.text("SeriesDescription") if "SeriesDescription" in match.keys else None
    return {"modality": match.text("Modality") or None, "series_description": described}


def _single(keys: Mapping[str, str]) -> dict[str, str]:
    """Keys that C-FIND can match (PS3.4 C.2.2.2): only UIDs may be lists, other lists are filtered here alone."""
    return {keyword: value for keyword, value in keys.items() if "\\" not in value or keyword.endswith("UID")}


def _counted(series: tuple[SeriesOrder, ...], announced: int | None, *, narrowed: bool) -> int | None:
    """What the archive's counts speak of, where it is more than it lists: a capped answer looks just like this."""
    if narrowed or not series:
        return None
    listed = sum(len(one.targets) for one in series if one.targets is not None)
    counts = [max(one.count or 0, len(one.targets or ())) for one in series]
    most = max(sum(counts), announced or 0)
    return most if most > listed and all(one.targets is not None for one in series) else None


def study_plan(
    found: Found, case_id: str, series: tuple[SeriesOrder, ...], announced: int | None, *, narrowed: bool
) -> StudyPlan:
    """What the ledger is to expect."""
    known = None if narrowed else announced
    return StudyPlan(
        key=found.key,
        subject=found.subject.token,
        case_id=case_id,
        original=found.original,
        evidence=evidence(series, known),
        announced=announced,
        expected=expected(series, known),
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
