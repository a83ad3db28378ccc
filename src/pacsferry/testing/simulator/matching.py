"""Attribute matching of queries (PS3.4 C.2.2.2): single value, UID list, wildcard, range, universal; pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_RANGES = ("DA", "TM", "DT")
_NO_WILDCARD = ("UI", "DA", "TM", "DT", "IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "AS", "OB", "OW")


def values(ds: Dataset, keyword: str) -> list[str]:
    """The values of an element as text; none where it is absent, empty or a sequence."""
    value: Any = ds.get(keyword)
    if value is None or value == "" or isinstance(value, bytes) or dictionary_VR(keyword) == "SQ":
        return []
    many = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [str(one) for one in many]


def matches(ds: Dataset, keyword: str, wanted: str) -> bool:
    """Whether the element satisfies the key; an empty key matches everything."""
    wanted, vr = wanted.strip(" \0"), dictionary_VR(keyword)
    if not wanted or (wanted == "*" and vr != "UI"):  # a UID is never matched by wildcard (PS3.4 C.2.2.2.4)
        return True
    test = _test(vr, wanted)
    return any(test(value.strip(" \0")) for value in values(ds, keyword))


@lru_cache(maxsize=256)
def _test(vr: str, wanted: str) -> Callable[[str], bool]:
    if vr == "UI":
        uids = {part.strip() for part in wanted.split("\\")}
        return uids.__contains__
    if vr in _RANGES and "-" in wanted:
        low, _, high = wanted.partition("-")
        return lambda value: _within(value, low, high)
    alternatives = wanted.split("\\")
    if vr in _NO_WILDCARD:
        return lambda value: value in alternatives
    flags = re.IGNORECASE if vr == "PN" else 0
    pattern = re.compile("|".join(_wildcard(one, vr) for one in alternatives), flags)
    return lambda value: pattern.fullmatch(value) is not None


def _within(value: str, low: str, high: str) -> bool:
    """A range in the same format, open at either end; a coarser end takes in all that begins with it."""
    return bool(value) and value >= low and (not high or value <= high or value.startswith(high))


_STAR, _MARK = "\ue000", "\ue001"  # a star and a question mark that are nothing but that


def literal(value: str) -> str:
    """``value`` so that its wildcards match only themselves."""
    return value.replace("*", _STAR).replace("?", _MARK)


def _wildcard(text: str, vr: str) -> str:
    escaped = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    escaped = escaped.replace(_STAR, r"\*").replace(_MARK, r"\?")
    return f"(?:{escaped})" + (r"\^*" if vr == "PN" else "")
