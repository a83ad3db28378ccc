"""Elements of dates as they go out, remembered, as the objects of a study have the same; decides nothing."""

from __future__ import annotations

from functools import lru_cache

from . import dates
from .context import Context
from .program import element

#: Days at which an age can be told: of study, series, acquisition and content.
_DAYS = frozenset({0x00080020, 0x00080021, 0x00080022, 0x00080023})


@lru_cache(maxsize=8192)
def dated(tag: int, vr: bytes, raw: bytes | None, days: int | None) -> tuple[bytes, tuple[bytes, ...]]:
    """The whole element of a date, time or zone with its date moved, and the days that it named; b"" if it is none."""
    name = vr.decode()
    new = None if raw is None else dates.moved(name, raw.strip(b" \0"), days)
    if raw is None or new is None:
        return b"", ()
    return element(tag, vr, new), tuple(sorted(dates.days_of(name, raw)))


def too_old(born: bytes, here: Context, data: memoryview) -> bool:
    """Whether a birth date tells that the patient is 90 or more; without a date of the study it might."""
    days = [bytes(data[one[3] : one[4]]).strip(b" \0") for one in here.elements if one[0] in _DAYS]
    return not any(days) or any(dates.too_old(born, day) for day in days if day)
