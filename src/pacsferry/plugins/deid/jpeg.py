"""Take comments and application segments out of JPEG and JPEG-LS frames (ISO/IEC 10918-1, 14495-1); it decodes nothing.

What a decoder needs stays: tables, frame and scan headers, entropy-coded data, and the segments that say how colours
were transformed (Adobe's APP14, JFIF's APP0 without its thumbnail, the APP8 of SPIFF and of the colour transforms of
JPEG-LS). Whatever is no sequence of segments with an end is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pacsferry.core.encoding import malformed
from pacsferry.core.model import Buffer

from .kept import Kept, names_an_encoder

START = b"\xff\xd8"
_EOI, _SOS, _SOF_LS, _COM = 0xD9, 0xDA, 0xF7, 0xFE
#: Frame, table and restart segments (ISO/IEC 10918-1 table B.1), and SOF55 and LSE of JPEG-LS.
_NEEDED = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), _SOF_LS, 0xF8} - {0xC8})
_FRAMES = frozenset({*range(0xC0, 0xD0), _SOF_LS} - {0xC4, 0xC8, 0xCC})
_APPLICATION = frozenset(range(0xE0, 0xF0))
#: Where entropy-coded data ends: a marker is what bit stuffing cannot make (10918-1 F.1.2.3, 14495-1 9.1).
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_MARKER_LS = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
_FILL = re.compile(rb"\xff+")


def stripped(data: memoryview) -> list[Buffer] | None:
    """The pieces that are left of a frame, None where it stays as it is. Raises ``HeldError`` for what is no frame."""
    kept, pos, ls = Kept(data), 2, False
    if bytes(data[:2]) != START:
        malformed("a compressed frame that is no JPEG")
    while True:
        start, fill = pos, _FILL.match(data, pos)
        if fill is None or fill.end() >= len(data):
            malformed("a compressed frame that is damaged")
        marker, pos = data[fill.end()], fill.end() + 1
        if marker == _EOI:
            return kept.finish(pos)
        end = pos + int.from_bytes(data[pos : pos + 2], "big")
        if end < pos + 2 or end > len(data) or not _is_segment(marker):
            malformed("a compressed frame that is damaged")
        left = _used(marker, data[pos + 2 : end]) if marker in _NEEDED else _left_of(marker, data[pos + 2 : end])
        if left is None:
            kept.replace(start, end)
        elif left != data[pos + 2 : end]:
            kept.replace(start, end, bytes((0xFF, marker)) + (len(left) + 2).to_bytes(2, "big") + left)
        ls = ls or marker == _SOF_LS
        pos = _after_scan(data, end, ls=ls) if marker == _SOS else end


def _is_segment(marker: int) -> bool:
    return marker in _NEEDED or marker in _APPLICATION or marker == _COM


def _after_scan(data: memoryview, pos: int, *, ls: bool) -> int:
    found = (_MARKER_LS if ls else _MARKER).search(data, pos)
    if found is None:
        malformed("a compressed frame without an end")
    return found.start()


def _used(marker: int, content: memoryview) -> memoryview:
    """What a decoder reads of a segment that it needs: nothing behind its last table or component."""
    size = _SIZES.get(marker)
    if size is None or not content:
        return content
    used = size(content)
    if not 0 < used <= len(content):
        malformed("a compressed frame that is damaged")
    return content[:used]


def _components(content: memoryview, at: int, before: int, each: int) -> int:
    """The size of a header that says at one offset how many components it has."""
    return before + each * content[at] if len(content) > at else 0


def _huffman(content: memoryview) -> int:
    """The size of whole Huffman tables (10918-1 B.2.4.2): a class, sixteen counts, and as many values."""
    pos = 0
    while pos + 17 <= len(content):
        end = pos + 17 + sum(content[pos + 1 : pos + 17])
        if end > len(content):
            break
        pos = end
    return pos


def _quantization(content: memoryview) -> int:
    """The size of whole quantization tables (10918-1 B.2.4.1), of 8 or 16 bits a value."""
    pos = 0
    while pos < len(content) and content[pos] & 0xEC == 0:
        end = pos + (129 if content[pos] >> 4 else 65)
        if end > len(content):
            break
        pos = end
    return pos


#: Marker to the size that its segment has to have. A restart interval has two bytes, in JPEG-LS up to four.
_SIZES: Mapping[int, Callable[[memoryview], int]] = {
    **{marker: lambda content: _components(content, 5, 6, 3) for marker in _FRAMES},
    0xC4: _huffman,
    _SOS: lambda content: _components(content, 0, 4, 2),
    0xDB: _quantization,
    0xDD: lambda content: len(content) if 2 <= len(content) <= 4 else 2,
}


def _left_of(marker: int, content: memoryview) -> bytes | memoryview | None:
    """What stays of a segment that no decoder needs to have whole."""
    if marker == _COM:
        return content if names_an_encoder(content) else None
    return next((left for left in (rule(content) for rule in _RULES.get(marker, ())) if left is not None), None)


def _jfif(content: memoryview) -> bytes | None:
    """JFIF says that colours are YCbCr (ISO/IEC 10918-5); version, units and density, and no thumbnail."""
    if bytes(content[:5]) != b"JFIF\0" or len(content) < 14:
        return None
    version = content[5:7] if content[5] == 1 and content[6] < 3 else b"\1\1"
    # An aspect ratio of 1:1 where it is no density: three words of 16 bits could say anything.
    plausible = content[7] < 3 and all(int.from_bytes(content[at : at + 2], "big") <= 10_000 for at in (8, 10))
    density = content[7:12] if plausible else b"\0\0\1\0\1"
    return b"JFIF\0" + bytes(version) + bytes(density) + b"\0\0"


def _constant(*contents: bytes) -> Callable[[memoryview], bytes | None]:
    return lambda content: bytes(content) if len(content) < 32 and bytes(content) in contents else None


def _adobe(content: memoryview) -> bytes | None:
    """Adobe says how colours were transformed (ISO/IEC 10918-6 6.5.3)."""
    if bytes(content[:5]) != b"Adobe" or len(content) < 12 or content[11] > 2:
        return None
    usual = content[5] == 0 and content[6] in {100, 101} and set(content[7:11]) <= {0x00, 0x40, 0x80, 0xC0}
    return b"Adobe" + (bytes(content[5:11]) if usual else b"\0\x64\0\0\0\0") + bytes(content[11:12])


def _transform(content: memoryview) -> bytes | None:
    """The colour transforms that encoders of JPEG-LS share: without it the colours are wrong."""
    return bytes(content) if len(content) == 5 and bytes(content[:4]) == b"mrfx" and content[4] < 4 else None


def _spiff(content: memoryview) -> bytes | None:
    """The header of SPIFF (ISO/IEC 10918-3 annex F) is numbers only; its resolution is left out where it is none."""
    return bytes(content) if bytes(content[:6]) == b"SPIFF\0" and len(content) == 30 else None


#: APPn marker to what may stay of it.
_RULES: Mapping[int, tuple[Callable[[memoryview], bytes | None], ...]] = {
    0xE0: (_jfif, _constant(b"LJIF\0\1" + bytes(7))),
    # The end of the directory of SPIFF, with the SOI that belongs to it.
    0xE8: (_transform, _spiff, _constant(b"\0\0\0\1\xff\xd8")),
    0xEE: (_adobe, _constant(b"Adobe" + bytes(5))),
}
