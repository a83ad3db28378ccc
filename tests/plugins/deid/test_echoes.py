"""What of the patient is repeated in a value that would stay goes there too, and only there."""

from __future__ import annotations

import pytest

from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, file
from support.choosing import cleaned_by, draft_by, profile
from support.cleaning import whole

BORN, ID = "19600708", "48151623"
WHO = (E(0x00100020, "LO", ID), E(0x00100030, "DA", BORN), E(0x00080050, "SH", "00770001234"))
PLACES = [
    E(0x00181020, "LO", f"v{BORN}"),
    E(0x00080070, "LO", "Acme 08.07.1960"),
    E(0x00180015, "CS", BORN),
    E(0x00200012, "IS", BORN),
    E(0x0008001A, "UI", f"1.2.3.{BORN}.9"),
    E(0x00200052, "UI", f"1.2.840.10008.{BORN}.1"),
    E(0x00181020, "LO", "build 20200102"),
    E(0x00200012, "IS", ID),
    E(0x00200012, "IS", f"+000{ID}"),
    E(0x00180050, "DS", f"1\\{ID}.00"),
    E(0x00180015, "CS", f"ID {ID}"),
    E(0x00200012, "IS", "770001234"),
]


@pytest.mark.parametrize("preset", ["basic", "research", "tcia", "strict"])
@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_day_or_an_id_that_is_repeated_is_found_nowhere(preset, encoding, nested):
    for place in PLACES:
        more = [E(KEPT_SEQUENCE, "SQ", [[place]])] if nested else [place]
        data = whole(draft_by(preset, file(image(*WHO, *more), ENCODINGS[encoding])))
        for secret in (BORN, "08.07.1960", "20200102", ID, "770001234"):
            assert secret.encode() not in data, place


def test_numbers_that_hold_the_digits_by_chance_stay():
    numbers = (f"0.{ID}\\{ID}5", f"1{ID}\\{ID}.5")
    out = cleaned_by("basic", file(image(*WHO, E(0x00180050, "DS", numbers[0]), E(0x00281050, "DS", numbers[1]))))
    assert out[0x00180050].value == [float(one) for one in numbers[0].split("\\")]
    assert out.WindowCenter == [float(one) for one in numbers[1].split("\\")]


def test_short_ids_meet_by_chance():
    short = image(E(0x00100020, "LO", "12345"), E(0x00200012, "IS", "12345"))
    assert cleaned_by("basic", file(short)).AcquisitionNumber == 12345


def test_the_digits_of_an_id_with_letters_are_its_number():
    data = image(E(0x00100020, "LO", "MRN-48151623/B"), E(0x00200012, "IS", ID), E(0x00180050, "DS", "481516"))
    out = cleaned_by("basic", file(data))
    assert (out.AcquisitionNumber, out.SliceThickness) == (None, 481516)


def test_a_day_that_a_rule_keeps_may_be_repeated():
    keeps = profile(options=["retain-longitudinal-full-dates"])
    said = file(image(E(0x00080020, "DA", "20200102"), E(0x00181020, "LO", "build 20200102")))
    assert cleaned_by(keeps, said).SoftwareVersions == "build 20200102"


def test_stand_ins_for_a_day_are_not_looked_for():
    out = cleaned_by("basic", file(image(E(0x00100030, "DA", "19000101"), E(0x00181020, "LO", "since 19000101"))))
    assert out.SoftwareVersions == "since 19000101"


def test_of_several_codes_only_those_go_that_are_none():
    out = cleaned_by(
        "basic", file(image(*WHO, E(0x00080008, "CS", f"ORIGINAL\\PRIMARY\\A name longer than 16\\{ID}\\M")))
    )
    assert list(out.ImageType) == ["ORIGINAL", "PRIMARY", "", "", "M"]


@pytest.mark.parametrize(
    ("element", "fact"),
    [
        (E(0x00080060, "CS", "Herr Doktor Lighthouse"), "modality"),
        (E(0x00080060, "CS", ID), "modality"),
        (E(0x0008103E, "LO", "seen 20200102"), "series_description"),
        (E(0x00200011, "IS", "20200102"), "series_number"),
        (E(0x00200013, "IS", ID), "instance_number"),
    ],
)
def test_reports_say_of_an_object_only_what_it_says_itself(element, fact):
    keeps = profile(
        options=["retain-longitudinal-modified-dates"], rule=[{"element": "SeriesDescription", "action": "keep"}]
    )
    draft = draft_by(keeps, file(image(*WHO, element)))
    assert not getattr(draft.facts, fact)


def test_names_of_files_are_made_of_what_a_rule_sets():
    rules = [
        {"element": "SeriesNumber", "action": "remove"},
        {"element": "InstanceNumber", "action": "set", "value": "5"},
    ]
    facts = draft_by(profile(rule=rules), file(image())).facts
    assert (facts.series_number, facts.instance_number) == (0, 5)


def test_coefficients_beside_the_pixels_go():
    out = whole(draft_by("basic", file(image(E(0x7FE00020, "OW", b"Larry Lighthouse")))))
    assert b"Larry" not in out
