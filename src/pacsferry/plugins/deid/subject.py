"""One object as it arrived, its top level found and its key facts read; identified, and only inside a worker."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from functools import cached_property

from pacsferry.core import charsets as text
from pacsferry.core.encoding import (
    DEFLATED,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    Dialect,
    dialect_of,
    inflate,
    malformed,
    unwrap,
)
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Seen, Source

from . import encapsulated, frames, pixels, reference
from .method import CODE_SEQUENCE, METHOD
from .program import PIXEL_TAGS, Step, element
from .recall import Layout, Memory
from .rules import Limits
from .scan import Element, Scanner
from .writer import Writer

_NATIVE = DEFLATED | {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE}
#: Extended Offset Table and its lengths (PS3.3 C.7.6.3.1.8, C.7.6.3.1.9).
_TABLE, _LENGTHS = 0x7FE00001, 0x7FE00002
#: Encapsulated Pixel Data Value Total Length (PS3.3 C.7.6.3.1).
_TOTAL = 0x7FE00003
_OF_FRAGMENTS = frozenset({_TABLE, _LENGTHS, _TOTAL})
_FRAMES = 0x00280008
_DIRECTORY = "1.2.840.10008.1.3.10"
_CODE_VALUE, _DESIGNATOR = 0x00080100, 0x00080102
_CODE = frozenset({_CODE_VALUE, _DESIGNATOR})
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The top level of an object. ``by_tag`` has its elements; UIDs are original."""

    scanner: Scanner
    elements: list[Element]
    by_tag: dict[int, Element]
    dialect: Dialect
    transfer_syntax: str
    sop_class: str
    #: What is known of the first elements from objects before.
    layout: Layout | None = None

    def raw(self, tag: int) -> bytes:
        """The encoded value of an element of the top level, empty where it is not there."""
        found = self.by_tag.get(tag)
        return b"" if found is None or found[5] else bytes(self.scanner.data[found[3] : found[4]])

    def ascii(self, tag: int) -> str:
        return self.raw(tag).decode("latin-1").strip(" \0")

    def text(self, tag: int) -> str:
        return text.decode(self.raw(tag), self.charset).strip(" \0")

    def value(self, tag: int) -> str:
        """A value of the top level as text, also of an unsigned 16 bit number, to compare it with a condition."""
        found = self.by_tag.get(tag)
        binary = found is not None and (reference.known().get(tag) or ("",))[0] in {"US", "XS"}
        return str(self.short(tag)) if binary else self.text(tag)

    def short(self, tag: int) -> int:
        """An unsigned 16 bit value, 0 where it is not there."""
        raw = self.raw(tag)
        return int.from_bytes(raw[:2], "big" if self.dialect.order == ">" else "little") if len(raw) >= 2 else 0

    def number(self, tag: int) -> int:
        """A decimal string as a whole number, 0 where it is none that an IS can hold."""
        return whole_number(self.ascii(tag))

    def uid(self, tag: int) -> str:
        """One of the UIDs that every object has. Raises ``HeldError`` where there is not exactly one."""
        value = self.ascii(tag)
        if not value or "\\" in value:
            malformed("an object without a study, series or instance UID")
        return value

    @cached_property
    def charset(self) -> tuple[str, ...]:
        return text.terms(self.raw(0x00080005))

    @property
    def signed(self) -> bool:
        """Whether pixel values are signed, which settles VRs that are US or SS (PS3.5 annex A)."""
        return self.short(0x00280103) == 1

    @property
    def out_syntax(self) -> str:
        """Uncompressed objects go out in Explicit VR Little Endian; compressed ones keep their syntax."""
        return EXPLICIT_LE if self.transfer_syntax in _NATIVE else self.transfer_syntax

    def seen(self) -> Seen:
        return Seen(
            study_uid=self.ascii(0x0020000D),
            series_uid=self.ascii(0x0020000E),
            instance_uid=self.ascii(0x00080018),
            patient_id=self.text(0x00100020),
            issuer=self.text(0x00100021),
            sop_class=self.sop_class,
            modality=self.ascii(0x00080060),
            series_description=self.text(0x0008103E),
            burned_in_annotation=self.ascii(0x00280301),
            image_type=tuple(part.strip() for part in self.ascii(0x00080008).split("\\")),
        )

    def earlier_methods(self) -> tuple[str, ...]:
        """The values of DeidentificationMethod that the object brings."""
        return tuple(value.strip() for value in self.ascii(METHOD).split("\\"))

    def earlier_codes(self) -> tuple[str, ...]:
        """The DICOM codes of DeidentificationMethodCodeSequence that the object brings."""
        found = self.by_tag.get(CODE_SEQUENCE)
        if found is None or found[1] not in {b"SQ", b"UN", b""}:
            return ()
        codes = []
        within = self.scanner.dialect_within(found, self.dialect)
        for start, end in self.scanner.items(found, within):
            item = {
                tag: bytes(self.scanner.data[value:stop]).decode("latin-1").strip(" \0")
                for tag, _, _, value, stop, _ in self.scanner.elements(start, end, within, 1)
                if tag in _CODE
            }
            if item.get(_DESIGNATOR) == "DCM":
                codes.append(item.get(_CODE_VALUE, ""))
        return tuple(codes)

    def shape(self) -> pixels.Shape:
        """What describes the pixel data."""
        return pixels.Shape(
            rows=self.short(0x00280010),
            columns=self.short(0x00280011),
            samples=self.short(0x00280002),
            bits=self.short(0x00280100),
            frames=self._frames(),
            photometric=self.ascii(0x00280004),
        )

    def _frames(self) -> int:
        """NumberOfFrames, 0 where it says none. Raises ``HeldError`` for a number that no object can have."""
        said, frames = self.ascii(_FRAMES), self.number(_FRAMES)
        if not frames and said.strip("+-0123456789") == "" and said.strip("+-0"):
            malformed("a number of frames that no object can have")
        return frames

    @cached_property
    def fragments(self) -> encapsulated.Fragments | None:
        """The fragments of encapsulated pixel data, None where it is not encapsulated. Raises ``HeldError``."""
        one = next((self.by_tag[tag] for tag in PIXEL_TAGS if tag in self.by_tag and self.by_tag[tag][5]), None)
        if one is None:
            return None
        if self.transfer_syntax in _NATIVE or one[0] != 0x7FE00010:
            malformed("encapsulated pixel data in a syntax that has none")
        found = encapsulated.fragments(self.scanner.data, one[3], one[4])
        if found.end != one[4]:
            malformed("pixel data that does not end with its delimiter")
        return found

    @cached_property
    def tidied(self) -> encapsulated.Tidied | None:
        """Encapsulated pixel data without what must not stay, None where all of it may. Raises ``HeldError``."""
        if self.fragments is None:
            return None
        shape = self.shape()
        _, octets = replace(shape, frames=1).octets()
        one = frames.FrameShape(pixels=shape.rows * shape.columns, bits=shape.bits, octets=octets)
        strip = frames.strip_for(self.transfer_syntax, one)
        return encapsulated.tidied(self.scanner.data, self.fragments, max(shape.frames, 1), strip)

    def tables(self) -> list[tuple[int, bytes]]:
        """The Extended Offset Table and its lengths, corrected; native pixel data has none. Raises ``HeldError``.

        The total length stays as long as it is right.
        """
        if self.fragments is None:
            return []
        return [*self._offsets(self.fragments), *self._total(self.fragments)]

    def _total(self, found: encapsulated.Fragments) -> list[tuple[int, bytes]]:
        total = pixels.longs(self.raw(_TOTAL))
        size = sum(end - start for start, end in found.values)
        right = len(total) == 1 and size - len(found.values) <= total[0] <= size
        return [(_TOTAL, element(_TOTAL, b"UV", struct.pack("<Q", *total)))] if right and self.tidied is None else []

    def _offsets(self, found: encapsulated.Fragments) -> list[tuple[int, bytes]]:
        offsets, lengths = pixels.longs(self.raw(_TABLE)), pixels.longs(self.raw(_LENGTHS))
        if not (offsets or lengths):
            return []
        starts = found.starts()
        longest = [end - start for start, end in found.values]
        if list(offsets) != starts or len(lengths) not in {0, len(starts)}:
            malformed("an extended offset table that does not point at the fragments")
        if any(not most - 1 <= length <= most for length, most in zip(lengths, longest, strict=False)):
            malformed("lengths of frames that are not those of the fragments")
        if self.tidied is not None:
            offsets = tuple(self.tidied.starts)
            lengths = tuple(self.tidied.sizes) if lengths else ()
        return [(tag, _longs(tag, numbers)) for tag, numbers in ((_TABLE, offsets), (_LENGTHS, lengths)) if numbers]

    def put_pixels(self, one: Element, step: Step, writer: Writer) -> None:
        """Pass pixel data on: fragments as they came, native pixels cut to what the description asks for."""
        tag, _, _, value, end, undefined = one
        data, shape = self.scanner.data, self.shape()
        if undefined:
            writer.put(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
            for part in [data[value:end]] if self.tidied is None else self.tidied.parts:
                writer.put_bulk(part)
            return
        if self.transfer_syntax not in _NATIVE:
            malformed("pixel data that is not encapsulated in a syntax that wants it")
        bits = PIXEL_TAGS[tag] * 8 or shape.bits
        held = data[value:end] if self.dialect.order == "<" else pixels.little(data[value:end], one[1], bits)
        kept, padding = pixels.native(held, pixels.with_bits(shape, bits))
        size = len(kept) + len(padding)
        if size > 0xFFFFFFFE:
            malformed("pixel data longer than a length can say")
        head = step.head if tag != 0x7FE00010 or bits > 8 else b"\xe0\x7f\x10\x00OB\0\0"
        writer.put(head + size.to_bytes(4, "little"))
        writer.put_bulk(kept)
        if padding:
            writer.put_bulk(padding)


def read(source: Source, limits: Limits, *, private: bool = False, memory: Memory | None = None) -> Subject:
    """Find the top level of an object, with its private elements where asked; ``memory`` has the last objects.

    Raises ``HeldError`` for what is no sound object of a patient.
    """
    wrapped = unwrap(source.data, source.head.framing, source.head.transfer_syntax)
    if wrapped.sop_class == _DIRECTORY:
        raise HeldError("a media directory is no object of a patient", code="sop-class")
    dialect = dialect_of(wrapped.transfer_syntax)
    body = source.data[wrapped.start :]
    if wrapped.transfer_syntax in DEFLATED:
        budget = min(limits.inflate_ratio * len(body), limits.inflate_bytes)
        body = memoryview(inflate(body, budget, whole=True))
    scanner = Scanner(body, limits, private=private)
    layout, elements = _top(scanner, dialect, limits, memory)
    by_tag = {element[0]: element for element in elements}
    subject = Subject(
        scanner=scanner,
        elements=elements if _OF_FRAGMENTS.isdisjoint(by_tag) else _without(elements, _OF_FRAGMENTS),
        by_tag=by_tag,
        dialect=dialect,
        transfer_syntax=wrapped.transfer_syntax,
        sop_class=_class_of(by_tag, scanner, wrapped.sop_class),
        layout=layout,
    )
    _check(subject)
    return subject


def whole_number(value: str) -> int:
    """The first of decimal strings as a whole number, 0 where it is none that an IS can hold (PS3.5 6.2)."""
    try:
        number = int(float(value.split("\\", maxsplit=1)[0]))
    except (ValueError, OverflowError):
        return 0
    return number if 0 <= number < 1 << 31 else 0


def _top(
    scanner: Scanner, dialect: Dialect, limits: Limits, memory: Memory | None
) -> tuple[Layout | None, list[Element]]:
    """The elements of the top level; the first of them need not be looked for where their layout is known."""
    size = len(scanner.data)
    layout = memory.find(scanner.data, dialect) if memory is not None else None
    if layout is not None:
        rest = scanner.elements(layout.size, size, dialect, 0)
        if not rest or rest[0][0] > layout.last:
            scanner.count(len(layout.every))
            return layout, [*layout.elements, *rest]
        scanner.counted = 0
    elements = scanner.elements(0, size, dialect, 0)
    if memory is not None:
        every = Scanner(scanner.data, limits, private=True)
        memory.learn(scanner.data, dialect, elements, lambda: every.elements(0, size, dialect, 0))
    return None, elements


def _without(elements: list[Element], tags: frozenset[int]) -> list[Element]:
    return [one for one in elements if one[0] not in tags]


def _class_of(by_tag: dict[int, Element], scanner: Scanner, said: str) -> str:
    found = by_tag.get(0x00080016)
    sop_class = bytes(scanner.data[found[3] : found[4]]).decode("latin-1").strip(" \0") if found else said
    if not _UID.fullmatch(sop_class) or len(sop_class) > 64:
        malformed("an object without a SOP class")
    return sop_class


def _check(subject: Subject) -> None:
    """Pixels where the class or the description promises some, and no drawing hidden in them."""
    has_pixels = any(tag in subject.by_tag for tag in PIXEL_TAGS)
    promised = subject.sop_class in reference.pixel_classes() or 0x00280010 in subject.by_tag
    if promised and not has_pixels:
        malformed("an image without pixel data")
    if sum(tag in subject.by_tag for tag in PIXEL_TAGS) > 1:
        malformed("pixel data of two kinds")
    for tag in (_TABLE, _LENGTHS):
        if any(number >= len(subject.scanner.data) for number in pixels.longs(subject.raw(tag))):
            malformed("an offset table that points outside")
    for tag in subject.by_tag:
        # PS3.3 C.9.2, retired: the overlay stands in unused bits of the pixels, which are not touched.
        if tag & 0xFF00FFFF == 0x60000100 and subject.short(tag) > 1:
            raise HeldError("an overlay is drawn into the pixel data", code="burned-in")


def _longs(tag: int, numbers: tuple[int, ...]) -> bytes:
    return element(tag, b"OV", struct.pack(f"<{len(numbers)}Q", *numbers))
