"""The weekly hours in which an archive may be worked: read from text, asked "open now?" and "until when?"; pure.

An hour belongs to a window when the archive's own wall clock says so. Where that clock is put forward, a window loses
the hour that does not exist; where it is put back, the hour that comes twice counts twice.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EXAMPLES = "'mon-fri 19:00-06:00', 'sat,sun', '22:00-24:00'"
_DAY, _WEEK = 24 * 60, 7 * 24 * 60
#: A window that falls into an hour that does not exist this week comes again after two.
_FARTHEST = timedelta(days=16)
_MINUTE = timedelta(minutes=1)
_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """``week`` has one byte per minute from Monday 00:00, 1 where the archive may be worked.

    ``zone`` None is the host's own. ``said`` is how a profile wrote them.
    """

    week: bytes = field(repr=False)
    zone: tzinfo | None = None
    said: tuple[str, ...] = ()

    def local(self, at: datetime) -> datetime:
        """The same instant on the archive's clock."""
        return at.astimezone(self.zone)

    def open(self, at: datetime) -> bool:
        """Whether the archive may be worked at an instant (an aware ``datetime``)."""
        there = self.local(at)
        return bool(self.week[there.weekday() * _DAY + there.hour * 60 + there.minute])

    def change(self, at: datetime) -> datetime | None:
        """The next instant at which ``open`` answers otherwise, in UTC; None where it never does.

        UTC, because Python subtracts two times of one zone as if its clock were never put forward or back.
        """
        now, step = self.open(at), at.astimezone(UTC).replace(second=0, microsecond=0)
        if 0 not in self.week:
            return None
        last = step + _FARTHEST
        while step < last:
            step += _MINUTE
            if self.open(step) is not now:
                return step
        return None

    def end(self, start: datetime, seconds: float) -> datetime | None:
        """When work of so many seconds that may begin at ``start`` is done, in UTC; None where that is too far away."""
        at, left = start.astimezone(UTC), seconds
        for _ in range(1000):
            until = self.change(at)
            if self.open(at):
                if until is None or (until - at).total_seconds() >= left:
                    return at + timedelta(seconds=left)
                left -= (until - at).total_seconds()
            if until is None:
                return None
            at = until
        return None


def hours(said: Sequence[str], zone: str | None = None) -> Hours | None:
    """The hours that a profile writes; None for none, which is always. Raises ``ValueError`` saying what is right."""
    place = time_zone(zone) if zone is not None else None
    if not said:
        return None
    week = bytearray(_WEEK)
    for one in said:
        for start, length in windows(one):
            for minute in range(start, start + length):
                week[minute % _WEEK] = 1
    return Hours(week=bytes(week), zone=place, said=tuple(said))


def windows(text: str) -> Iterator[tuple[int, int]]:
    """The windows of one entry: minute of the week at which each begins, and its minutes. Raises ``ValueError``."""
    plain = re.sub(r"\s*([,-])\s*", r"\1", text.strip().lower().replace("–", "-"))  # noqa: RUF001 - people paste it
    days, _, times = plain.rpartition(" ") if ":" in plain else (plain, "", "")
    spans = [_span(one, text) for one in times.split(",")] if times else [(0, _DAY)]
    for day in _days(days.strip(), text) if days.strip() or not times else range(7):
        for start, length in spans:
            yield day * _DAY + start, length


def _days(text: str, whole: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first, whole)
        end = _day(last, whole) if dash else begin
        found += [(begin + number) % 7 for number in range((end - begin) % 7 + 1)]
    return found


def _day(name: str, whole: str) -> int:
    number = next((at for at, day in enumerate(DAYS) if len(name) >= 3 and day.startswith(name)), None)
    if number is None:
        raise ValueError(f"{whole!r} is no window of a week: days are mon tue wed thu fri sat sun; write {EXAMPLES}")
    return number


def _span(text: str, whole: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{whole!r} is no window of a week: write {EXAMPLES}")
    start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if int(found[2]) > 59 or int(found[4]) > 59 or start >= _DAY or end > _DAY:
        raise ValueError(f"{whole!r}: times go from 00:00 to 23:59, and 24:00 is the end of a day")
    if start == end:
        raise ValueError(f"{whole!r} begins when it ends; for a whole day leave the times out")
    return start, (end - start) % _DAY or _DAY


def time_zone(name: str) -> tzinfo:
    """A zone of the IANA database. Raises ``ValueError`` with the nearest name."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
    if not known:
        raise ValueError("this host has no time zones; install tzdata (the system's, or `pip install tzdata`)")
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"did you mean {lower[near[0]]!r}?" if near else "write one as 'Europe/Zurich' or 'UTC'"
    raise ValueError(f"there is no time zone {name!r}; {hint}")
