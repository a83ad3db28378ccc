"""Tell what became of each element of one object: what came beside what would go out. Never shows a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pacsferry.core.encoding import EXPLICIT, IMPLICIT, UNDEFINED, Dialect, header, skip
from pacsferry.core.model import Draft

from . import reference
from .private import Strangers
from .program import PIXEL_TAGS, Op, Program
from .rules import Limits, Rule
from .scan import Element, Scanner
from .subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One element: what happens to it, because of which rule, and what happens in the items of a sequence.

    ``items`` has the first and last number of items to which the same happens, and what that is.
    """

    tag: int
    keyword: str
    vr: str
    happens: str
    because: str
    items: tuple[tuple[int, int, tuple[Told, ...]], ...] = ()


#: What a removed tag without a rule is: mask, value, reason.
_FAMILIES = (
    (0x00010000, 0x00010000, "private, and not on a list of what is safe"),
    (0x0000FFFF, 0x00000000, "group length"),
    (0xFF000000, 0x50000000, "PS3.15 E.1-1: curves"),
    (0xFF000000, 0x60000000, "PS3.15 E.1-1: overlays"),
    (0xFFFF0000, 0xFFFA0000, "digital signatures"),
    (0xFFFF0000, 0xFFFC0000, "padding"),
    (0xFFFF0000, 0x00000000, "belongs to messages"),
    (0xFFFF0000, 0x00040000, "belongs to media directories"),
)
#: Operations that pass a value on if it is what its VR says.
_PASSING = frozenset({Op.BYTES, Op.TEXT, Op.CODE, Op.NUMBER, Op.STRUCTURAL, Op.CODED})
_NO_ITEMS = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV"})


def explained(
    subject: Subject, draft: Draft, program: Program, limits: Limits, strangers: Strangers | None
) -> tuple[Told, ...]:
    """Every element of the top level, and of items below; ``draft`` is what was made of ``subject``.

    ``strangers`` says why private elements stay, None where all of them go.
    """
    before = _Side(subject.scanner.data, subject.dialect, limits)
    start, written = _data_set(draft)
    after = _Side(written, EXPLICIT, limits)
    pair = _Pair(before, after, strangers)
    return tuple(pair.level(before.top(0), after.top(start), program))


def _data_set(draft: Draft) -> tuple[int, memoryview]:
    """The draft in one piece, and where its data set begins: behind the file meta information (PS3.10 7.1)."""
    whole = memoryview(b"".join(bytes(part) for part in draft.parts))
    _, _, size, value = header(whole, 132, EXPLICIT)
    return value + size + int.from_bytes(whole[value : value + size], "little"), whole


class _Side:
    """One of the two data sets. Both have been read once already, so nothing here has to doubt their form."""

    def __init__(self, data: memoryview, dialect: Dialect, limits: Limits) -> None:
        self.data, self.dialect = data, dialect
        self._scanner = Scanner(data, limits)

    def top(self, start: int) -> list[Element]:
        return self._elements(start, len(self.data), self.dialect)

    def _elements(self, pos: int, end: int, dialect: Dialect) -> list[Element]:
        """All elements, private ones too, in the order of their tags."""
        found: list[Element] = []
        while end - pos >= 8 and any(self.data[pos : pos + 8]):
            tag, vr, length, value = header(self.data, pos, dialect)
            undefined = length == UNDEFINED
            stop = value + length
            if undefined:
                stop = skip(self.data, value, end, IMPLICIT if vr == b"UN" else dialect)
            found.append((tag, vr, pos, value, stop, undefined))
            pos = stop
        return sorted(found, key=lambda one: one[0])

    def items(self, one: Element, dialect: Dialect) -> list[tuple[list[Element], Dialect]]:
        """The elements of each item, and how they are encoded."""
        within = self._scanner.dialect_within(one, dialect)
        return [(self._elements(start, end, within), within) for start, end in self._scanner.items(one, within)]


class _Pair:
    """What came beside what goes out."""

    def __init__(self, before: _Side, after: _Side, strangers: Strangers | None) -> None:
        self._before, self._after, self._strangers = before, after, strangers

    def level(
        self,
        came: list[Element],
        goes: list[Element],
        program: Program,
        dialect: Dialect | None = None,
        *,
        dummies: bool = False,
    ) -> Iterator[Told]:
        """Elements that came, with their fate, and those that we add; ``dummies`` in a sequence of dummies."""
        out = {one[0]: one for one in goes}
        own = {one[0]: one for one in came}
        strange = self._strange(came, goes, program)
        for tag in sorted(out.keys() | own.keys()):
            if tag not in own:
                yield _told(tag, out[tag], "written", _because(program.rule(tag), tag))
            elif tag in strange:
                yield self._stranger(own[tag], out.get(tag), program, dialect or self._before.dialect, *strange[tag])
            else:
                yield self._one(own[tag], out.get(tag), program, dialect or self._before.dialect, dummies=dummies)

    def _strange(self, came: list[Element], goes: list[Element], program: Program) -> dict[int, tuple[str, str]]:
        """Action and reason for private elements of which something is known, and for creators that stay."""
        private = [one for one in came if one[0] & 0x10000]
        if self._strangers is None or not private:
            return {}
        creators = self._strangers.creators(private)
        stay = {one[0] for one in goes}
        found = {tag: ("K", _CREATOR) for tag in creators if tag in stay}
        for one in private:
            creator = creators.get(one[0] & 0xFFFF0000 | (one[0] >> 8 & 0xFF))
            if creator and one[0] & 0xFFFF > 0xFF:
                action, because = self._strangers.why(one, creator, program.path)
                if because and (action != "K" or one[0] in stay):
                    found[one[0]] = (action, because)
        return found

    def _stranger(
        self, came: Element, goes: Element | None, program: Program, dialect: Dialect, action: str, because: str
    ) -> Told:
        if goes is None:
            return _told(came[0], came, "removed", because)
        if goes[1] == b"SQ" and came[1] not in _NO_ITEMS:
            return self._sequence(came, goes, program, dialect, because, dummies=False)
        before, after = self._value(self._before, came), self._value(self._after, goes)
        if before and not after:
            return _told(came[0], goes, "emptied", because)
        same = before == after or (dialect.order == ">" and goes[1] not in _TEXTUAL)
        return _told(came[0], goes, "kept" if same else _CHANGES.get(action, "made right"), because)

    def _one(self, came: Element, goes: Element | None, program: Program, dialect: Dialect, *, dummies: bool) -> Told:
        tag = came[0]
        rule, step = program.rule(tag), program[tag]
        because = _because(rule, tag)
        op = step.op if step is not None else None
        if goes is None:
            return _told(tag, came, "removed", because + (_ODD if op in _PASSING else ""))
        if goes[1] == b"SQ" and came[1] not in _NO_ITEMS:
            return self._sequence(came, goes, program, dialect, because, dummies=dummies or op is Op.DUMMIES)
        before, after = self._value(self._before, came), self._value(self._after, goes)
        if not after and before:
            return _told(tag, goes, "emptied", because + (_ODD if op in _PASSING else ""))
        swapped = dialect.order == ">" and goes[1] not in _TEXTUAL
        if before == after or swapped or tag in PIXEL_TAGS:
            return _told(tag, goes, "kept", because)
        if dummies and rule is not None and rule.action == "K":
            return _told(tag, goes, "dummy", _DUMMIES)
        return _told(tag, goes, _changed(op, rule), because + _unpublished(op, rule))

    def _value(self, side: _Side, one: Element) -> bytes:
        return bytes(side.data[one[3] : one[4]]).rstrip(b" \0")

    def _sequence(
        self, came: Element, goes: Element, program: Program, dialect: Dialect, because: str, *, dummies: bool
    ) -> Told:
        below = program.within(came[0])
        after = self._after.items(goes, EXPLICIT)
        before = self._before.items(came, dialect) if after else []
        told = [
            tuple(self.level(own, out, below, within, dummies=dummies))
            for (own, within), (out, _) in zip(before, after, strict=False)
        ]
        happens = "items kept" if told else "kept" if not self._value(self._before, came) else "emptied"
        return _told(came[0], goes, happens, because, tuple(_grouped(told)))


#: Why a value does not pass although its element is kept.
_ODD = "; the value is not what its element may hold"
_CREATOR = "names the creator of private elements that stay"
_LOCAL = "; of this scheme nobody knows that it is published"
_NO_TERM = "; the value is none of them"
_DUMMIES = "in a sequence whose words are replaced by dummies"
_TEXTUAL = frozenset(
    {b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM", b"UC", b"UI", b"UR"}
    | {b"UT", b"OB", b"UN"}
)
#: What an action makes of a value that is another one afterwards.
_CHANGES = {"P": "pseudonym", "U": "new UID", "S": "shifted", "W": "written", "H": "written", "V": "written"}


def _changed(op: Op | None, rule: Rule | None) -> str:
    """How a value that is there differs from the one that came."""
    action = rule.action if rule else ""
    if op is Op.REMAP:
        return "new UID"
    dummy = op in {Op.FIXED, Op.CODED, Op.DUMMIES}
    return _CHANGES.get(action, "dummy" if dummy else "made right")


def _unpublished(op: Op | None, rule: Rule | None) -> str:
    """Why words did not pass that would if somebody had published them."""
    if op is not Op.CODED or rule is None:
        return ""
    return _NO_TERM if rule.where == "term" else _LOCAL


def _told(
    tag: int, one: Element, happens: str, because: str, items: tuple[tuple[int, int, tuple[Told, ...]], ...] = ()
) -> Told:
    vr, keyword, _ = reference.elements().get(tag, ("", "", 0))
    found = one[1].decode("ascii") if one[1].isalpha() else {"XS": "US", "OX": "OW"}.get(vr, vr)
    return Told(tag=tag, keyword=keyword, vr=found, happens=happens, because=because, items=items)


def _because(rule: Rule | None, tag: int) -> str:
    """The rule behind it, in the words of the table that made it."""
    if rule is None:
        return next((why for mask, value, why in _FAMILIES if tag & mask == value), "not in PS3.6")
    return f"{rule.source} ({rule.action})" if rule.source.startswith("PS3.15") else rule.source


def _grouped(told: list[tuple[Told, ...]]) -> Iterator[tuple[int, int, tuple[Told, ...]]]:
    """Neighbouring items to which the same happens, as one."""
    first = 0
    for at in range(1, len(told) + 1):
        if at == len(told) or told[at] != told[first]:
            yield first + 1, at, told[first]
            first = at
