"""Only what a list names survives, at every depth, and nothing that would be a shell is written."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import subprocess
from functools import cache

import pytest
from pydantic import ValidationError
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Outcome
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.plugins.deid import allowlist, reference
from pacsferry.plugins.deid.allowlist_profile import Allowlist
from pacsferry.plugins.deid.allowlist_rules import compile_allowlist
from pacsferry.plugins.deid.allowlist_settings import AllowlistSettings
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import E, corpus, image
from pacsferry.testing.encode import ENCODINGS, file
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import ct_study, part10, report
from support.cleaning import KEYS, PSEUDONYM, source, whole
from support.peers import missing

CORPUS = {planted.name: planted for planted in corpus()}
#: Written by us, whatever the list says.
OURS = {"PatientName", "PatientID", "PatientIdentityRemoved", "DeidentificationMethod", "StudyID"} | {
    "LongitudinalTemporalInformationModified"
}


@cache
def profile(**settings):
    return Allowlist(AllowlistSettings(**{key: json.loads(value) for key, value in settings.items()}))


def of(**settings):
    return profile(**{key: json.dumps(value) for key, value in settings.items()})


def cleaned(data, **settings):
    return dcmread(io.BytesIO(whole(of(**settings).apply(source(data)))))


def named(name):
    return {row.tag for row in allowlist.listed(name) if not row.path}


@pytest.fixture
def dciodvfy(tmp_path):
    """The errors that dciodvfy finds, without the values that it quotes."""
    found = shutil.which("dciodvfy")
    if found is None:
        missing("dicom3tools")
    path = tmp_path / "object.dcm"

    def run(data):
        path.write_bytes(data)
        ran = subprocess.run([found, "-new", str(path)], capture_output=True, text=True, errors="replace", check=False)
        lines = (ran.stdout + ran.stderr).splitlines()
        return {re.sub(r"= <.*|<[0-9.]+>", "", line) for line in lines if line.startswith("Error")}

    return run


# --- nothing else survives


def kept_words(made):
    """Text that a list keeps as it is: by tag, for the top level and for items."""
    nested = {rule.tag for _, rules in made._allowed.paths for rule in rules if rule.action == "K"}
    return {rule.tag for rule in made.rules.rules if rule.action == "K"}, nested


#: Objects that carry words where images have pixels.
DOCUMENTS = [name for name in CORPUS if name.startswith("document, ")]


@pytest.mark.parametrize("name", [name for name in CORPUS if name not in {"behind the data set", *DOCUMENTS}])
@pytest.mark.parametrize("which", ["rad-loader", "extended"])
def test_no_canary_survives_outside_the_list(which, name):
    planted, made = CORPUS[name], of(list=which)
    draft = made.apply(source(planted.data))
    top, _ = kept_words(made)
    left = [
        one for one in planted.survivors(whole(draft)) if one.place not in {"top level", "UN"} or one.tag not in top
    ]
    assert [(f"{one.tag:08X}", one.place) for one in left if not _wrong_vr(one, top)] == []


def _wrong_vr(one, top):
    return (
        one.place.startswith("wrong VR") and one.tag in top and reference.elements()[one.tag][0] in {"LO", "SH", "LT"}
    )


@pytest.mark.parametrize("which", ["rad-loader", "extended"])
def test_an_element_that_is_named_at_the_top_does_not_survive_in_items(which):
    inner = [E(0x00081030, "LO", "Words within"), E(0x00280030, "DS", "9\\9")]
    items = E(0x00081115, "SQ", [[*inner, E(0x00082218, "SQ", [inner])]])
    assert b"Words within" not in whole(of(list=which).apply(source(file(image(items)))))


def test_rad_loader_keeps_exactly_what_it_names():
    everything = ct_study(slices=1, rows=16, columns=16)[0]
    out = cleaned(part10(everything), list="rad-loader")
    framed = {one.tag for one in allowlist.frame()}
    for element in out:
        assert element.tag in named("rad-loader") | framed or element.keyword in OURS, element.keyword
    policy = {"UI", "DA", "TM", "DT", "SQ"}
    for tag in named("rad-loader"):
        before = everything.get(tag)
        if before is not None and before.VR not in policy and before.keyword != "AccessionNumber":
            assert out[tag].value == before.value, before.keyword
    assert not any(element.VR == "SQ" for element in out)


def test_the_list_is_rad_loaders():
    assert len(named("rad-loader")) == 107
    assert all(not row.path for row in allowlist.listed("rad-loader"))
    assert {tag_for_keyword(word) for word in ("ImageComments", "DiffusionBValue", "PixelData")} <= named("rad-loader")


def test_every_row_has_a_reason_and_an_element_that_ps3_6_has():
    for name in allowlist.SHIPPED:
        for row in allowlist.listed(name):
            assert row.tag in reference.elements()
            assert len(row.reason) > 5
    assert all(one.action in {"K", "Z", "U"} and one.reason for one in allowlist.frame())


# --- what has a policy of its own


def test_uids_dates_and_orders_are_not_raw():
    out = cleaned(file(image()), list="rad-loader")
    assert out.StudyInstanceUID == KEYS.uid("1.3.6.1.4.1.99999.2.1")
    assert (out.AccessionNumber, out.StudyDate, out.StudyTime) == ("", "", "")
    assert (str(out.PatientName), out.PatientID, out.PatientIdentityRemoved) == (PSEUDONYM, PSEUDONYM, "YES")
    assert out.LongitudinalTemporalInformationModified == "REMOVED"
    assert out.DeidentificationMethod == "Allowlist rad-loader, pacsferry"
    assert "DeidentificationMethodCodeSequence" not in out, "a list need not meet the Basic profile"


def test_dates_move_where_that_is_asked_for():
    data = file(image(E(0x00080021, "DA", "20200105")))
    out = cleaned(data, list="rad-loader", dates={})
    assert out.StudyDate not in {"", "20200102"}
    assert int(out.SeriesDate) != 20200105
    from datetime import date

    days = [date.fromisoformat(text) for text in (out.StudyDate, out.SeriesDate)]
    assert (days[1] - days[0]).days == 3
    assert (out.StudyTime, out.LongitudinalTemporalInformationModified) == ("101112", "MODIFIED")


def test_raw_values_are_kept_where_that_is_asked_for_and_said():
    raw = ["StudyDate", "AccessionNumber", "StudyInstanceUID"]
    made = of(list="rad-loader", keep_raw=raw)
    draft = made.apply(source(file(image())))
    out = dcmread(io.BytesIO(whole(draft)))
    assert (out.StudyDate, out.AccessionNumber) == ("20200102", "ACC98765")
    assert out.StudyInstanceUID == draft.facts.study_uid == "1.3.6.1.4.1.99999.2.1"
    assert out.LongitudinalTemporalInformationModified == "UNMODIFIED"
    told = next(sentence for sentence in made.describe() if "RAW" in sentence)
    assert all(word in told for word in raw)
    assert ResidualIdentifiers().judge(draft).outcome is Outcome.ALLOW


def test_a_raw_uid_that_stands_in_what_was_dropped_too_holds_nothing():
    inner = [E(0x0020000D, "UI", "1.3.6.1.4.1.99999.2.1")]
    draft = of(list="rad-loader", keep_raw=["StudyInstanceUID"]).apply(
        source(file(image(E(0x00400275, "SQ", [inner]))))
    )
    assert ResidualIdentifiers().judge(draft).outcome is Outcome.ALLOW


def test_an_age_of_ninety_is_capped():
    assert cleaned(file(image(E(0x00101010, "AS", "093Y"))), list="rad-loader").PatientAge == "090Y"


def test_words_in_place_of_a_number_do_not_survive():
    out = whole(of(list="rad-loader").apply(source(file(image(E(0x00180050, "DS", "Lighthouse"))))))
    assert b"Lighthouse" not in out


def test_local_codes_become_dummies():
    code = [E(0x00080100, "SH", "ZZ9"), E(0x00080102, "SH", "99LOCAL"), E(0x00080104, "LO", "Larry's knee")]
    out = cleaned(file(image(E(0x00082218, "SQ", [code]))), list="extended")
    assert out.AnatomicRegionSequence[0].CodeMeaning == "REMOVED"


def test_the_patients_name_in_kept_text_is_held():
    draft = of(list="rad-loader").apply(source(file(image(E(0x00081030, "LO", "Knee of Lighthouse")))))
    assert ResidualIdentifiers().judge(draft).outcome is Outcome.HOLD


def test_an_uid_of_what_was_dropped_is_looked_for_in_what_stays():
    inner = [E(0x00081155, "UI", "1.3.6.1.4.1.99999.77.7")]
    data = file(image(E(0x00081115, "SQ", [inner]), E(0x00081030, "LO", "see 1.3.6.1.4.1.99999.77.7")))
    assert ResidualIdentifiers().judge(of(list="rad-loader").apply(source(data))).outcome is Outcome.HOLD


# --- the same for the same


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_object_in_another_encoding_gives_the_same_bytes(encoding):
    elements = image(E(0x00081115, "SQ", [[E(0x00280030, "DS", "9\\9")]]), E(0x00082218, "SQ", [[]]))
    made = of(list="extended")
    assert whole(made.apply(source(file(elements, ENCODINGS[encoding])))) == whole(made.apply(source(file(elements))))


def test_the_same_secret_gives_the_same_bytes_and_another_gives_others():
    data = part10(KINDS["enhanced CT"]())
    first = whole(Allowlist().apply(source(data)))
    assert whole(Allowlist().apply(source(data))) == first
    assert whole(Allowlist().apply(source(data, keys=ProjectKeys(b"o" * 32)))) != first


def test_rules_are_picklable_and_have_a_digest_of_all_that_decides():
    made = compile_allowlist(AllowlistSettings().wanted())
    assert pickle.loads(pickle.dumps(made)).digest == made.digest
    others = [{"list": "rad-loader"}, {"elements": ["Density"]}, {"keep_raw": ["StudyDate"]}, {"dates": {}}]
    digests = {made.digest, *(of(**one).digest for one in others if one != {"elements": ["Density"]})}
    assert len(digests) == 4


# --- extended keeps what rad-loader loses


@pytest.mark.parametrize("kind", ["enhanced CT", "enhanced MR"])
def test_enhanced_geometry_survives(kind):
    before = KINDS[kind]()
    after = cleaned(part10(before), list="extended")
    shared, original = after.SharedFunctionalGroupsSequence[0], before.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence == original.PixelMeasuresSequence
    assert shared.PlaneOrientationSequence == original.PlaneOrientationSequence
    assert shared.PixelValueTransformationSequence == original.PixelValueTransformationSequence
    assert shared.FrameAnatomySequence == original.FrameAnatomySequence
    frames = zip(after.PerFrameFunctionalGroupsSequence, before.PerFrameFunctionalGroupsSequence, strict=True)
    for one, was in frames:
        assert one.PlanePositionSequence == was.PlanePositionSequence
        assert one.FrameContentSequence[0].DimensionIndexValues == was.FrameContentSequence[0].DimensionIndexValues
        assert "FrameLabel" not in one.FrameContentSequence[0]
    pointer = after.DimensionIndexSequence[0]
    assert pointer.DimensionOrganizationUID == after.DimensionOrganizationSequence[0].DimensionOrganizationUID
    assert pointer.DimensionIndexPointer == before.DimensionIndexSequence[0].DimensionIndexPointer


def test_what_an_suv_needs_survives():
    before = KINDS["PET"]()
    after = cleaned(part10(before), list="extended", dates={})
    was, one = before.RadiopharmaceuticalInformationSequence[0], after.RadiopharmaceuticalInformationSequence[0]
    assert (one.RadionuclideTotalDose, one.RadionuclideHalfLife) == (
        was.RadionuclideTotalDose,
        was.RadionuclideHalfLife,
    )
    assert one.RadiopharmaceuticalStartTime == was.RadiopharmaceuticalStartTime
    for word in ("Units", "DecayCorrection", "CorrectedImage", "PatientWeight", "SeriesTime", "AcquisitionTime"):
        assert after[word].value == before[word].value, word
    assert after.RescaleSlope == before.RescaleSlope


def test_ultrasound_calibration_survives():
    before = KINDS["US"]()
    assert cleaned(part10(before), list="extended").SequenceOfUltrasoundRegions == before.SequenceOfUltrasoundRegions


def test_palettes_survive():
    before = KINDS["palette"]()
    after = cleaned(part10(before), list="extended")
    for colour in ("Red", "Green", "Blue"):
        word = f"{colour}PaletteColorLookupTable"
        assert after[f"{word}Data"].value == before[f"{word}Data"].value
        assert after[f"{word}Descriptor"].value == before[f"{word}Descriptor"].value


def test_diffusion_and_look_up_tables_survive():
    gradient = E(0x00189089, "FD", b"\0" * 24)
    b_value = E(0x00189087, "FD", b"\0\0\0\0\0@\x8f@")
    tables = E(0x00283010, "SQ", [[E(0x00283002, "US", b"\x01\0\0\0\x08\0"), E(0x00283006, "US", 7)]])
    after = cleaned(file(image(gradient, b_value, tables)), list="extended")
    assert (after.DiffusionBValue, after.DiffusionGradientOrientation) == (1000.0, [0.0, 0.0, 0.0])
    assert after.VOILUTSequence[0].LUTDescriptor == [1, 0, 8]


# --- shells are held


@pytest.mark.parametrize("which", ["rad-loader", "extended"])
def test_a_report_is_no_empty_shell(which):
    with pytest.raises(HeldError, match="empty shell") as caught:
        of(list=which).apply(source(part10(report(ct_study(slices=1, rows=8, columns=8)))))
    assert caught.value.code == "sop-class"


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("which", ["rad-loader", "extended"])
def test_no_document_is_an_empty_shell(which, name):
    with pytest.raises(HeldError, match=r"empty shell|names nothing") as caught:
        of(list=which).apply(source(CORPUS[name].data))
    assert caught.value.code == "sop-class"
    assert CORPUS[name].survivors(repr(caught.value).encode()) == []


@pytest.mark.parametrize("kind", ["enhanced CT", "enhanced MR", "palette", "RTSTRUCT"])
def test_rad_loaders_list_holds_what_it_would_break(kind):
    with pytest.raises(HeldError) as caught:
        of(list="rad-loader").apply(source(part10(KINDS[kind]())))
    assert caught.value.code == "sop-class"


def test_the_list_says_what_it_holds():
    told = " ".join(of(list="rad-loader").describe())
    assert "functional groups" in told
    assert "a palette" in told
    assert "functional groups" not in " ".join(of(list="extended").describe())


# --- lists of one's own


def test_a_list_of_elements_and_nothing_else():
    paths = ["SliceThickness", "(0018,0060)", "RequestAttributesSequence|IconImageSequence/Rows"]
    items = E(0x00400275, "SQ", [[E(0x00280010, "US", 7), E(0x00400007, "LO", "Scan of Larry")]])
    data = file(image(items, E(0x00180050, "DS", "5"), E(0x00180060, "DS", "120"), E(0x00180088, "DS", "2")))
    out = cleaned(data, list="", elements=paths)
    assert (out.SliceThickness, out.KVP) == (5, 120)
    assert "SpacingBetweenSlices" not in out
    assert list(out.RequestAttributesSequence[0].keys()) == [0x00280010]
    assert out.DeidentificationMethod == "Allowlist of the site, pacsferry"


def test_a_list_in_a_file(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# ours\n\nSliceThickness\tresolution\nKVP\n")
    made = of(list=f"file:{path}")
    assert {rule.keyword for rule in made.rules.rules if rule.source.startswith("list ")} == {"SliceThickness", "KVP"}
    before = made.digest
    path.write_text("SliceThickness\n")
    assert Allowlist(AllowlistSettings(list=f"file:{path}")).digest != before


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"list": "rad-lodger"}, "no list named"),
        ({"list": "file:list.txt"}, "has to be absolute"),
        ({"list": "file:/no/such/list"}, "cannot be read"),
        ({"list": ""}, "names nothing"),
        ({"elements": ["OperatorsName"]}, "names of people are never kept"),
        ({"elements": ["(0019,1001)"]}, "private elements"),
        ({"elements": ["SliceThicknes"]}, "no element of an image"),
        ({"elements": ["Rows/Columns"]}, "is no sequence"),
        ({"elements": ["RequestAttributesSequence"]}, "by naming what stands in it"),
        ({"keep_raw": ["Rows"]}, "kept as it is anyway"),
        ({"keep_raw": ["OverlayDate"]}, "the list names no"),
        ({"keep_raw": ["StudyDate"], "dates": {}}, "would tell how far"),
        ({"keep_raw": ["StudyInstanceUID"], "dates": {}}, "would tell how far"),
        ({"unlisted": {}}, "Extra inputs"),
        ({"list": "", "rule": [{"element": "StudyDate", "action": "remove"}]}, "a list that names nothing"),
        ({"rule": [{"element": "ProcedureCodeSequence", "action": "keep"}]}, "naming what stands in it"),
        ({"rule": [{"element": "StudyDate", "action": "keep"}], "dates": {}}, "tells the shift"),
        ({"rule": [{"element": "OperatorsName", "action": "keep"}]}, "never kept"),
        ({"keep_raw": ["StudyDate"], "rule": [{"element": "SeriesDate", "action": "shift"}]}, "would tell how far"),
    ],
)
def test_what_cannot_be_a_list_is_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        AllowlistSettings(**settings)


def test_a_line_that_is_wrong_is_named(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("KVP\nPatientBirthName\n")
    with pytest.raises(ValidationError, match="line 2"):
        AllowlistSettings(list=f"file:{path}")


def test_a_list_that_everybody_can_write_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("KVP\n")
    os.chmod(path, 0o666)
    with pytest.raises(ValidationError, match="written by everybody"):
        AllowlistSettings(list=f"file:{path}")


def test_the_table_has_paths():
    rows = {row[0]: row for row in of(list="extended").table()}
    path = "(5200,9229)/(0028,9110)/(0028,0030)"
    assert rows[path][1:4] == ("PixelSpacing", "DS", "K")
    assert rows["(0010,0030)"][3] == "Z"
    assert rows["any other"][3] == "X"


# --- valid


@pytest.mark.peers
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "RTSTRUCT"])
@pytest.mark.parametrize("dates", [{}, None], ids=["moved", "removed"])
def test_what_the_extended_list_keeps_stays_valid(kind, dates, dciodvfy):
    data = part10(KINDS[kind]())
    assert dciodvfy(whole(of(list="extended", dates=dates).apply(source(data)))) <= dciodvfy(data)


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["CT", "MR", "US", "SC"])
def test_what_rad_loaders_list_keeps_of_ct_and_mr_stays_valid(kind, dciodvfy):
    data = part10(KINDS[kind]())
    assert dciodvfy(whole(of(list="rad-loader").apply(source(data)))) <= dciodvfy(data)
