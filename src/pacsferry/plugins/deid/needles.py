"""Gather the original identifiers of an object, for the gates; they stay in the worker."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from pacsferry.core.charsets import decode
from pacsferry.core.model import Needle

_NAME_PARTS = re.compile(r"[\^=\s,.\-\\]+")
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@lru_cache(maxsize=4096)
def of_name(keyword: str, value: bytes, charset: tuple[str, ...]) -> tuple[Needle, ...]:
    """Each component part of three letters or more (PS3.5 6.2.1); two are enough where one is a word."""
    parts = set(_NAME_PARTS.split(decode(value, charset).strip(" \0")))
    return tuple(
        Needle(kind=keyword, text=part)
        for part in sorted(parts)
        if sum(map(str.isalpha, part)) >= (2 if _WIDE.search(part) else 3)
    )


@lru_cache(maxsize=4096)
def of_value(keyword: str, value: bytes, charset: tuple[str, ...]) -> tuple[Needle, ...]:
    """Each value of an id, address or institution; one or two characters name nobody and are found everywhere."""
    parts = {part.strip(" \0") for part in decode(value, charset).split("\\")}
    return tuple(Needle(kind=keyword, text=part) for part in sorted(parts) if len(part) > 2)


@dataclass(slots=True, kw_only=True)
class Haul:
    """What was found in one object."""

    found: dict[Needle, None] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)

    def add(self, keyword: str, vr: str, value: bytes, charset: tuple[str, ...]) -> None:
        for needle in (of_name if vr == "PN" else of_value)(keyword, value, charset):
            self.found[needle] = None

    def update(self, other: Haul) -> None:
        """All that another one has."""
        self.found.update(other.found)
        self.uids.update(other.uids)

    def all(self, kept: Collection[str] = ()) -> tuple[Needle, ...]:
        """Every needle once; UIDs are those that were replaced or went, but for those that a rule keeps elsewhere."""
        found = ((uid, keyword) for uid, keyword in self.uids.items() if len(uid) > 8 and "." in uid)
        uids = (Needle(kind=keyword, text=uid) for uid, keyword in found if uid not in kept)
        return (*self.found, *uids)
