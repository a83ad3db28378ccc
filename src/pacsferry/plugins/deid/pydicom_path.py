"""The second path: the same rules over what pydicom reads, for kinds of object that have to be understood.

It passes nothing on as it stands: every value comes from a pydicom ``Dataset`` and is written anew. The bounded scanner
finds where elements and items begin and end, and pydicom reads one level at a time, so that hostile input makes it
neither recurse nor search; where the two do not agree about what is there, the object is held.
"""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset

from pacsferry.core.encoding import Dialect, malformed

from . import pixels
from .context import Context
from .program import PIXEL_TAGS, Op, Step, alike, padded
from .recall import END, Ours
from .scan import Element
from .splice import Invalid, Splice


class Walk(Splice):
    """One pass over one object, by way of pydicom. Not used twice."""

    _sets: list[Dataset]

    def run(self, elements: list[Element], dialect: Dialect, charset: tuple[str, ...], ours: list[Ours]) -> None:
        """Rewrite the top level. Raises ``Invalid`` as the other path does, ``HeldError`` where the readers differ."""
        here = Context(dialect, 0, charset, elements, self._top)
        self._sets = [_read(self._data, elements, dialect)]
        self._level(elements, here, [*ours, END])
        if self._moved and not self._strict and self._told():
            raise Invalid(frozenset(self._moved))

    def _level(self, elements: list[Element], here: Context, ours: list[Ours]) -> None:
        strangers = self._strangers
        steps = strangers.steps(elements, here.dialect, here.depth, here.program) if strangers is not None else {}
        coming = iter(ours)
        next_tag, whole = next(coming)
        for one in elements:
            while one[0] > next_tag:
                self.writer.put_own(whole, head=8)
                next_tag, whole = next(coming)
            step = here.program[one[0]] or steps.get(one[0])
            if step is not None and step.op is not Op.DROP:
                self._ops[step.op](one, step, here)
        while whole:
            self.writer.put_own(whole, head=8)
            next_tag, whole = next(coming)

    def _value(self, one: Element, step: Step, here: Context) -> bytes | None:
        vr, raw = _encoded(self._sets[-1], one, here.dialect.order)
        if raw is None or not alike(vr, step.vr):
            return None
        if step.unit == 1:
            return raw
        if len(raw) % step.unit or len(raw) > step.most:
            return None
        return pixels.swapped(raw, step.unit) if here.dialect.order == ">" else raw

    def _bytes(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        if raw is not None:
            self.writer.put_value(step.head, padded(raw, step.vr))

    def _enter(self, one: Element, step: Step, here: Context) -> None:
        if one[1] not in {b"SQ", b"UN", b""}:
            return
        within = self._scanner.dialect_within(one, here.dialect)
        dummies = here.dummies or step.op == Op.DUMMIES
        sequence = self.writer.reserve(step.head)
        for start, end in self._scanner.items(one, within):
            elements = self._scanner.elements(start, end, within, here.depth + 1)
            item = self.writer.reserve(b"\xfe\xff\x00\xe0")
            self._sets.append(_read(self._data, elements, within))
            self._level(elements, here.inside(self._data, within, elements, one[0], dummies=dummies), [END])
            self._sets.pop()
            self.writer.fill(item)
        self.writer.fill(sequence)


def _read(data: memoryview, elements: list[Element], dialect: Dialect) -> Dataset:
    """The plain elements of one level. pydicom warns of values and raises what it likes: neither may show anything."""
    plain = [one for one in elements if one[0] not in PIXEL_TAGS and not one[5] and one[1] != b"SQ"]
    body = b"".join(data[one[2] : one[4]] for one in plain)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            implicit, little = not dialect.explicit, dialect.order == "<"
            # At the top level pydicom would guess the encoding, and sometimes wrongly.
            found = read_dataset(BytesIO(body), implicit, little, len(body), at_top_level=False)
    except MemoryError:
        raise
    except Exception:
        malformed("an object that another reader cannot read")
    if found.keys() != {one[0] for one in plain}:
        malformed("an element that one reader finds and another does not")
    return found


def _encoded(within: Dataset, one: Element, order: str) -> tuple[bytes, bytes | None]:
    """VR and encoded value as pydicom found them; None for what it was not asked to read."""
    if one[0] not in within:
        return one[1], None
    found: Any = within.get_item(one[0])
    vr = (found.VR or "").encode()
    if isinstance(found, RawDataElement):
        return vr, bytes(found.value or b"")
    # PixelRepresentation is a number at once, because other VRs depend on it; what is empty has no raw value.
    return vr, struct.pack(f"{order}H", found.value) if isinstance(found.value, int) else b""
