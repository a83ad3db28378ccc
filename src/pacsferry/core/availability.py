"""What InstanceAvailability says (PS3.3 C.4.23.1.1): pure; the values of a level below count more than those above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: From at once to never; an archive gives for a study the worst of what it holds.
ORDER = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")
_GONE = frozenset({"OFFLINE", "UNAVAILABLE"})


def gone(values: Sequence[str]) -> bool:
    """Whether none of it can be had without a person who loads it."""
    return bool(values) and set(values) <= _GONE


def summed(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All that is said of the parts, from best to worst; words of an archive's own are no use to anybody."""
    said = {value for part in parts for value in part}
    return tuple(word for word in ORDER if word in said)
