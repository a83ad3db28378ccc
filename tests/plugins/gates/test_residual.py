"""The gate that looks for identifiers in what would be written."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pacsferry.core.model import Draft, Needle, Outcome
from pacsferry.plugins.gates.residual import ResidualIdentifiers, common_words
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import E, file
from support.cleaning import clean


def draft(*more: E, needle: str = "", kind: str = "PatientName", whole: bool = False) -> Draft:
    found = clean(file(image(E(0x00100010, "PN", ""), *more)))
    return replace(found, needles=(Needle(kind=kind, text=needle, whole_value=whole),))


def held(*more: E, **what: object) -> str:
    """The detail of a hold, "" if allowed."""
    verdict = ResidualIdentifiers().judge(draft(*more, **what))
    assert verdict.code in {"", "residual-identifier"}
    return verdict.detail if verdict.outcome is Outcome.HOLD else ""


def kernel(text: str | bytes) -> E:
    return E(0x00181210, "SH", text)


def test_an_untouched_object_passes():
    assert ResidualIdentifiers().judge(clean(file(image()))).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    "text", ["Lighthouse", "B30 LIGHTHOUSE", "lighthouse_b", "x-Lighthouse", "B30\\Lighthouse", "(lighthouse)"]
)
def test_a_word_is_found_in_any_case(text):
    assert held(kernel(text), needle="Lighthouse") == "PatientName in ConvolutionKernel"


@pytest.mark.parametrize("text", ["Lighthouses", "MyLighthouse", "Lighthouse2", "Light house"])
def test_a_part_of_a_word_is_none(text):
    assert not held(kernel(text), needle="Lighthouse")


def test_the_detail_names_kind_and_place_and_never_the_text():
    detail = held(kernel("Lighthouse"), needle="Lighthouse")
    assert detail == "PatientName in ConvolutionKernel"
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00080070, "LO", "Acme Lighthouse")]])
    assert held(nested, needle="Lighthouse") == "PatientName in Manufacturer"


def test_it_is_found_in_codes_right_before_the_next_element():
    for after in (0x00180023, 0x00380500, 0x00540081, 0x00400555):
        vr = {0x00180023: "CS", 0x00540081: "US"}.get(after, "CS")
        value = 3 if vr == "US" else "X "
        assert held(E(0x00180022, "CS", "LARRYX"), E(after, vr, value), needle="larryx"), f"{after:08X}"


def test_digits_are_looked_for_in_text_only():
    number = E(0x00180050, "DS", "4711")
    assert not held(number, needle="4711", kind="PatientID")
    assert not held(E(0x00180022, "CS", "4711"), needle="4711", kind="PatientID")
    assert held(number, kernel("B 4711"), needle="4711", kind="PatientID") == "PatientID in ConvolutionKernel"
    assert not held(kernel("B47112"), needle="4711", kind="PatientID")


def test_numbers_with_a_point_are_digits_too():
    assert not held(E(0x00180050, "DS", "12.5"), needle="12.5", kind="PatientID")


@pytest.mark.parametrize("word", ["Head", "CHEST", "brain", "Axial", "abdomen", "contrast", "Philips", "primary"])
def test_common_words_count_as_whole_values_only(word):
    assert word.casefold() in common_words()
    assert not held(kernel(f"{word} routine"), E(0x00180015, "CS", word.upper()), needle=word)
    assert held(kernel(word.upper()), needle=word)
    assert held(kernel(f"B30\\{word}"), needle=word)


def test_a_needle_may_ask_for_whole_values():
    assert not held(kernel("B30 Smithson"), needle="Smithson", whole=True)
    assert held(kernel("Smithson"), needle="Smithson", whole=True)


@pytest.mark.parametrize("name", ["Basic", "Profile", "Pacsferry", "Application", "Removed", "case0001", "DCM"])
def test_what_we_wrote_ourselves_holds_nobody(name):
    assert not held(needle=name)


def test_a_pseudonym_that_begins_with_the_name_is_no_hit():
    assert not held(needle="Case")


def test_original_uids_are_found_as_a_whole():
    uid = "1.3.6.1.4.1.99999.7"
    where = E(0x00080070, "LO", f"see {uid}")
    assert held(where, needle=uid, kind="StudyInstanceUID") == "StudyInstanceUID in Manufacturer"
    assert not held(E(0x00080070, "LO", f"see {uid}.1"), needle=uid, kind="StudyInstanceUID")
    assert not held(E(0x00080070, "LO", f"see 4.{uid}"), needle=uid, kind="StudyInstanceUID")


def test_a_uid_that_was_not_replaced_is_found():
    uid = "1.3.6.1.4.1.5962.99"
    assert (
        held(E(KEPT_SEQUENCE, "SQ", [[E(0x0008010C, "UI", uid)]]), needle=uid, kind="FiducialUID")
        == "FiducialUID in CodingSchemeUID"
    )


def test_many_uids_are_as_well_found_as_few():
    many = [Needle(kind="SOPInstanceUID", text=f"1.3.6.1.4.1.99999.8.{number}") for number in range(500)]
    base = draft(E(0x00080070, "LO", "see 1.3.6.1.4.1.99999.8.499"))
    verdict = ResidualIdentifiers().judge(replace(base, needles=tuple(many)))
    assert verdict.detail == "SOPInstanceUID in Manufacturer"
    assert ResidualIdentifiers().judge(replace(base, needles=tuple(many[:499]))).outcome is Outcome.ALLOW


@pytest.mark.parametrize(
    ("charset", "value", "needle"),
    [
        ("ISO_IR 100", "Kern MÜLLER".encode("latin-1"), "Müller"),
        ("ISO_IR 192", "Kern müller".encode(), "Müller"),
        ("ISO_IR 192", "Kern Mu\u0308ller".encode(), "Müller"),
        ("ISO_IR 192", "Kern Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 144", "Люкс".encode("iso8859-5"), "Люкс"),
        ("ISO_IR 192", "山田太郎".encode(), "山田"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("GB18030", "王小东".encode("gb18030"), "王小东"),
    ],
)
def test_names_are_found_in_every_character_set(charset, value, needle):
    assert held(E(0x00080005, "CS", charset), kernel(value), needle=needle) == "PatientName in ConvolutionKernel"


def test_pixels_are_not_searched():
    assert not held(E(0x7FE00010, "OW", b"Lighthouse".ljust(128)), needle="Lighthouse")


def test_it_costs_little():
    whole = clean(file(image()))
    gate = ResidualIdentifiers()
    gate.judge(whole)
    began = time.perf_counter()
    for _ in range(200):
        gate.judge(whole)
    assert (time.perf_counter() - began) / 200 < 0.001
