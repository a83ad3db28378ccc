"""Take comments out of JPEG 2000 and HTJ2K frames (ISO/IEC 15444-1 annex A, 15444-15); it decodes nothing.

Comments in the main header go. Those of tile-parts are blanked where they stand, so that no length in a tile-part or in
a table of lengths has to change. A JP2 file around a frame, which PS3.5 8.2.4 forbids, keeps what says how to decode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pacsferry.core.encoding import malformed
from pacsferry.core.model import Buffer

from .kept import Kept, names_an_encoder

START = b"\xff\x4f"
WRAPPED = b"\0\0\0\x0cjP  "
_SOT, _SOD, _EOC, _COM = 0x90, 0x93, 0xD9, 0x64
#: Marker segments of parts 1, 2 and 15 (ISO/IEC 15444-1 table A.2, 15444-2 table A.1).
_KNOWN = frozenset({*range(0x50, 0x54), *range(0x55, 0x5A), *range(0x5C, 0x62), 0x63, _COM, *range(0x70, 0x7A)})
_END = re.compile(rb"\xff\xd9")
#: Boxes of JP2 that a decoder reads (ISO/IEC 15444-1 annex I).
_BOXES = frozenset({b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jp2c"})
#: What Photoshop's writer of JPEG 2000 marks its files with, and four bytes that say how.
_MARKS = frozenset(
    {
        "3a0d02180ae94115b3764bca41ce0e71",
        "47c92cccd1a14581b90438bb5467713b",
        "bc45a774dd504ec6a9f6f3a137f47e90",
        "d7c8c5ef951f43b28757042500f538e8",
    }
)
_HEADER_BOXES = frozenset({b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"res "})


def stripped(data: memoryview) -> list[Buffer] | None:
    """The pieces that are left of a frame, None where it stays as it is. Raises ``HeldError`` for what is no frame."""
    if bytes(data[:8]) == WRAPPED:
        return _unwrapped(data)
    if bytes(data[:2]) != START:
        malformed("a compressed frame that is no JPEG 2000")
    kept, pos = Kept(data), 2
    while (marker := _marker(data, pos)) != _SOT:
        end = _segment(data, pos, marker)
        if _is_comment(data, pos, end, marker):
            kept.replace(pos, end)
        pos = end
    while marker == _SOT:
        pos = _tile_part(data, pos, kept)
        marker = _marker(data, pos)
    if marker != _EOC:
        malformed("a compressed frame without an end")
    return kept.finish(pos + 2)


def _marker(data: memoryview, pos: int) -> int:
    if pos + 2 > len(data) or data[pos] != 0xFF:
        malformed("a compressed frame that is damaged")
    return data[pos + 1]


def _segment(data: memoryview, pos: int, marker: int) -> int:
    """The end of a marker segment."""
    end = pos + 2 + int.from_bytes(data[pos + 2 : pos + 4], "big")
    if marker not in _KNOWN or end < pos + 4 or end > len(data):
        malformed("a compressed frame that is damaged")
    return end


def _is_comment(data: memoryview, pos: int, end: int, marker: int) -> bool:
    """Whether it is a comment (A.9.2) that says more than which program wrote the frame."""
    return marker == _COM and not (
        data[pos + 4 : pos + 6] in {b"\0\0", b"\0\1"} and names_an_encoder(data[pos + 6 : end])
    )


def _tile_part(data: memoryview, start: int, kept: Kept) -> int:
    """The end of a tile-part (A.4.2) whose SOT is at ``start``; 0 for a length says that it is the last."""
    length = int.from_bytes(data[start + 6 : start + 10], "big")
    if int.from_bytes(data[start + 2 : start + 4], "big") != 10 or start + length > len(data):
        malformed("a compressed frame that is damaged")
    pos = start + 12
    while (marker := _marker(data, pos)) != _SOD:
        end = _segment(data, pos, marker)
        if _is_comment(data, pos, end, marker):
            kept.replace(pos + 4, end, bytes(end - pos - 4))
        pos = end
    if length:
        if start + length < pos + 2:
            malformed("a compressed frame that is damaged")
        return start + length
    found = _END.search(data, pos + 2)
    if found is None:
        malformed("a compressed frame without an end")
    return found.start()


def _unwrapped(data: memoryview) -> list[Buffer] | None:
    """A JP2 file without the boxes that no decoder needs: XML, UUIDs, rights."""
    pieces: list[Buffer] = []
    changed, end = False, 0
    for kind, start, content, end in _boxes(data):
        inner, stays = _inner(kind, data[content:end]), kind in _BOXES or _is_mark(kind, data[content:end])
        changed = changed or not stays or inner is not None
        if inner is not None:
            pieces += [(sum(map(len, inner)) + 8).to_bytes(4, "big") + kind, *inner]
        elif stays:
            pieces.append(data[start:end])
    if not any(bytes(piece[4:8]) == b"jp2c" for piece in pieces):
        malformed("a compressed frame without a codestream")
    return pieces if changed or bytes(data[end:]).strip(b"\0\xff") else None


def _is_mark(kind: bytes, content: memoryview) -> bool:
    return kind == b"uuid" and len(content) <= 20 and bytes(content[:16]).hex() in _MARKS


def _inner(kind: bytes, content: memoryview) -> list[Buffer] | None:
    """The new content of a box, None where it stays as it is."""
    if kind == b"jp2c":
        return stripped(content) if bytes(content[:2]) == START else malformed("a codestream that is none")
    if kind != b"jp2h":
        return None
    boxes = [(name, start, end) for name, start, _, end in _boxes(content)]
    if all(name in _HEADER_BOXES for name, _, _ in boxes):
        return None
    return [content[start:end] for name, start, end in boxes if name in _HEADER_BOXES]


def _boxes(data: memoryview) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, start, start of the content and end of each box; padding behind the last one is none."""
    pos = 0
    while len(data) - pos >= 8:
        length, name, content = int.from_bytes(data[pos : pos + 4], "big"), bytes(data[pos + 4 : pos + 8]), pos + 8
        if length == 1:
            length, content = int.from_bytes(data[pos + 8 : pos + 16], "big"), pos + 16
        end = pos + length if length else len(data)
        if end < content or end > len(data):
            malformed("a compressed frame that is damaged")
        yield name, pos, content, end
        pos = end
