"""What is looked for in the output: the identifiers of the object, and nothing that everybody has."""

from __future__ import annotations

import pytest

from pacsferry.testing.corpus import image
from pacsferry.testing.encode import E, file
from support.cleaning import clean


def needles(*more: E) -> dict[str, str]:
    return {needle.text: needle.kind for needle in clean(file(image(*more))).needles}


def test_names_are_taken_apart_and_short_parts_left():
    found = needles(E(0x00100010, "PN", "van der Berg-Lüders^Anna B^^Dr=X^Y"))
    assert {text for text, kind in found.items() if kind == "PatientName"} == {"van", "der", "Berg", "Lüders", "Anna"}


def test_ids_addresses_phones_and_institutions_are_needles():
    planted = {
        0x00080050: ("SH", "ACC1234"), 0x00380010: ("LO", "VISIT77"), 0x00402016: ("LO", "PLACER1"),
        0x00402017: ("LO", "FILLER1"), 0x00401001: ("SH", "REQ1"), 0x00400009: ("SH", "SPS1"),
        0x00101000: ("LO", "OLD1\\OLD2"), 0x00101040: ("LO", "7 Harbour Road"), 0x00102154: ("SH", "555 0199"),
        0x00080080: ("LO", "St Elsewhere"), 0x00080081: ("ST", "1 Hill Street"),
    }  # fmt: skip
    found = needles(*(E(tag, vr, text) for tag, (vr, text) in planted.items()))
    wanted = {part for _, text in planted.values() for part in text.split("\\")}
    assert wanted <= found.keys()
    assert found["7 Harbour Road"] == "PatientAddress"


def test_people_and_ids_in_sequences_that_go_are_needles():
    other = [E(0x00100020, "LO", "OTHER99"), E(0x00100021, "LO", "Elsewhere")]
    original = [E(0x04000550, "SQ", [[E(0x00100010, "PN", "Maiden^Mary")]])]
    requests = [E(0x00401001, "SH", "RP4455"), E(0x00321033, "LO", "Ward")]
    found = needles(
        E(0x00101002, "SQ", [other]), E(0x04000561, "SQ", [original]), E(0x00400275, "SQ", [requests]),
        E(0x00081049, "SQ", [[E(0x00401101, "SQ", [[E(0x00080104, "LO", "x")]])]]),
    )  # fmt: skip
    assert {"OTHER99", "Maiden", "Mary", "RP4455"} <= found.keys()


def test_replaced_uids_are_needles_and_structural_ones_are_not():
    found = needles(
        E(0x00081115, "SQ", [[E(0x0020000E, "UI", "1.2.3.4.5.6"), E(0x00081150, "UI", "1.2.840.10008.5.1.4")]])
    )
    assert found["1.2.3.4.5.6"] == "SeriesInstanceUID"
    assert found["1.3.6.1.4.1.99999.2.3.1"] == "SOPInstanceUID"
    assert not [text for text in found if text.startswith("1.2.840.10008")]


def test_descriptions_dates_and_times_are_none():
    found = needles(E(0x00081030, "LO", "Knee left"), E(0x0008103E, "LO", "t1 tse"), E(0x00181030, "LO", "Knee"))
    assert not {"Knee left", "t1 tse", "Knee", "19600708", "20200102", "101112"} & found.keys()


CASES = [
    (b"ISO_IR 100", "Müller^Jörg".encode("latin-1"), {"Müller", "Jörg"}),
    (b"ISO_IR 192", "Müller^Jörg".encode(), {"Müller", "Jörg"}),
    (b"ISO_IR 144", "Люксембург".encode("iso8859-5"), {"Люксембург"}),
    (b"GB18030", "王小东^Xiao".encode("gb18030"), {"王小东", "Xiao"}),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", {"Yamada", "Tarou", "山田", "太郎"}),
    (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", {"Hong", "Gildong", "吉洞"}),
    (b"LATIN9 OR SO", "Müller".encode("latin-1"), {"Müller"}),
    (b"ISO_IR 192", b"M\xfcller^\xff\xfe\xfd", {"Müller", "ÿþý"}),
    (b"\\ISO 2022 IR 87", b"Yamada=\x1b$", {"Yamada"}),
]


@pytest.mark.parametrize(("charset", "name", "expected"), CASES)
def test_names_are_read_in_the_character_set_of_the_object(charset, name, expected):
    found = needles(E(0x00080005, "CS", charset), E(0x00100010, "PN", name), E(0x00080090, "PN", ""))
    assert {text for text, kind in found.items() if kind == "PatientName"} == expected


def test_an_item_may_have_a_character_set_of_its_own():
    item = [E(0x00080005, "CS", "ISO_IR 192"), E(0x00100010, "PN", "Müller".encode())]
    assert "Müller" in needles(E(0x00101002, "SQ", [item]))


def test_an_unknown_character_set_is_not_passed_on():
    draft = clean(file(image(E(0x00080005, "CS", "LARRY"))))
    assert draft.charset == ("",)
    assert b"LARRY" not in b"".join(bytes(part) for part in draft.parts)


def test_no_needle_shows_its_text():
    draft = clean(file(image()))
    assert "Lighthouse" not in repr(draft.needles)
