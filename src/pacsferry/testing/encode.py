"""Write data sets by hand, right or wrong, in any encoding of PS3.5; for test data only, it checks nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_SWAPPED = {
    **dict.fromkeys(("US", "SS", "OW", "AT"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), 4),
    **dict.fromkeys(("FD", "SV", "UV", "OD", "OV"), 8),
}
Value = bytes | str | int | Sequence["Item"]
Item = Sequence["E"]


@dataclass(frozen=True, slots=True)
class E:
    """One element: ``value`` is bytes in little endian, text, a number, or the items of a sequence.

    ``undefined`` asks for an undefined length; ``raw`` for bytes that are written as they are.
    """

    tag: int
    vr: str
    value: Value = b""
    undefined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """An encoding: VR explicit or not, byte order, and whether all sequences and items get undefined lengths."""

    explicit: bool = True
    order: str = "<"
    undefined: bool = False
    deflated: bool = False

    @property
    def transfer_syntax(self) -> str:
        if self.deflated:
            return "1.2.840.10008.1.2.1.99"
        if not self.explicit:
            return "1.2.840.10008.1.2"
        return "1.2.840.10008.1.2.1" if self.order == "<" else "1.2.840.10008.1.2.2"


EXPLICIT = How()
#: The encodings that a data set without compressed pixels can have, by name.
ENCODINGS = {
    "explicit": EXPLICIT,
    "implicit": How(explicit=False),
    "big-endian": How(order=">"),
    "deflated": How(deflated=True),
    "undefined": How(undefined=True),
    "implicit-undefined": How(explicit=False, undefined=True),
}


def data_set(elements: Iterable[E], how: How = EXPLICIT) -> bytes:
    """Encode elements in the order in which they are given."""
    body = b"".join(_element(element, how) for element in elements)
    if not how.deflated:
        return body
    stream = zlib.compressobj(wbits=-15)
    out = stream.compress(body) + stream.flush()
    return out + b"\0" * (len(out) & 1)


def _element(element: E, how: How) -> bytes:
    undefined = element.undefined or (how.undefined and element.vr == "SQ")
    value = _value(element, how, undefined=undefined)
    tag = struct.pack(how.order + "HH", element.tag >> 16, element.tag & 0xFFFF)
    length = 0xFFFFFFFF if undefined else len(value)
    vr = element.vr.encode()
    if not how.explicit:
        return tag + struct.pack(how.order + "I", length) + value
    if element.vr in _LONG:
        return tag + vr + b"\0\0" + struct.pack(how.order + "I", length) + value
    return tag + vr + struct.pack(how.order + "H", length) + value


def _value(element: E, how: How, *, undefined: bool) -> bytes:
    value, vr = element.value, element.vr
    if isinstance(value, int):
        value = value.to_bytes(_SWAPPED[vr], "little", signed=value < 0)
    if isinstance(value, str):
        value = value.encode("latin-1")
    if isinstance(value, bytes):
        value += (b"\0" if vr in {"UI", "OB", "UN"} else b" ") * (len(value) & 1)
        return swap(value, _SWAPPED.get(vr, 1)) if how.order == ">" else value
    # PS3.5 6.2.2: what stands in a UN of undefined length is implicit.
    within = How(explicit=False, undefined=how.undefined) if vr == "UN" else how
    items = b"".join(_item(item, within) for item in value)
    return items + (struct.pack(within.order + "HHI", 0xFFFE, 0xE0DD, 0) if undefined else b"")


def _item(item: Item, how: How) -> bytes:
    body = b"".join(_element(element, how) for element in item)
    start = struct.pack(how.order + "HH", 0xFFFE, 0xE000)
    if not how.undefined:
        return start + struct.pack(how.order + "I", len(body)) + body
    return start + b"\xff\xff\xff\xff" + body + struct.pack(how.order + "HHI", 0xFFFE, 0xE00D, 0)


def swap(value: bytes, unit: int) -> bytes:
    """Turn the bytes of every unit round."""
    return b"".join(value[at : at + unit][::-1] for at in range(0, len(value), unit))


def part_10(body: bytes, transfer_syntax: str, meta: Iterable[E] = (), preamble: bytes = bytes(128)) -> bytes:
    """A PS3.10 file around an encoded data set; ``meta`` are further elements of group 0002, in order."""
    group = [E(0x00020001, "OB", b"\0\1"), E(0x00020010, "UI", transfer_syntax), *meta]
    encoded = b"".join(_element(element, EXPLICIT) for element in sorted(group, key=lambda element: element.tag))
    length = _element(E(0x00020000, "UL", len(encoded)), EXPLICIT)
    return preamble + b"DICM" + length + encoded + body


def file(elements: Iterable[E], how: How = EXPLICIT, **rest: Iterable[E] | bytes) -> bytes:
    """A PS3.10 file of elements, put in ascending order."""
    body = data_set(sorted(elements, key=lambda element: element.tag), how)
    return part_10(body, how.transfer_syntax, **rest)  # type: ignore[arg-type]
