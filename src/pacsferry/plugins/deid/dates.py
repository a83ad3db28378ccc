"""Dates, times and ages as values (PS3.5 6.2): moved by whole days, checked, capped; what is none of them is refused.

A shift is whole days, so that times, zones and all intervals of one patient stay; PET and NM need that (PS3.15 E.3.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from pacsferry.core.model import Keys

#: Days that systems write where they know none. Moved, they would tell how far; so they are never moved.
STAND_INS = frozenset(
    {
        *("18000101", "18500101", "18581117", "18900101", "18991230", "18991231", "19000101", "19010101", "19110101"),
        *("19111111", "19700101", "19800101", "19990909", "20000101", "20380119", "20991231"),
    }
)
#: Years in which patients are examined; others are stand-ins or errors.
YEARS = range(1850, 2100)
#: The youngest age that is not told (45 CFR 164.514(b)(2)(i)(C)), and what is written instead.
OLD, OLD_AGE = 90, b"090Y"

_DA = re.compile(rb"(\d{4})([-.]?)(\d\d)\2(\d\d)")
_TIME = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_TM = re.compile(_TIME.encode())
_OLD_TM = re.compile(rb"(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?")
_ZONE = re.compile(rb"[+-](?:0\d|1[0-4])[0-5]\d")
_DT = re.compile(rb"(\d{8})((?:" + _TIME.encode() + rb")?)((?:[+-](?:0\d|1[0-4])[0-5]\d)?)")
_PARTIAL_DT = re.compile(rb"\d{4}(?:0[1-9]|1[0-2])?(?:[+-](?:0\d|1[0-4])[0-5]\d)?")
_AGE = re.compile(rb"(\d{1,5})([DWMY])")
_PER_YEAR = {b"D": 365.25, b"W": 365.25 / 7, b"M": 12.0, b"Y": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """How far dates may move: every whole number of ``unit`` days from ``low`` to ``high``, never none at all.

    ``mapped``: nothing is drawn, a table says it for each patient (``core.shifts``).
    """

    low: int = -365
    high: int = -30
    unit: int = 7
    mapped: bool = False

    def choices(self) -> list[int]:
        """Every shift there is, in days, in ascending order."""
        first = -(-self.low // self.unit)
        return [n * self.unit for n in range(first, self.high // self.unit + 1) if n]

    def of(self, keys: Keys, token: str) -> int:
        """The patient's shift in days: drawn with the project's secret, the same wherever the patient is met."""
        choices = self.choices()
        return choices[keys.draw("shift", token) % len(choices)]


@lru_cache(maxsize=8192)
def moved(vr: str, raw: bytes, days: int | None) -> bytes | None:
    """A DA, DT, TM or zone (SH) with its dates moved by ``days``; None where any value of it cannot be.

    ``days`` None keeps dates as they are, if they are dates at all. Parts of dates and ranges are not moved.
    """
    values = [_VALUES[vr](value.strip(b" \0"), days) for value in raw.split(b"\\")]
    return None if any(value is None for value in values) else b"\\".join(value or b"" for value in values)


def _da(value: bytes, days: int | None) -> bytes | None:
    match = _DA.fullmatch(value)
    if match is None:
        return None if value else b""
    return _moved_day(match[1] + match[3] + match[4], days)


def _moved_day(day: bytes, days: int | None) -> bytes | None:
    """A day of eight digits, moved; None for stand-ins and days that the calendar does not have."""
    text = day.decode("ascii")
    try:
        there = date(int(text[:4]), int(text[4:6]), int(text[6:]))
        if days is None:
            return day
        if text in STAND_INS or there.year not in YEARS:
            return None
        return f"{there + timedelta(days=days):%Y%m%d}".encode()
    except (ValueError, OverflowError):
        return None


def _dt(value: bytes, days: int | None) -> bytes | None:
    match = _DT.fullmatch(value)
    if match is not None:
        day = _moved_day(match[1], days)
        return None if day is None else day + match[2] + match[3]
    return value if not value or (days is None and _PARTIAL_DT.fullmatch(value)) else None


def _tm(value: bytes, _days: int | None) -> bytes | None:
    """A time stays, as shifts are whole days; the older form with colons is put right."""
    if (old := _OLD_TM.fullmatch(value)) is not None:
        value = old[1] + old[2] + (old[3] or b"")
    return value if not value or _TM.fullmatch(value) else None


def _zone(value: bytes, _days: int | None) -> bytes | None:
    return value if not value or _ZONE.fullmatch(value) else None


_VALUES = {"DA": _da, "DT": _dt, "TM": _tm, "SH": _zone}


@lru_cache(maxsize=1024)
def age(raw: bytes) -> bytes | None:
    """An AS with ages of 90 years and more as 090Y, whatever they are counted in; None where it is no age."""
    values = [_age(value.strip(b" \0")) for value in raw.split(b"\\")]
    return None if any(value is None for value in values) else b"\\".join(value or b"" for value in values)


def _age(value: bytes) -> bytes | None:
    if not value:
        return b""
    match = _AGE.fullmatch(value)
    if match is None:
        return None
    number, unit = int(match[1]), match[2]
    if number / _PER_YEAR[unit] >= OLD:
        return OLD_AGE
    return b"%03d%b" % (number, unit) if number < 1000 else None


@lru_cache(maxsize=1024)
def too_old(born: bytes, day: bytes) -> bool:
    """Whether somebody born on one DA is 90 or more on another; also where that cannot be told."""
    first, second = _DA.fullmatch(born.strip(b" \0")), _DA.fullmatch(day.strip(b" \0"))
    if first is None or second is None:
        return True
    years = int(second[1]) - int(first[1]) - ((second[3], second[4]) < (first[3], first[4]))
    return not 0 <= years < OLD


@lru_cache(maxsize=4096)
def written(day: bytes) -> tuple[bytes, ...]:
    """How people and machines write a day of eight digits, to find it where it should not be."""
    year, month, of_month = day[:4], day[4:6], day[6:8]
    orders = ((year, month, of_month), (of_month, month, year), (month, of_month, year))
    return (day, *dict.fromkeys(mark.join(order) for order in orders for mark in (b"-", b".", b"/")))


def days_of(vr: str, raw: bytes) -> set[bytes]:
    """The days, of eight digits, that a DA or DT names."""
    if vr not in {"DA", "DT"}:
        return set()
    found = (re.match(rb"(\d{4})([-.]?)(\d\d)\2(\d\d)", value.strip()) for value in raw.split(b"\\"))
    return {match[1] + match[3] + match[4] for match in found if match}
