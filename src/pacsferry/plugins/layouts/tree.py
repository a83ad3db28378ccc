"""Paths that are a pure function of what is released of one instance; nothing here looks at the disk."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from pacsferry.core.model import Facts
from pacsferry.core.strict import NoSettings

#: The greatest value of an IS element (PS3.5 6.2); what is beyond it is no number that an archive may send.
GREATEST = 2**31 - 1
#: A file name has at most 128 characters (core.places); the rest of a flat one needs at most 74.
LONGEST_CASE = 50

_DATE = re.compile(r"[0-9]{8}")


def short(uid: str) -> str:
    """12 hex digits of SHA-256 of a released UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def day(date: str) -> str:
    """A released date (DA, ``YYYYMMDD``), or eight zeros where it is none."""
    return date if _DATE.fullmatch(date) else "00000000"


def number(value: int, width: int) -> str:
    """For sorting: zero-padded; 0 for what is unknown, negative or beyond an IS. Never shortened."""
    return f"{value if 0 <= value <= GREATEST else 0:0{width}d}"


def _study(facts: Facts) -> str:
    return f"{day(facts.study_date)}-{short(facts.study_uid)}"


def _series(facts: Facts) -> str:
    return f"{number(facts.series_number, 3)}-{short(facts.series_uid)}"


def _file(facts: Facts) -> str:
    return f"{number(facts.instance_number, 5)}-{short(facts.instance_uid)}.dcm"


class Cases:
    """``case0001/20240517-1a2b3c4d5e6f/003-5e6f7a8b9c0d/00012-9c0d1e2f3a4b.dcm``."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def place(self, facts: Facts) -> PurePosixPath:
        return PurePosixPath(facts.pseudonym, _study(facts), _series(facts), _file(facts))


class Flat:
    """The same parts as ``cases`` in one file name, so that names sort as the folders would."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def place(self, facts: Facts) -> PurePosixPath:
        return PurePosixPath("-".join((facts.pseudonym[:LONGEST_CASE], _study(facts), _series(facts), _file(facts))))
