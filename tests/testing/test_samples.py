"""Synthetic studies: the same for the same arguments, valid to a validator's eye, and nothing downloaded."""

import shutil
import subprocess
from collections import Counter
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UID, RLELossless

from pacsferry.testing import samples

SMALL = {"rows": 32, "columns": 32}


def dciodvfy(data, path):
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("needs Debian package dicom3tools")
    path.write_bytes(data)
    told = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
    return [line for line in (told.stdout + told.stderr).splitlines() if line.startswith("Error")]


VALID = {
    "ct": lambda: samples.ct_study(slices=1, **SMALL)[0],
    "mr": lambda: samples.mr_study(slices=1, **SMALL)[0],
    "implicit": lambda: samples.implicit(samples.ct_study(slices=1, **SMALL))[0],
    "rle": lambda: samples.rle(samples.ct_study(slices=1, **SMALL))[0],
    "multi-frame": lambda: samples.multi_frame(frames=2, **SMALL)[0],
    "report": lambda: samples.report(samples.ct_study(slices=1, **SMALL)),
    "secondary capture": lambda: samples.secondary_capture(samples.ct_study(slices=1, **SMALL)),
    "jpeg 2000": lambda: samples.compressed_study("jpeg2000-lossless", slices=1)[0],
    "jpeg-ls": lambda: samples.compressed_study("jpeg-ls", slices=1)[0],
    "jpeg extended": lambda: samples.compressed_study("jpeg-extended", slices=1)[0],
}


@pytest.mark.parametrize("kind", VALID)
def test_a_validator_finds_no_error(kind, tmp_path):
    assert dciodvfy(samples.part10(VALID[kind]()), tmp_path / "x.dcm") == []


def test_the_same_arguments_give_the_same_bytes():
    one, two = (samples.ct_study(slices=2, **SMALL) for _ in "12")
    assert [samples.part10(ds) for ds in one] == [samples.part10(ds) for ds in two]
    other = samples.ct_study(slices=2, seed=1, **SMALL)
    assert {ds.SOPInstanceUID for ds in one}.isdisjoint({ds.SOPInstanceUID for ds in other})


def test_a_study_has_the_size_asked_for():
    study = samples.ct_study(slices=3, series=2, rows=512, columns=512)
    assert len(study) == 6
    assert len({ds.SeriesInstanceUID for ds in study}) == 2
    assert len({ds.SOPInstanceUID for ds in study}) == 6
    assert 120 <= len(study[0]) <= 160
    assert 500_000 < len(samples.part10(study[0])) < 560_000


def test_identifiers_stand_where_they_were_asked_for_and_at_depth():
    (ds,) = samples.ct_study(slices=1, patient_id="P1", patient_name="A^B", accession="ACC", **SMALL)
    assert (ds.PatientID, str(ds.PatientName), ds.AccessionNumber) == ("P1", "A^B", "ACC")
    assert ds.RequestAttributesSequence[0].AccessionNumber == "ACC"
    assert ds.OtherPatientIDsSequence[0].PatientID == "OLD-P1"
    assert ds[0x0029, 0x1004].value[0].PatientName == "A^B"
    (plain,) = samples.ct_study(slices=1, private=False, **SMALL)
    assert not any(element.tag.is_private for element in plain)


def test_there_is_something_to_see():
    (ds,) = samples.ct_study(slices=1, rows=128, columns=128)
    pixels = np.frombuffer(ds.PixelData, "<u2").reshape(128, 128)
    assert pixels[64, 64] > pixels[2, 2] + 500
    assert pixels.max() < 4096


@pytest.mark.parametrize("kind", ["rle", "jpeg2000-lossless", "jpeg2000", "jpeg-ls", "jpeg-extended", "jpeg-baseline"])
def test_compressed_studies_keep_the_pixels_of_pydicoms_files(kind):
    source = samples.packaged(kind)
    for ds in samples.compressed_study(kind, slices=2, patient_id="P1"):
        again = dcmread(BytesIO(samples.part10(ds)))
        assert again.PixelData == source.PixelData
        assert again.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
        assert again.PatientID == "P1"


def test_rle_decodes_to_the_same_pixels():
    plain = samples.ct_study(slices=1, **SMALL)
    (packed,) = samples.rle(plain)
    assert packed.file_meta.TransferSyntaxUID == RLELossless
    again = dcmread(BytesIO(samples.part10(packed)))
    assert (again.pixel_array == plain[0].pixel_array).all()
    assert again.SOPInstanceUID == plain[0].SOPInstanceUID


def test_a_mix_up_puts_two_patients_into_one_study():
    study = samples.two_patients(samples.ct_study(slices=4, **SMALL), patient_id="B", patient_name="B^B")
    assert [ds.PatientID for ds in study] == ["QUAY-0001", "B", "QUAY-0001", "B"]
    assert len({ds.StudyInstanceUID for ds in study}) == 1


def test_encapsulated_frames_need_not_decode():
    (ds,) = samples.ct_study(slices=1, **SMALL)
    made = samples.encapsulated(ds, [b"frame one", b"frame two!"])
    assert b"frame one" in samples.part10(made)


@pytest.mark.parametrize("name", samples.PACKAGED)
def test_packaged_files_ship_with_pydicom(name):
    assert len(samples.packaged(name)) > 10


def test_a_missing_file_is_an_error_and_no_download():
    with pytest.raises(FileNotFoundError):
        samples.packaged("no-such-file.dcm")


def test_the_demo_has_something_of_everything():
    demo = samples.demo_studies()
    assert len({ds.SOPInstanceUID for ds in demo}) == len(demo)
    assert len({ds.StudyInstanceUID for ds in demo}) == len({ds.AccessionNumber for ds in demo}) == 7
    assert {str(ds.Modality) for ds in demo} == {"CT", "MR", "OT", "SR"}
    assert len({ds.file_meta.TransferSyntaxUID for ds in demo}) >= 4
    assert any("NumberOfFrames" in ds for ds in demo)
    assert max(Counter(ds.SeriesInstanceUID for ds in demo).values()) == 24
    assert all(UID(ds.SOPInstanceUID).is_valid for ds in demo)
    patients = {}
    for ds in demo:
        patients.setdefault(ds.StudyInstanceUID, set()).add((ds.PatientID, str(ds.PatientName)))
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert samples.part10(ds)
    assert all(len(who) == 1 for who in patients.values())
