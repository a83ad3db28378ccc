"""What may stay of one encoded frame, by transfer syntax: nothing beyond the image, no comments; it changes no pixel.

Streams that only a decoder could look through (video, JPEG XL) hold the object.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from pacsferry.core.encoding import malformed
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Buffer

from . import jpeg, jpeg_2000
from .kept import Kept

RLE = "1.2.840.10008.1.2.5"
_PLAIN, _DEFLATED = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"
#: JPEG and JPEG-LS are 4.50 to 4.81, JPEG 2000 4.90 to 4.93, HTJ2K 4.201 to 4.203 (PS3.6 table A-1).
_JPEG = "1.2.840.10008.1.2.4."
_NUMBERS = frozenset({*range(50, 82), *range(90, 94), *range(201, 204)})
_CHUNK = 1 << 20

#: The pieces that are left of a frame, or None where it stays as it is.
Strip = Callable[[memoryview], "list[Buffer] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameShape:
    """One frame: the values in each of its planes of bytes, and its bytes when it is not compressed."""

    pixels: int
    bits: int
    octets: int


def strip_for(transfer_syntax: str, shape: FrameShape) -> Strip:
    """How frames of a syntax are looked through. Raises ``HeldError`` where nobody can without a decoder."""
    if transfer_syntax == RLE:
        return lambda data: _rle(data, shape)
    if transfer_syntax == _PLAIN:
        return lambda data: _plain(data, shape)
    if transfer_syntax == _DEFLATED:
        return lambda data: _deflated(data, shape)
    number = transfer_syntax.removeprefix(_JPEG)
    if transfer_syntax.startswith(_JPEG) and number.isdecimal() and int(number) in _NUMBERS:
        return _jpeg
    raise HeldError("pixel data in a syntax that cannot be looked through", code="sop-class")


def _jpeg(data: memoryview) -> list[Buffer] | None:
    """Writers do not always say which JPEG it is, so the frame does."""
    stripped = jpeg.stripped if bytes(data[:2]) == jpeg.START else jpeg_2000.stripped
    return stripped(data)


def _plain(data: memoryview, shape: FrameShape) -> list[Buffer] | None:
    if len(data) < shape.octets:
        malformed("less pixel data than rows and columns ask for")
    return Kept(data).finish(shape.octets)


def _deflated(data: memoryview, shape: FrameShape) -> list[Buffer] | None:
    """Inflate to find the end, and keep nothing of it (PS3.5 8.2.16)."""
    stream, size, rest = zlib.decompressobj(wbits=-15), 0, bytes(data)
    try:
        while rest and not stream.eof:
            size += len(stream.decompress(rest, _CHUNK))
            rest = stream.unconsumed_tail
            if size > shape.octets + 1:
                malformed("more pixel data than rows and columns ask for")
    except zlib.error:
        malformed("a compressed frame that is damaged")
    if not stream.eof or size < shape.octets:
        malformed("a compressed frame without an end")
    return Kept(data).finish(len(data) - len(stream.unused_data))


def _rle(data: memoryview, shape: FrameShape) -> list[Buffer] | None:
    """RLE Lossless (PS3.5 annex G): what stands between and behind the segments becomes zeros."""
    count = int.from_bytes(data[:4], "little")
    offsets = [int.from_bytes(data[at : at + 4], "little") for at in range(4, 64, 4)]
    used = offsets[:count]
    if len(data) < 64 or not 0 < count <= 15 or used[0] != 64 or used != sorted(used):
        malformed("a compressed frame that is damaged")
    kept, blanks = Kept(data), [(4 + 4 * count, 64)]
    values = shape.pixels if shape.bits >= 8 else shape.octets
    for start, stop in zip(used, [*used[1:], len(data)], strict=True):
        blanks += [(start + first, start + last) for first, last in _slack(bytes(data[start:stop]), values)]
    for start, stop in blanks:
        if bytes(data[start:stop]).strip(b"\0"):
            kept.replace(start, stop, bytes(stop - start))
    return kept.finish(len(data))


def _slack(segment: bytes, values: int) -> list[tuple[int, int]]:
    """What a decoder does not need of a segment (PS3.5 G.3.2): the end of its last run, and what comes after."""
    pos = made = surplus = 0
    size = len(segment)
    while made < values:
        if pos >= size:
            malformed("a compressed frame that is cut off")
        number = segment[pos]
        if number < 128:
            made += number + 1
            pos += number + 2
            surplus = made - values
        elif number > 128:
            made += 257 - number
            pos += 2
            surplus = 0
        else:
            pos += 1
    if pos > size:
        malformed("a compressed frame that is cut off")
    return [(pos - max(surplus, 0), size)]
