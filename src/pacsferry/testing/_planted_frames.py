"""Values planted in compressed frames and in kinds of object other than images, for the corpus; it reads no rules."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .encode import E, data_set, part_10

_IMAGE: Final = "1.2.840.10008.5.1.4.1.1."
#: Rows, columns and bits of every frame here.
SIDE: Final = 8


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg(plant: Callable[[str], bytes]) -> bytes:
    """A JPEG with something in every application segment, in comments before and between scans, and behind the end."""
    frame = _segment(0xC0, struct.pack(">BHHB3B", 8, SIDE, SIDE, 1, 1, 0x11, 0))
    scan = _segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\0\x34"
    application = b"".join(_segment(0xE0 + n, plant(f"APP{n}")) for n in range(16))
    comments = [_segment(0xFE, plant("COM")) for _ in range(2)]
    return b"\xff\xd8" + application + comments[0] + frame + scan + comments[1] + scan + b"\xff\xd9" + plant("behind")


def jpeg_ls(plant: Callable[[str], bytes]) -> bytes:
    """The same for JPEG-LS."""
    frame = _segment(0xF7, struct.pack(">BHHB3B", 8, SIDE, SIDE, 1, 1, 0x11, 0))
    scan = _segment(0xDA, b"\1\1\0\0\0\0") + b"\x12\xff\x34"
    segments = _segment(0xE8, plant("APP8")) + _segment(0xFE, plant("COM"))
    return b"\xff\xd8" + segments + frame + scan + b"\xff\xd9" + plant("behind")


def jpeg_2000(plant: Callable[[str], bytes]) -> bytes:
    """A JPEG 2000 codestream with comments in the main header and in a tile-part, and something behind its end."""
    size = _segment(0x51, struct.pack(">H8IH3B", 0, SIDE, SIDE, 0, 0, SIDE, SIDE, 0, 0, 1, 7, 1, 1))
    comment = _segment(0x64, b"\0\1" + plant("tile comment"))
    body = b"\xff\x93\x12\x34"
    tile = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 12 + len(comment) + len(body), 0, 1) + comment + body
    return b"\xff\x4f" + size + _segment(0x64, b"\0\1" + plant("main comment")) + tile + b"\xff\xd9" + plant("behind")


def rle(plant: Callable[[str], bytes]) -> bytes:
    """RLE with something in its header, between and behind segments."""
    run = bytes((257 - SIDE * SIDE,)) + b"\x07"
    between = plant("between segments")
    second = 64 + len(run) + len(between)
    spare = plant("header")[:48].ljust(48, b"\0")
    return struct.pack("<4I", 2, 64, second, 0) + spare + run + between + run + plant("behind")


#: Name to transfer syntax, bits and how a frame is made.
FRAMES: Final[Mapping[str, tuple[str, int, Callable[[Callable[[str], bytes]], bytes]]]] = {
    "JPEG": ("1.2.840.10008.1.2.4.50", 8, jpeg),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", 8, jpeg_ls),
    "JPEG 2000": ("1.2.840.10008.1.2.4.90", 8, jpeg_2000),
    "HTJ2K": ("1.2.840.10008.1.2.4.201", 8, jpeg_2000),
    "RLE": ("1.2.840.10008.1.2.5", 16, rle),
}


def compressed(elements: Iterable[E], syntax: str, frame: bytes) -> bytes:
    """A PS3.10 file of an image of one frame."""
    frame += b"\0" * (len(frame) & 1)
    items = (
        b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0" + struct.pack("<I", len(frame)) + frame + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    plain = (element for element in elements if element.tag != 0x7FE00010)
    return part_10(data_set(plain) + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + items, syntax)


def documents(plant: Callable[[int, str, str], E]) -> dict[str, tuple[str, list[E]]]:
    """Kinds of object that carry words: name to SOP class and the elements in which they stand."""
    text = [E(0x0040A040, "CS", "TEXT"), plant(0x0040A160, "UT", "SR text")]
    person = [E(0x0040A040, "CS", "PNAME"), plant(0x0040A123, "PN", "SR name")]
    drawn = [[E(0x00700008, "SQ", [[plant(0x00700006, "ST", "drawn text")]])]]
    roi = [plant(0x30060026, "LO", "ROI name"), plant(0x30060028, "ST", "ROI description")]
    return {
        "report": (f"{_IMAGE}88.11", [E(0x0040A730, "SQ", [text, person])]),
        "presentation state": (
            f"{_IMAGE}11.1",
            [
                E(0x00700001, "SQ", drawn),
                plant(0x00700081, "LO", "PR description"),
                plant(0x00700084, "PN", "PR creator"),
            ],
        ),
        "structure set": (
            f"{_IMAGE}481.3",
            [plant(0x30060002, "SH", "label"), E(0x30060020, "SQ", [roi]), plant(0x30060004, "LO", "name")],
        ),
        "plan": (
            f"{_IMAGE}481.5",
            [plant(0x300A0002, "SH", "label"), E(0x300A00B0, "SQ", [[plant(0x300A00C2, "LO", "beam")]])],
        ),
        "document": (f"{_IMAGE}104.1", [plant(0x00420010, "ST", "title"), plant(0x00420011, "OB", "PDF")]),
        "segmentation": (f"{_IMAGE}66.4", [E(0x00620002, "SQ", [[plant(0x00620005, "LO", "segment label")]])]),
    }
