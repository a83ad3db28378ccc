"""Turn rules into steps: what the splice engine does on meeting a tag, looked up once and kept."""

from __future__ import annotations

import enum
import struct
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from pacsferry.core.encoding import LONG_VRS, UNDEFINED

from . import reference
from .rules import TEMPORAL_VRS, TEXT_VRS, WRITTEN, Rule, RuleSet, resolve, type_of


class Op(enum.IntEnum):
    """What to do; those up to ``UIDS`` may leave an element as it stands when it is written canonically already."""

    BYTES = 0
    TEXT = 1
    CODE = 2
    NUMBER = 3
    STRUCTURAL = 4
    CODED = 5
    DROP = 6
    LOOK = 7
    FIXED = 8
    REMAP = 9
    ENTER = 10
    DUMMIES = 11
    PSEUDONYM = 12
    PIXELS = 13
    DATE = 14
    AGE = 15


#: The last operation that may copy.
LAST_COPY = Op.STRUCTURAL


class Step(NamedTuple):
    """One operation. ``head`` is the element's header up to its length, ``fixed`` the whole element if it is constant.

    ``needle`` names the keyword under which an original value is looked for in the output; ``unit`` is the size in
    bytes of one value of a binary VR, ``most`` of all that PS3.6 allows. ``spare`` is the element that is written where
    a value cannot be kept ("" for none), ``moves`` whether a date is moved by the patient's shift.
    """

    op: Op
    vr: bytes
    head: bytes
    fixed: bytes
    needle: str
    unit: int
    most: int
    fixed_text: int
    spare: bytes = b""
    moves: bool = False

    @property
    def tag(self) -> int:
        """The tag of the element that is written."""
        return int.from_bytes(self.head[:2], "little") << 16 | int.from_bytes(self.head[2:4], "little")


UNITS = {
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OF", b"OL"), 4),
    **dict.fromkeys((b"FD", b"SV", b"UV", b"OD", b"OV"), 8),
}
STRINGS = frozenset(
    {
        b"AE",
        b"AS",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"ST",
        b"TM",
        b"UC",
        b"UI",
        b"UR",
        b"UT",
    }
)
#: VRs that may stand for each other without a change of their bytes.
_LIKE = (
    STRINGS,
    frozenset({b"US", b"SS", b"OW"}),
    frozenset({b"OB", b"OW"}),
    frozenset({b"UL", b"SL", b"OL"}),
    frozenset({b"UV", b"SV", b"OV"}),
    frozenset({b"FL", b"OF"}),
    frozenset({b"FD", b"OD"}),
)
#: TimezoneOffsetFromUTC is of dates, though its VR is SH.
_ZONE = 0x00080201
#: So many tags that no rule names a program remembers.
_REMEMBERED = 8192
PIXEL_TAGS = {0x7FE00008: 4, 0x7FE00009: 8, 0x7FE00010: 0}

DUMMY_WORD = b"REMOVED"
DUMMIES = {
    **dict.fromkeys(TEXT_VRS | {"CS"}, DUMMY_WORD),
    "UR": b"urn:removed",
    "AS": b"000Y",
    "DA": b"19000101",
    "DT": b"19000101000000",
    "TM": b"000000",
    "DS": b"0",
    "IS": b"0",
    "OB": b"\0\0",
    "UN": b"\0\0",
}


def alike(declared: bytes, canonical: bytes) -> bool:
    """Whether a value declared as one VR can be read as the other; UN and no VR can be read as any (PS3.5 6.2.2)."""
    if declared in {b"", b"UN", canonical}:
        return True
    return any(declared in group and canonical in group for group in _LIKE)


def padded(value: bytes, vr: bytes) -> bytes:
    """Without insignificant padding, and of even length (PS3.5 6.2): NUL after UIDs and bytes, else a space."""
    if vr in STRINGS:
        value = value.rstrip(b" \0")
    return value + (b"\0" if vr not in STRINGS or vr == b"UI" else b" ") * (len(value) & 1)


def head_of(tag: int, vr: bytes) -> bytes:
    """Tag and VR as they are written in Explicit VR Little Endian, without the length."""
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + (b"\0\0" if vr in LONG_VRS else b"")


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """A whole element in Explicit VR Little Endian; a value too long for its VR becomes UN (PS3.5 6.2.2)."""
    value = padded(value, vr)
    if vr in LONG_VRS:
        return head_of(tag, vr) + struct.pack("<I", len(value)) + value
    if len(value) > 0xFFFE:
        return head_of(tag, b"UN") + struct.pack("<I", len(value)) + value
    return head_of(tag, vr) + struct.pack("<H", len(value)) + value


class Program(dict[int, "Step | None"]):
    """Tag to step for one SOP class, at the top level or below it; a step is made when its tag is first met.

    ``items`` is the program of any item below. ``paths`` has rules that hold in the items of one sequence only, by the
    tags that lead there from the top level (with an entry for each sequence on the way); they stand over the others.
    """

    def __init__(
        self,
        rules: Mapping[int, Rule],
        sop_class: str,
        *,
        nested: bool,
        signed: bool,
        items: Program | None = None,
        paths: Mapping[tuple[int, ...], Mapping[int, Rule]] | None = None,
        path: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self._rules, self._class, self._nested = rules, sop_class, nested
        self._sign, self._signed = signed, b"SS" if signed else b"US"
        self._items, self._paths, self._path = items, paths or {}, path
        self._here = self._paths.get(path, {})
        self._below: dict[int, Program] = {}
        #: What ``private.Strangers`` remembers of levels with private elements.
        self.levels: dict[Hashable, dict[int, Step]] = {}
        self._strangers: dict[tuple[int, str, int, str], Step] = {}

    @property
    def rules(self) -> Mapping[int, Rule]:
        """What holds at every path that no rule names."""
        return self._rules

    @property
    def path(self) -> tuple[int, ...]:
        """The sequences that lead here, where rules name this path; else ()."""
        return self._path

    def within(self, tag: int) -> Program:
        """The program for the items of a sequence: one of its own where rules name its path, else that of any item."""
        if self._items is None:
            return self
        found = self._below.get(tag)
        if found is None:
            path = (*self._path, tag)
            found = self._items
            if path in self._paths:
                found = Program(
                    self._items.rules,
                    self._class,
                    nested=True,
                    signed=self._sign,
                    items=self._items,
                    paths=self._paths,
                    path=path,
                )
            self._below[tag] = found
        return found

    def __missing__(self, tag: int) -> Step | None:
        rule = self.rule(tag)
        if rule is None:
            # There may be as many tags without a rule as the sender likes, so only some are remembered.
            if len(self) < _REMEMBERED:
                self[tag] = None
            return None
        step = self[tag] = self.step(rule)
        return step

    def stranger(self, tag: int, vr: str, most: int, action: str) -> Step:
        """A step for an element that no rule names by its tag; some are remembered, however many a sender likes."""
        key = (tag, vr, most, action)
        step = self._strangers.get(key)
        if step is None:
            if len(self._strangers) >= _REMEMBERED:
                self._strangers.clear()
            rule = Rule(tag=tag, keyword="", vr=vr, action=action, source="", most=most)
            step = self._strangers[key] = self.step(rule)
        return step

    def rule(self, tag: int) -> Rule | None:
        """The rule that holds for a tag here, None where nothing names it."""
        return self._here.get(tag) or self._rules.get(tag)

    def _vr(self, vr: str) -> bytes:
        return {"XS": self._signed, "OX": b"OW"}.get(vr, vr.encode())

    def step(self, rule: Rule) -> Step:
        """What the engine does by a rule."""
        vr = self._vr(rule.vr)
        op, fixed, text = self._op(rule, vr)
        return Step(
            op=op,
            vr=vr,
            head=head_of(rule.tag, vr),
            fixed=fixed,
            needle=rule.keyword if rule.vr in {"PN", "UI"} or rule.tag in reference.needles() else "",
            unit=UNITS.get(vr, 1),
            most=_most(rule, vr),
            fixed_text=text,
            spare=self._spare(rule, vr) if op in {Op.DATE, Op.AGE} else b"",
            moves=rule.action == "S",
        )

    def _spare(self, rule: Rule, vr: bytes) -> bytes:
        """What stands for a date or age that is none: nothing, an empty element or a dummy, as without the option."""
        action = self._resolved(rule.spare, rule.tag)
        return element(rule.tag, vr, _dummy(rule.vr, vr) if action == "D" else b"") if action in {"Z", "D"} else b""

    def _op(self, rule: Rule, vr: bytes) -> tuple[Op, bytes, int]:
        """Operation, constant element, and how many bytes at its end are text."""
        action = self._resolved(rule.action, rule.tag)
        if action in {"Z", "D", "V"} and (action, vr) != ("D", b"SQ"):
            value = {"Z": b"", "V": rule.value.encode("ascii")}.get(action, _dummy(rule.vr, vr))
            return Op.FIXED, element(rule.tag, vr, value), len(padded(value, vr)) if vr in STRINGS else 0
        return self._plain(action, rule, vr), b"", 0

    def _plain(self, action: str, rule: Rule, vr: bytes) -> Op:
        if action == "K":
            return self._keep(rule, vr)
        if action == "S":
            return Op.DATE
        if action == "P" and (self._nested or rule.tag not in WRITTEN):
            return Op.PSEUDONYM
        return {"U*": Op.ENTER, "U": Op.REMAP, "D": Op.DUMMIES}.get(action) or self._drop(rule)

    def _resolved(self, action: str, tag: int) -> str:
        """Compound actions by the type in the IOD; where types are not known, below the top level, what stays valid."""
        return resolve(action, None if self._nested else type_of(tag, self._class)) if "/" in action else action

    def _drop(self, rule: Rule) -> Op:
        looked_at = rule.vr in {"PN", "SQ"} or rule.tag in reference.needles()
        looked_at |= rule.vr == "UI" and rule.tag not in reference.roles()
        return Op.LOOK if looked_at else Op.DROP

    def _keep(self, rule: Rule, vr: bytes) -> Op:
        if rule.tag in PIXEL_TAGS:
            # Pixels below the top level belong to icons, and those are removed.
            return Op.DROP if self._nested else Op.PIXELS
        if vr == b"SQ":
            return Op.ENTER
        if rule.vr in TEMPORAL_VRS or rule.tag == _ZONE:
            return Op.DATE
        if rule.vr in TEXT_VRS:
            if rule.where in {"item", "code"} and not self._nested:
                return Op.DROP
            return Op.CODED if rule.where in {"code", "term"} else Op.TEXT
        return {"CS": Op.CODE, "AS": Op.AGE, "DS": Op.NUMBER, "IS": Op.NUMBER, "UI": Op.STRUCTURAL}.get(
            rule.vr, Op.BYTES
        )


def _dummy(vr: str, written: bytes) -> bytes:
    return DUMMIES.get(vr, bytes(UNITS.get(written, 0)))


def _most(rule: Rule, vr: bytes) -> int:
    """Bytes of the greatest number of values; a number that takes more room could be text in disguise."""
    if vr not in UNITS or vr[:1] == b"O" or not rule.most:
        return UNDEFINED
    # An AT is two numbers of 16 bits.
    return rule.most * (4 if vr == b"AT" else UNITS[vr])


def index(rules: RuleSet) -> dict[int, Rule]:
    """Tag to rule."""
    return {rule.tag: rule for rule in rules.rules}
