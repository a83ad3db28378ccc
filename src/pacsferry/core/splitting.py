"""How a query that gets too many answers is asked in parts: by UID, day, time of day, modality; pure, nothing is asked.

The parts of a query together match what it matches, apart from studies without a value of the key that they part by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from .model import Match, Query
from .quirks import Quirks

#: Before any study.
FIRST_DAY = date(1900, 1, 1)
#: Seconds; what was done within so short a time is not parted by time any further.
SHORTEST = 60
_MIDNIGHT = 24 * 3600
_SIX = re.compile(r"([01]\d|2[0-3])[0-5]\d[0-5]\d")

#: Defined terms of Modality (PS3.3 C.7.3.1.1.1), retired ones too.
MODALITIES = (
    *("CT", "MR", "CR", "DX", "US", "MG", "NM", "PT", "XA", "RF", "SR", "OT", "SC", "PR", "KO", "ES", "ECG", "IVUS"),
    *("OP", "OPT", "OPM", "OPV", "OCT", "IVOCT", "XC", "GM", "SM", "IO", "PX", "RTIMAGE", "RTDOSE", "RTSTRUCT"),
    *("RTPLAN", "RTRECORD", "RTINTENT", "RTRAD", "RTSEGANN", "SEG", "REG", "FID", "RWV", "DOC", "AU", "BI", "BMD"),
    *("BDUS", "CFM", "CTPROTOCOL", "XAPROTOCOL", "DMS", "DG", "EEG", "EMG", "EOG", "EPS", "HC", "HD", "IOL", "KER"),
    *("LEN", "LS", "M3D", "OAM", "OPTBSV", "OPTENF", "OSS", "PA", "PLAN", "POS", "RESP", "RG", "SMR", "SRF", "STAIN"),
    *("TEXTUREMAP", "TG", "VA", "ANN", "AR", "ASMT", "AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA"),
    *("FS", "LP", "MA", "MS", "OPR", "ST", "VF"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The parts of a query, and the keyword whose values they share out."""

    keyword: str
    parts: tuple[Query, ...]


def splits(query: Query, answers: Iterable[Match], quirks: Quirks, today: date) -> Iterator[Split]:
    """Every way to part a query at STUDY level, the best first; ``answers`` are some of its own."""
    some = list(answers)
    for keyword, values in (
        ("StudyInstanceUID", _uids(query.keys)),
        ("StudyDate", _days(query.keys, some, today)),
        ("StudyTime", _times(query.keys) if quirks.time_matching is not False else ()),
        ("ModalitiesInStudy", _modalities(query.keys, some) if quirks.modality_matching is not False else ()),
    ):
        if values and keyword not in (quirks.unmatched or ()):
            yield Split(keyword=keyword, parts=tuple(_with(query, keyword, value) for value in values))


def probes(query: Query, answers: Iterable[Match], quirks: Quirks) -> tuple[Query, ...]:
    """Parts of a query that each hold fewer of its ``answers``: where there are more, one of them brings some.

    They are cut where half of the answers lie, so that it does not matter in which order an archive gives them.
    """
    some, unmatched = list(answers), quirks.unmatched or ()
    if "StudyDate" in unmatched or "StudyInstanceUID" in query.keys:
        return ()
    first, last = _ends(query.keys.get("StudyDate", ""))
    days_ = sorted(found for one in some if (found := _day(one.text("StudyDate"))))
    if not days_:
        return ()
    if first is not None and first == last:
        asks_time = quirks.time_matching is not False and "StudyTime" not in unmatched
        return _by_time(query, some) if asks_time else ()
    middle, one_day = days_[len(days_) // 2], timedelta(days=1)
    if days_[0] == days_[-1]:
        around = [(first, middle - one_day), (middle + one_day, last)]
        days_only = [part for part in around if not (part[0] and part[1] and part[0] > part[1])]
        there = _with(query, "StudyDate", _range(middle, middle))
        return (*(_with(query, "StudyDate", _range(*part)) for part in days_only), *probes(there, some, quirks))
    cut = middle if days_[0] < middle else middle + one_day
    return tuple(_with(query, "StudyDate", _range(*part)) for part in ((first, cut - one_day), (cut, last)))


def _by_time(query: Query, answers: Iterable[Match]) -> tuple[Query, ...]:
    first, dash, last = query.keys.get("StudyTime", "-").partition("-")
    times = sorted(found[0] for one in answers if (found := _SIX.match(one.text("StudyTime").replace(":", ""))))
    if not dash or not times or times[0] == times[-1]:
        return ()
    middle = times[len(times) // 2]
    return tuple(_with(query, "StudyTime", part) for part in (f"{first}-{middle}", f"{middle}-{last}"))


def _with(query: Query, keyword: str, value: str) -> Query:
    return replace(query, keys={**query.keys, keyword: value}, expected=None)


def _uids(keys: Mapping[str, str]) -> tuple[str, ...]:
    uids = keys.get("StudyInstanceUID", "").split("\\")
    middle = len(uids) // 2
    return ("\\".join(uids[:middle]), "\\".join(uids[middle:])) if middle else ()


def days(keys: Mapping[str, str], today: date) -> int | None:
    """How many days a range of dates has; None where it is open in the past, or where there is none."""
    first, last = _ends(keys.get("StudyDate", ""))
    if first is None:
        return None
    return ((last or max(today, first)) - first).days + 1


def _days(keys: Mapping[str, str], answers: list[Match], today: date) -> tuple[str, ...]:
    """Two halves of the days. Where the past is open, what came tells where it begins."""
    first, last = _ends(keys.get("StudyDate", ""))
    seen = [found for one in answers if (found := _day(one.text("StudyDate")))]
    low = first or min([*seen, today], default=FIRST_DAY)
    high = last or max(today + timedelta(days=1), low)
    if low >= high:
        if first is not None or (last is not None and last <= FIRST_DAY):
            return ()
        low = FIRST_DAY if high > FIRST_DAY else high - timedelta(days=1)
    middle = low + (high - low) // 2
    after = middle + timedelta(days=1)
    return (_range(first, middle), _range(after, last))


def _ends(text: str) -> tuple[date | None, date | None]:
    first, dash, last = text.partition("-")
    return _day(first), _day(last if dash else first)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return None


def _range(first: date | None, last: date | None) -> str:
    ends = ["" if end is None else f"{end:%Y%m%d}" for end in (first, last)]
    return ends[0] if ends[0] == ends[1] else "-".join(ends)


def _times(keys: Mapping[str, str]) -> tuple[str, ...]:
    """Two halves of one day's time: a range of StudyTime applies to each day (PS3.4 C.2.2.2.5).

    They share their border, because archives differ in whether 120000 is before 120000.5.
    """
    first, dash, last = keys.get("StudyTime", "-").partition("-")
    one_day = _day(keys.get("StudyDate", "")) is not None
    low, high = _second(first, 0), _second(last, _MIDNIGHT)
    if not one_day or not dash or high - low <= SHORTEST:
        return ()
    middle = (low + high) // 2
    border = f"{middle // 3600:02d}{middle // 60 % 60:02d}{middle % 60:02d}"
    return (f"{first}-{border}", f"{border}-{last}")


def _second(text: str, default: int) -> int:
    """The second of the day that a time begins."""
    digits = text.partition(".")[0].ljust(6, "0")
    return int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6]) if text else default


def _modalities(keys: Mapping[str, str], answers: list[Match]) -> tuple[str, ...]:
    """One modality each, first those that came: if one of them is too many, the others need not be asked."""
    if "ModalitiesInStudy" in keys:
        return ()
    seen = sorted({value for one in answers for value in one.many("ModalitiesInStudy")})
    return tuple(dict.fromkeys((*seen, *MODALITIES)))
