"""Compressed frames lose their comments and what stands beyond the image, and not a pixel."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.pixels import get_encoder
from pydicom.pixels.decoders.rle import _rle_decode_frame

from pacsferry.core.errors import HeldError
from pacsferry.plugins.deid.frames import RLE, FrameShape, strip_for
from pacsferry.testing.corpus import image
from pacsferry.testing.encode import E, data_set, part_10
from support.cleaning import clean, whole

BASELINE, LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80"
J2K, HTJ2K, PLAIN, DEFLATED = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.8.1",
)
SHAPE = FrameShape(pixels=64 * 48, bits=8, octets=64 * 48 * 3)
SECRET = b"Larry Lighthouse, 1960-07-08"


def strip(frame: bytes, syntax: str = BASELINE, shape: FrameShape = SHAPE) -> bytes:
    """The frame as it is written."""
    left = strip_for(syntax, shape)(memoryview(frame))
    return frame if left is None else b"".join(left)


def picture(mode: str = "RGB", **how: object) -> bytes:
    y, x = np.mgrid[0:48, 0:64]
    planes = np.stack([(x * 4) % 256, (y * 5) % 256, (x * y) % 256], axis=-1).astype("u1")
    out = io.BytesIO()
    Image.fromarray(planes if mode == "RGB" else planes[..., 2]).save(out, **{"format": "JPEG", **how})
    return out.getvalue()


def decoded(frame: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(frame)) as opened:
        return np.asarray(opened)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def after_start(frame: bytes, *segments: bytes) -> bytes:
    return frame[:2] + b"".join(segments) + frame[2:]


ADOBE = segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
APPLICATION = [segment(marker, SECRET) for marker in range(0xE0, 0xF0)]


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"mode": "L"}, {"restart_marker_blocks": 1}])
@pytest.mark.parametrize(
    "planted", [*APPLICATION, segment(0xFE, SECRET), segment(0xFE, b""), segment(0xE0, b"JFXX" + SECRET)]
)
def test_comments_and_application_segments_of_a_jpeg_go(how, planted):
    frame = picture(**how)
    out = strip(after_start(frame, planted))
    assert out == frame
    assert (decoded(out) == decoded(frame)).all()


@pytest.mark.parametrize("marker", [0xC0, 0xC4, 0xDA, 0xDB, 0xDD])
def test_nothing_hides_behind_tables_and_headers_that_a_decoder_needs(marker):
    frame = picture(restart_marker_blocks=1)
    at = frame.index(bytes((0xFF, marker)))
    end = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    planted = frame[:at] + segment(marker, frame[at + 4 : end] + b"\xff" + SECRET) + frame[end:]
    assert strip(planted) == frame


@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_a_comment_between_scans_and_before_the_end_goes(how):
    frame = picture(**how)
    scan = frame.rindex(b"\xff\xda")
    planted = frame[:scan] + segment(0xFE, SECRET) + frame[scan:-2] + segment(0xE1, SECRET) + b"\xff\xff\xd9"
    assert (decoded(strip(planted)) == decoded(frame)).all()
    assert SECRET not in strip(planted)


def test_what_says_how_colours_were_transformed_stays():
    frame = picture()
    assert frame[6:10] == b"JFIF"
    adobe = frame[:2] + ADOBE + frame[20:]
    rgb = adobe.replace(ADOBE, segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"))
    for one in (frame, adobe, rgb):
        assert strip(one) == one
        assert (decoded(strip(after_start(one, segment(0xFE, SECRET)))) == decoded(one)).all()
    assert (decoded(adobe) != decoded(rgb)).any()


def test_only_numbers_that_mean_something_stay_in_adobe_and_jfif():
    frame = picture()
    out = strip(frame[:2] + segment(0xEE, b"AdobeLARRYX\1" + SECRET) + frame[20:])
    assert out == frame[:2] + ADOBE + frame[20:]
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0LARY\4\2" + SECRET[:24])
    assert (
        strip(frame[:2] + thumbnail + frame[20:]) == frame[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + frame[20:]
    )


@pytest.mark.parametrize(
    "comment",
    [b"Kakadu-v7.3.3", b"Created by OpenJPEG version 2.5.0", b"Creator: JasPer Version 1.701.0", b"Lavc58.134.100\0"],
)
def test_comments_that_name_an_encoder_only_stay(comment):
    frame = after_start(picture(), segment(0xFE, comment))
    assert strip(frame) == frame
    assert comment not in strip(after_start(picture(), segment(0xFE, comment + b" for Larry")))


@pytest.mark.parametrize("rest", [b"", b"\0", b"\xff", bytes(10)])
def test_padding_behind_the_frame_is_left(rest):
    assert strip(picture() + rest) == picture() + rest


@pytest.mark.parametrize("rest", [SECRET, b"\0\0" + SECRET, b"ab", b"\xff\xd8\xff\xfe"])
def test_what_stands_behind_the_frame_is_cut(rest):
    frame = picture()
    assert strip(frame + rest) == frame


def test_jpeg_ls_knows_its_own_bit_stuffing_and_transforms():
    start = segment(0xF7, b"\x08\0\x02\0\x02\1\1\x11\0")
    scan = segment(0xDA, b"\1\1\0\0\0\0") + b"\xff\x7fab\xff\x01cd"
    plain = b"\xff\xd8" + start + scan + b"\xff\xd9"
    assert strip(plain, LS) == plain
    assert strip(after_start(plain, segment(0xE8, SECRET), segment(0xFE, SECRET)), LS) == plain
    for kept in (segment(0xE8, b"mrfx\1"), segment(0xE8, b"SPIFF\0" + bytes(24)) + segment(0xE8, b"\0\0\0\1\xff\xd8")):
        assert strip(after_start(plain, kept), LS) == after_start(plain, kept)


def j2k(**how: object) -> bytes:
    return picture(format="JPEG2000", no_jp2=True, **how)


@pytest.mark.parametrize(
    "how", [{}, {"tile_size": (32, 32)}, {"irreversible": True, "quality_layers": [20]}, {"plt": True}]
)
def test_comments_of_jpeg_2000_go(how):
    frame = j2k(comment=SECRET, **how)
    assert SECRET in frame
    for syntax in (J2K, HTJ2K):
        out = strip(frame, syntax)
        assert SECRET not in out
        assert (decoded(out) == decoded(frame)).all()
    assert strip(j2k(comment=b"Kakadu-2.2", **how), J2K) == j2k(comment=b"Kakadu-2.2", **how)


def test_comments_in_tile_parts_are_blanked_so_that_lengths_stay():
    frame = j2k(tile_size=(32, 32))
    at = frame.index(b"\xff\x90")
    while at >= 0:
        comment = segment(0x64, b"\0\1" + SECRET)
        length = int.from_bytes(frame[at + 6 : at + 10], "big") + len(comment)
        frame = frame[: at + 6] + struct.pack(">I", length) + frame[at + 10 : at + 12] + comment + frame[at + 12 :]
        at = frame.find(b"\xff\x90\0\x0a", at + length)
    out = strip(frame, J2K)
    assert len(out) == len(frame)
    assert SECRET not in out
    assert (decoded(out) == decoded(j2k(tile_size=(32, 32)))).all()


def test_a_last_tile_part_without_a_length_ends_at_the_end_of_the_codestream():
    frame = j2k()
    at = frame.index(b"\xff\x90") + 6
    open_ended = frame[:at] + bytes(4) + frame[at + 4 :]
    assert strip(open_ended, J2K) == open_ended
    assert strip(open_ended + SECRET, J2K) == open_ended


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def test_a_jp2_file_keeps_the_boxes_that_say_how_to_decode():
    frame = picture(format="JPEG2000")
    assert frame[4:8] == b"jP  "
    assert strip(frame, J2K) == frame
    at = frame.index(b"jp2h") - 4
    planted = frame[:at] + box(b"xml ", SECRET) + box(b"uuid", bytes(16) + SECRET) + frame[at:] + box(b"xml ", SECRET)
    assert strip(planted, J2K) == frame
    assert strip(frame + SECRET[:7], J2K) == frame
    commented = picture(format="JPEG2000", comment=SECRET)
    assert SECRET not in strip(commented, J2K)
    assert (decoded(strip(commented, J2K)) == decoded(frame)).all()


@pytest.mark.filterwarnings("ignore:The decoded RLE segment")
def test_rle_segments_end_where_the_image_does():
    shape = FrameShape(pixels=64 * 48, bits=16, octets=64 * 48 * 2)
    pixels = np.arange(64 * 48, dtype="<u2") * 7
    frame = get_encoder(RLE).encode(
        pixels.tobytes(), rows=48, columns=64, samples_per_pixel=1, bits_allocated=16, bits_stored=16,
        photometric_interpretation="MONOCHROME2", number_of_frames=1, pixel_representation=0,
    )  # fmt: skip
    assert strip(frame, RLE, shape) == frame
    second = struct.unpack("<I", frame[8:12])[0]
    between = (
        frame[:8] + struct.pack("<I", second + 28) + frame[12:20] + SECRET + frame[48:second] + SECRET + frame[second:]
    )
    for planted in (between, frame + SECRET, frame[:20] + SECRET + frame[48:]):
        out = strip(planted, RLE, shape)
        assert b"Lighthouse" not in out
        assert _rle_decode_frame(out, 48, 64, 1, 16) == _rle_decode_frame(frame, 48, 64, 1, 16)


def test_the_end_of_the_last_run_of_rle_holds_nothing():
    frame = struct.pack("<16I", 1, 64, *(0,) * 14) + b"\x1f" + b"abcd" + SECRET
    assert strip(frame, RLE, FrameShape(pixels=4, bits=8, octets=4)) == frame[:69] + bytes(28)


def test_deflated_and_plain_frames_end_with_the_image():
    shape = FrameShape(pixels=4, bits=8, octets=4)
    assert strip(b"abcd" + SECRET, PLAIN, shape) == b"abcd"
    assert strip(b"abcd\0", PLAIN, shape) == b"abcd\0"
    stream = zlib.compressobj(wbits=-15)
    frame = stream.compress(b"abcd") + stream.flush()
    assert strip(frame + SECRET, DEFLATED, shape) == frame
    stream = zlib.compressobj(wbits=-15)
    bomb = stream.compress(bytes(1 << 26)) + stream.flush()
    with pytest.raises(HeldError, match="more pixel data"):
        strip(bomb, DEFLATED, shape)


@pytest.mark.parametrize("number", [100, 101, 102, 103, 104, 105, 106, 107, 108, 110, 111, 112, 299])
def test_streams_that_nobody_looks_through_are_held(number):
    with pytest.raises(HeldError) as caught:
        strip_for(f"1.2.840.10008.1.2.4.{number}", SHAPE)
    assert caught.value.code == "sop-class"


@pytest.mark.parametrize("syntax", [BASELINE, LS, J2K])
@pytest.mark.parametrize(
    "frame", [b"", b"\xff", b"abcd", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\x4f", b"\xff\x4f\xff\x51\xff\xff"]
)
def test_garbage_is_held(syntax, frame):
    with pytest.raises(HeldError) as caught:
        strip(frame, syntax)
    assert caught.value.code == "malformed"


def test_a_frame_without_an_end_is_held():
    for frame, syntax in ((picture()[:-2], BASELINE), (j2k()[:-2], J2K), (picture()[:400], BASELINE)):
        with pytest.raises(HeldError):
            strip(frame, syntax)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([BASELINE, J2K, RLE]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    st.data(),
)
def test_mutated_frames_are_stripped_or_held(syntax, changes, data):
    frame = bytearray(
        {BASELINE: picture("L"), J2K: picture(format="JPEG2000", comment=SECRET), RLE: bytes(900)}[syntax]
    )
    for at, byte in changes:
        frame[at % len(frame)] = byte
    cut = data.draw(st.integers(0, len(frame)))
    try:
        out = strip(bytes(frame[:cut]), syntax)
    except HeldError as err:
        assert err.code == "malformed"  # noqa: PT017 - both ends are good ones
    else:
        assert len(out) <= cut
        assert strip(out, syntax) == out


# Whole objects.


def item(content: bytes) -> bytes:
    return b"\xfe\xff\0\xe0" + struct.pack("<I", len(content)) + content


def even(frame: bytes) -> bytes:
    return frame + b"\0" * (len(frame) & 1)


def compressed(fragments: list[bytes], *, table: bytes = b"", frames: int = 1, more: tuple[E, ...] = ()) -> bytes:
    shape = [
        E(0x00280002, "US", 1), E(0x00280010, "US", 48), E(0x00280011, "US", 64), E(0x00280100, "US", 8),
        E(0x00280008, "IS", str(frames)),
    ]  # fmt: skip
    body = item(table) + b"".join(map(item, map(even, fragments))) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    head = [element for element in image(*shape, *more) if element.tag != 0x7FE00010]
    return part_10(data_set(head) + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + body, BASELINE)


def out_of(data: bytes):
    return dcmread(io.BytesIO(whole(clean(data))))


GREY = picture("L")
DIRTY = after_start(GREY, segment(0xFE, SECRET))


def test_fragments_get_new_lengths_and_the_offset_table_follows():
    offsets = struct.pack("<3I", 0, len(even(GREY)) + 8, len(even(GREY)) + len(even(DIRTY)) + 16)
    out = out_of(compressed([GREY, DIRTY, GREY], table=offsets, frames=3))
    assert [bytes(frame) for frame in generate_frames(out.PixelData, number_of_frames=3)] == [even(GREY)] * 3
    assert parse_basic_offsets(out.PixelData) == [number * (len(even(GREY)) + 8) for number in range(3)]


def test_a_clean_object_is_passed_on_byte_for_byte():
    data = compressed([GREY, GREY], frames=2)
    assert whole(clean(data)).endswith(data[data.rindex(b"\xe0\x7f\x10\0OB") :])


@pytest.mark.parametrize("table", [True, False])
def test_frames_over_several_fragments_are_put_together(table):
    parts = [DIRTY[:300], DIRTY[300:500], DIRTY[500:], GREY[:100], GREY[100:]]
    second = sum(len(even(part)) + 8 for part in parts[:3])
    out = out_of(compressed(parts, table=struct.pack("<2I", 0, second) if table else b"", frames=2))
    frames = list(generate_frames(out.PixelData, number_of_frames=2))
    assert [frame.rstrip(b"\0") for frame in frames] == [GREY, GREY]
    assert parse_basic_offsets(out.PixelData) == ([0, len(even(GREY)) + 8] if table else [])


def test_one_frame_in_many_fragments_stays_as_it_is_where_nothing_goes():
    data = compressed([GREY[:100], GREY[100:200], GREY[200:]])
    assert whole(clean(data)).endswith(data[data.rindex(b"\xe0\x7f\x10\0OB") :])


def test_an_extended_offset_table_follows_too():
    starts, sizes = (0, len(even(DIRTY)) + 8), (len(even(DIRTY)), len(even(GREY)))
    more = (E(0x7FE00001, "OV", struct.pack("<2Q", *starts)), E(0x7FE00002, "OV", struct.pack("<2Q", *sizes)))
    out = out_of(compressed([DIRTY, GREY], frames=2, more=more))
    assert struct.unpack("<2Q", out.ExtendedOffsetTable) == (0, len(even(GREY)) + 8)
    assert struct.unpack("<2Q", out.ExtendedOffsetTableLengths) == (len(even(GREY)),) * 2
    clean_one = compressed(
        [GREY, GREY], frames=2, more=(E(0x7FE00001, "OV", struct.pack("<2Q", 0, len(even(GREY)) + 8)),)
    )
    assert struct.unpack("<2Q", out_of(clean_one).ExtendedOffsetTable) == (0, len(even(GREY)) + 8)


def test_a_total_length_stays_only_while_it_is_right():
    def total(frame: bytes, length: int) -> object:
        more = (E(0x7FE00003, "UV", struct.pack("<Q", length)),)
        return out_of(compressed([frame], more=more)).get("EncapsulatedPixelDataValueTotalLength")

    assert total(GREY, len(GREY)) == len(GREY)
    assert total(DIRTY, len(DIRTY)) is None
    assert total(GREY, 12345678) is None


@pytest.mark.parametrize("offsets", [(0, 10), (8, 16), (0,)])
def test_an_extended_offset_table_that_points_elsewhere_is_held(offsets):
    more = (E(0x7FE00001, "OV", struct.pack(f"<{len(offsets)}Q", *offsets)),)
    with pytest.raises(HeldError) as caught:
        clean(compressed([GREY, GREY], frames=2, more=more))
    assert caught.value.code == "malformed"


def test_fragments_that_are_no_number_of_frames_are_held():
    with pytest.raises(HeldError, match="number of frames"):
        clean(compressed([GREY, GREY, GREY], frames=2))


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk.dcm", "JPEG2000.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_rle.dcm"]
)
def test_files_of_others_keep_their_pixel_data_to_the_byte(name):
    data = Path(str(get_testdata_file(name))).read_bytes()
    assert out_of(data).PixelData == dcmread(io.BytesIO(data)).PixelData


def test_many_large_frames_are_soon_done():
    big = GREY[:-2] + bytes(4 << 20) + b"\xff\xd9"
    data = compressed([big] * 16, frames=16)
    began = time.monotonic()
    draft = clean(data)
    assert time.monotonic() - began < 5
    bulk = [part for at, part in enumerate(draft.parts) if at not in draft.header]
    assert all(isinstance(part, memoryview) and part.obj is data for part in bulk)
