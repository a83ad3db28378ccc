"""Check pixel data against its description, without decoding: cut what is too long, hold what is too short."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, replace

from pacsferry.core.encoding import malformed
from pacsferry.core.model import Buffer

#: Samples per pixel that are really stored where chrominance is subsampled (PS3.3 C.7.6.3.1.2), as a ratio.
_SUBSAMPLED = {"YBR_FULL_422": (2, 1), "YBR_PARTIAL_422": (2, 1), "YBR_PARTIAL_420": (3, 2)}
_ARRAY_CODES = {2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the Image Pixel module says (PS3.3 C.7.6.3); 0 where it is silent. ``bits`` is BitsAllocated."""

    rows: int
    columns: int
    samples: int
    bits: int
    frames: int
    photometric: str

    def octets(self) -> tuple[int, int]:
        """The least and the most bytes that uncompressed pixels take. Raises ``HeldError`` where nothing says."""
        if not (self.rows and self.columns and self.bits):
            malformed("pixel data without rows, columns or bits allocated")
        pixels = self.rows * self.columns * (self.frames or 1)
        most = (pixels * (self.samples or 1) * self.bits + 7) // 8
        if self.photometric not in _SUBSAMPLED or self.samples != 3:
            return most, most
        number, of = _SUBSAMPLED[self.photometric]
        return (pixels * number // of * self.bits + 7) // 8, most


def native(value: memoryview, shape: Shape) -> tuple[memoryview, bytes]:
    """The pixels, without what stands behind them, and one byte of padding where their number is odd.

    Raises ``HeldError`` when there are too few.
    """
    least, most = shape.octets()
    if len(value) < least:
        malformed("less pixel data than rows, columns and frames ask for")
    # Where chrominance is said to be subsampled and all samples are there, the pixels are not subsampled.
    wanted = most if len(value) >= most else least
    return value[:wanted], b"\0" * (wanted & 1)


def longs(table: bytes) -> tuple[int, ...]:
    """The numbers of an Extended Offset Table (PS3.3 C.7.6.3.1.8)."""
    return struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])


def swapped(value: Buffer, unit: int) -> bytes:
    """Big endian to little endian, for values of ``unit`` bytes."""
    if unit == 1:
        return bytes(value)
    if len(value) % unit:
        malformed("a binary value is cut off")
    numbers = array(_ARRAY_CODES[unit], bytes(value))
    numbers.byteswap()
    return numbers.tobytes()


def with_bits(shape: Shape, bits: int) -> Shape:
    """The same shape with other bits per value, for pixel data of floats."""
    return replace(shape, bits=bits)


def little(value: memoryview, vr: bytes, bits: int) -> memoryview:
    """Pixels of a big endian object in little endian (PS3.5 A.3, retired): OB has no byte order, OW has words."""
    if vr == b"OB":
        return value
    unit = bits // 8 if bits // 8 in _ARRAY_CODES else 2
    return memoryview(swapped(value[: len(value) // unit * unit], unit))
