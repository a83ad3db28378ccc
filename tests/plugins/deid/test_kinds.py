"""dciodvfy finds no error in the output that was not in the input, for every kind of object, held or not."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from pacsferry.core.errors import HeldError
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import part10
from support.choosing import draft_by
from support.cleaning import clean, cleaned, whole
from support.peers import missing
from support.public import FILES


@pytest.fixture
def errors(tmp_path):
    found = shutil.which("dciodvfy")
    if found is None:
        missing("dicom3tools")
    path = tmp_path / "object.dcm"

    def run(data: bytes) -> set[str]:
        path.write_bytes(data)
        ran = subprocess.run([found, "-new", str(path)], capture_output=True, text=True, errors="replace", check=False)
        lines = (ran.stdout + ran.stderr).splitlines()
        # What it says of a value has the value in it, and that may have changed.
        return {re.sub(r"= <.*|<[0-9.]+>", "", line) for line in lines if line.startswith("Error")}

    return run


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
def test_a_valid_object_stays_valid(kind, errors):
    data = part10(KINDS[kind]())
    assert errors(data) == set()
    assert errors(whole(clean(data))) == set()


@pytest.mark.peers
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["research", "tcia", "strict"])
def test_a_valid_object_stays_valid_under_every_preset(preset, kind, errors):
    assert errors(whole(draft_by(preset, part10(KINDS[kind]())))) == set()


@pytest.mark.peers
@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith(("emri", "eCT", "liver", "693"))])
def test_strict_makes_no_new_error_in_enhanced_objects_of_others(path, errors):
    data = path.read_bytes()
    try:
        out = whole(draft_by("strict", data))
    except HeldError:
        return
    assert errors(out) <= errors(data)


@pytest.mark.peers
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_of_others_gets_a_new_error(path, errors):
    data = path.read_bytes()
    try:
        out = whole(clean(data))
    except HeldError:
        return
    if b"1.2.840.10008.1.2.1.99" in data[:1000]:
        return  # dciodvfy cannot read deflated objects
    assert errors(out) <= errors(data)


def test_structures_keep_their_shape_and_lose_their_names():
    before, after = KINDS["RTSTRUCT"](), cleaned(part10(KINDS["RTSTRUCT"]()))
    (roi,), (contour,), (seen,) = (
        after.StructureSetROISequence,
        after.ROIContourSequence,
        after.RTROIObservationsSequence,
    )
    assert (roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm) == (1, "", "MANUAL")
    assert contour.ContourSequence[0].ContourData == before.ROIContourSequence[0].ContourSequence[0].ContourData
    assert seen.RTROIInterpretedType == "ORGAN"
    assert "ROIDescription" not in roi
    image = cleaned(part10(KINDS["CT"]()))
    assert contour.ContourSequence[0].ContourImageSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert after.FrameOfReferenceUID == roi.ReferencedFrameOfReferenceUID == image.FrameOfReferenceUID


def test_the_references_of_an_object_are_told_as_released():
    image, drawn = (clean(part10(KINDS[kind]())) for kind in ("CT", "RTSTRUCT"))
    assert image.facts.instance_uid in drawn.facts.references
    assert len(set(drawn.facts.references)) == len(drawn.facts.references)
    assert all(uid.startswith("2.25.") for uid in (*drawn.facts.references, *image.facts.references))
    written = whole(drawn)
    assert all(uid.encode() in written for uid in drawn.facts.references)


@pytest.mark.parametrize("kind", KINDS)
def test_no_original_uid_survives_and_every_reference_is_remapped(kind):
    before = KINDS[kind]()
    data = part10(before)
    out = whole(clean(data))
    originals = set(re.findall(rb"1\.2\.826\.0\.1\.3680043\.8\.498\.[0-9]+", data))
    assert len(originals) >= 3
    assert not [uid for uid in originals if uid in out]
    for element in cleaned(data).iterall():
        if element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else element.value
            assert all(uid.startswith(("2.25.", "1.2.840.10008.")) for uid in values), element.keyword


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_people_and_places_are_nowhere(kind):
    out = whole(clean(part10(KINDS[kind]()))).lower()
    for word in (b"lantern", b"mabel", b"larry", b"quay-0007", b"acc0007", b"brine", b"bowsprit", b"mizzen", b"40517"):
        assert word not in out, word


def test_the_required_text_of_an_object_becomes_a_dummy():
    path = next(path for path in FILES if path.name == "liver_1frame.dcm")
    (before,) = dcmread(path).SegmentSequence
    (after,) = dcmread(io.BytesIO(whole(clean(path.read_bytes())))).SegmentSequence
    assert (after.SegmentLabel, after.SegmentNumber) == ("REMOVED", before.SegmentNumber)


@pytest.mark.parametrize(
    ("term", "expected"), [("HU", "HU"), ("US", "US"), ("Larry", "REMOVED"), ("HU of Larry", "REMOVED")]
)
def test_strict_keeps_units_that_the_standard_defines_and_no_other_words(term, expected):
    image = KINDS["CT"]()
    image.RescaleType = term
    nested = KINDS["enhanced CT"]()
    nested.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType = term
    out, deep = (dcmread(io.BytesIO(whole(draft_by("strict", part10(one))))) for one in (image, nested))
    assert out.RescaleType == expected
    assert deep.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType == expected


def test_files_are_found():
    assert len(FILES) > 150
    assert all(isinstance(path, Path) for path in FILES)
