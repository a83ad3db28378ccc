"""The options of PS3.15 E.3: what each keeps, what it may claim, and which do not go together."""

from __future__ import annotations

import pytest

from pacsferry.core.model import Outcome
from pacsferry.plugins.deid import reference
from pacsferry.plugins.deid.options import CODES, LATER, OPTIONS
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import CT, KEPT_SEQUENCE, image
from pacsferry.testing.encode import E, file
from support.choosing import cleaned_by, codes, draft_by, profile, refusal
from support.cleaning import KEYS, whole

MODIFIED, FULL = "retain-longitudinal-modified-dates", "retain-longitudinal-full-dates"
UID = "1.2.826.0.1.3680043.8.498.123"


def test_rule_2_option_action_overrides_the_profile_action():
    for option, column in (("retain-device-identity", "device-identity"), ("retain-uids", "uids")):
        rules = {rule.tag: rule for rule in profile(options=[option]).rules.rules}
        kept = [tag for tag, cells in reference.options().items() if cells.get(column) == "K" and tag in rules]
        assert kept
        assert {rules[tag].action for tag in kept} == {"K"}


def test_rule_2_full_and_modified_dates_exclude_each_other():
    assert "exclude each other" in refusal(options=[FULL, MODIFIED])
    assert "E.3.6" in refusal(options=[FULL, MODIFIED])


def test_rule_2_device_identity_yields_to_modified_dates_on_calibration_dates():
    both = profile(options=["retain-device-identity", MODIFIED])
    out = cleaned_by(both, file(image(E(0x00181200, "DA", "20200102"), E(0x00081010, "SH", "CT1"))))
    assert out.DateOfLastCalibration == out.StudyDate != "20200102"
    assert out.StationName == "CT1"
    assert codes(out) == {"113100", "113107"}
    assert "option retain-device-identity, with exceptions" in out.DeidentificationMethod
    assert "Device Identity is followed in all else and not claimed" in " ".join(both.describe())


def test_rule_2_device_identity_and_full_dates_agree():
    both = profile(options=["retain-device-identity", FULL])
    out = cleaned_by(both, file(image(E(0x00181200, "DA", "20200102"))))
    assert out.DateOfLastCalibration == "20200102"
    assert codes(out) == {"113100", "113106", "113109"}


def test_no_two_options_disagree_on_anything_else():
    dates = {"full-dates", "modified-dates"}
    for tag, cells in reference.options().items():
        letters = {letter for column, letter in cells.items() if column not in dates}
        assert len(letters) <= 1, f"{tag:08X}"
        if cells.keys() & dates and cells.keys() - dates:
            assert cells.keys() - dates == {"device-identity"}, f"{tag:08X}"


@pytest.mark.parametrize("option", sorted(LATER))
def test_options_that_need_understanding_are_refused_by_name(option):
    assert f"'{option}' is not yet supported" in refusal(options=[option])


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in LATER])
def test_rule_5_the_code_of_an_option_is_written_when_it_is_active(option):
    out = cleaned_by(profile(options=[option]), file(image()))
    assert codes(out) == {"113100", CODES[option]}
    assert f"option {option}" in out.DeidentificationMethod
    assert "BurnedInAnnotation" not in out


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], "REMOVED"), ([FULL], "UNMODIFIED"), ([MODIFIED], "MODIFIED"), (["retain-device-identity"], "REMOVED")],
)
def test_rule_5_it_says_what_became_of_dates(options, expected):
    assert cleaned_by(profile(options=options), file(image())).LongitudinalTemporalInformationModified == expected


@pytest.mark.parametrize("earlier", ["MODIFIED", "REMOVED"])
def test_rule_5_dates_that_an_earlier_tool_changed_are_not_called_unmodified(earlier):
    out = cleaned_by(profile(options=[FULL]), file(image(E(0x00280303, "CS", earlier))))
    assert out.LongitudinalTemporalInformationModified == earlier


def test_rule_4_retained_uids_stay_everywhere_and_references_meet():
    reference_item = E(KEPT_SEQUENCE, "SQ", [[E(0x00081155, "UI", UID), E(0x0020000E, "UI", UID)]])
    draft = draft_by(profile(options=["retain-uids"]), file(image(reference_item, E(0x00200052, "UI", UID))))
    out = cleaned_by(profile(options=["retain-uids"]), file(image(reference_item, E(0x00200052, "UI", UID))))
    assert out.SOPInstanceUID == out.file_meta.MediaStorageSOPInstanceUID == "1.3.6.1.4.1.99999.2.3.1"
    assert out.FrameOfReferenceUID == out.ReferencedSeriesSequence[0].ReferencedSOPInstanceUID == UID
    assert draft.facts.instance_uid == out.SOPInstanceUID
    assert (draft.facts.study_uid, draft.facts.series_uid) == (out.StudyInstanceUID, out.SeriesInstanceUID)
    assert b"2.25." not in whole(draft)[400:]


def test_retained_uids_that_are_none_are_replaced():
    out = cleaned_by(profile(options=["retain-uids"]), file(image(E(0x00200052, "UI", "Larry's frame"))))
    assert out.FrameOfReferenceUID.startswith("2.25.")


def test_patient_characteristics_without_the_words_that_it_would_clean():
    kept = [
        E(0x00101010, "AS", "045Y"),
        E(0x00101020, "DS", "1.8"),
        E(0x00101030, "DS", "70"),
        E(0x001021A0, "CS", "NO"),
    ]
    words = [E(0x00102110, "LO", "Larry is allergic"), E(0x00380500, "LO", "Larry is sad"), E(0x00102180, "SH", "King")]
    out = cleaned_by(profile(options=["retain-patient-characteristics"]), file(image(*kept, *words)))
    assert (out.PatientAge, out.PatientSize, out.PatientWeight, out.PatientSex) == ("045Y", 1.8, 70, "M")
    assert not [one.tag for one in words if one.tag in out]


def test_institution_identity():
    data = file(image(E(0x00080080, "LO", "St Elsewhere"), E(0x00081010, "SH", "CT1")))
    out = cleaned_by(profile(options=["retain-institution-identity"]), data)
    assert out.InstitutionName == "St Elsewhere"
    assert "StationName" not in out


def test_application_entity_titles_go_although_device_identity_would_clean_them():
    out = cleaned_by(profile(options=["retain-device-identity"]), file(image(E(0x00080055, "AE", "CT_OF_LARRY"))))
    assert "StationAETitle" not in out


def plane(kind: str, group: int = 0x6000) -> list[E]:
    shape = {0x10: E(0, "US", 8), 0x11: E(0, "US", 8), 0x100: E(0, "US", 1), 0x102: E(0, "US", 0)}
    words = {0x22: E(0, "LO", "Larry"), 0x1500: E(0, "LO", "Larry"), 0x4000: E(0, "LT", "Larry")}
    rest = {0x40: E(0, "CS", kind), 0x50: E(0, "SS", b"\1\0\1\0"), 0x3000: E(0, "OW", b"overlay!")}
    return [E(group << 16 | number, one.vr, one.value) for number, one in sorted({**shape, **words, **rest}.items())]


def test_clean_graphics_keeps_regions_of_interest_without_their_words():
    graphics = profile(options=["clean-graphics"])
    out = cleaned_by(graphics, file(image(*plane("R"), *plane("G", 0x6002), *plane("R", 0x6004))))
    assert out[0x60003000].value == out[0x60043000].value == b"overlay!"
    assert not [one.tag for one in out if one.tag.group == 0x6002]
    assert not [number for number in (0x22, 0x1500, 0x4000) if 0x60000000 | number in out]
    assert "113103" in codes(out)
    assert list(out.DeidentificationMethod) == ["PS3.15 2026d Basic Profile, pacsferry", "option clean-graphics"]


def test_without_clean_graphics_every_overlay_goes():
    out = cleaned_by(profile(), file(image(*plane("R"))))
    assert not [one.tag for one in out if one.tag.group == 0x6000]


def test_earlier_codes_stay_beside_ours():
    item = [E(0x00080100, "SH", "113105"), E(0x00080102, "SH", "DCM"), E(0x00080104, "LO", "x")]
    out = cleaned_by(profile(options=["retain-uids"]), file(image(E(0x00120064, "SQ", [item]))))
    assert codes(out) == {"113105", "113100", "113110"}


def test_structural_uids_stay_whatever_is_chosen():
    for options in ([], ["retain-uids"], [MODIFIED]):
        out = cleaned_by(profile(options=options), file(image(E(0x00081150, "UI", CT))))
        assert out.SOPClassUID == out.ReferencedSOPClassUID == CT


def test_the_same_settings_in_another_order_give_the_same_rules():
    first = profile(options=["retain-uids", "retain-device-identity"])
    second = profile(options=["retain-device-identity", "retain-uids"])
    assert first.rules == second.rules
    assert first.digest == second.digest
    assert KEYS.uid(UID) != UID


@pytest.mark.parametrize("how", ["option", "rule"])
def test_what_is_kept_on_purpose_is_not_held_because_it_stood_in_a_sequence_too(how):
    kept = {
        "option": profile(options=["retain-institution-identity"]),
        "rule": profile(
            rule=[{"element": "InstitutionName", "action": "keep"}, {"element": "AccessionNumber", "action": "keep"}]
        ),
    }[how]
    inner = [E(0x00080050, "SH", "ACC98765"), E(0x00080080, "LO", "St Elsewhere")]
    names = [E(0x00080080, "LO", "St Elsewhere"), E(0x00400275, "SQ", [inner] if how == "rule" else [inner[1:]])]
    draft = draft_by(kept, file(image(*names)))
    assert ResidualIdentifiers().judge(draft).outcome is Outcome.ALLOW
    gone = draft_by(profile(), file(image(*names, E(0x00080070, "LO", "St Elsewhere"))))
    assert ResidualIdentifiers().judge(gone).outcome is Outcome.HOLD
