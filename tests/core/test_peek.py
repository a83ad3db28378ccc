"""Peeking reads four UIDs out of anything, and never more than it was asked for."""

from __future__ import annotations

import time
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from pacsferry.core.encoding import EXPLICIT_LE
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Framing
from pacsferry.core.peek import LIMIT, MAX_ELEMENTS, peek
from pacsferry.testing.corpus import CT, image
from pacsferry.testing.encode import ENCODINGS, E, data_set, file

UIDS = (CT, "1.3.6.1.4.1.99999.2.3.1", "1.3.6.1.4.1.99999.2.1", "1.3.6.1.4.1.99999.2.2")


def four(found):
    return found.sop_class, found.sop_instance, found.study, found.series


@pytest.mark.parametrize("name", ENCODINGS)
def test_it_reads_files_in_every_encoding(name):
    how = ENCODINGS[name]
    nested = E(0x00081115, "SQ", [[E(0x0020000D, "UI", "1.2.3"), E(0x0020000E, "UI", "1.2.4")]])
    found = peek(file(image(nested), how), framing=Framing.PART_10)
    assert four(found) == UIDS
    assert found.transfer_syntax == how.transfer_syntax


def test_it_reads_bare_data_sets():
    found = peek(data_set(image()), framing=Framing.DATA_SET, transfer_syntax=EXPLICIT_LE)
    assert four(found) == UIDS


def test_a_bare_data_set_needs_a_transfer_syntax():
    with pytest.raises(HeldError, match="transfer syntax") as caught:
        peek(data_set(image()), framing=Framing.DATA_SET)
    assert caught.value.code == "malformed"


def test_a_private_transfer_syntax_is_held():
    with pytest.raises(HeldError, match="not of the standard"):
        peek(data_set(image()), framing=Framing.DATA_SET, transfer_syntax="1.2.840.113619.5.2")


def test_a_lost_preamble_does_no_harm():
    assert four(peek(file(image())[132:], framing=Framing.PART_10)) == UIDS


def test_a_polyglot_preamble_is_not_read():
    assert four(peek(file(image(), preamble=b"MZ\x90\0".ljust(128, b"\x02")), framing=Framing.PART_10)) == UIDS


def test_what_follows_the_series_uid_is_not_looked_at():
    whole = file(image())
    border = whole.index(b"\x20\x00\x10\x00SH")
    assert four(peek(whole[:border] + b"\xff" * 50, framing=Framing.PART_10)) == UIDS


def test_missing_uids_are_empty():
    found = peek(file([E(0x00080016, "UI", CT), E(0x00200013, "IS", "1")]), framing=Framing.PART_10)
    assert four(found) == (CT, "", "", "")


def test_uids_beyond_the_limit_are_too_complex():
    long = file(image(E(0x0009_1001, "UN", bytes(LIMIT + 10))))
    with pytest.raises(HeldError) as caught:
        peek(long, framing=Framing.PART_10)
    assert caught.value.code == "too-complex"


def test_a_cut_object_is_malformed():
    with pytest.raises(HeldError) as caught:
        peek(file(image())[:400], framing=Framing.PART_10)
    assert caught.value.code == "malformed"


def test_too_many_elements_are_too_complex():
    many = [E(0x00090000 + at, "LO") for at in range(0x1000, 0x1000 + MAX_ELEMENTS + 1)]
    with pytest.raises(HeldError) as caught:
        peek(file([E(0x00080016, "UI", CT), *many]), framing=Framing.PART_10)
    assert caught.value.code == "too-complex"


@pytest.mark.parametrize("how", ["explicit", "implicit"])
def test_endless_nesting_is_held_at_once(how):
    start = (b"\x08\0\x15\x11SQ\0\0" if how == "explicit" else b"\x08\0\x15\x11") + b"\xff" * 4
    body = (start + b"\xfe\xff\0\xe0\xff\xff\xff\xff") * 100_000
    began = time.monotonic()
    with pytest.raises(HeldError) as caught:
        peek(body, framing=Framing.DATA_SET, transfer_syntax=ENCODINGS[how].transfer_syntax)
    assert caught.value.code == "too-complex"
    assert time.monotonic() - began < 1


def test_a_deflate_bomb_is_inflated_by_one_mib_only():
    bomb = file(image(E(0x00091001, "UN", bytes(50 << 20))), ENCODINGS["deflated"])
    with pytest.raises(HeldError) as caught:
        peek(bomb, framing=Framing.PART_10)
    assert caught.value.code in {"malformed", "too-complex"}


def test_it_agrees_with_pydicom_on_pydicoms_files():
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    agreed = 0
    for path in sorted(folder.glob("*.dcm")):
        try:
            found = peek(path.read_bytes(), framing=Framing.PART_10)
        except HeldError:
            continue
        other = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        assert (found.study, found.series) == tuple(
            str(other.get(key) or "") for key in ("StudyInstanceUID", "SeriesInstanceUID")
        ), path.name
        agreed += 1
    assert agreed > 60


BASES = [Path(str(get_testdata_file(name))).read_bytes()[:4000] for name in ("CT_small.dcm", "ExplVR_BigEnd.dcm")]
BASES += [file(image(), how)[:2000] for how in ENCODINGS.values()]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 3999), st.integers(0, 255)), max_size=12), st.data())
def test_mutated_objects_are_read_or_held(base, changes, data):
    mutated = bytearray(base)
    for at, byte in changes:
        mutated[at % len(mutated)] = byte
    cut = data.draw(st.integers(0, len(mutated)))
    try:
        found = peek(bytes(mutated[:cut]), framing=Framing.PART_10)
    except HeldError as err:
        assert err.code in {"malformed", "too-complex"}  # noqa: PT017 - both ends are good ones
    else:
        assert all(isinstance(uid, str) for uid in four(found))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([how.transfer_syntax for how in ENCODINGS.values()]))
def test_noise_is_read_or_held(noise, syntax):
    try:
        peek(noise, framing=Framing.DATA_SET, transfer_syntax=syntax)
    except HeldError as err:
        assert err.code in {"malformed", "too-complex"}  # noqa: PT017 - both ends are good ones
