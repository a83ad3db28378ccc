"""Rules of a profile: by keyword, tag, pattern, path, creator and condition; what makes no sense is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, file
from support.choosing import cleaned_by, codes, draft_by, profile, refusal
from support.cleaning import KEYS, PSEUDONYM

STATION = E(0x00081010, "SH", "CT1")


def rule(element: str, action: str, **more: Any) -> dict[str, Any]:
    return {"element": element, "action": action, **more}


def ruled(*rules: dict[str, Any], **more: Any):
    return profile(rule=list(rules), **more)


@pytest.mark.parametrize("element", ["StationName", "(0008,1010)", "(0008,101x)", "(00x8,1010)"])
def test_an_element_by_keyword_tag_or_pattern(element):
    nested = E(KEPT_SEQUENCE, "SQ", [[STATION]])
    out = cleaned_by(ruled(rule(element, "keep")), file(image(STATION, nested)))
    assert out.StationName == out.ReferencedSeriesSequence[0].StationName == "CT1"


def test_a_path_holds_in_the_items_of_that_sequence_only():
    deep = E(KEPT_SEQUENCE, "SQ", [[STATION, E(0x00081199, "SQ", [[STATION]])]])
    data = file(image(STATION, deep))
    out = cleaned_by(ruled(rule("ReferencedSeriesSequence/StationName", "keep")), data)
    assert "StationName" not in out
    assert out.ReferencedSeriesSequence[0].StationName == "CT1"
    assert out.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].StationName == "REMOVED"
    out = cleaned_by(ruled(rule("(0008,1115)/ReferencedSOPSequence/StationName", "set", value="X")), data)
    assert out.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].StationName == "X"
    assert out.ReferencedSeriesSequence[0].StationName == "REMOVED"


def test_a_path_opens_the_sequences_that_lead_to_what_it_keeps_and_no_others():
    request = [E(0x00400007, "LO", "Knee of Larry"), E(0x00400008, "SQ", [[STATION, E(0x00180050, "DS", "5")]])]
    data = file(image(E(0x00400275, "SQ", [request]), E(KEPT_SEQUENCE, "SQ", [[E(0x00400275, "SQ", [request])]])))
    path = "RequestAttributesSequence/ScheduledProtocolCodeSequence"
    out = cleaned_by(ruled(rule(f"{path}/StationName", "keep")), data)
    (item,) = out.RequestAttributesSequence
    assert "ScheduledProcedureStepDescription" not in item
    assert item.ScheduledProtocolCodeSequence[0].StationName == "CT1"
    assert "RequestAttributesSequence" not in out.ReferencedSeriesSequence[0]
    assert codes(out) == set()
    assert "RequestAttributesSequence" not in cleaned_by(ruled(rule(f"{path}/StationName", "dummy")), data)
    shut = ruled(rule(f"{path}/StationName", "keep"), rule(path, "remove"))
    assert "ScheduledProtocolCodeSequence" not in cleaned_by(shut, data).RequestAttributesSequence[0]


@pytest.mark.parametrize(
    ("action", "more", "expected"),
    [
        ("keep", {}, "CT1"),
        ("remove", {}, None),
        ("empty", {}, ""),
        ("dummy", {}, "REMOVED"),
        ("pseudonym", {}, PSEUDONYM),
        ("set", {"value": "SCANNER"}, "SCANNER"),
    ],
)
def test_actions_on_text(action, more, expected):
    assert cleaned_by(ruled(rule("StationName", action, **more)), file(image(STATION))).get("StationName") == expected


def test_actions_on_uids_dates_and_numbers():
    rules = [
        rule("FrameOfReferenceUID", "keep"),
        rule("CodingSchemeUID", "uid"),
        rule("AcquisitionDate", "shift"),
        rule("SliceThickness", "set", value="7.5"),
        rule("KVP", "empty"),
        rule("GantryDetectorTilt", "remove"),
    ]
    uid = "1.2.826.0.1.3680043.8.498.5"
    elements = [E(0x00200052, "UI", uid), E(0x0008010C, "UI", uid), E(0x00080022, "DA", "20200102")]
    numbers = [E(0x00180050, "DS", "1"), E(0x00180060, "DS", "120"), E(0x00181120, "DS", "0")]
    out = cleaned_by(ruled(*rules), file(image(*elements, *numbers)))
    assert (out.FrameOfReferenceUID, out.CodingSchemeUID) == (uid, KEYS.uid(uid))
    assert out.AcquisitionDate not in {"", "20200102"}
    assert (out.SliceThickness, out.KVP, "GantryDetectorTilt" in out) == (7.5, None, False)
    assert out.StudyDate == ""
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


def test_of_several_rules_the_last_one_that_holds_counts():
    rules = [
        rule("StationName", "set", value="A"),
        rule("StationName", "set", value="B", when={"Modality": "CT"}),
        rule("StationName", "set", value="C", when={"Modality": "CT", "Manufacturer": "Acme"}),
        rule("StationName", "set", value="D", when={"Modality": "MR"}),
    ]
    assert cleaned_by(ruled(*rules), file(image(STATION))).StationName == "C"
    assert cleaned_by(ruled(*rules), file(image(STATION, E(0x00080070, "LO", "Other")))).StationName == "B"
    assert cleaned_by(ruled(*rules), file(image(STATION, E(0x00080060, "CS", "PT")))).StationName == "A"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"Modality": "CT"}, True),
        ({"Modality": "MR"}, False),
        ({"Modality": "C*"}, True),
        ({"Modality": "?T"}, True),
        ({"Modality": ["MR", "CT"]}, True),
        ({"ImageType": "PRIMARY"}, True),
        ({"ImageType": "ORIGINAL\\PRIMARY\\*"}, True),
        ({"(0008,0060)": "CT", "Manufacturer": "acme"}, False),
        ({"Rows": "8"}, True),
        ({"PixelRepresentation": "0"}, False),
        ({"SeriesDescription": "*"}, False),
    ],
)
def test_conditions_are_on_elements_of_the_object(when, holds):
    out = cleaned_by(ruled(rule("StationName", "keep", when=when)), file(image(STATION)))
    assert ("StationName" in out) is holds


def test_private_elements_by_creator_whatever_their_block():
    block = [E(0x00191000 | 0x10, "LO", "x"), E(0x00190011, "LO", "ACME 1.1"), E(0x00191101, "LO", "dose 5")]
    more = [E(0x00190012, "LO", "OTHER"), E(0x00191201, "LO", "Larry"), E(0x00191102, "LO", "Larry")]
    kept = ruled(rule('"ACME 1.1"(0019,xx01)', "keep"))
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00190044, "LO", "ACME 1.1"), E(0x00194401, "LO", "dose 6")]])
    out = cleaned_by(kept, file(image(*block, *more, nested)))
    assert [one.tag for one in out if one.tag.is_private] == [0x00190011, 0x00191101]
    assert out[0x00191101].value == "dose 5"
    assert out.ReferencedSeriesSequence[0][0x00194401].value == "dose 6"
    assert "113100" not in codes(out)


def test_a_private_element_at_a_path():
    block = [E(0x00190010, "LO", "ACME"), E(0x00191001, "LO", "dose")]
    at_path = ruled(rule('ReferencedSeriesSequence/"ACME"(0019,xx01)', "keep"))
    out = cleaned_by(at_path, file(image(*block, E(KEPT_SEQUENCE, "SQ", [block]))))
    assert not [one.tag for one in out if one.tag.is_private]
    assert out.ReferencedSeriesSequence[0][0x00191001].value == "dose"


def test_a_safe_private_element_can_be_removed_and_the_option_is_not_claimed():
    safe = [E(0x00190010, "LO", "SIEMENS MR HEADER"), E(0x0019100C, "IS", "1000"), E(0x0019100D, "CS", "DIRECTIONAL")]
    less = ruled(rule('"SIEMENS MR HEADER"(0019,xx0C)', "remove"), options=["retain-safe-private"])
    out = cleaned_by(less, file(image(*safe)))
    assert [one.tag for one in out if one.tag.is_private] == [0x00190010, 0x0019100D]
    assert codes(out) == {"113100"}


def test_keeping_a_listed_identifier_is_an_exception_that_is_shown_and_not_claimed():
    kept = ruled(rule("InstitutionName", "keep"))
    out = cleaned_by(kept, file(image(E(0x00080080, "LO", "St Elsewhere"))))
    assert out.InstitutionName == "St Elsewhere"
    assert "DeidentificationMethodCodeSequence" not in out
    assert list(out.DeidentificationMethod) == [
        "PS3.15 2026d Basic Profile, with exceptions, pacsferry",
        "rules of the site profile",
    ]
    text = " ".join(kept.describe())
    assert "InstitutionName is kept. This is an exception" in text
    assert "(113100) cannot be claimed any more" in text


def test_an_exception_under_a_condition_costs_the_code_only_there():
    kept = ruled(rule("StationName", "keep", when={"Modality": "US"}))
    assert codes(cleaned_by(kept, file(image(STATION)))) == {"113100"}
    assert codes(cleaned_by(kept, file(image(STATION, E(0x00080060, "CS", "US"))))) == set()
    assert "where (0008,0060) Modality is US. This is an exception" in " ".join(kept.describe())


def test_what_breaks_an_option_is_not_claimed():
    less = ruled(rule("StationName", "remove"), options=["retain-device-identity"])
    assert codes(cleaned_by(less, file(image(STATION)))) == {"113100"}


@pytest.mark.parametrize("action", ["remove", "empty", "dummy"])
def test_stricter_rules_cost_nothing(action):
    assert codes(cleaned_by(ruled(rule("SliceThickness", action)), file(image()))) == {"113100"}


def test_study_id_may_be_kept():
    assert cleaned_by(ruled(rule("StudyID", "keep")), file(image())).StudyID == "42"


def test_overlays_and_curves_by_pattern():
    assert not refusal(rule=[rule("(60xx,3000)", "remove"), rule("(50xx,xxxx)", "remove")])
    shape = [E(0x60000010, "US", 8), E(0x60000011, "US", 8), E(0x60003000, "OW", b"overlay!")]
    kept = ruled(rule("(60xx,3000)", "keep"), rule("(60xx,0010)", "keep"))
    out = cleaned_by(kept, file(image(*shape)))
    assert [one.tag for one in out if one.tag.group == 0x6000] == [0x60000010, 0x60003000]
    assert codes(out) == set()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rule("StatoinName", "keep"), "did you mean 'StationName'"),
        (rule("(0008,101)", "keep"), "is no tag"),
        (rule("(0008,9998)", "keep"), "PS3.6 has no element"),
        (rule("(0019,1001)", "keep"), "name its creator"),
        (rule('"ACME"(0018,xx01)', "keep"), "with an odd group"),
        (rule("Modality/StationName", "keep"), "is no sequence"),
        (rule("A//B", "keep"), "keyword"),
        (rule("StationName", "kepe"), "write one of keep, remove"),
        (rule("StationName", "clean"), "'clean' is not yet supported"),
        (rule("StationName", "uid"), "makes no sense for VR SH"),
        (rule("SliceThickness", "shift"), "makes no sense for VR DS"),
        (rule("StudyDate", "pseudonym"), "makes no sense for VR DA"),
        (rule("Rows", "set", value="8"), "cannot be without"),
        (rule("SOPInstanceUID", "keep"), "retain-uids"),
        (rule("StudyInstanceUID", "remove"), "cannot be without"),
        (rule("PixelData", "remove"), "cannot be without"),
        (rule("PatientName", "keep"), "pacsferry writes it itself"),
        (rule("PatientID", "set", value="x"), "pacsferry writes it itself"),
        (rule("OperatorsName", "keep"), "never kept"),
        (rule("(0008,10x0)", "keep"), "a person's name is never kept"),
        (rule("StationName", "set"), "goes with action 'set'"),
        (rule("StationName", "keep", value="x"), "goes with action 'set'"),
        (rule("StationName", "set", value="longer than sixteen"), "this is no SH"),
        (rule("StationName", "set", value="Zürich"), "printable ASCII"),
        (rule("StudyDate", "set", value="yesterday"), "this is no DA"),
        (rule("ReferencedSeriesSequence", "set", value="x"), "makes no sense for VR SQ"),
        (rule("(50xx,3000)", "keep"), "always removed"),
        (rule('"ACME"(0019,xx01)', "set", value="x"), "kept, removed or emptied"),
        (rule("StationName", "keep", when={"Modalty": "CT"}), "did you mean 'Modality'"),
        (rule("StationName", "keep", when={"Modality": 3}), "Modality: write the value as text"),
        (rule("StationName", "keep", when={"Modality": []}), "Modality: write the value as text"),
        (rule("StationName", "keep", when={"PixelData": "x"}), "no value that could be compared"),
        (rule("StationName", "keep", where={"Modality": "x"}), "Extra inputs"),
    ],
)
def test_rules_that_make_no_sense_are_refused_with_what_would_be_right(table, said):
    assert said in refusal(rule=[table])


def test_rules_are_in_the_digest_and_in_the_table():
    kept = ruled(rule("StationName", "keep", when={"Modality": "US"}), rule("KVP", "remove"))
    other = ruled(rule("StationName", "keep", when={"Modality": "MR"}), rule("KVP", "remove"))
    assert len({kept.digest, other.digest, profile().digest}) == 3
    rows = list(kept.table())
    assert ("(0018,0060)", "KVP", "DS", "X", "rule KVP of the profile") in rows
    assert ("StationName", "", "", "K", "rule of the profile where (0008,0060) = US") in rows


def test_facts_follow_the_rules():
    described = ruled(rule("SeriesDescription", "keep"), rule("StudyDate", "keep"))
    facts = draft_by(described, file(image(E(0x0008103E, "LO", "t1")))).facts
    assert (facts.series_description, facts.study_date) == ("t1", "20200102")


def test_a_thousand_combinations_of_conditions_do_not_fill_the_memory():
    rules = [rule("StationName", "keep", when={"SliceThickness": str(number)}) for number in range(40)]
    chosen = ruled(*rules)
    for number in range(40):
        assert cleaned_by(chosen, file(image(STATION, E(0x00180050, "DS", str(number))))).StationName == "CT1"


@pytest.mark.parametrize("encoding", ["explicit", "big-endian", "undefined"])
def test_a_private_element_in_a_private_sequence_of_the_same_creator(encoding):
    inner = [E(0x00090010, "LO", "ACME 1.1"), E(0x00091003, "LO", "dose"), E(0x00091004, "LO", "Larry")]
    sequence = E(0x00091002, "SQ", [[*inner, E(0x00100010, "PN", "Lighthouse^Larry")]])
    keeping = ruled(rule('"ACME 1.1"(0009,xx03)', "keep"))
    out = cleaned_by(keeping, file(image(E(0x00090010, "LO", "ACME 1.1"), sequence), ENCODINGS[encoding]))
    (item,) = out[0x00091002].value
    assert [one.tag for one in item if one.tag.is_private] == [0x00090010, 0x00091003]
    assert str(item.PatientName) in {"", PSEUDONYM}
    assert item[0x00091003].value == "dose"
