"""What becomes of elements that no rule names by its tag: private ones, block by block, and unknown ones.

A creator counts only where it is exactly one of the rules': the text of a creator can hold anything (PS3.15 E.3.10).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Literal

from pacsferry.core.encoding import SHORT_VRS, Dialect

from . import reference
from .policy_rules import Override
from .program import Program, Step
from .rules import TEMPORAL_VRS, PrivateRule, RuleSet, by_vr
from .scan import Element, Scanner

#: Creator, group and element within the block.
Key = tuple[str, int, int]
_CHARACTERISTICS = 0x00080300
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_KNOWN_VRS = _LONG | {vr.decode() for vr in SHORT_VRS if vr.strip(b"?")}
#: Groups that are never part of an image, or that are removed whole (PS3.5 7.1, PS3.15 E.1-1).
_NEVER = frozenset({0x0000, 0x0002, 0x0004, 0xFFFA, 0xFFFC, 0xFFFE})
#: So many levels are remembered, of fewer than so many private elements.
_MOST, _MANY = 256, 512
_BLOBS = frozenset({"OB", "UN"})


class StrangerRules:
    """The rules of private and unknown elements, for a worker's life."""

    def __init__(self, rules: RuleSet) -> None:
        self._listed: dict[Key, PrivateRule] = {(one.creator, one.group, one.number): one for one in rules.private}
        self._creators = {one.creator for one in rules.private} | {one.creator for one in rules.overrides} - {""}
        self._wish, self._moves = dict(rules.strangers), rules.shifts is not None
        self._kinds = {**rules.policy.unlisted, "text": "keep", "unknown": "keep"}
        self.wanted = (
            bool(rules.private) or "keep" in self._wish.values() or any(one.creator for one in rules.overrides)
        )

    @property
    def unknown_kept(self) -> bool:
        """Whether elements that PS3.6 does not have are kept."""
        return self._wish.get("unknown") == "keep"

    def known(self, creator: str) -> bool:
        """Whether some element of a creator is known to be safe, or named by a rule of the profile."""
        return creator in self._creators

    def rule(self, key: Key, vr: str, declared: Mapping[Key, bool]) -> tuple[str, str, int]:
        """VR, action and most values for a private element; action "" where nothing is known of it."""
        listed = self._listed.get(key)
        if listed is not None:
            return listed.vr, listed.action, listed.most
        if (key in declared or (key[0], key[1], -1) in declared) and vr not in _BLOBS:
            return vr, self.by_vr(vr), 0
        return vr, self.by_vr(vr) if self._wish.get("private") == "keep" else "", 0

    def source(self, key: Key, declared: Mapping[Key, bool]) -> str:
        """Why a private element stays that no rule of the profile names."""
        if key in self._listed:
            return self._listed[key].source
        said = key in declared or (key[0], key[1], -1) in declared
        return "the object calls it safe in (0008,0300)" if said else "the profile keeps private elements"

    def by_vr(self, vr: str) -> str:
        """The action for an element of which only the VR is known."""
        return by_vr(0, vr, self._kinds)[0]

    def kept(self, vr: str) -> str:
        """The action for an element that a rule of the profile keeps: a date stays where none is moved."""
        action = self.by_vr(vr)
        return "K" if action == "X" and vr in TEMPORAL_VRS and not self._moves else action


class Strangers:
    """The same for one object. ``own`` are rules of the profile, by path; ``declared`` what (0008,0300) calls safe."""

    def __init__(
        self,
        rules: StrangerRules,
        scanner: Scanner,
        own: Mapping[tuple[int, ...], Mapping[Key, Override]],
        declared: Mapping[Key, bool],
    ) -> None:
        self._rules, self._scanner, self._own, self._declared = rules, scanner, own, declared
        #: How many sequences were looked into: what becomes of these depends on what is in them.
        self._entered = 0

    def steps(self, elements: list[Element], dialect: Dialect, depth: int, program: Program) -> dict[int, Step]:
        """A step for each element of one level that stays although no rule names its tag."""
        private = [one for one in elements if one[0] & 0x10000]
        found = self._blocks(private, dialect, depth, program) if private else {}
        if self._rules.unknown_kept:
            found = dict(found)
            for one in elements:
                if not one[0] & 0x10000 and _unknown(one[0]):
                    vr = _vr_of(one)
                    found[one[0]] = program.stranger(one[0], vr, 0, self._rules.by_vr(vr))
        return found

    def _blocks(self, private: list[Element], dialect: Dialect, depth: int, program: Program) -> dict[int, Step]:
        """A step for each private element that stays; images of a series have the same, so these are remembered."""
        creators = self.creators(private)
        key: Hashable = None
        if not self._declared:
            key = (tuple([(one[0], one[1], one[5]) for one in private]), tuple(creators.values()))
            if (known := program.levels.get(key)) is not None:
                return known
        found: dict[int, Step] = {}
        entered = self._entered
        for one in private:
            tag = one[0]
            block = tag & 0xFFFF0000 | (tag >> 8 & 0xFF)
            creator = creators.get(block)
            if creator and (tag & 0xFFFF) > 0xFF and (step := self._private(one, creator, dialect, depth, program)):
                found[tag] = step
                found.setdefault(block, program.stranger(block, "LO", 0, "K"))
        if key is not None and len(private) < _MANY and entered == self._entered:
            if len(program.levels) >= _MOST:
                program.levels.clear()
            program.levels[key] = found
        return found

    def creators(self, private: Iterable[Element]) -> dict[int, str]:
        """Group and block to creator, of this very level (PS3.5 7.8.1)."""
        data = self._scanner.data
        return {
            tag: bytes(data[value:end]).decode("latin-1").strip(" \0")
            for tag, vr, _, value, end, undefined in private
            if 0x10 <= tag & 0xFFFF <= 0xFF and vr in {b"LO", b"UN", b""} and not undefined
        }

    def why(self, one: Element, creator: str, path: tuple[int, ...]) -> tuple[str, str]:
        """Action and reason for a private element of a creator at a path; "" and "" where nothing names it."""
        key = (creator, one[0] >> 16, one[0] & 0xFF)
        own = self._rule_of(key, path)
        vr, action, _ = self._rules.rule(key, _vr_of(one), self._declared)
        if own is not None:
            return own.letter if own.action != "keep" else action or self._rules.kept(
                vr
            ), f"rule {own.text} of the profile"
        if vr == "SQ":
            return "K", "holds a private element that stays"
        return action, self._rules.source(key, self._declared) if action else ""

    def _rule_of(self, key: Key, path: tuple[int, ...]) -> Override | None:
        """The profile's own rule for a private element; one with a path stands over one without."""
        return self._own.get(path, {}).get(key) or self._own.get((), {}).get(key)

    def _private(self, one: Element, creator: str, dialect: Dialect, depth: int, program: Program) -> Step | None:
        tag, vr = one[0], _vr_of(one)
        key = (creator, tag >> 16, tag & 0xFF)
        own = self._rule_of(key, program.path)
        vr, action, most = self._rules.rule(key, vr, self._declared)
        if own is not None:
            action = own.letter if own.action != "keep" else action or self._rules.kept(vr)
        elif vr == "SQ" and (action or self._rules.known(creator)):
            # What stands in it is judged piece by piece, known sequence or not; an empty shell is not kept.
            action = "K" if self._worth(one, dialect, depth, program) else ""
        if action in {"", "X"}:
            return None
        return program.stranger(tag, vr, most, action)

    def _worth(self, one: Element, dialect: Dialect, depth: int, program: Program) -> bool:
        """Whether any private element in a private sequence stays."""
        self._entered += 1
        within = self._scanner.dialect_within(one, dialect)
        below = program.within(one[0])
        for start, end in self._scanner.items(one, within):
            elements = self._scanner.elements(start, end, within, depth + 1)
            if any(tag & 0x10000 for tag in self.steps(elements, within, depth + 1, below)):
                return True
        return False


def _vr_of(one: Element) -> str:
    """The VR that an element declares; undefined length makes a sequence (PS3.5 6.2.2)."""
    vr = one[1].decode("latin-1")
    if one[5] and vr in {"", "UN"}:
        return "SQ"
    return vr if vr in _KNOWN_VRS else "UN"


def _unknown(tag: int) -> bool:
    group = tag >> 16
    repeating = group & 0xFF00 in {0x5000, 0x6000} and not group & 1 and group & 0xFF < 0x20
    return bool(tag & 0xFFFF) and group not in _NEVER and not repeating and tag not in reference.elements()


def declared_safe(scanner: Scanner, by_tag: Mapping[int, Element], dialect: Dialect) -> dict[Key, bool]:
    """Blocks (number -1) and elements that the object itself calls free of identity (PS3.3 C.12.1.1.7)."""
    found = by_tag.get(_CHARACTERISTICS)
    safe: dict[Key, bool] = {}
    if found is None or found[1] not in {b"SQ", b"UN", b""}:
        return safe
    within = scanner.dialect_within(found, dialect)
    order: Literal["big", "little"] = "big" if within.order == ">" else "little"
    for start, end in scanner.items(found, within):
        item = scanner.elements(start, end, within, 1)
        values = {tag: bytes(scanner.data[value:stop]) for tag, _, _, value, stop, _ in item}
        group = int.from_bytes(values.get(0x00080301, b"")[:2], order)
        creator = values.get(0x00080302, b"").decode("latin-1").strip(" \0")
        status = values.get(0x00080303, b"").strip(b" \0")
        if status == b"SAFE":
            safe[creator, group, -1] = True
        if status == b"MIXED":
            numbers = values.get(0x00080304, b"")
            for at in range(0, len(numbers) - 1, 2):
                safe[creator, group, int.from_bytes(numbers[at : at + 2], order) & 0xFF] = True
    return safe
