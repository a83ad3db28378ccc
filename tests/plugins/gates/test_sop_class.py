"""The gate that knows which kinds of object cannot be made safe yet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import UID_dictionary

from pacsferry.core.model import Draft, Outcome
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.plugins.gates.sop_class import SopClass, handling, reason
from pacsferry.testing.corpus import CT, image
from pacsferry.testing.encode import E, file
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import part10
from support.cleaning import clean

BASE = clean(file(image()))
CR, US, SR = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.88.22"


def draft(sop_class: str, *, burned_in: str = "", image_type: str = "ORIGINAL\\PRIMARY") -> Draft:
    seen = replace(BASE.seen, burned_in_annotation=burned_in, image_type=tuple(image_type.split("\\")))
    return replace(BASE, facts=replace(BASE.facts, sop_class=sop_class), seen=seen)


def judge(*args: str, **more: str) -> str:
    verdict = SopClass().judge(draft(*args, **more))
    return verdict.code if verdict.outcome is Outcome.HOLD else verdict.outcome.name


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        (CT, "plain"),
        ("1.2.840.10008.5.1.4.1.1.4", "plain"),
        ("1.2.840.10008.5.1.4.1.1.4.1", "plain"),
        ("1.2.840.10008.5.1.4.1.1.128", "plain"),
        ("1.2.840.10008.5.1.4.1.1.2.2", "plain"),
        (CR, "declared"),
        ("1.2.840.10008.5.1.4.1.1.1.2", "declared"),
        ("1.2.840.10008.5.1.4.1.1.20", "declared"),
        ("1.2.840.10008.5.1.4.1.1.481.1", "declared"),
        (US, "burned-in"),
        ("1.2.840.10008.5.1.4.1.1.7", "burned-in"),
        ("1.2.840.10008.5.1.4.1.1.77.1.4", "burned-in"),
        (SR, "content"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "content"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "content"),
        ("1.2.840.10008.5.1.4.1.1.481.10", "content"),
        ("1.2.840.10008.5.1.4.1.1.66", "content"),
        ("1.2.840.10008.5.1.4.1.1.9.4.1", "content"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "plain"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "plain"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "plain"),
        ("1.2.840.10008.5.1.4.1.1.66.1", "plain"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "plain"),
        ("1.2.840.10008.5.1.4.1.1.30", "plain"),
        ("1.2.840.10008.5.1.4.1.1.67", "plain"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "plain"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "content"),
        ("1.2.840.10008.1.3.10", "content"),
        ("1.3.12.2.1107.5.9.1", "content"),
        ("", "content"),
    ],
)
def test_each_class_has_a_handling(sop_class, expected):
    assert handling(sop_class) == expected
    assert reason(sop_class)


def test_every_image_class_of_the_standard_was_thought_of():
    images = {uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class" and "Image Storage" in row[0]}
    left = {UID_dictionary[uid][0] for uid in images if handling(uid) == "content"}
    assert all(name.startswith(("DICOS", "Eddy")) for name in left)


def test_reconstructed_images_pass():
    assert judge(CT) == "ALLOW"
    assert judge(CT, burned_in="NO") == "ALLOW"


@pytest.mark.parametrize("said", ["YES", "yes", "MAYBE"])
def test_declared_text_in_the_pixels_is_held(said):
    assert judge(CT, burned_in=said) == "burned-in"


@pytest.mark.parametrize(
    "image_type",
    [
        "DERIVED\\SECONDARY\\SCREEN SAVE",
        "DERIVED\\SECONDARY\\SCREEN_CAPTURE",
        "DERIVED\\SECONDARY\\OTHER\\CT_SOM5 PROT",
        "DERIVED\\SECONDARY\\DOSE_INFO",
    ],
)
def test_captured_screens_are_held(image_type):
    assert judge(CT, image_type=image_type) == "burned-in"


@pytest.mark.parametrize(
    "image_type",
    [
        "DERIVED\\SECONDARY\\MPR",
        "ORIGINAL\\PRIMARY\\M\\SE\\M\\SE",
        "DERIVED\\SECONDARY\\PROTON DENSITY",
        "ORIGINAL\\PRIMARY\\LOCALIZER",
    ],
)
def test_derived_images_pass(image_type):
    assert judge(CT, image_type=image_type) == "ALLOW"


def test_projections_pass_only_when_they_say_that_they_carry_no_text():
    assert judge(CR) == "burned-in"
    assert judge(CR, burned_in="NO") == "ALLOW"
    assert judge(CR, burned_in="YES") == "burned-in"


def test_screens_and_photographs_are_held_whatever_they_say():
    assert judge(US, burned_in="NO") == "burned-in"


def test_content_is_held_by_its_class():
    assert judge(SR) == "sop-class"
    assert judge("1.3.12.2.1107.5.9.1") == "sop-class"


@pytest.mark.parametrize("sop_class", [SR, "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.66", "1.2.3.4"])
def test_content_without_pixels_reaches_the_gate(sop_class):
    parts = {0x00280002, 0x00280004, 0x00280010, 0x00280011, 0x00280100, 0x7FE00010}
    elements = [e for e in image(sop_class=sop_class) if e.tag not in parts]
    text = E(0x0040A730, "SQ", [[E(0x0040A040, "CS", "TEXT"), E(0x0040A160, "UT", "Larry has a cold")]])
    document = E(0x00420011, "OB", b"%PDF Larry")
    out = clean(file([*elements, text, document]))
    verdict = SopClass().judge(out)
    assert (verdict.outcome, verdict.code) == (Outcome.HOLD, "sop-class")
    assert b"Larry" not in b"".join(bytes(part) for part in out.parts)


def test_every_row_has_a_reason_and_a_handling():
    for uid in UID_dictionary:
        assert handling(uid) in {"plain", "declared", "burned-in", "content"}
        assert len(reason(uid)) > 10


def test_what_the_rules_can_clean_is_not_held():
    for kind in ("CT", "MR", "PET", "MG", "DX", "RTSTRUCT", "enhanced CT", "enhanced MR"):
        out = clean(part10(KINDS[kind]()))
        assert SopClass().judge(out).outcome is Outcome.ALLOW, kind
        assert ResidualIdentifiers().judge(out).outcome is Outcome.ALLOW, kind
    for kind in ("US", "SC"):
        assert SopClass().judge(clean(part10(KINDS[kind]()))).code == "burned-in", kind
