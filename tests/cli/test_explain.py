"""explain: every element of one file, why, and no value of it; describe --conformance."""

import json

import pytest

from pacsferry.testing.corpus import corpus
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import ct_study, part10, report, secondary_capture
from support.commands import at_terminal, call

WORDS = ("Canary", "CANARYID7", "ACC77", "Lobster", "Ferryworks", "Brinehaven", "FW-000417", "20240517", "1.2.826.0.1")


@pytest.fixture
def study():
    return ct_study(
        slices=1, rows=16, columns=16, patient_id="CANARYID7", patient_name="Canary^Anna", accession="ACC77"
    )


@pytest.fixture
def saved(tmp_path):
    def save(data):
        path = tmp_path / "object.dcm"
        path.write_bytes(data)
        return path

    return save


def by_keyword(document):
    return {one["keyword"]: one for one in document["elements"] if one["keyword"]}


def test_what_happens_and_why(study, saved):
    told = call("explain", saved(part10(study[0])), "--json")
    assert (told.code, told.document["status"]) == (0, "ok")
    found = by_keyword(told.document)
    happens = {word: one["happens"] for word, one in found.items()}
    assert happens["PatientName"] == happens["PatientID"] == "pseudonym"
    assert happens["StudyInstanceUID"] == "new UID"
    assert happens["AccessionNumber"] == "emptied"
    assert happens["PatientAddress"] == "removed"
    assert happens["SliceThickness"] == happens["PixelData"] == happens["SOPClassUID"] == "kept"
    assert happens["PatientIdentityRemoved"] == "written"
    assert found["PatientAddress"]["because"] == "PS3.15 E.1-1 (X)"
    assert found["Manufacturer"]["because"].startswith("technical: ")
    (item,) = found["ProcedureCodeSequence"]["items"]
    assert [one["keyword"] for one in item["elements"]] == ["CodeValue", "CodingSchemeDesignator", "CodeMeaning"]
    private = [one for one in told.document["elements"] if int(one["tag"][4], 16) & 1]
    assert private
    assert {one["happens"] for one in private} == {"removed"}
    assert {gate["outcome"] for gate in told.document["gates"]} == {"allow"}


def test_every_element_of_the_file_is_told_once(study, saved):
    told = call("explain", saved(part10(study[0])), "--json").document
    tags = [one["tag"] for one in told["elements"]]
    assert tags == sorted(set(tags))
    assert {f"({each.tag.group:04X},{each.tag.element:04X})" for each in study[0]} <= set(tags)


@pytest.mark.parametrize(
    "how", [("--json",), (), ("--format", "csv"), ("--preset", "research"), ("--preset", "rad-loader")]
)
def test_no_value_of_the_file_is_printed(study, saved, how):
    told = call("explain", saved(part10(study[0])), *how)
    assert told.code == 0
    assert not [word for word in WORDS if word in told.out + told.err]


@pytest.mark.parametrize("planted", [*corpus()], ids=lambda planted: planted.name)
def test_no_planted_value_is_printed(planted, saved):
    told = call("explain", saved(planted.data), "--json")
    assert told.code in {0, 5}
    assert planted.survivors((told.out + told.err).encode()) == []


def test_a_preset_that_moves_dates(study, saved):
    found = by_keyword(call("explain", saved(part10(study[0])), "--preset", "research", "--json").document)
    assert found["StudyDate"]["happens"] == "shifted"
    assert "modified-dates" in found["StudyDate"]["because"]
    assert found["PatientWeight"]["happens"] == "kept"


def test_a_preset_that_is_a_list(study, saved):
    found = by_keyword(call("explain", saved(part10(study[0])), "--preset", "rad-loader", "--json").document)
    assert (found["ProcedureCodeSequence"]["happens"], found["ProcedureCodeSequence"]["because"]) == (
        "removed",
        "not on the list",
    )
    assert found["KVP"]["because"] == "list rad-loader: acquisition"
    assert found["ReferringPhysicianName"]["because"] == "every list: type 2"


def test_equal_items_are_one(saved):
    frames = by_keyword(call("explain", saved(part10(KINDS["enhanced MR"]())), "--json").document)[
        "PerFrameFunctionalGroupsSequence"
    ]
    assert [(item["first"], item["last"]) for item in frames["items"]] == [(1, 3)]


def test_a_gate_that_would_hold_it_is_named_and_the_code_is_5(study, saved):
    told = call("explain", saved(part10(secondary_capture(study))), "--json")
    assert (told.code, told.document["status"]) == (5, "held")
    (holding,) = [gate for gate in told.document["gates"] if gate["outcome"] == "hold"]
    assert (holding["gate"], holding["code"]) == ("sop-class", "burned-in")
    text = call("explain", saved(part10(secondary_capture(study))))
    assert "gate sop-class: would hold it (burned-in)" in text.out


def test_a_report_under_a_list_is_held_by_the_rules(study, saved):
    told = call("explain", saved(part10(report(study))), "--preset", "rad-loader", "--json")
    assert (told.code, told.document["code"]) == (5, 5)
    assert "empty shell" in told.document["error"]


def test_a_broken_file_is_5_and_what_is_no_dicom_is_2(study, saved, tmp_path):
    broken = call("explain", saved(part10(study[0])[:-100]), "--json")
    assert (broken.code, broken.document["schema"]) == (5, "pacsferry.error")
    assert "malformed" in broken.document["error"]
    assert call("explain", saved(b"Canary^Anna is no DICOM"), "--json").code == 2
    assert call("explain", tmp_path / "nothing.dcm").code == 2
    assert call("explain", tmp_path).code == 2
    assert call("explain", saved(b"")).code == 2


def test_a_preset_and_a_site_exclude_each_other(study, saved):
    path = saved(part10(study[0]))
    assert call("explain", path, "--preset", "basic", "--site", "orthanc").code == 2
    assert call("explain", path, "--preset", "basik").code == 2
    assert call("explain", path, "--preset", "basic", PACSFERRY_SITE="orthanc").code == 0


def test_at_a_terminal_it_is_a_table(study, saved):
    shown = at_terminal("explain", saved(part10(study[0])))
    assert "PatientName" in shown.out
    assert "gate residual-identifiers: would let it pass" in shown.out


@pytest.mark.parametrize("preset", ["basic", "research", "strict", "tcia", "rad-loader"])
def test_the_conformance_statement_of_a_preset(preset):
    told = call("describe", "--preset", preset, "--conformance")
    assert told.code == 0
    assert told.out.startswith(f"# Conformance: {preset}\n")
    document = call("describe", "--preset", preset, "--conformance", "--json").document
    assert document["conformance"] == told.out
    assert json.dumps(document).isascii() or "—" not in told.out
