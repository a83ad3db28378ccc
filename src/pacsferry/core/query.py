"""What the user asks for, as typed keys at their level; what cannot be matched is an error, never dropped."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from .dates import between, date_range, day
from .errors import ConfigError
from .model import Level, Query


@dataclass(frozen=True, slots=True)
class Key:
    """A keyword that can be matched: its level (PS3.4 C.6), VR and longest value in characters (PS3.5 6.2)."""

    level: Level
    vr: str
    longest: int = 64


_P, _S, _E, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE

KEYS: Mapping[str, Key] = {
    "PatientID": Key(_P, "LO"),
    "IssuerOfPatientID": Key(_P, "LO"),
    "PatientName": Key(_P, "PN", 194),
    "PatientBirthDate": Key(_P, "DA", 17),
    "PatientSex": Key(_P, "CS", 16),
    "StudyInstanceUID": Key(_S, "UI"),
    "StudyDate": Key(_S, "DA", 17),
    "StudyTime": Key(_S, "TM", 28),
    "AccessionNumber": Key(_S, "SH", 16),
    "StudyID": Key(_S, "SH", 16),
    "StudyDescription": Key(_S, "LO"),
    "ReferringPhysicianName": Key(_S, "PN", 194),
    "ModalitiesInStudy": Key(_S, "CS", 16),
    "SeriesInstanceUID": Key(_E, "UI"),
    "Modality": Key(_E, "CS", 16),
    "SeriesNumber": Key(_E, "IS", 12),
    "SeriesDescription": Key(_E, "LO"),
    "ProtocolName": Key(_E, "LO"),
    "BodyPartExamined": Key(_E, "CS", 16),
    "StationName": Key(_E, "SH", 16),
    "SOPInstanceUID": Key(_I, "UI"),
    "SOPClassUID": Key(_I, "UI"),
    "InstanceNumber": Key(_I, "IS", 12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. ``typed`` is the accession as the user wrote it, None for a query without one.

    ``query`` is at STUDY level; ``series`` and ``images`` hold the keys of the lower levels, which select within
    each study.
    """

    ordinal: int
    typed: str | None
    query: Query
    series: Mapping[str, str] = field(default_factory=dict, repr=False)
    images: Mapping[str, str] = field(default_factory=dict, repr=False)


def checked(keyword: str, value: str, where: str) -> str:
    """The value without padding, fit for its VR. Raises ``ConfigError`` naming ``where``."""
    key = KEYS.get(keyword)
    if key is None:
        near = difflib.get_close_matches(keyword, KEYS, n=1)
        raise ConfigError(
            f"{where}: {keyword!r} cannot be matched" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint="keywords that can: " + ", ".join(KEYS),
        )
    value = value.strip()
    if not value or set(value) <= {"*"}:
        raise ConfigError(f"{where}: {keyword} has no value", hint="leave the key out to match everything")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ConfigError(f"{where}: {keyword} holds a control character")
    if key.vr == "DA":
        return date_range(value, f"{where}: {keyword}")
    if key.vr == "UI":
        return _uids(value, keyword, where)
    if "\\" in value:
        raise ConfigError(f"{where}: {keyword} holds a backslash, which separates values in DICOM")
    if len(value) > key.longest:
        raise ConfigError(f"{where}: {keyword} is longer than {key.longest} characters")
    if key.vr == "IS":
        return _whole(value, keyword, where)
    if key.vr == "TM":
        return _time_range(value, keyword, where)
    return value.upper() if key.vr == "CS" else value


def _uids(value: str, keyword: str, where: str) -> str:
    parts = re.split(r"[\\,\s]+", value)
    if not all(re.fullmatch(r"[0-9]+(\.[0-9]+)*", part) and len(part) <= 64 for part in parts):
        raise ConfigError(f"{where}: {keyword} is not a UID", hint="digits and dots, at most 64 characters")
    return "\\".join(parts)


def _whole(value: str, keyword: str, where: str) -> str:
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        raise ConfigError(f"{where}: {keyword} is not a whole number")
    return str(int(value))


_TIME = r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"


def _time_range(value: str, keyword: str, where: str) -> str:
    if value == "-" or not re.fullmatch(f"({_TIME})?(-({_TIME})?)?", value):
        raise ConfigError(f"{where}: {keyword} is not a time", hint="write HHMMSS, HHMM-HHMM or HHMMSS-")
    first, _, last = value.partition("-")
    if first and last and first > last + "9" * 6:
        # PS3.4 C.2.2.2.5: the range applies to each day, so that it cannot go past midnight.
        raise ConfigError(f"{where}: {keyword} ends before it begins", hint="ask once before and once after midnight")
    return value


def accession(text: str, where: str) -> str:
    """One accession number (VR SH): no wildcard, no separator. Raises ``ConfigError`` naming ``where``."""
    text = text.strip()
    if bad := sorted(set(text) & set("*?\\")):
        raise ConfigError(
            f"{where}: an accession number cannot hold {' '.join(bad)}", hint="write each accession number out in full"
        )
    return checked("AccessionNumber", text, where)


def gather(
    accessions: Sequence[str] = (),
    *,
    rows: Iterable[tuple[str, Mapping[str, str]]] = (),
    match: Sequence[str] = (),
    study_date: str | None = None,
    date_from: str | None = None,
    date_to: str | None = None,
    modality: Sequence[str] = (),
    today: date | None = None,
) -> tuple[Asked, ...]:
    """All that was asked for, each thing once, in the order given.

    ``accessions`` were given one by one; ``rows`` are (where it stood, keyword to value), each a request of its
    own; the rest are keys of every request, or a request of their own where there is nothing else.
    Raises ``ConfigError``.
    """
    common = _common(match, study_date, date_from, date_to, modality, today)
    wanted = [
        {"AccessionNumber": accession(text, f"accession number {n}")} for n, text in enumerate(accessions, start=1)
    ]
    wanted += [_row(where, row) for where, row in rows]
    if not wanted and common:
        wanted = [{}]
    distinct: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for keys in wanted:
        distinct.setdefault(tuple(sorted(keys.items())), {**common, **keys})
    return tuple(
        _asked(number, keys.get("AccessionNumber"), keys) for number, keys in enumerate(distinct.values(), start=1)
    )


def _row(where: str, row: Mapping[str, str]) -> dict[str, str]:
    """One row of a file. An accession number holds no wildcard, wherever it stands."""
    keys = {keyword: value for keyword, value in row.items() if value.strip()}
    if not keys:
        raise ConfigError(f"{where}: it asks for nothing", hint="fill at least one column")
    if "AccessionNumber" in keys:
        keys["AccessionNumber"] = accession(keys["AccessionNumber"], where)
    return {keyword: checked(keyword, value, where) for keyword, value in keys.items()}


def _common(
    match: Sequence[str],
    study_date: str | None,
    date_from: str | None,
    date_to: str | None,
    modality: Sequence[str],
    today: date | None,
) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in match:
        keyword, separator, value = pair.partition("=")
        if not separator:
            raise ConfigError("--match: there is no =", hint="write --match Keyword=Value")
        _once(keys, keyword.strip(), checked(keyword.strip(), value, "--match"))
    if study_date and (date_from or date_to):
        raise ConfigError("--study-date and --from/--to exclude each other", hint="give one of them")
    if study_date:
        _once(keys, "StudyDate", date_range(study_date, "--study-date", today=today))
    if date_from or date_to:
        ends = [
            day(text.strip(), option, today=today) if text else None
            for text, option in ((date_from, "--from"), (date_to, "--to"))
        ]
        _once(keys, "StudyDate", between(ends[0], ends[1], "--from/--to"))
    if modality:
        _once(keys, "Modality", "\\".join(checked("Modality", each.upper(), "--modality") for each in modality))
    return keys


def _once(keys: dict[str, str], keyword: str, value: str) -> None:
    if keyword in keys:
        raise ConfigError(f"{keyword} is asked for twice", hint="give each key once")
    keys[keyword] = value


def _asked(ordinal: int, typed: str | None, keys: Mapping[str, str]) -> Asked:
    """Sort keys by level. A Modality also goes out at STUDY level as ModalitiesInStudy, to find fewer studies."""
    at = {level: {k: v for k, v in keys.items() if KEYS[k].level is level} for level in Level}
    study = {**at[_P], **at[_S]}
    wanted = at[_E].get("Modality", "")
    if wanted and "ModalitiesInStudy" not in study:
        study["ModalitiesInStudy"] = wanted
    return Asked(ordinal=ordinal, typed=typed, query=Query(level=_S, keys=study), series=at[_E], images=at[_I])
