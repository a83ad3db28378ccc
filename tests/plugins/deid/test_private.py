"""Private and unknown elements: what is known to be safe stays with its creator, the rest goes, or stays on demand."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from pacsferry.plugins.deid import reference
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, file
from support.choosing import cleaned_by, codes, draft_by, profile, refusal
from support.cleaning import KEYS, whole

SAFE = profile(options=["retain-safe-private"])
B_VALUE = [
    E(0x00190010, "LO", "SIEMENS MR HEADER"),
    E(0x0019100C, "IS", "1000"),
    E(0x0019100E, "FD", b"\0\0\0\0\0\0\xf0\x3f" * 3),
]
NESTED = E(KEPT_SEQUENCE, "SQ", [B_VALUE])


def private(out: Dataset) -> list[int]:
    return [int(one.tag) for one in out if one.tag.is_private]


def test_the_table_of_the_standard_is_whole():
    assert len(reference.private()) == 479
    assert reference.private()["SIEMENS MR HEADER", 0x0019, 0x0C] == ("IS", 1, "B Value")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_rule_7_known_safe_elements_stay_with_their_creators_at_every_depth(encoding):
    out = cleaned_by(SAFE, file(image(*B_VALUE, NESTED), ENCODINGS[encoding]))
    for level in (out, out.ReferencedSeriesSequence[0]):
        assert private(level) == [0x00190010, 0x0019100C, 0x0019100E]
        assert (level[0x0019100C].value, list(level[0x0019100E].value)) == (1000, [1, 1, 1])
        assert (level[0x0019100C].VR, level[0x0019100E].VR) == ("IS", "FD")
    assert codes(out) == {"113100", "113111"}


def test_rule_7_without_the_option_all_go():
    assert not private(cleaned_by(profile(), file(image(*B_VALUE))))


def test_rule_7_unknown_elements_of_a_known_creator_go():
    csa = E(0x00191010, "OB", b"Larry Lighthouse")
    out = cleaned_by(SAFE, file(image(*B_VALUE, csa, E(0x00191008, "LO", "Larry"))))
    assert private(out) == [0x00190010, 0x0019100C, 0x0019100E]


def test_rule_7_a_creator_stays_only_when_something_of_its_block_does():
    data = file(image(E(0x00190010, "LO", "SIEMENS MR HEADER"), E(0x00191008, "LO", "Larry")))
    assert not private(cleaned_by(SAFE, data))


@pytest.mark.parametrize(
    "creator", ["SIEMENS MR HEADER of Larry", "siemens mr header", "SIEMENS  MR HEADER", "", "Larry"]
)
def test_rule_7_a_creator_counts_only_where_it_is_exactly_known(creator):
    data = file(image(E(0x00190010, "LO", creator), *B_VALUE[1:]))
    assert not private(cleaned_by(SAFE, data))


def test_rule_7_creators_are_matched_per_block_and_per_item():
    other = [E(0x00190011, "LO", "SIEMENS MR HEADER"), E(0x0019110C, "IS", "5"), E(0x0019100C, "IS", "6")]
    wrong = E(
        KEPT_SEQUENCE, "SQ", [[E(0x0019110C, "IS", "7")], [E(0x00190010, "LO", "ACME"), E(0x0019100C, "IS", "8")]]
    )
    out = cleaned_by(SAFE, file(image(*other, wrong)))
    assert private(out) == [0x00190011, 0x0019110C]
    assert [private(item) for item in out.ReferencedSeriesSequence] == [[], []]


def test_rule_7_an_element_in_the_wrong_group_goes():
    data = file(image(E(0x00210010, "LO", "SIEMENS MR HEADER"), E(0x0021100C, "IS", "5")))
    assert not private(cleaned_by(SAFE, data))


@pytest.mark.parametrize(("vr", "value"), [("LO", "Larry"), ("IS", "Larry"), ("UN", "Larry"), ("OB", b"Larry ")])
def test_rule_7_words_in_a_safe_number_go(vr, value):
    data = file(image(E(0x00190010, "LO", "SIEMENS MR HEADER"), E(0x0019100C, vr, value)))
    assert b"Larry" not in whole(draft_by(SAFE, data))


def test_rule_7_private_sequences_are_entered_and_each_child_is_judged():
    creator = E(0x20010010, "LO", "Philips Imaging DD 001")
    child = [E(0x00081030, "LO", "Larry"), E(0x00100010, "PN", "Larry"), creator, E(0x20011003, "FL", b"\0\0\x7a\x44")]
    known = E(0x200110C5, "SQ", [[*child, E(0x20011000, "LO", "Larry")]])
    unknown = E(0x200110FA, "SQ", [child])
    empty = E(0x200110F0, "SQ", [[E(0x00181210, "SH", "B30f"), E(0x00081030, "LO", "Larry")]])
    out = cleaned_by(SAFE, file(image(creator, known, unknown, empty)))
    assert private(out) == [0x20010010, 0x200110C5, 0x200110FA]
    for tag in (0x200110C5, 0x200110FA):
        (item,) = out[tag].value
        assert private(item) == [0x20010010, 0x20011003]
        assert item[0x20011003].value == 1000
    assert b"Larry" not in whole(draft_by(SAFE, file(image(creator, known, unknown, empty))))


def test_rule_7_a_sequence_of_an_unknown_creator_goes_with_all_in_it():
    data = file(image(E(0x00190010, "LO", "ACME"), E(0x00191001, "SQ", [B_VALUE])))
    assert not private(cleaned_by(SAFE, data))


def characteristics(*items: list[E]) -> E:
    return E(0x00080300, "SQ", list(items))


def test_rule_7_what_the_object_declares_safe_stays_but_bytes_and_names():
    safe = [E(0x00080301, "US", 0x19), E(0x00080302, "LO", "ACME"), E(0x00080303, "CS", "SAFE")]
    mixed = [
        E(0x00080301, "US", 0x21),
        E(0x00080302, "LO", "ACME"),
        E(0x00080303, "CS", "MIXED"),
        E(0x00080304, "US", 2),
    ]
    unsafe = [E(0x00080301, "US", 0x23), E(0x00080302, "LO", "ACME"), E(0x00080303, "CS", "UNSAFE")]

    def block(group: int) -> list[E]:
        start = group << 16
        values = {
            1: ("LO", "gain 3"),
            2: ("DS", "5"),
            3: ("OB", b"Larry "),
            4: ("PN", "Larry"),
            5: ("UI", "1.2.3.4.5.6.7.8.9"),
        }
        return [
            E(start | 0x10, "LO", "ACME"),
            *(E(start | 0x1000 | at, vr, value) for at, (vr, value) in values.items()),
        ]

    out = cleaned_by(SAFE, file(image(characteristics(safe, mixed, unsafe), *block(0x19), *block(0x21), *block(0x23))))
    assert private(out) == [0x00190010, 0x00191001, 0x00191002, 0x00191005, 0x00210010, 0x00211002]
    assert out[0x00191005].value == KEYS.uid("1.2.3.4.5.6.7.8.9")
    assert 0x00080300 not in out


def test_dates_of_private_elements_follow_the_temporal_policy():
    moving = profile(options=["retain-longitudinal-modified-dates"], unlisted={"private": "keep"})
    block = [E(0x00190010, "LO", "ACME"), E(0x00191001, "DA", "20200102"), E(0x00191002, "TM", "101112")]
    out = cleaned_by(moving, file(image(*block)))
    assert out[0x00191001].value == out.StudyDate != "20200102"
    assert not private(cleaned_by(profile(unlisted={"private": "keep"}), file(image(*block))))


def test_a_rule_keeps_a_private_date_and_moves_it_where_others_move():
    rule = [{"element": '"ACME"(0019,xx01)', "action": "keep"}]
    block = [E(0x00190010, "LO", "ACME"), E(0x00191001, "DA", "20200102")]
    assert cleaned_by(profile(rule=rule), file(image(*block)))[0x00191001].value == "20200102"
    out = cleaned_by(profile(rule=rule, options=["retain-longitudinal-modified-dates"]), file(image(*block)))
    assert out[0x00191001].value == out.StudyDate != "20200102"


def test_rule_4_uids_of_safe_private_elements_are_replaced_like_others():
    block = [E(0x00990010, "LO", "NQHeader"), E(0x00991002, "UI", "1.2.3.4.5.6.7.8.9")]
    assert cleaned_by(SAFE, file(image(*block)))[0x00991002].value == KEYS.uid("1.2.3.4.5.6.7.8.9")
    retained = profile(options=["retain-safe-private", "retain-uids"])
    assert cleaned_by(retained, file(image(*block)))[0x00991002].value == "1.2.3.4.5.6.7.8.9"


def test_all_private_elements_stay_on_demand_but_names_and_the_basic_profile_is_not_claimed():
    keeping = profile(unlisted={"private": "keep"})
    block = [
        E(0x00190010, "LO", "ACME"),
        E(0x00191001, "LO", "gain"),
        E(0x00191002, "PN", "Larry"),
        E(0x00191003, "OB", b"\1\2"),
    ]
    out = cleaned_by(keeping, file(image(*block, E(0x00192001, "LO", "no creator"))))
    assert private(out) == [0x00190010, 0x00191001, 0x00191003]
    assert codes(out) == set()
    assert "an exception that the profile asks for: private elements" in " ".join(keeping.describe())


def test_unknown_elements_stay_on_demand():
    keeping = profile(unlisted={"unknown": "keep"})
    elements = [
        E(0x00089998, "LO", "x"),
        E(0x00160062, "OB", b"\1\2"),
        E(0x60000022, "LO", "y"),
        E(0x00080000, "UL", 4),
    ]
    out = cleaned_by(keeping, file(image(*elements)))
    assert [one.tag for one in elements if one.tag in out] == [0x00089998, 0x00160062]
    assert codes(out) == set()


def test_safe_private_elements_can_stay_without_the_claim():
    out = cleaned_by(profile(unlisted={"private": "clean"}), file(image(*B_VALUE)))
    assert private(out) == [0x00190010, 0x0019100C, 0x0019100E]
    assert codes(out) == {"113100"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unlisted": {"pn": "keep"}}, "person names are never kept"),
        ({"unlisted": {"pn": "clean"}}, "cannot be cleaned"),
        ({"unlisted": {"text": "clean"}}, "not yet supported"),
        ({"unlisted": {"unknown": "clean"}}, "cannot be cleaned"),
        ({"unlisted": {"names": "keep"}}, "Extra inputs"),
        ({"options": ["retain-safe-private"], "unlisted": {"private": "remove"}}, "leave one out"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_with_the_reason(settings, said):
    assert said in refusal(**settings)


def test_unlisted_text_stays_on_demand_and_names_do_not():
    keeping = profile(unlisted={"text": "keep"})
    out = cleaned_by(keeping, file(image(E(0x00189433, "LO", "words"), E(0x00142006, "PN", "Larry"))))
    assert out[0x00189433].value == "words"
    assert 0x00142006 not in out
    assert "an exception that the profile asks for" in " ".join(keeping.describe())


@pytest.mark.parametrize(
    ("wish", "expected"), [("keep", "1.2.3.4.5"), ("clean", KEYS.uid("1.2.3.4.5")), ("remove", None)]
)
def test_unlisted_uids(wish, expected):
    out = cleaned_by(
        profile(unlisted={"uids": wish}),
        file(image(E(0x00281214, "UI", "1.2.3.4.5"), E(0x00081167, "UI", "1.2.3.4.5"))),
    )
    listed = reference.listed()
    tag = 0x00081167 if 0x00081167 not in listed else 0x00281214
    assert (out[tag].value if tag in out else None) == (KEYS.uid("1.2.3.4.5") if tag in listed else expected)


def test_private_sequences_that_nest_for_ever_are_held_soon():
    creator = E(0x20010010, "LO", "Philips Imaging DD 001")
    item = [creator, E(0x20011003, "FL", b"\0\0\x7a\x44")]
    for _ in range(40):
        item = [creator, E(0x200110C5, "SQ", [item])]
    out = cleaned_by(SAFE, file(image(*item)))
    assert 0x200110C5 in out
