"""What a rule keeps by name is let through by the gate, there and for its own kind; everything else is still found."""

from __future__ import annotations

from typing import Any

import pytest

from pacsferry.core.model import Outcome, Verdict
from pacsferry.plugins.deid.allowlist_profile import Allowlist
from pacsferry.plugins.deid.allowlist_settings import AllowlistSettings
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import E, file
from support.choosing import cleaned_by, draft_by, profile

PLACE = E(0x00080080, "LO", "St Elsewhere")
NUMBER = E(0x00080050, "SH", "ACC4711")
NESTED = E(KEPT_SEQUENCE, "SQ", [[PLACE, NUMBER]])
UID = "1.2.826.0.1.3680043.8.498.77"


def keeping(*elements: str, **more: Any):
    return profile(rule=[{"element": element, "action": "keep", **more} for element in elements])


def judged(chosen: Any, *elements: E) -> Verdict:
    return ResidualIdentifiers().judge(draft_by(chosen, file(image(*elements))))


def test_a_value_that_a_path_keeps_passes_although_it_is_removed_elsewhere():
    chosen = keeping("ReferencedSeriesSequence/InstitutionName")
    assert judged(chosen, PLACE, NESTED).outcome is Outcome.ALLOW
    out = cleaned_by(chosen, file(image(PLACE, NESTED)))
    assert "InstitutionName" not in out
    assert out.ReferencedSeriesSequence[0].InstitutionName == "St Elsewhere"


def test_another_value_of_the_same_element_is_still_found():
    other = E(0x00080080, "LO", "Harbour Clinic")
    verdict = judged(
        keeping("ReferencedSeriesSequence/InstitutionName"), other, NESTED, E(0x00080070, "LO", "Harbour Clinic")
    )
    assert (verdict.outcome, verdict.code) == (Outcome.HOLD, "residual-identifier")


def test_what_no_rule_keeps_is_still_found():
    echo = E(0x00080070, "LO", "St Elsewhere")
    assert judged(profile(), PLACE, echo).outcome is Outcome.HOLD


def test_numbers_of_one_order_are_one_number():
    order = E(0x00401001, "SH", "ACC4711")
    assert judged(keeping("AccessionNumber"), NUMBER, order).outcome is Outcome.ALLOW
    assert cleaned_by(keeping("AccessionNumber"), file(image(NUMBER, order))).AccessionNumber == "ACC4711"


def test_a_kept_number_does_not_excuse_the_patients_id():
    same = E(0x00080050, "SH", "PAT4711")
    verdict = judged(keeping("AccessionNumber"), same)
    assert (verdict.outcome, verdict.detail) == (Outcome.HOLD, "PatientID in AccessionNumber")


def test_a_rule_with_a_condition_lets_go_only_where_it_holds():
    chosen = keeping("ReferencedSeriesSequence/InstitutionName", when={"Modality": "US"})
    echo = E(0x00080070, "LO", "St Elsewhere")
    assert judged(chosen, E(0x00080060, "CS", "US"), PLACE, NESTED).outcome is Outcome.ALLOW
    assert judged(chosen, PLACE, NESTED, echo).outcome is Outcome.HOLD


def test_a_later_rule_that_removes_it_takes_the_leave_back():
    rules = [
        {"element": "ReferencedSeriesSequence/InstitutionName", "action": "keep"},
        {"element": "ReferencedSeriesSequence/InstitutionName", "action": "remove"},
    ]
    echo = E(0x00080070, "LO", "St Elsewhere")
    assert judged(profile(rule=rules), PLACE, NESTED, echo).outcome is Outcome.HOLD


def test_a_uid_that_a_path_keeps_passes():
    frames = E(0x00200052, "UI", UID)
    nested = E(KEPT_SEQUENCE, "SQ", [[frames]])
    chosen = keeping("ReferencedSeriesSequence/FrameOfReferenceUID")
    assert judged(chosen, frames, nested).outcome is Outcome.ALLOW
    out = cleaned_by(chosen, file(image(frames, nested)))
    assert out.FrameOfReferenceUID != UID
    assert out.ReferencedSeriesSequence[0].FrameOfReferenceUID == UID


def test_what_a_list_names_passes_although_it_is_removed_elsewhere():
    chosen = Allowlist(AllowlistSettings(list="rad-loader", elements=("InstitutionName",)))
    assert judged(chosen, PLACE, NESTED).outcome is Outcome.ALLOW
    assert judged(
        Allowlist(AllowlistSettings(list="rad-loader")), PLACE, E(0x00080070, "LO", "St Elsewhere")
    ).outcome is (Outcome.HOLD)


@pytest.mark.parametrize("element", ["InstitutionName", "AccessionNumber", "ReferencedSeriesSequence/PatientAddress"])
def test_describe_says_that_the_gate_does_not_look_for_it(element):
    assert f"{element} is kept." in " ".join(keeping(element).describe())
    assert "does not look for what is kept" in " ".join(keeping(element).describe())
    assert "does not look for what is kept" not in " ".join(keeping("SliceThickness").describe())
