"""Encapsulated pixel data (PS3.5 A.4): find its frames, and write them anew where something in one of them has to go.

Frames that nothing is taken from are passed on as they are, fragment by fragment.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pacsferry.core.encoding import EXPLICIT, ITEM, SEQUENCE_END, UNDEFINED, header, malformed, too_complex
from pacsferry.core.model import Buffer

from .frames import Strip

_ITEM_START = b"\xfe\xff\x00\xe0"
_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """Start and end of the value of each fragment, the offsets of the Basic Offset Table, and the end of it all."""

    values: Sequence[tuple[int, int]]
    offsets: Sequence[int]
    end: int

    def starts(self) -> list[int]:
        """Where each fragment's item begins, counted as offset tables do."""
        first = self.values[0][0]
        return [start - first for start, _ in self.values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """The parts to write, and where each frame begins and how long it is."""

    parts: Sequence[Buffer]
    starts: Sequence[int]
    sizes: Sequence[int]


def fragments(data: memoryview, pos: int, end: int) -> Fragments:
    """Check the items that begin at ``pos``. Raises ``HeldError`` unless the offset table points at fragments."""
    values: list[tuple[int, int]] = []
    while True:
        tag, _, length, value = header(data, pos, EXPLICIT)
        if tag == SEQUENCE_END and not length:
            break
        if tag != ITEM or length == UNDEFINED or length & 1 or value + length > end:
            malformed("a fragment of the pixel data is cut off, odd or out of place")
        values.append((value, value + length))
        pos = value + length
    if len(values) < 2:
        malformed("pixel data without a fragment")
    found = Fragments(values=values[1:], offsets=_offsets(data[slice(*values[0])]), end=value)
    check(found.offsets, found)
    return found


def _offsets(table: memoryview) -> Sequence[int]:
    if len(table) % 4:
        malformed("the offset table of the pixel data is damaged")
    return struct.unpack(f"<{len(table) // 4}I", table)


def check(offsets: Sequence[int], found: Fragments) -> None:
    """An offset table that points elsewhere could hold anything. Raises ``HeldError``."""
    if not set(found.starts()).issuperset(offsets) or list(offsets) != sorted(set(offsets)):
        malformed("the offset table of the pixel data does not point at its fragments")


def frames(data: memoryview, found: Fragments, count: int) -> list[Sequence[tuple[int, int]]]:
    """The fragments of each frame (PS3.5 A.4). Raises ``HeldError`` where they cannot be told apart."""
    values = found.values
    if count == 1 or len(values) == count:
        return [values] if count == 1 else [[value] for value in values]
    if len(found.offsets) == count:
        at = {start: number for number, start in enumerate(found.starts())}
        heads = [at[offset] for offset in found.offsets]
    else:
        heads = [at for at, (start, _) in enumerate(values) if bytes(data[start : start + 4]).startswith(_STARTS)]
    if len(heads) != count or heads[0]:
        malformed("fragments of pixel data that do not fit the number of frames")
    return [values[start:stop] for start, stop in pairwise([*heads, len(values)])]


def tidied(data: memoryview, found: Fragments, count: int, strip: Strip) -> Tidied | None:
    """The pixel data without what must not stay, None where all of it may."""
    groups = frames(data, found, count)
    pieces = [strip(_whole(data, group)) for group in groups]
    if all(one is None for one in pieces):
        return None
    runs: list[Buffer] = []
    starts, sizes, size = [], [], 0
    for group, left in zip(groups, pieces, strict=True):
        new = [data[group[0][0] - 8 : group[-1][1]]] if left is None else list(_item(left))
        starts.append(size)
        length = sum(map(len, new))
        sizes.append(length - 8 * (1 if left is not None else len(group)))
        size += length
        runs += new
    table = struct.pack(f"<{len(starts)}I", *starts) if len(found.offsets) else b""
    head = _ITEM_START + len(table).to_bytes(4, "little") + table
    return Tidied(parts=[head, *runs, b"\xfe\xff\xdd\xe0\0\0\0\0"], starts=starts, sizes=sizes)


def _whole(data: memoryview, group: Sequence[tuple[int, int]]) -> memoryview:
    """One frame; only one that is spread over several fragments is copied."""
    if len(group) == 1:
        return data[slice(*group[0])]
    return memoryview(b"".join(data[start:end] for start, end in group))


def _item(pieces: Sequence[Buffer]) -> Iterator[Buffer]:
    """One frame in one fragment of even length."""
    size = sum(map(len, pieces))
    if size >= UNDEFINED - 1:
        too_complex("the size of a frame")
    yield _ITEM_START + (size + (size & 1)).to_bytes(4, "little")
    yield from pieces
    if size & 1:
        yield b"\0"
