"""Rules of a profile beside a list: what it does not name can be kept, what it names can go, and the rest still goes."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Outcome
from pacsferry.plugins.deid.allowlist_profile import Allowlist
from pacsferry.plugins.deid.allowlist_settings import AllowlistSettings
from pacsferry.plugins.deid.dates import Shifts
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import E, file
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import part10
from support.cleaning import KEYS, PSEUDONYM, source, whole

STATION = E(0x00081010, "SH", "CT1")
UID = "1.2.826.0.1.3680043.8.498.5"
DEEP = E(KEPT_SEQUENCE, "SQ", [[STATION, E(0x00080070, "LO", "Acme"), E(0x00081199, "SQ", [[STATION]])]])


def rule(element: str, action: str = "keep", **more: Any) -> dict[str, Any]:
    return {"element": element, "action": action, **more}


def ruled(*rules: dict[str, Any], **more: Any) -> Allowlist:
    return Allowlist(AllowlistSettings.model_validate({"list": "rad-loader", "rule": list(rules), **more}))


def cleaned(made: Allowlist, *elements: E) -> Dataset:
    return of(made, file(image(*elements)))


def of(made: Allowlist, data: bytes) -> Dataset:
    return dcmread(io.BytesIO(whole(made.apply(source(data)))))


@pytest.mark.parametrize(
    ("action", "more", "expected"),
    [
        ("keep", {}, "CT1"),
        ("empty", {}, ""),
        ("dummy", {}, "REMOVED"),
        ("pseudonym", {}, PSEUDONYM),
        ("set", {"value": "SCANNER"}, "SCANNER"),
    ],
)
def test_a_rule_stands_over_the_list(action, more, expected):
    named = "ManufacturerModelName"
    model = E(0x00081090, "LO", "Model 1")
    assert "StationName" not in cleaned(ruled(rule(named, "remove")), STATION, model)
    assert named not in cleaned(ruled(rule(named, "remove")), STATION, model)
    assert cleaned(ruled(rule("StationName", action, **more)), STATION).StationName == expected


def test_without_a_rule_nothing_more_survives():
    assert not {"StationName", "ReferencedSeriesSequence"} & set(cleaned(ruled(), STATION, DEEP).dir())
    assert "ReferencedSeriesSequence" not in cleaned(ruled(rule("StationName")), STATION, DEEP)


def test_a_path_opens_its_sequences_and_nothing_else_in_them():
    out = cleaned(ruled(rule("ReferencedSeriesSequence/StationName")), STATION, DEEP)
    assert "StationName" not in out
    (item,) = out.ReferencedSeriesSequence
    assert [element.keyword for element in item] == ["StationName"]
    out = cleaned(ruled(rule("ReferencedSeriesSequence/ReferencedSOPSequence/StationName")), DEEP)
    (item,) = out.ReferencedSeriesSequence
    assert [element.keyword for element in item] == ["ReferencedSOPSequence"]
    assert item.ReferencedSOPSequence[0].StationName == "CT1"


def test_a_path_of_the_list_can_be_taken_back():
    path = "SharedFunctionalGroupsSequence/PixelMeasuresSequence/SliceThickness"
    data = part10(KINDS["enhanced CT"]())
    before = of(ruled(list="extended"), data).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    after = of(ruled(rule(path, "remove"), list="extended"), data)
    assert "SliceThickness" in before
    assert "SliceThickness" not in after.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert "PixelSpacing" in after.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def test_a_rule_that_keeps_keeps_the_raw_value():
    number, frames = E(0x00080050, "SH", "ACC4711"), E(0x00200052, "UI", UID)
    chosen = ruled(rule("AccessionNumber"), rule("FrameOfReferenceUID"), rule("StudyDate"))
    draft = chosen.apply(source(file(image(number, frames))))
    out = dcmread(io.BytesIO(whole(draft)))
    assert (out.AccessionNumber, out.FrameOfReferenceUID, out.StudyDate) == ("ACC4711", UID, "20200102")
    assert out.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert ResidualIdentifiers().judge(draft).outcome is Outcome.ALLOW
    listed = cleaned(ruled(), number, frames)
    assert (listed.AccessionNumber, listed.StudyDate) == ("", "")
    assert listed.LongitudinalTemporalInformationModified == "REMOVED"


def test_a_rule_can_move_one_date_and_no_other_of_the_list():
    out = cleaned(ruled(rule("StudyDate", "shift")), E(0x00080021, "DA", "20200102"))
    days = Shifts().of(KEYS, KEYS.subject("PAT4711", "", ""))
    assert out.StudyDate == f"{date(2020, 1, 2) + timedelta(days=days):%Y%m%d}"
    assert out.get("SeriesDate", "") == ""
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


def test_private_elements_by_creator():
    block = [E(0x00190011, "LO", "ACME 1.1"), E(0x00191101, "LO", "dose 5"), E(0x00191102, "LO", "Larry")]
    nested = E(KEPT_SEQUENCE, "SQ", [[*block, STATION]])
    kept = ruled(rule('"ACME 1.1"(0019,xx01)'))
    out = cleaned(kept, *block, E(0x00190012, "LO", "OTHER"), E(0x00191201, "LO", "Larry"))
    assert [one.tag for one in out if one.tag.is_private] == [0x00190011, 0x00191101]
    at_path = cleaned(ruled(rule('ReferencedSeriesSequence/"ACME 1.1"(0019,xx01)')), *block, nested)
    assert not [one.tag for one in at_path if one.tag.is_private]
    assert [one.tag for one in at_path.ReferencedSeriesSequence[0]] == [0x00190011, 0x00191101]


def test_what_an_object_calls_safe_is_not_believed_by_a_list():
    block = [E(0x00190011, "LO", "ACME 1.1"), E(0x00191101, "LO", "dose 5"), E(0x00191102, "LO", "Larry")]
    said = [E(0x00080301, "US", 0x19), E(0x00080302, "LO", "ACME 1.1"), E(0x00080303, "CS", "SAFE")]
    kept = ruled(rule('"ACME 1.1"(0019,xx01)'))
    out = cleaned(kept, *block, E(0x00080300, "SQ", [said]))
    assert [one.tag for one in out if one.tag.is_private] == [0x00190011, 0x00191101]


def test_conditions_are_on_elements_of_the_object():
    chosen = ruled(
        rule("StationName", when={"Modality": "US"}),
        rule("ReferencedSeriesSequence/StationName", when={"Modality": "US"}),
    )
    us = cleaned(chosen, E(0x00080060, "CS", "US"), STATION, DEEP)
    assert us.StationName == us.ReferencedSeriesSequence[0].StationName == "CT1"
    assert list(us.DeidentificationMethod) == ["Allowlist rad-loader, pacsferry", "rules of the site profile"]
    ct = cleaned(chosen, STATION, DEEP)
    assert not {"StationName", "ReferencedSeriesSequence"} & set(ct.dir())
    assert ct.DeidentificationMethod == "Allowlist rad-loader, pacsferry"


def test_of_several_rules_the_last_counts_and_a_path_stands_over_all():
    rules = [
        rule("ReferencedSeriesSequence/StationName"),
        rule("StationName", "set", value="A"),
        rule("StationName", "set", value="B", when={"Modality": "CT"}),
    ]
    out = cleaned(ruled(*rules), STATION, DEEP)
    assert (out.StationName, out.ReferencedSeriesSequence[0].StationName) == ("B", "CT1")


def test_an_overlay_that_a_rule_names():
    shape = [E(0x60000010, "US", 8), E(0x60000011, "US", 8), E(0x60003000, "OW", b"overlay!")]
    out = cleaned(ruled(rule("(60xx,3000)"), rule("(60xx,0010)")), *shape)
    assert [one.tag for one in out if one.tag.group == 0x6000] == [0x60000010, 0x60003000]
    assert not [one.tag for one in cleaned(ruled(), *shape) if one.tag.group == 0x6000]


def test_rules_may_be_the_whole_list():
    out = cleaned(ruled(rule("PixelSpacing"), list=""), E(0x00280030, "DS", "1\\1"), STATION)
    assert out.PixelSpacing == [1, 1]
    assert "StationName" not in out
    assert out.DeidentificationMethod[0].startswith("Allowlist of the site")


def test_a_rule_may_name_what_an_image_cannot_be_read_without():
    data = part10(KINDS["enhanced CT"]())
    with pytest.raises(HeldError):
        ruled().apply(source(data))
    path = "PerFrameFunctionalGroupsSequence/PlanePositionSequence/ImagePositionPatient"
    shared = "SharedFunctionalGroupsSequence/PixelMeasuresSequence/PixelSpacing"
    out = of(ruled(rule(path), rule(shared)), data)
    assert "ImagePositionPatient" in out.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]


def test_describe_table_statement_and_digest_know_of_them():
    made = ruled(rule("StationName"), rule("KVP", "remove"), rule("StudyDate", when={"Modality": "US"}))
    described = " ".join(made.describe())
    assert "Rule of the profile: StationName is kept." in described
    assert "Rule of the profile: KVP is removed." in described
    assert "Rule of the profile: StudyDate is kept, where (0008,0060) Modality is US." in described
    rows = list(made.table())
    assert ("(0008,1010)", "StationName", "SH", "K", "rule StationName of the profile") in rows
    assert ("StudyDate", "", "", "K", "rule of the profile where (0008,0060) = US") in rows
    assert "StudyDate: keep (conditional)" in made.conformance("x")
    others = [ruled(), ruled(rule("StationName")), ruled(rule("StationName", "set", value="A")), made]
    assert len({one.digest for one in others}) == len(others)


def test_explain_names_the_rule():
    data = source(file(image(STATION, DEEP)))
    _, told = ruled(rule("ReferencedSeriesSequence/StationName")).explain(data)
    by = {one.keyword: one for one in told}
    assert by["StationName"].happens == "removed"
    sequence = by["ReferencedSeriesSequence"]
    assert sequence.because == "holds what rule ReferencedSeriesSequence/StationName of the profile names"
    inner = {one.keyword: one.happens for one in sequence.items[0][2]}
    assert inner == {"StationName": "kept", "Manufacturer": "removed", "ReferencedSOPSequence": "removed"}
