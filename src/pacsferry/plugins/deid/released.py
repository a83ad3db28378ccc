"""Identifiers that a rule of the profile keeps by name: no gate shall hold an object for what somebody chose to keep.

Only the value that stands where the rule holds is let go, and only for its own kind: an accession number that is kept
does not excuse a patient's id with the same digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache

from pacsferry.core import charsets as text
from pacsferry.core.encoding import Dialect
from pacsferry.core.model import Needle

from . import reference
from .needles import of_value
from .rules import Limits, Rule
from .scan import Element, Scanner
from .subject import Subject

#: Sequences from the top level, None for every place; and the tag.
Place = tuple[tuple[int, ...] | None, int]
#: Numbers of one order, visit or step often are the same number.
_ORDERS = frozenset(
    {"AccessionNumber", "AdmissionID", "ServiceEpisodeID", "ScheduledProcedureStepID", "PerformedProcedureStepID"}
    | {"RequestedProcedureID", "PlacerOrderNumberProcedure", "FillerOrderNumberProcedure"}
    | {"PlacerOrderNumberImagingServiceRequestRetired", "FillerOrderNumberImagingServiceRequestRetired"}
    | {"PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"}
)
_CHARSET = 0x00080005


def places(rules: Mapping[int, Rule], tags: Collection[int], path: tuple[int, ...] | None) -> Iterator[Place]:
    """Where rules keep what would be looked for; ``tags`` are those that the profile names."""
    for tag in tags:
        rule = rules.get(tag)
        if rule is not None and rule.action == "K" and (tag in reference.needles() or _is_uid(rule)):
            yield path, tag


def _is_uid(rule: Rule) -> bool:
    return rule.vr == "UI" and rule.tag not in reference.roles()


def without(needles: Iterable[Needle], subject: Subject, kept: Collection[Place], limits: Limits) -> tuple[Needle, ...]:
    """The needles but for the values that stand where the profile keeps them."""
    if not kept:
        return tuple(needles)
    let_go = set(_Values(subject, kept, limits).found())
    return tuple(needle for needle in needles if (_family(needle.kind), needle.text) not in let_go)


@cache
def _family(keyword: str) -> str:
    if keyword in _ORDERS:
        return "orders"
    return "UID" if keyword in _uids() else keyword


@cache
def _uids() -> frozenset[str]:
    return frozenset(keyword for vr, keyword, _ in reference.known().values() if vr == "UI")


class _Values:
    """The values at some places of an object that was read once already."""

    def __init__(self, subject: Subject, kept: Collection[Place], limits: Limits) -> None:
        self._subject, self._scanner = subject, Scanner(subject.scanner.data, limits)
        self._places = frozenset(kept)
        self._on_the_way = frozenset(path[:depth] for path, _ in kept if path for depth in range(len(path) + 1))
        self._everywhere = frozenset(tag for path, tag in kept if path is None)

    def found(self) -> Iterator[tuple[str, str]]:
        """Kind and text of each."""
        return self._level(self._subject.elements, self._subject.dialect, self._subject.charset, ())

    def _level(
        self, elements: list[Element], dialect: Dialect, charset: tuple[str, ...], path: tuple[int, ...]
    ) -> Iterator[tuple[str, str]]:
        for one in elements:
            tag = one[0]
            if tag in self._everywhere or (path, tag) in self._places:
                yield from self._texts(one, charset)
            elif self._is_entered(one, (*path, tag)):
                yield from self._items(one, dialect, charset, (*path, tag))

    def _is_entered(self, one: Element, path: tuple[int, ...]) -> bool:
        known = reference.known().get(one[0])
        return known is not None and known[0] == "SQ" and bool(self._everywhere or path in self._on_the_way)

    def _items(
        self, one: Element, dialect: Dialect, charset: tuple[str, ...], path: tuple[int, ...]
    ) -> Iterator[tuple[str, str]]:
        if one[1] not in {b"SQ", b"UN", b""}:
            return
        within = self._scanner.dialect_within(one, dialect)
        for start, end in self._scanner.items(one, within):
            inside = self._scanner.elements(start, end, within, len(path))
            own = charset
            if inside and inside[0][0] == _CHARSET:
                own = text.terms(bytes(self._scanner.data[inside[0][3] : inside[0][4]]))
            yield from self._level(inside, within, own, path)

    def _texts(self, one: Element, charset: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        tag, _, _, start, end, undefined = one
        if not undefined:
            keyword = reference.known()[tag][1]
            for needle in of_value(keyword, bytes(self._scanner.data[start:end]), charset):
                yield _family(keyword), needle.text
