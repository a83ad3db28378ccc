"""Remembers the headers of a few objects, because the next of a series is nearly the same, byte for byte.

It recalls where elements stand, and what became of those that are the same; what it has not compared it does not know.
A layout holds identified bytes, so it stays in the worker that read them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise, takewhile

from pacsferry.core.encoding import Dialect

from .needles import Haul
from .program import PIXEL_TAGS, Op, Program
from .scan import Element
from .writer import Writer

#: How many layouts are remembered, and in each how many bytes, how large a value, and how many sets of stretches.
LAYOUTS, MOST_BYTES, LARGEST, MOST_STRETCHES = 32, 1 << 18, 4096, 8
#: From this share of elements that differ on, two objects have nothing to do with each other.
_STRANGE = 3
_BIRTH, _SAFE_PRIVATE = 0x00100030, 0x00080300
#: An element that we write: its tag and its bytes.
Ours = tuple[int, bytes]
END: Ours = (1 << 32, b"")


@dataclass(slots=True, kw_only=True)
class Done:
    """What came of a stretch of elements: header bytes with spans counted from the first, and what was noted.

    ``count`` is how many elements had to be looked at below the top level.
    """

    writer: Writer = field(default_factory=Writer)
    haul: Haul = field(default_factory=Haul)
    references: dict[str, None] = field(default_factory=dict)
    days: set[bytes] = field(default_factory=set)
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Elements of the top level that follow each other, and ours that stand before, between or behind them.

    ``done`` is what came of them in another object, None where they may differ.
    """

    elements: list[Element]
    ours: list[Ours]
    done: Done | None = None


class Layout:
    """Where the first elements of an object stand, in objects of which only the values of some differ.

    ``elements`` are those that the rules are asked about, ``gaps`` the tags of all elements that may differ. It ends
    before the first value that is large, or differs and has no length.
    """

    def __init__(
        self, head: bytes, every: Sequence[Element], elements: Sequence[Element], gaps: frozenset[int]
    ) -> None:
        self.gaps, self.size = gaps, len(head)
        self.every = [one for one in every if one[4] <= self.size]
        self.elements = [one for one in elements if one[4] <= self.size]
        #: The greatest tag, which all that follow have to exceed.
        self.last = max((one[0] for one in every if one[4] <= self.size), default=-1)
        self._same = list(_between(head, [one for one in self.every if one[0] in gaps]))
        #: Whether what is settled by private elements, and by what an object says of them, is the same in all.
        self.private_settled = not any(_settles(one) for one in every if one[0] in gaps)
        self._stretches: dict[Hashable, tuple[Program, tuple[Stretch, ...]]] = {}

    def recalled(self, program: Program, what: Hashable) -> tuple[Stretch, ...] | None:
        """The stretches of an object for which all is the same that decides besides bytes; None for the first one."""
        found = self._stretches.get(what)
        return found[1] if found is not None and found[0] is program else None

    def note(self, program: Program, what: Hashable, stretches: tuple[Stretch, ...]) -> None:
        """Keep what came of the stretches of an object that was good."""
        if len(self._stretches) >= MOST_STRETCHES:
            self._stretches.clear()
        self._stretches[what] = program, stretches

    def fits(self, head: bytes) -> bool:
        """Whether an object that begins like this has the same elements in the same places."""
        return len(head) >= self.size and all(head.startswith(same, at) for at, same in self._same)

    def divided(self, elements: Sequence[Element], ours: Sequence[Ours], program: Program) -> Iterator[Stretch]:
        """The elements that it covers: those that are always the same together, each of the others alone."""
        coming = deque(ours)
        covered = (one for one in elements if one[4] <= self.size)
        for apart, group in groupby(covered, lambda one: one[0] in self.gaps or _is_apart(one[0], program)):
            for part in ([one] for one in group) if apart else [list(group)]:
                before = []
                while coming and coming[0][0] <= part[-1][0]:
                    before.append(coming.popleft())
                yield Stretch(elements=part, ours=before, done=None if apart else Done())


def _settles(one: Element) -> bool:
    """Whether it names a private block, or is a sequence of which the content decides, or says what is safe."""
    tag, vr = one[0], one[1]
    creator = tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF
    return bool(creator or (tag & 0x10000 and vr in {b"SQ", b"UN", b""})) or tag == _SAFE_PRIVATE


def _is_apart(tag: int, program: Program) -> bool:
    """Whether what becomes of an element depends on others, or is no part of the header."""
    step = program[tag]
    return tag in PIXEL_TAGS or tag == _BIRTH or (step is not None and step.op is Op.CODED)


def _between(head: bytes, gaps: Sequence[Element]) -> Iterator[tuple[int, bytes]]:
    """All bytes but the values of ``gaps``, with their places."""
    start = 0
    for one in gaps:
        yield start, head[start : one[3]]
        start = one[4]
    yield start, head[start:]


@dataclass(slots=True, eq=False)
class _Known:
    """An object that was met: its first bytes and elements, and its layout once another had the same elements."""

    dialect: Dialect
    head: bytes
    elements: list[Element]
    layout: Layout | None = None


class Memory:
    """The objects that were met last, newest first."""

    def __init__(self) -> None:
        self._known: list[_Known] = []
        self._longest = 0

    def find(self, data: memoryview, dialect: Dialect) -> Layout | None:
        """The layout of an object's first elements, None where it is not known."""
        if not self._longest:
            return None
        head = bytes(data[: self._longest])
        for at, one in enumerate(self._known):
            if one.layout is not None and one.dialect is dialect and one.layout.fits(head):
                if at:
                    self._known.insert(0, self._known.pop(at))
                return one.layout
        return None

    def learn(
        self, data: memoryview, dialect: Dialect, elements: Sequence[Element], every: Callable[[], list[Element]]
    ) -> None:
        """Note an object whose layout was not known. ``every`` finds all of its elements, also those passed over."""
        first = list(takewhile(_is_small, elements))
        if not first:
            return
        new = _Known(dialect, bytes(data[: first[-1][4]]), first)
        for at, one in enumerate(self._known):
            if one.dialect is dialect and one.elements == first:
                new.layout = _layout(self._known.pop(at), new, every())
                break
        self._known = [new, *self._known[: LAYOUTS - 1]]
        self._longest = max((one.layout.size for one in self._known if one.layout is not None), default=0)


def _is_small(one: Element) -> bool:
    return one[4] - one[3] <= LARGEST and one[4] <= MOST_BYTES


def _layout(old: _Known, new: _Known, every: list[Element]) -> Layout | None:
    """What two objects whose elements have the same places have in common, None where that is little."""
    every = [one for one in every if one[4] <= len(new.head)]
    if any(one[4] != other[2] for one, other in pairwise(every)):
        return None  # not in the order in which they stand
    gaps = set(old.layout.gaps) if old.layout is not None else set[int]()
    size = len(new.head)
    for one in every:
        tag, _, start, _, end, undefined = one
        if old.head[start:end] != new.head[start:end]:
            gaps.add(tag)
        if undefined and tag in gaps:
            size = start
            break
    if len(gaps) * _STRANGE > len(every):
        return None
    return Layout(new.head[:size], every, new.elements, frozenset(gaps))
