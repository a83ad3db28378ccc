"""Programs of a list: for the top level, for each path that it names, and one that drops all else.

An object of which the list would leave an empty shell is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pacsferry.core.errors import HeldError

from .allowlist_rules import NEEDED, PALETTE, Allowed, opened
from .choose import Chosen, Made, Path, active, private_by_path
from .claims import OWN_RULES
from .policy_rules import Override
from .private import StrangerRules, Strangers
from .program import PIXEL_TAGS, Program
from .released import places
from .rules import Rule, overridden
from .subject import Subject

_PHOTOMETRIC = 0x00280004


class ListPrograms:
    """The programs of one list."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed, self._overrides = allowed, allowed.top.overrides
        self._top = {rule.tag: rule for rule in allowed.top.rules}
        self._elsewhere = {rule.tag: rule for rule in allowed.elsewhere}
        self._paths = {path: {rule.tag: rule for rule in rules} for path, rules in allowed.paths}
        self._strangers = StrangerRules(allowed.top)
        self._made = Made(self._make)

    @property
    def private(self) -> bool:
        """Whether private elements have to be looked at at all: where a rule of the profile names one."""
        return self._strangers.wanted

    def of(self, subject: Subject) -> Chosen:
        """The program for an object. Raises ``HeldError`` for one that the list would empty."""
        own = active(self._overrides, subject)
        _not_a_shell(subject, self._allowed.named | {tag for at in own for tag in opened(self._overrides[at])})
        return self._made.of(subject, own)

    def strangers(self, subject: Subject, chosen: Chosen) -> Strangers | None:
        """What judges private elements; what an object says of its own is not believed, as the list is the rule."""
        return Strangers(self._strangers, subject.scanner, chosen.private, {}) if self._strangers.wanted else None

    def _make(self, sop_class: str, signed: bool, own: Sequence[int]) -> Chosen:
        overrides = [self._overrides[at] for at in own]
        levels: dict[Path, dict[int, Rule]] = {(): dict(self._top), **{p: dict(r) for p, r in self._paths.items()}}
        elsewhere = dict(self._elsewhere)
        for one in sorted(overrides, key=lambda one: bool(one.path)):
            self._lay(one, levels, elsewhere)
        top = levels.pop(())
        items = Program(elsewhere, sop_class, nested=True, signed=signed)
        program = Program(top, sop_class, nested=False, signed=signed, items=items, paths=levels)
        kept = [place for path, rules in {(): top, **levels}.items() for place in places(rules, rules, path)]
        kept += places(elsewhere, [tag for one in overrides if not one.path for tag in one.tags], None)
        method = self._allowed.top.method
        if overrides and OWN_RULES not in method:
            method = f"{method}\\{OWN_RULES}"
        return Chosen(
            program=program, codes=(), method=method, private=private_by_path(overrides), released=tuple(kept)
        )

    def _lay(self, one: Override, levels: dict[Path, dict[int, Rule]], elsewhere: dict[int, Rule]) -> None:
        """Lay one rule over the others, and open the sequences that lead to what it keeps."""
        if not one.path:
            for rules in (*levels.values(), elsewhere):
                rules.update(_laid(one, rules))
            return
        if one.action != "remove":
            for depth, tag in enumerate(one.path):
                self._open(levels.setdefault(one.path[:depth], {}), tag, one)
        there = levels.setdefault(one.path, {})
        there.update(_laid(one, {**self._elsewhere, **there}))

    def _open(self, rules: dict[int, Rule], tag: int, one: Override) -> None:
        """Enter a sequence that nothing kept; the rest of what stands in it still goes."""
        before = rules.get(tag) or self._elsewhere[tag]
        if before.action != "K":
            rules[tag] = replace(before, action="K", source=f"holds what rule {one.text} of the profile names")


def _laid(one: Override, rules: dict[int, Rule]) -> dict[int, Rule]:
    return {tag: overridden(rules[tag], one) for tag in one.tags if tag in rules}


def _not_a_shell(subject: Subject, named: Iterable[int]) -> None:
    """Whether something is left that means what the object meant."""
    named = frozenset(named)
    if not any(tag in subject.by_tag for tag in PIXEL_TAGS):
        raise HeldError("the object has no pixels, and a list would make an empty shell of it", code="sop-class")
    for tag, what in NEEDED.items():
        if tag in subject.by_tag and tag not in named:
            raise HeldError(f"the list names nothing in the {what}", code="sop-class")
    if subject.ascii(_PHOTOMETRIC) == "PALETTE COLOR" and not PALETTE & named:
        raise HeldError("the list does not name the palette of the image", code="sop-class")
