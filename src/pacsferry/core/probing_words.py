"""Numbers, keywords and small judgements of what ``doctor`` asks; pure, nothing is asked here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from .model import Level

#: One more than the largest cap that is common: so many answers without an end show that there is none below.
LIMIT: Final = 1001
#: So many studies are enough to learn from.
ENOUGH: Final = 12
#: Days back from today, widened until there is enough; then everything.
SPANS: Final = (1, 7, 31, 366, 3660)
EVER: Final = "19000101-"
#: A series or study of so many instances at most is retrieved whole.
SMALL: Final = 5
#: Answers to a question about series or instances.
FEW: Final = 200
#: How many studies are looked into for a small series.
TRIES: Final = 3

STUDY_KEYS: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_KEYS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
RETURNED: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: STUDY_KEYS,
    Level.SERIES: SERIES_KEYS,
    Level.IMAGE: IMAGE_KEYS,
}
#: What every study, series or instance has, so that an answer without it shows that the archive does not give it.
ALWAYS: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    Level.SERIES: ("Modality", "NumberOfSeriesRelatedInstances"),
    Level.IMAGE: ("SOPClassUID",),
}
#: Series of these are no images, or big ones.
ODD_MODALITIES: Final = frozenset({"SR", "KO", "PR", "DOC", "REG", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "MG", "SM"})
#: Keys of VR IS that our finders ask for.
_NUMBERS: Final = frozenset({"SeriesNumber", "InstanceNumber"})
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
#: SOP classes (PS3.4 B.5) whose single objects may be very large.
LARGE: Final = frozenset(
    _STORAGE + tail
    for tail in (
        *("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5", "2.1", "4.1", "4.3", "130", "128.1", "3.1", "6.2"),
        *("12.1", "12.2", "12.1.1", "12.2.1", "77.1.1.1", "77.1.2.1", "77.1.4.1", "77.1.6", "66.4", "30", "7.3", "7.4"),
    )
)


def count_is_round(count: int) -> bool:
    """Whether a number of answers looks like a limit that somebody set."""
    return count >= 10 and count % 10 == 0


def is_text(keyword: str) -> bool:
    """Whether ``*`` may stand in a key: not in dates and numbers."""
    return not (keyword.endswith(("Date", "Time")) or keyword.startswith("NumberOf") or keyword in _NUMBERS)


def usable(value: str) -> bool:
    """Whether a value can be asked for as it is, over every protocol."""
    return bool(re.fullmatch(r"[A-Za-z0-9._:/-]+", value))


def number(answer: Mapping[str, str], keyword: str) -> int:
    text = answer.get(keyword, "").strip()
    return int(text) if text.isdecimal() else 0


def size_of_study(study: Mapping[str, str]) -> tuple[bool, int]:
    """Ordinary images first, few instances first; a count that is not known comes last."""
    modalities = {one.strip() for one in study.get("ModalitiesInStudy", "").split("\\") if one.strip()}
    odd = bool(modalities) and modalities <= ODD_MODALITIES
    return odd, number(study, "NumberOfStudyRelatedInstances") or 1_000_000


def size_of_series(series: Mapping[str, str]) -> tuple[bool, int]:
    odd = series.get("Modality", "").strip() in ODD_MODALITIES
    return odd, number(series, "NumberOfSeriesRelatedInstances") or 1_000_000


def distinct(answers: Sequence[Mapping[str, str]], keyword: str) -> tuple[Mapping[str, str], ...]:
    return tuple({one.get(keyword) or str(number): one for number, one in enumerate(answers)}.values())


def within(study: Mapping[str, str], window: str) -> bool:
    """Whether a study's date is in the range that was asked for; one without a date is not held against the archive."""
    day = study.get("StudyDate", "").strip()
    first, _, last = window.partition("-")
    return not day.isdecimal() or first <= day <= (last or "99999999")


def day_of(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return None


def in_words(window: str) -> str:
    """A window in words that say no date of a patient."""
    if window == EVER:
        return "in all"
    first, last = (day_of(part) for part in window.split("-"))
    return f"in the last {(last - first).days} days" if first and last else "in all"
