"""One event of an audit trail as observers get it: a value that nothing can be changed with, and that names nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """What was done: by whom (the system's user), to what (as released), with which outcome.

    ``trail`` is the project whose trail it stands in, or "" for the host's own. ``seq`` counts within the trail,
    ``at`` is UTC as ISO 8601. ``hash`` is the head of the trail at that moment, and covers ``prev``, that of the event
    before. ``details`` holds numbers, words and collections of them that cannot be changed.
    """

    trail: str
    seq: int
    at: str
    run: str
    actor: str
    action: str
    object: str
    outcome: str
    details: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    prev: str
    hash: str


def frozen(value: Any) -> Any:
    """The same as what cannot be changed: tuples for lists, read-only mappings for dictionaries."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(key): frozen(one) for key, one in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(frozen(one) for one in value)
    return value


def thawed(value: Any) -> Any:
    """The same as JSON can carry it."""
    if isinstance(value, Mapping):
        return {key: thawed(one) for key, one in value.items()}
    return [thawed(one) for one in value] if isinstance(value, tuple) else value
