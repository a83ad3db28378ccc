"""What explain tells is what apply does, for every file that can be cleaned; it never tells a value."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from pacsferry.core.errors import HeldError
from pacsferry.plugins.deid.allowlist_profile import Allowlist
from pacsferry.plugins.deid.profile import Ps315
from pacsferry.plugins.deid.settings import Ps315Settings
from pacsferry.testing.corpus import KEPT_SEQUENCE, E, corpus, image
from pacsferry.testing.encode import ENCODINGS, file
from support.cleaning import engine, source, whole
from support.public import FILES

RESEARCH = Ps315(
    Ps315Settings(
        options=("retain-longitudinal-modified-dates", "retain-patient-characteristics", "retain-safe-private")
    )
)
PROFILES = {"basic": engine(), "research": RESEARCH, "allowlist": Allowlist()}


def told_of(data, profile=None):
    return (profile or engine()).explain(source(data))[1]


def held(do, data):
    """The code with which an object is held, or what became of it."""
    try:
        return "", do(source(data))
    except HeldError as err:
        return err.code, None


def by_tag(told):
    return {one.tag: one for one in told}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_tells_what_is_done_to_the_files_of_others(path, profile):
    data, made = path.read_bytes(), PROFILES[profile]
    code, draft = held(made.apply, data)
    if draft is None:
        assert held(made.explain, data) == (code, None)
        return
    same, told = made.explain(source(data))
    assert whole(same) == whole(draft)
    out = {int(one.tag) for one in dcmread(io.BytesIO(whole(draft)), force=True)}
    assert out == {one.tag for one in told if one.happens != "removed"}
    assert all(one.because for one in told)


def test_each_kind_of_fate():
    elements = image(
        E(0x00081030, "LO", "Knee"),
        E(0x00080080, "LO", "Brinehaven"),
        E(0x00180050, "DS", "five"),
        E(0x00191001, "LO", "private"),
        E(0x00190010, "LO", "ACME 1"),
        E(0x60000010, "US", 8),
        E(0x00080001, "UL", 12),
        E(0x00089998, "LO", "unknown"),
    )
    found = {tag: (one.happens, one.because) for tag, one in by_tag(told_of(file(elements))).items()}
    assert found[0x00100010] == ("pseudonym", "the pseudonym")
    assert found[0x0020000D] == ("new UID", "PS3.15 E.1-1 (U)")
    assert found[0x00080050] == ("emptied", "PS3.15 E.1-1 (Z)")
    assert found[0x00081030] == ("removed", "PS3.15 E.1-1 (X)")
    assert found[0x00180050][0] == "emptied"
    assert found[0x00180050][1].endswith("not what its element may hold")
    assert found[0x00191001] == ("removed", "private, and not on a list of what is safe")
    assert found[0x60000010][0] == "removed"
    assert "overlays" in found[0x60000010][1]
    assert found[0x00089998] == ("removed", "not in PS3.6")
    assert found[0x00120062][0] == found[0x00280303][0] == "written"
    assert found[0x00280030][0] == found[0x7FE00010][0] == "kept"


def test_why_private_elements_stay_or_go_is_told():
    keep = {"element": '"ACME"(0021,xx01)', "action": "keep"}
    shut = {"element": '"SIEMENS MR HEADER"(0019,xx0D)', "action": "remove"}
    options = ["retain-safe-private", "retain-longitudinal-modified-dates"]
    made = Ps315(Ps315Settings.model_validate({"options": options, "rule": [keep, shut]}))
    siemens = [E(0x00190010, "LO", "SIEMENS MR HEADER"), E(0x0019100C, "IS", "8"), E(0x0019100D, "CS", "NONE")]
    acme = [E(0x00210010, "LO", "ACME"), E(0x00211001, "DA", "20200102"), E(0x00211002, "LO", "x")]
    found = {
        tag: (one.happens, one.because) for tag, one in by_tag(told_of(file(image(*siemens, *acme)), made)).items()
    }
    assert found[0x00190010] == found[0x00210010] == ("kept", "names the creator of private elements that stay")
    assert found[0x0019100C] == ("kept", "PS3.15 E.3.10-1: safe private")
    assert found[0x0019100D] == ("removed", f"rule {shut['element']} of the profile")
    assert found[0x00211001] == ("shifted", f"rule {keep['element']} of the profile")
    assert found[0x00211002] == ("removed", "private, and not on a list of what is safe")


def test_options_are_named():
    data = file(image(E(0x00101030, "DS", "61"), E(0x00101010, "AS", "095Y")))
    found = by_tag(told_of(data, RESEARCH))
    assert found[0x00080020].happens == "shifted"
    assert "retain-longitudinal-modified-dates" in found[0x00080020].because
    assert (found[0x00101030].happens, found[0x00101010].happens) == ("kept", "made right")


def test_sequences_are_trees_and_equal_items_are_one():
    plain = [E(0x00180050, "DS", "5"), E(0x00080080, "LO", "Brinehaven")]
    other = [E(0x00180050, "DS", "six")]
    (sequence,) = [one for one in told_of(file(image(E(KEPT_SEQUENCE, "SQ", [plain, plain, other])))) if one.items]
    (first, last, elements), (third, _, odd) = sequence.items
    assert (first, last, third) == (1, 2, 3)
    assert [(one.keyword, one.happens) for one in elements] == [
        ("InstitutionName", "dummy"),
        ("SliceThickness", "kept"),
    ]
    assert odd[0].happens == "emptied"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_makes_no_difference(encoding):
    items = E(KEPT_SEQUENCE, "SQ", [[E(0x00180050, "DS", "5"), E(0x00189073, "FD", b"\0" * 8)]])
    elements = image(items, E(0x00280106, "SS", 700))
    assert told_of(file(elements, ENCODINGS[encoding])) == told_of(file(elements))


def test_codes_of_unknown_schemes_say_why():
    code = [E(0x00080100, "SH", "Z9"), E(0x00080102, "SH", "99LOCAL"), E(0x00080104, "LO", "knee")]
    (sequence,) = [one for one in told_of(file(image(E(0x00082218, "SQ", [code])))) if one.items]
    assert {one.happens for one in sequence.items[0][2]} == {"dummy"}
    assert all("scheme" in one.because for one in sequence.items[0][2])


@pytest.mark.parametrize("planted", [*corpus()], ids=lambda planted: planted.name)
def test_no_value_is_told(planted):
    try:
        told = repr(told_of(planted.data))
    except HeldError as held:
        told = repr(held)
    assert planted.survivors(told.encode()) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(132, 900), st.integers(0, 255)), max_size=6))
def test_mutated_objects_are_told_or_held(changes):
    data = bytearray(file(image(E(KEPT_SEQUENCE, "SQ", [[E(0x00180050, "DS", "5")]]))))
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        engine().apply(source(bytes(data)))
    except HeldError:
        return
    assert told_of(bytes(data))
