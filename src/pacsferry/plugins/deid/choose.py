"""Choose the program for an object: by its class, the sign of its pixels, and the conditions of the profile's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from . import reference
from .policy_rules import Override, holds
from .private import Key, StrangerRules, Strangers, declared_safe
from .program import Program, index
from .released import Place, places
from .rules import Rule, RuleSet, overridden
from .subject import Subject

#: Hostile input could ask for each combination of conditions; so many programs are kept.
MOST = 512
Path = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A program with what may be claimed of its objects; ``private`` are rules of private elements, by path.

    ``released`` are the places whose identifiers the profile keeps by name.
    """

    program: Program
    codes: tuple[str, ...]
    method: str
    private: Mapping[Path, Mapping[Key, Override]]
    released: tuple[Place, ...] = ()


class Chooser(Protocol):
    """What the engine asks for each object."""

    @property
    def private(self) -> bool:
        """Whether private or unknown elements have to be looked at at all."""

    def of(self, subject: Subject) -> Chosen:
        """The program for an object. Raises ``HeldError`` for one that the rules are not for."""

    def strangers(self, subject: Subject, chosen: Chosen) -> Strangers | None:
        """What judges elements that no rule names in one object, None where all of them go."""


class Made:
    """Programs by class, sign of the pixels and conditions that hold; ``make`` makes each when it is first needed."""

    def __init__(self, make: Callable[[str, bool, tuple[int, ...]], Chosen]) -> None:
        self._make = make
        self._made: dict[tuple[str, bool, tuple[int, ...]], Chosen] = {}

    def of(self, subject: Subject, own: tuple[int, ...]) -> Chosen:
        """The program for an object for which these conditions hold; classes that no table knows share one."""
        key = (subject.sop_class if subject.sop_class in reference.types() else "", subject.signed, own)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= MOST:
                self._made.clear()
            found = self._made[key] = self._make(*key)
        return found


class Programs:
    """The programs of one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules, self._index = rules, index(rules)
        self._made = Made(self._make)
        self._strangers = StrangerRules(rules)

    @property
    def private(self) -> bool:
        """Whether private or unknown elements have to be looked at at all."""
        return self._strangers.wanted

    def of(self, subject: Subject) -> Chosen:
        """The program for an object."""
        return self._made.of(subject, active(self._rules.overrides, subject))

    def strangers(self, subject: Subject, chosen: Chosen) -> Strangers | None:
        """What judges elements that no rule names in one object, None where all of them go."""
        if not self._strangers.wanted:
            return None
        declared = declared_safe(subject.scanner, subject.by_tag, subject.dialect)
        return Strangers(self._strangers, subject.scanner, chosen.private, declared)

    def _make(self, sop_class: str, signed: bool, active: tuple[int, ...]) -> Chosen:
        overrides = [self._rules.overrides[at] for at in active]
        everywhere = dict(self._index) | self._laid(one for one in overrides if not one.path)
        paths: dict[Path, dict[int, Rule]] = {}
        for one in overrides:
            for depth in range(1, len(one.path) + 1):
                paths.setdefault(one.path[:depth], {})
            if one.opens:
                self._open(one, everywhere, paths)
        for one in overrides:
            if one.path and not one.creator:
                paths[one.path] |= self._laid([one])
        items = Program(everywhere, sop_class, nested=True, signed=signed)
        top = Program(everywhere, sop_class, nested=False, signed=signed, items=items, paths=paths)
        codes, method = self._rules.claims(active)
        kept = tuple(self._released(overrides, everywhere, paths))
        return Chosen(program=top, codes=codes, method=method, private=private_by_path(overrides), released=kept)

    def _open(self, one: Override, everywhere: Mapping[int, Rule], paths: dict[Path, dict[int, Rule]]) -> None:
        """Enter the sequences that lead to what a rule keeps; what else stands in them is treated as elsewhere."""
        for depth, tag in enumerate(one.path):
            if everywhere[tag].action != "K":
                opened = replace(everywhere[tag], action="K", source=f"holds what rule {one.text} of the profile names")
                paths.setdefault(one.path[:depth], {})[tag] = opened

    def _released(
        self, active: Iterable[Override], everywhere: Mapping[int, Rule], paths: Mapping[Path, Mapping[int, Rule]]
    ) -> Iterator[Place]:
        """Where the profile's own rules keep identifiers."""
        own = [one for one in self._rules.policy.overrides if one.plain]
        named = {tag for one in (*own, *active) if not one.path for tag in one.tags}
        yield from places(everywhere, named, None)
        for path, rules in paths.items():
            yield from places(rules, rules, path)

    def _laid(self, overrides: Iterable[Override]) -> dict[int, Rule]:
        """The rules that overrides make of those of their elements; the last one of an element counts."""
        return {tag: overridden(self._before(tag), one) for one in overrides for tag in one.tags}

    def _before(self, tag: int) -> Rule:
        found = self._index.get(tag)
        if found is not None:
            return found
        vr, keyword, most = reference.known()[tag]
        return Rule(tag=tag, keyword=keyword, vr=vr, action="X", source="", most=most)


def active(overrides: Iterable[Override], subject: Subject) -> tuple[int, ...]:
    """Which of the profile's rules hold in an object, by number."""
    return tuple(at for at, one in enumerate(overrides) if _holds(one, subject))


def private_by_path(overrides: Iterable[Override]) -> dict[Path, dict[Key, Override]]:
    """Rules of private elements, by path; the last one of an element counts."""
    found: dict[Path, dict[Key, Override]] = {}
    for one in overrides:
        if one.creator:
            found.setdefault(one.path, {})[one.creator, one.group, one.number] = one
    return found


def _holds(override: Override, subject: Subject) -> bool:
    """Whether all conditions hold; an element that is missing has no value that could be of a pattern."""
    for tag, patterns in override.when:
        if tag not in subject.by_tag:
            return False
        value = subject.value(tag)
        if not any(holds(pattern, value) for pattern in patterns):
            return False
    return True
