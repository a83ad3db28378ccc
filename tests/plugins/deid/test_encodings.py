"""One object gives one output, however it is written."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, How, data_set, file
from support.cleaning import clean, cleaned, whole

RICH = image(
    E(0x00080005, "CS", "ISO_IR 192"),
    E(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
    E(0x00180050, "DS", "5.0"),
    E(0x00189073, "FD", struct.pack("<d", 1.5)),
    E(0x00209165, "AT", b"\x20\x00\x32\x00"),
    E(0x00280120, "SS", -2000),
    E(0x00281101, "SS", struct.pack("<3h", 256, 0, 16)),
    E(0x00281201, "OW", bytes(range(256)) * 2),
    E(0x00080300, "SQ", []),
    E(
        0x52009230,
        "SQ",
        [
            [
                E(0x00209111, "SQ", [[E(0x00189074, "DT", "20200102"), E(0x00209157, "UL", struct.pack("<2I", 1, 7))]]),
                E(
                    0x00409096,
                    "SQ",
                    [[E(0x00409211, "SS", 100), E(0x00409216, "SS", -5), E(0x00409225, "FD", bytes(8))]],
                ),
            ]
            for _ in range(3)
        ],
    ),
)


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_gives_the_same_bytes(name):
    assert whole(clean(file(RICH, ENCODINGS[name]))) == whole(clean(file(RICH)))


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_bare_data_set_gives_the_same_bytes_as_a_file(name):
    how = ENCODINGS[name]
    assert whole(clean(data_set(RICH, how), syntax=how.transfer_syntax)) == whole(clean(file(RICH)))


def test_vrs_follow_the_dictionary():
    plain = image(E(0x00280106, "SS", 1024))
    odd = [E(e.tag, {"CS": "LO", "DS": "UN", "SS": "US", "SH": "UT"}.get(e.vr, e.vr), e.value) for e in plain]
    assert whole(clean(file(odd))) == whole(clean(file(plain)))


def test_padding_does_not_matter():
    tight = image(E(0x00080070, "LO", "Acme Ltd"), E(0x00180050, "DS", "5"), E(0x00200052, "UI", "1.2.3"))
    wide = image(E(0x00080070, "LO", "Acme Ltd  \0\0"), E(0x00180050, "DS", "5     "), E(0x00200052, "UI", "1.2.3   "))
    assert whole(clean(file(wide))) == whole(clean(file(tight)))


def test_order_does_not_matter():
    elements = sorted(RICH, key=lambda element: -element.tag if element.tag < 0x7FE00000 else element.tag)
    body = data_set(elements)
    assert whole(clean(body, syntax="1.2.840.10008.1.2.1")) == whole(clean(file(RICH)))


def test_a_tag_that_stands_twice_is_held():
    body = data_set([*image(), E(0x00100020, "LO", "OTHER")])
    with pytest.raises(HeldError, match="twice") as caught:
        clean(body, syntax="1.2.840.10008.1.2.1")
    assert caught.value.code == "malformed"


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (8, "OW"), (16, "OW"), (32, "OW")])
def test_big_endian_pixels_keep_their_values(bits, vr):
    pixels = bytes(range(64)) * (bits // 8)
    shape = [E(0x00280100, "US", bits), E(0x00280101, "US", bits), E(0x7FE00010, vr, pixels)]
    if bits == 32:
        swapped = b"".join(pixels[at : at + 4][::-1] for at in range(0, len(pixels), 4))
        big = data_set(image(*shape[:2]), ENCODINGS["big-endian"])
        at = big.rindex(b"\x7f\xe0\x00\x10")
        big = big[:at] + b"\x7f\xe0\x00\x10OW\0\0" + struct.pack(">I", len(pixels)) + swapped
        out = clean(big, syntax="1.2.840.10008.1.2.2")
    else:
        out = clean(file(image(*shape), ENCODINGS["big-endian"]))
    assert whole(out) == whole(clean(file(image(*shape))))


@pytest.mark.parametrize("name", ENCODINGS)
def test_large_values_count_in_the_length_of_what_holds_them(name):
    table = [E(0x00283002, "US", struct.pack("<3H", 4096, 0, 12)), E(0x00283006, "OW", bytes(range(256)) * 32)]
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00283000, "SQ", [table, table]), E(0x0020000E, "UI", "1.2.3.4.5.6.7")]])
    out = cleaned(file(image(nested, E(0x00180050, "DS", "5")), ENCODINGS[name]))
    (item,) = out.ReferencedSeriesSequence
    assert [bytes(one.LUTData) for one in item.ModalityLUTSequence] == [bytes(range(256)) * 32] * 2
    assert (item.SeriesInstanceUID[:5], out.SliceThickness) == ("2.25.", 5)


def test_only_bulk_is_left_out_of_the_header():
    draft = clean(file(RICH))
    assert isinstance(draft, Draft)
    bulk = [bytes(part) for at, part in enumerate(draft.parts) if at not in draft.header]
    assert bulk == [RICH[-1].value if RICH[-1].tag == 0x7FE00010 else bulk[0]]


def test_native_pixels_are_not_copied():
    data = file(image(rows=64, columns=64))
    draft = clean(data)
    (pixels,) = (part for at, part in enumerate(draft.parts) if at not in draft.header)
    assert isinstance(pixels, memoryview)
    assert pixels.obj is data


def test_text_spans_are_text_and_own_spans_are_ours():
    draft = clean(file(image(E(0x00181210, "SH", "B30f"), E(0x00180050, "DS", "5"))))
    header = b"".join(bytes(draft.parts[at]) for at in draft.header)
    assert [header[start:end] for start, end in draft.text_spans] == [b"Acme", b"B30f"]
    own = b" ".join(header[start:end] for start, end in draft.own_spans)
    assert all(word in own for word in (b"case0001", b"YES", b"PS3.15", b"PACSFERRY"))
    assert list(draft.own_spans) == sorted(draft.own_spans)


VRS = {"LO": 0x00080070, "SH": 0x00181210, "CS": 0x00180022, "DS": 0x00180050, "IS": 0x00200012}


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(VRS)), st.binary(max_size=20).map(lambda raw: raw.replace(b"\x1b", b" "))),
    st.sampled_from(sorted(ENCODINGS)),
    st.integers(0, 5),
)
def test_any_values_in_any_encoding_at_any_depth_give_the_same_bytes(values, name, depth):
    elements = sorted((E(VRS[vr], vr, value) for vr, value in values.items()), key=lambda element: element.tag)
    for _ in range(depth):
        elements = [E(KEPT_SEQUENCE, "SQ", [elements, elements])]
    one, other = (whole(clean(file(image(*elements), how))) for how in (How(), ENCODINGS[name]))
    assert one == other


def test_the_output_is_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    out = cleaned(file(RICH))
    assert len(list(out.iterall())) > 40
    assert out.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
