"""Objects with a unique value in every place that can hold an identifier; a value found in the output is a leak.

All values are made up. Nothing here reads the rules of a de-identifier: places come from PS3.6 and from a
list of hiding places, so that an engine cannot agree with its own omissions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from . import _planted_frames as planted_frames
from .encode import ENCODINGS, EXPLICIT, E, file

CT = "1.2.840.10008.5.1.4.1.1.2"
_TEXT = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_PLANTABLE = _TEXT | {"DA", "DT", "TM", "UI"}
#: A sequence that no table of PS3.15 names, so its items are where nested values have to be found.
KEPT_SEQUENCE = 0x00081115


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """``token`` is what to look for in the output; ``tag`` and ``place`` say where it was planted."""

    tag: int
    place: str
    token: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One object and what was planted in it."""

    name: str
    data: bytes = field(repr=False)
    canaries: tuple[Canary, ...] = field(repr=False)

    def survivors(self, output: bytes) -> list[Canary]:
        """The canaries that are found in ``output``, in any case of letters."""
        folded = output.upper()
        return [canary for canary in self.canaries if canary.token.upper() in folded]


class Planter:
    """Makes values that are valid for their VR and occur nowhere else, and remembers them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.canaries: list[Canary] = []

    def value(self, tag: int, vr: str, place: str) -> str:
        number = next(self._numbers)
        text = token = f"ZQ{number:05d}X"
        day = f"{date(1931, 1, 1) + timedelta(days=number):%Y%m%d}"
        time = f"{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}.7{number:05d}"
        if vr in {"DA", "TM", "DT", "UI"}:
            text = token = {"DA": day, "TM": time, "DT": day + time, "UI": f"1.3.6.1.4.1.99999.1{number:05d}"}[vr]
        elif vr == "PN":
            text = f"{token}^Given{number:05d}"
        elif vr == "UR":
            text = f"http://example.invalid/{token}"
        self.canaries.append(Canary(tag=tag, place=place, token=token.encode()))
        return text

    def plant(self, tag: int, vr: str, place: str) -> E:
        return E(tag, vr, self.value(tag, vr, place))


def image(*more: E, rows: int = 8, columns: int = 8, sop_class: str = CT) -> list[E]:
    """A small CT slice of one of our fictitious patients; ``more`` replaces elements with the same tag."""
    plain = [
        E(0x00080005, "CS", "ISO_IR 100"),
        E(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        E(0x00080016, "UI", sop_class),
        E(0x00080018, "UI", "1.3.6.1.4.1.99999.2.3.1"),
        E(0x00080020, "DA", "20200102"),
        E(0x00080030, "TM", "101112"),
        E(0x00080050, "SH", "ACC98765"),
        E(0x00080060, "CS", "CT"),
        E(0x00080070, "LO", "Acme"),
        E(0x00080090, "PN", "Referrer^Rita"),
        E(0x00100010, "PN", "Lighthouse^Larry"),
        E(0x00100020, "LO", "PAT4711"),
        E(0x00100030, "DA", "19600708"),
        E(0x00100040, "CS", "M"),
        E(0x0020000D, "UI", "1.3.6.1.4.1.99999.2.1"),
        E(0x0020000E, "UI", "1.3.6.1.4.1.99999.2.2"),
        E(0x00200010, "SH", "42"),
        E(0x00200011, "IS", "3"),
        E(0x00200013, "IS", "7"),
        E(0x00280002, "US", 1),
        E(0x00280004, "CS", "MONOCHROME2"),
        E(0x00280010, "US", rows),
        E(0x00280011, "US", columns),
        E(0x00280030, "DS", "0.5\\0.5"),
        E(0x00280100, "US", 16),
        E(0x00280101, "US", 12),
        E(0x00280102, "US", 11),
        E(0x00280103, "US", 1),
        E(0x00280106, "SS", -1024),
        E(0x7FE00010, "OW", bytes(range(256))[: rows * columns * 2].ljust(rows * columns * 2, b"\x01")),
    ]
    return _merged(plain, more)


def _merged(plain: Iterable[E], more: Iterable[E]) -> list[E]:
    by_tag = {element.tag: element for element in plain}
    by_tag.update({element.tag: element for element in more})
    return [by_tag[tag] for tag in sorted(by_tag)]


def _dictionary() -> Iterator[tuple[int, str]]:
    """Tags and VRs of PS3.6 that a data set can have."""
    from pydicom import datadict

    dictionary = datadict.DicomDictionary  # type: ignore[attr-defined]
    for tag, row in sorted(dictionary.items()):
        if tag >> 16 not in {0x0000, 0x0002, 0x0004, 0xFFFE, 0xFFFC} and row[0] in _PLANTABLE:
            yield tag, row[0]


#: UIDs that say what kind of object it is; a made-up one would make it another kind.
_KIND = {0x00080016}


def every_attribute() -> tuple[list[E], list[Canary]]:
    """Every text, name, date and UID of PS3.6 at the top level."""
    planter = Planter()
    return image(*(planter.plant(*row, "top level") for row in _dictionary() if row[0] not in _KIND)), planter.canaries


def every_attribute_nested() -> tuple[list[E], list[Canary]]:
    """The same, three sequences down."""
    planter = Planter()
    inner = [planter.plant(*row, "nested") for row in _dictionary()]
    return image(_down(_down(_down(*inner)))), planter.canaries


def every_attribute_as_un() -> tuple[list[E], list[Canary]]:
    """The same, with VR UN."""
    planter = Planter()
    unknown = [
        E(tag, "UN", planter.value(tag, vr, "UN")) for tag, vr in _dictionary() if tag not in {*_KIND, 0x00080018}
    ]
    return image(*unknown), planter.canaries


def wrong_vrs() -> tuple[list[E], list[Canary]]:
    """Text under binary and numeric tags, and listed tags with other VRs."""
    planter = Planter()
    tags = {
        0x00100010: "OB", 0x00100020: "UT", 0x00080020: "LO", 0x00080050: "UC", 0x00081030: "OB", 0x00104000: "ST",
        0x00181318: "LO", 0x00280107: "LO", 0x00281052: "LO", 0x00200012: "SH", 0x00189073: "LT", 0x00209057: "UT",
        0x00280008: "LO", 0x00180088: "LO", 0x00201041: "UT",
    }  # fmt: skip
    return image(
        *(E(tag, vr, planter.value(tag, "LO", f"wrong VR {vr}")) for tag, vr in tags.items())
    ), planter.canaries


def private() -> tuple[list[E], list[Canary]]:
    """Private elements: with a creator, a wrong one, none, nested, as sequences, and the creator itself."""
    planter = Planter()

    def block(group: int, place: str) -> list[E]:
        tag = group << 16
        return [
            E(tag | 0x10, "LO", planter.value(tag | 0x10, "LO", f"{place} creator")),
            *(E(tag | 0x1000 + at, vr, planter.value(tag, vr, place)) for at, vr in enumerate(sorted(_PLANTABLE))),
            E(tag | 0x1020, "OB", planter.value(tag, "LO", f"{place} blob")),
            E(tag | 0x1021, "SQ", [[E(0x00080104, "LO", planter.value(0x00080104, "LO", f"{place} sequence"))]]),
            E(
                tag | 0x1022,
                "UN",
                [[E(0x00080104, "LO", planter.value(0x00080104, "LO", f"{place} UN"))]],
                undefined=True,
            ),
            E(tag | 0x2001, "LO", planter.value(tag, "LO", f"{place} without creator")),
        ]

    nested = _down(*block(0x0019, "nested private"))
    siemens = E(0x00290010, "LO", "SIEMENS CSA HEADER")
    return image(*block(0x0009, "private"), siemens, planter.plant(0x00291110, "LO", "wrong creator"), nested), (
        planter.canaries
    )


def unknown() -> tuple[list[E], list[Canary]]:
    """Tags that PS3.6 does not have, UN that hides sequences, and groups that do not belong."""
    planter = Planter()
    hidden = [[E(0x00080080, "LO", planter.value(0x00080080, "LO", "sequence in UN"))]]
    elements = [
        E(0x00000010, "LO", planter.value(0x00000010, "LO", "group 0000")),
        E(0x00041511, "UI", planter.value(0x00041511, "UI", "group 0004")),
        E(0x00080000, "UL", 4711),
        E(0x00080001, "LO", planter.value(0x00080001, "LO", "retired, wrong VR")),
        E(0x00089998, "LO", planter.value(0x00089998, "LO", "no such tag")),
        E(0x00089997, "UN", hidden, undefined=True),
        E(KEPT_SEQUENCE, "UN", hidden, undefined=True),
        E(0x00081140, "UN", [[E(0x00081155, "UI", planter.value(0x00081155, "UI", "UN sequence"))]], undefined=True),
        E(0x5A4D6520, "LO", planter.value(0x5A4D6520, "LO", "no such group")),
        E(0xFFFAFFFA, "SQ", [[E(0x04000100, "UI", planter.value(0x04000100, "UI", "signature"))]]),
        E(0xFFFCFFFC, "OB", planter.value(0xFFFCFFFC, "LO", "trailing padding")),
    ]
    return image(*elements), planter.canaries


def graphics() -> tuple[list[E], list[Canary]]:
    """Overlays, curves and icons."""
    planter = Planter()
    words = {"LO": [0x60000022, 0x60001500, 0x50000022, 0x50022500], "LT": [0x60024000], "OB": [0x60003000, 0x50003000]}
    planted = [E(tag, vr, planter.value(tag, "LO", "graphics")) for vr, tags in words.items() for tag in tags]
    icon = [
        E(0x00280010, "US", 2),
        E(0x00280011, "US", 4),
        E(0x7FE00010, "OB", planter.value(0x7FE00010, "LO", "icon pixels")),
    ]
    shape = [E(0x60000010, "US", 8), E(0x60000011, "US", 8), E(0x60000100, "US", 1), E(0x60000102, "US", 0)]
    return image(*planted, *shape, E(0x00880200, "SQ", [icon])), planter.canaries


def signatures() -> tuple[list[E], list[Canary]]:
    """Original, modified and encrypted attributes, MACs and digital signatures."""
    planter = Planter()
    old = [planter.plant(0x00100020, "LO", "original"), planter.plant(0x00100010, "PN", "original")]
    elements = [
        E(0x04000561, "SQ", [[planter.plant(0x04000563, "LO", "original"), E(0x04000550, "SQ", [old])]]),
        E(0x04000500, "SQ", [[E(0x04000520, "OB", planter.value(0x04000520, "LO", "encrypted"))]]),
        E(0x04000551, "SQ", [[planter.plant(0x00081080, "LO", "nonconforming")]]),
        E(0x4FFE0001, "SQ", [[planter.plant(0x04000015, "LO", "MAC")]]),
        E(0xFFFAFFFA, "SQ", [[E(0x04000115, "OB", planter.value(0x04000115, "LO", "certificate"))]]),
    ]
    return image(*elements), planter.canaries


def odd_values() -> tuple[list[E], list[Canary]]:
    """Words in numbers, in UIDs, in the character set, behind the end of values, and in earlier methods."""
    planter = Planter()
    tags = {0x00180050: "DS", 0x00180060: "DS", 0x00200012: "IS", 0x00080005: "CS", 0x00081150: "UI", 0x00200052: "UI"}
    elements = [E(tag, vr, planter.value(tag, "LO", "odd value")) for tag, vr in tags.items()]
    methods = [
        E(0x00120063, "LO", "By hand of " + planter.value(0x00120063, "LO", "earlier method")),
        E(0x00120064, "SQ", [[planter.plant(0x00080100, "SH", "earlier code"), E(0x00080102, "SH", "DCM")]]),
        E(0x00081032, "SQ", [[planter.plant(tag, vr, "local code") for tag, vr in _CODE.items()]]),
        _down(planter.plant(0x00080104, "LO", "meaning without a code")),
    ]
    return image(*elements, *methods), planter.canaries


def character_sets() -> tuple[list[E], list[Canary]]:
    """Names in items with character sets of their own, between letters that only these can write."""
    planter = Planter()
    items = [
        [
            E(0x00080005, "CS", term),
            E(0x00100010, "PN", before + planter.value(0x00100010, "LO", term).encode() + behind),
        ]
        for term, (before, behind) in _SETS.items()
    ]
    return image(E(KEPT_SEQUENCE, "SQ", items)), planter.canaries


_SETS = {
    "ISO_IR 100": (b"\xe4", b"^\xf6"),
    "ISO_IR 144": (b"\xbb^", b"\xee"),
    "ISO_IR 192": (b"\xc3\xa4^", b"\xe5\xb1\xb1"),
    "GB18030": (b"\xcd\xf5^", b"\xb6\xab"),
    "\\ISO 2022 IR 87": (b"\x1b$B;3ED\x1b(B^", b"=\x1b$BB@O:\x1b(B"),
    "\\ISO 2022 IR 149": (b"\x1b$)C\xfb\xf3^", b"\x1b$)C\xd1\xce"),
    "NO SUCH SET": (b"\xff", b"\xfe"),
}
_CODE = {0x00080100: "SH", 0x00080102: "SH", 0x00080104: "LO"}

PLACES = {
    "attributes": every_attribute,
    "nested": every_attribute_nested,
    "UN": every_attribute_as_un,
    "wrong VRs": wrong_vrs,
    "private": private,
    "unknown": unknown,
    "graphics": graphics,
    "signatures": signatures,
    "odd values": odd_values,
    "character sets": character_sets,
}
#: Places that only an explicit VR makes.
_NEEDS_VR = {"UN", "wrong VRs"}


def _down(*elements: E) -> E:
    return E(KEPT_SEQUENCE, "SQ", [sorted(elements, key=lambda element: element.tag)])


def corpus() -> Iterator[Planted]:
    """Every place in every encoding, then the places of a file."""
    for name, make in PLACES.items():
        for encoding, how in ENCODINGS.items():
            if how.explicit or name not in _NEEDS_VR:
                elements, canaries = make()
                yield Planted(name=f"{name}, {encoding}", data=file(elements, how), canaries=tuple(canaries))
    yield from _files()
    yield from _frames()
    yield from _documents()


def _frames() -> Iterator[Planted]:
    """Comments, application segments, and what stands beyond the image, in compressed frames."""
    for name, (syntax, bits, make) in planted_frames.FRAMES.items():
        planter = Planter()

        def plant(place: str, planter: Planter = planter) -> bytes:
            return planter.value(0x7FE00010, "LO", place).encode()

        elements = image(E(0x00280100, "US", bits), E(0x00280101, "US", bits), E(0x00280102, "US", bits - 1))
        data = planted_frames.compressed(elements, syntax, make(plant))
        yield Planted(name=f"frames, {name}", data=data, canaries=tuple(planter.canaries))


def _documents() -> Iterator[Planted]:
    """Words in kinds of object other than images; their gate may hold them, and the rules clean them all the same."""
    for name in planted_frames.documents(Planter().plant):
        planter = Planter()
        sop_class, elements = planted_frames.documents(planter.plant)[name]
        whole = image(sop_class=sop_class)
        plain = whole if name == "segmentation" else [one for one in whole if one.tag < 0x00280000]
        data = file([*plain, *elements])
        canaries = tuple(one for one in planter.canaries if one.token in data)
        yield Planted(name=f"document, {name}", data=data, canaries=canaries)


def _files() -> Iterator[Planted]:
    """Preamble, file meta information, behind the data set, behind the pixels."""
    planter = Planter()
    preamble = planter.value(0, "LO", "preamble").encode().ljust(128, b"\0")
    meta = [
        E(0x00020003, "UI", planter.value(0x00020003, "UI", "file meta")),
        E(0x00020012, "UI", planter.value(0x00020012, "UI", "file meta")),
        E(0x00020013, "SH", planter.value(0x00020013, "SH", "file meta")),
        *(E(tag, "AE", planter.value(tag, "AE", "file meta")) for tag in (0x00020016, 0x00020017, 0x00020018)),
        *(E(tag, "UR", planter.value(tag, "UR", "file meta")) for tag in (0x00020026, 0x00020027, 0x00020028)),
        E(0x00020100, "UI", planter.value(0x00020100, "UI", "file meta")),
        E(0x00020102, "OB", planter.value(0x00020102, "LO", "file meta")),
    ]
    yield Planted(name="file meta", data=file(image(), preamble=preamble, meta=meta), canaries=tuple(planter.canaries))
    planter = Planter()
    beyond = bytes(128) + planter.value(0x7FE00010, "LO", "beyond the pixels").encode()
    yield Planted(
        name="beyond the pixels", data=file(image(E(0x7FE00010, "OW", beyond))), canaries=tuple(planter.canaries)
    )
    planter = Planter()
    behind = planter.value(0, "LO", "behind the data set").encode()
    yield Planted(name="behind the data set", data=file(image(), EXPLICIT) + behind, canaries=tuple(planter.canaries))
