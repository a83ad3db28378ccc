"""Find the elements of a data set: borders only, bounded, each element looked at a fixed number of times."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from pacsferry.core.encoding import (
    EXPLICIT,
    IMPLICIT,
    ITEM,
    SHORT_VRS,
    UNDEFINED,
    Dialect,
    header,
    malformed,
    skip,
    too_complex,
)
from pacsferry.core.errors import HeldError

from .rules import Limits

#: Tag, VR ("" where implicit), start, start of the value, end, whether its length is undefined.
Element = tuple[int, bytes, int, int, int, bool]

_SHORT = {order: struct.Struct(order + "HH2sH").unpack_from for order in "<>"}


class Scanner:
    """Elements and items of one encoded data set. ``data`` is the data set alone.

    ``private`` asks for private elements too, which are passed over where all of them go.
    """

    def __init__(self, data: memoryview, limits: Limits, *, private: bool = False) -> None:
        self.data = data
        self._mask = 0 if private else 0x10000
        self._limits = limits
        #: Elements that were met, those of sequences too.
        self.counted = 0
        self._ends: dict[Dialect, dict[int, int]] = {}

    def count(self, number: int) -> None:
        """So many elements are there. Raises ``HeldError`` beyond the limit."""
        self.counted += number
        if self.counted > self._limits.elements:
            too_complex("the number of elements")

    def elements(self, pos: int, end: int, dialect: Dialect, depth: int) -> list[Element]:
        """The elements between two positions, in ascending order of their tags.

        Elements out of order are put in order; a tag that stands twice holds the object, as readers differ in which
        one they take. Zeros after the last element of the data set are padding.
        """
        if depth > self._limits.depth:
            too_complex("the depth of sequences")
        found: list[Element] = []
        last, ordered, private = -1, True, 0
        short, data = _SHORT[dialect.order], self.data
        explicit, mask = dialect.explicit, self._mask
        while pos < end:
            if explicit and pos + 8 <= end:
                group, number, vr, length = short(data, pos)
                tag, value = group << 16 | number, pos + 8
            else:
                vr = b"??"
            if vr not in SHORT_VRS:
                if end - pos < 8 or not any(data[pos : pos + 8]):
                    self._padding(pos, end, depth)
                    break
                tag, vr, length, value = header(data, pos, dialect)
                if tag >= 0xFFFE0000:
                    malformed("an item or delimiter out of place")
            undefined = length == UNDEFINED
            stop = self._end(value, end, IMPLICIT if vr == b"UN" else dialect) if undefined else value + length
            if stop > end:
                malformed("an element is longer than what holds it")
            if tag & mask:
                # Private elements (PS3.5 7.8.1) that go whatever they are: nobody needs to know of them.
                private += 1
            else:
                ordered = ordered and tag > last
                last = tag
                found.append((tag, vr, pos, value, stop, undefined))
            pos = stop
        # What holds them counts as one: an empty item is work too.
        self.count(len(found) + private + 1)
        return found if ordered else _in_order(found)

    def _padding(self, pos: int, end: int, depth: int) -> None:
        if depth or any(self.data[pos:end]):
            malformed("bytes that are no element")

    def _end(self, value: int, end: int, dialect: Dialect, *, item: bool = False) -> int:
        """The end, delimiter included, of a sequence or item of undefined length; remembered for those within it."""
        ends = self._ends.setdefault(dialect, {})
        known = ends.get(value)
        return skip(self.data, value, end, dialect, item=item, ends=ends) if known is None else known

    def items(self, element: Element, dialect: Dialect) -> Iterator[tuple[int, int]]:
        """Start and end of the content of each item of a sequence."""
        _, _, _, pos, end, undefined = element
        end -= 8 if undefined else 0
        while pos < end:
            tag, _, length, value = header(self.data, pos, dialect)
            if tag != ITEM:
                malformed("a sequence holds something that is no item")
            pos = self._end(value, end, dialect, item=True) if length == UNDEFINED else value + length
            if pos > end:
                malformed("an item is longer than its sequence")
            yield value, pos - (8 if length == UNDEFINED else 0)

    def dialect_within(self, element: Element, dialect: Dialect) -> Dialect:
        """How items are encoded: those of a UN are implicit (PS3.5 6.2.2), or as their writer had it.

        Raises ``HeldError`` where neither makes sense.
        """
        if element[1] != b"UN":
            return dialect
        if element[5] or self._makes_sense(element, IMPLICIT):
            return IMPLICIT
        other = dialect if dialect.explicit else EXPLICIT
        if not self._makes_sense(element, other):
            malformed("a sequence of unknown encoding")
        return other

    def _makes_sense(self, element: Element, dialect: Dialect) -> bool:
        try:
            for start, stop in self.items(element, dialect):
                self.elements(start, stop, dialect, 1)
        except HeldError:
            return False
        return True


def _in_order(found: list[Element]) -> list[Element]:
    found.sort(key=lambda element: element[0])
    if any(one[0] == other[0] for one, other in pairwise(found)):
        malformed("a tag that stands twice")
    return found
