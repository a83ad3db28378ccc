"""What of a patient must not be repeated in what stays: days that go, ids made of digits. It only says what they are.

A gate would find neither: days are no words, and digits of an id stand in many a number by chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from . import dates, reference
from .program import LAST_COPY, Op, Program
from .subject import Subject

#: Birth, instance creation, study, series, acquisition and content: the days by which a patient can be found.
_DAYS = {
    **dict.fromkeys((0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00100030), "DA"),
    0x0008002A: "DT",
}
#: Shorter numbers are met by chance.
_DIGITS = 6
_RUNS = re.compile(rb"[0-9]+")


@dataclass(frozen=True, slots=True)
class Echoes:
    """Days of eight digits, and a pattern that finds an id where a number or a code is one."""

    days: frozenset[bytes] = frozenset()
    ids: re.Pattern[bytes] | None = None


def echoes(subject: Subject, program: Program) -> Echoes:
    """What an object must not repeat: days of its top level that do not stay, and ids that do not."""
    gone: set[bytes] = set()
    stay: set[bytes] = set()
    for tag, vr in _DAYS.items():
        if tag in subject.by_tag:
            step = program[tag]
            kept = step is not None and step.op is Op.DATE and not step.moves
            (stay if kept else gone).update(_days(vr, subject.raw(tag)))
    found = [tag for tag in reference.needles() if tag in subject.by_tag]
    steps = [(tag, program[tag]) for tag in found]
    ids = {subject.raw(tag) for tag, step in steps if step is not None and step.op > LAST_COPY}
    return Echoes(frozenset(gone - stay), _pattern(frozenset(ids)) if ids else None)


@lru_cache(maxsize=1024)
def _days(vr: str, raw: bytes) -> frozenset[bytes]:
    """Days of the calendar that somebody meant."""
    return frozenset(day for day in dates.days_of(vr, raw) if dates.moved("DA", day, 0))


@lru_cache(maxsize=1024)
def _pattern(raw: frozenset[bytes]) -> re.Pattern[bytes] | None:
    """The digits of ids as a number may be written (PS3.5 6.2, DS and IS), with or without letters around them."""
    values = {run.lstrip(b"0") for value in raw for run in _RUNS.findall(value)}
    digits = sorted(value for value in values if len(value) >= _DIGITS)
    if not digits:
        return None
    return re.compile(rb"(?<![0-9A-Za-z.])0*(?:" + rb"|".join(digits) + rb")(?:\.0*)?(?![0-9A-Za-z.])")
