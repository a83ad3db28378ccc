"""Turns the DICOM JSON model (PS3.18 annex F) into matches; what is no data set in that model is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Match

#: Value representations whose values are no text.
_NOT_TEXT = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")

#: What tells the answers of a level apart. A study with two patients is two answers.
IDENTITY: Mapping[Level, tuple[str, ...]] = {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID"),
    Level.STUDY: ("StudyInstanceUID", "PatientID", "IssuerOfPatientID"),
    Level.SERIES: ("SeriesInstanceUID", "StudyInstanceUID"),
    Level.IMAGE: ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
}


def rows(answer: object) -> list[Mapping[str, Any]]:
    """The data sets of an answer. A single one without its array is taken, too. Raises ``TransferError``."""
    found = [answer] if isinstance(answer, dict) else answer
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise TransferError("the archive's answer is no list of data sets", code="bad-answer")
    return [row for row in found if row]


def match(row: Mapping[str, Any], level: Level, above: Mapping[str, str], keep: frozenset[str]) -> Match:
    """One answer, cut down to the keywords in ``keep``: archives return names that nobody asked for.

    ``above`` are the UIDs of the levels above, which not every archive repeats. Raises ``TransferError``.
    """
    keys: dict[str, str] = {}
    for tag, element in row.items():
        keyword = keyword_for_tag(int(tag, 16)) if _TAG.fullmatch(tag) else ""
        if keyword in keep and isinstance(element, dict) and str(element.get("vr")) not in _NOT_TEXT:
            keys[keyword] = _text(element.get("Value"))
    if level is not Level.PATIENT and not keys.get(IDENTITY[level][0], "").strip(" \0"):
        raise TransferError(f"an answer of the archive has no {IDENTITY[level][0]}", code="bad-answer")
    return Match(level=level, keys=keys | {keyword: uid for keyword, uid in above.items() if not keys.get(keyword)})


def identity(found: Match) -> tuple[str, ...]:
    """What tells this answer from others of its level."""
    return tuple(found.text(keyword) for keyword in IDENTITY[found.level])


def _text(values: object) -> str:
    """Values joined by a backslash; an empty one (``null``) keeps its place (PS3.18 F.2.5)."""
    if not isinstance(values, list):
        return ""
    return "\\".join(_one(value) for value in values)


def _one(value: object) -> str:
    if isinstance(value, str):
        # JSON can write half a surrogate pair, which nothing after this could encode.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return "=".join(_one(value.get(group)) for group in _NAME_GROUPS).rstrip("=")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None or isinstance(value, bool | list) else str(value)
