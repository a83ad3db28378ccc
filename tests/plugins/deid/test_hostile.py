"""Whatever comes in, it is cleaned or held, soon, and in little memory."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from pacsferry.core.errors import HeldError
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, data_set, file, part_10
from support.cleaning import clean, whole

EXPLICIT, IMPLICIT, DEFLATED = (ENCODINGS[name].transfer_syntax for name in ("explicit", "implicit", "deflated"))


def held(data: bytes, *, seconds: float = 10, mib: float = 400, **more: str) -> str:
    """The reason code; fails if it takes long or much."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(HeldError) as caught:
            clean(data, **more)
        assert time.monotonic() - began < seconds
        assert tracemalloc.get_traced_memory()[1] < mib * 2**20
    finally:
        tracemalloc.stop()
    return caught.value.code


def nested(size: int, *, explicit: bool, undefined: bool) -> bytes:
    """Sequences in sequences, as deep as ``size`` bytes allow."""
    start = struct.pack("<HH", KEPT_SEQUENCE >> 16, KEPT_SEQUENCE & 0xFFFF) + (b"SQ\0\0" if explicit else b"")
    level = len(start) + 12
    if undefined:
        return (start + b"\xff" * 4 + b"\xfe\xff\0\xe0" + b"\xff" * 4) * (size // level)
    out = []
    for inner in range(size // level - 1, -1, -1):
        out.append(start + struct.pack("<I", inner * level + 8) + b"\xfe\xff\0\xe0" + struct.pack("<I", inner * level))
    return b"".join(out)


def amid(sequence: bytes, encoding: str = "explicit") -> bytes:
    """A sound object around an encoded KEPT_SEQUENCE."""
    how = ENCODINGS[encoding]
    before, after = ([e for e in image() if (e.tag < KEPT_SEQUENCE) is first] for first in (True, False))
    return data_set(before, how) + sequence + data_set(after, how)


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("explicit", [True, False])
def test_two_megabytes_of_nested_sequences_are_held(explicit, undefined):
    body = amid(nested(2 << 20, explicit=explicit, undefined=undefined), "explicit" if explicit else "implicit")
    assert held(body, syntax=EXPLICIT if explicit else IMPLICIT) == "too-complex"


def test_sequences_hidden_in_un_are_held_soon():
    inner = b""
    for _ in range(200):
        item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(inner)) + inner
        inner = b"\x08\0\x15\x11UN\0\0" + struct.pack("<I", len(item)) + item
    assert held(amid(inner), syntax=EXPLICIT) == "too-complex"


def test_a_deflate_bomb_is_held():
    bomb = zlib.compressobj(9, wbits=-15)
    body = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(300)) + bomb.flush()
    assert held(part_10(body, DEFLATED), mib=400) == "too-complex"


def test_a_deflated_object_may_shrink_to_what_is_usual():
    elements = image(E(0x7FE00010, "OW", bytes(8 * 8 * 2)))
    assert whole(clean(file(elements, ENCODINGS["deflated"]))) == whole(clean(file(elements)))


def test_a_million_elements_are_too_many():
    element = struct.pack("<HHI", 0x0008, 0x1150, 0)
    items = (b"\xfe\xff\0\xe0" + struct.pack("<I", len(element)) + element) * 500_001
    sequence = struct.pack("<HHI", 0x0008, 0x1115, len(items)) + items
    began = time.monotonic()
    with pytest.raises(HeldError) as caught:
        clean(amid(sequence, "implicit"), syntax=IMPLICIT)
    assert caught.value.code == "too-complex"
    assert time.monotonic() - began < 10


def test_every_cut_of_an_object_is_held():
    data = file(image(E(KEPT_SEQUENCE, "SQ", [[E(0x00180050, "DS", "5")]])), ENCODINGS["undefined"])
    for size in range(len(data)):
        with pytest.raises(HeldError) as caught:
            clean(data[:size])
        assert caught.value.code == "malformed"


def test_less_pixel_data_than_promised_is_held():
    assert held(file(image(E(0x7FE00010, "OW", bytes(126))))) == "malformed"
    for frames in ("2", "999999999999", "-5"):
        assert held(file(image(E(0x00280008, "IS", frames)))) == "malformed"
    assert held(file([e for e in image() if e.tag != 0x7FE00010])) == "malformed"


@pytest.mark.parametrize("tag", [0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00280010, 0x00280100])
def test_an_object_without_what_it_needs_is_held(tag):
    assert held(part_10(data_set([e for e in image() if e.tag != tag]), EXPLICIT)) == "malformed"


#: The smallest thing that is a frame: one scan without a table, its entropy-coded data, and the end.
JPEG = b"\xff\xd8\xff\xda\0\x08\1\1\0\0\0\0abcd\xff\xd9"


def fragments(*items: bytes, table: bytes = b"", end: bool = True) -> bytes:
    body = b"".join(b"\xfe\xff\0\xe0" + struct.pack("<I", len(item)) + item for item in (table, *items))
    element = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + body + (b"\xfe\xff\xdd\xe0\0\0\0\0" if end else b"")
    return part_10(data_set(image()[:-1]) + element, "1.2.840.10008.1.2.4.70")


def test_fragments_are_passed_on_as_they_came():
    data = fragments(JPEG[:8], JPEG[8:], table=struct.pack("<I", 0))
    start = data.rindex(b"\xff\xff\xff\xff\xfe\xff")
    assert whole(clean(data)).endswith(data[start:])


@pytest.mark.parametrize(
    "data",
    [
        fragments(JPEG, end=False),
        fragments(),
        fragments(b"odd"),
        fragments(JPEG, table=b"Larry Li"),
        fragments(JPEG, table=struct.pack("<I", 2)),
        fragments(JPEG) + b"Larry",
    ],
    ids=["no delimiter", "no fragment", "odd fragment", "text for offsets", "wrong offset", "bytes behind"],
)
def test_damaged_encapsulated_pixel_data_is_held(data):
    assert held(data) == "malformed"


def test_an_extended_offset_table_holds_offsets_only():
    assert held(file(image(E(0x7FE00001, "OV", b"Larry Lighthouse")))) == "malformed"
    assert clean(file(image(E(0x7FE00001, "OV", struct.pack("<Q", 0))))).parts


def test_fewer_fragments_than_frames_are_held():
    data = fragments(JPEG)
    frames = part_10(
        data_set(image(E(0x00280008, "IS", "2"))[:-1]) + data[data.rindex(b"\xe0\x7f\x10\0") :],
        "1.2.840.10008.1.2.4.70",
    )
    assert held(frames) == "malformed"


def test_native_pixels_in_a_compressed_syntax_are_held():
    assert held(part_10(data_set(image()), "1.2.840.10008.1.2.4.70")) == "malformed"


def test_errors_say_nothing_of_the_object():
    for data in (file(image())[:-50], file(image()) + b"Lighthouse", file(image(E(0x00280010, "LO", "Lighthouse")))):
        with pytest.raises(HeldError) as caught:
            clean(data)
        assert "Lighthouse" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


BASES = [
    *(file(image(E(KEPT_SEQUENCE, "SQ", [[E(0x00180050, "DS", "5")]])), how) for how in ENCODINGS.values()),
    fragments(JPEG[:8], JPEG[8:], table=struct.pack("<I", 0)),
    Path(str(get_testdata_file("emri_small.dcm"))).read_bytes()[:9000],
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 8999), st.integers(0, 255)), max_size=8), st.data())
def test_mutated_objects_are_cleaned_or_held(base, changes, data):
    mutated = bytearray(base)
    for at, byte in changes:
        mutated[at % len(mutated)] = byte
    keep = data.draw(st.sampled_from([len(mutated), len(mutated) - 1, len(mutated) // 2]))
    try:
        draft = clean(bytes(mutated[:keep]))
    except HeldError as err:
        assert err.code in {"malformed", "too-complex", "burned-in", "sop-class"}  # noqa: PT017 - both ends are good ones
    else:
        assert whole(draft)[:132] == bytes(128) + b"DICM"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([how.transfer_syntax for how in ENCODINGS.values()]))
def test_noise_is_held(noise, syntax):
    with pytest.raises(HeldError) as caught:
        clean(noise, syntax=syntax)
    assert caught.value.code in {"malformed", "too-complex"}
