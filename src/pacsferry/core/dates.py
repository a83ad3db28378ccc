"""Dates as people type them (days, ranges, relative days) turned into the ranges of a DICOM query."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from .errors import ConfigError

_WORDS = {"today": 0, "yesterday": 1}
_RELATIVE = re.compile(r"-(\d{1,5})([dw])")
_RANGE = re.compile(r"(\d{8})?-(\d{8})?")
_RIGHT = "write YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD-, -YYYYMMDD, today, yesterday or -30d"


def day(text: str, where: str, *, today: date | None = None) -> date:
    """One real calendar day. Raises ``ConfigError`` naming ``where``."""
    now = today or date.today()  # noqa: DTZ011 - the days of the user, in the user's time zone
    if text in _WORDS:
        return now - timedelta(days=_WORDS[text])
    if match := _RELATIVE.fullmatch(text):
        try:
            return now - timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))
        except OverflowError:
            raise ConfigError(f"{where}: {text!r} is before the calendar begins") from None
    for pattern in ("%Y%m%d", "%Y-%m-%d"):
        if re.fullmatch(r"\d{8}" if pattern == "%Y%m%d" else r"\d{4}-\d{2}-\d{2}", text):
            try:
                return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a calendar day has no zone
            except ValueError:
                raise ConfigError(f"{where}: {text!r} is no day of the calendar", hint=_RIGHT) from None
    raise ConfigError(f"{where}: {text!r} is not a date", hint=_RIGHT)


def between(first: date | None, last: date | None, where: str) -> str:
    """A DA range (PS3.4 C.2.2.2.5) from first to last, either open. Raises ``ConfigError``."""
    if first and last and first > last:
        raise ConfigError(f"{where}: the range ends before it begins", hint="write the earlier day first")
    ends = ["" if end is None else f"{end:%Y%m%d}" for end in (first, last)]
    return ends[0] if first and first == last else "-".join(ends)


def date_range(text: str, where: str, *, today: date | None = None) -> str:
    """A day or a range as a DA key. Raises ``ConfigError`` naming ``where``."""
    text = text.strip()
    first, separator, last = text.partition("..")
    if not separator and (match := _RANGE.fullmatch(text)):
        first, separator, last = match[1] or "", "-", match[2] or ""
    if not separator:
        return f"{day(text, where, today=today):%Y%m%d}"
    if not first and not last:
        raise ConfigError(f"{where}: {text!r} has no day", hint=_RIGHT)
    ends = [day(end.strip(), where, today=today) if end.strip() else None for end in (first, last)]
    return between(ends[0], ends[1], where)
