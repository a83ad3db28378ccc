"""Studies as real archives have them: other encodings, two patients in one, many objects and a process that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
from copy import deepcopy

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from pacsferry.core.model import Status
from pacsferry.testing import samples
from pacsferry.testing._parts import meta
from support.commands import PACSFERRY, call
from support.processes import alive, family, temporary, until

pytestmark = pytest.mark.peers

ALL = ("wado-rs", "c-get", "c-move")
DIMSE = ("c-get", "c-move")
ACC = "ACC100"


def ct(slices=3, **more):
    return samples.ct_study(slices=slices, rows=32, columns=32, accession=ACC, patient_id="CANARYID7", **more)


def written_as(study, syntax):
    return [meta(deepcopy(ds), syntax) for ds in study]


def undefined(study):
    """Every sequence and item of undefined length."""
    made = deepcopy(study)
    for ds in made:
        for element in ds.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    return made


ENCODINGS = {
    "explicit": lambda study: study,
    "implicit": samples.implicit,
    "undefined lengths": undefined,
    "deflated": lambda study: written_as(study, DeflatedExplicitVRLittleEndian),
}


def load(site, over):
    done = site.load(ACC, over=over)
    assert {row.status for row in done.rows} == {Status.OK}, (over, [(row.reasons, row.error) for row in done.rows])
    return site.images()


def test_however_orthanc_stores_it_the_files_are_the_same(orthanc, orthanc_site, tmp_path):
    """Explicit, implicit, deflated, undefined lengths, over three transports: one set of bytes."""
    orthanc.upload(ct())
    first = load(orthanc_site, "wado-rs")
    for name, encoded in ENCODINGS.items():
        orthanc.clear()
        orthanc.upload(encoded(ct()))
        for over in ALL:
            there = load(orthanc_site.twin(tmp_path / f"{name}-{over}"), over)
            assert list(there) == list(first), (name, over)
            assert [path for path in first if there[path] != first[path]] == [], (name, over)


def test_however_dcmqrscp_stores_it_the_files_are_the_same(dcmqrscp, dcmqrscp_site, tmp_path):
    dcmqrscp.store(ct())
    first = load(dcmqrscp_site, "c-get")
    for name in ("implicit", "undefined lengths"):
        dcmqrscp.clear()
        dcmqrscp.place(ENCODINGS[name](ct()))
        for over in DIMSE:
            assert load(dcmqrscp_site.twin(tmp_path / f"{name}-{over}"), over) == first, (name, over)


def test_big_endian_is_made_little(dcmqrscp, dcmqrscp_site, tmp_path):
    dcmqrscp.store(ct())
    first = load(dcmqrscp_site, "c-get")
    big = [deepcopy(ds) for ds in ct()]
    for ds in big:
        ds.PixelData = memoryview(ds.PixelData).cast("H").tobytes()
        swapped = bytearray(ds.PixelData)
        swapped[0::2], swapped[1::2] = ds.PixelData[1::2], ds.PixelData[0::2]
        ds.PixelData = bytes(swapped)
        meta(ds, ExplicitVRBigEndian)
    dcmqrscp.clear()
    dcmqrscp.place(big)
    assert load(dcmqrscp_site.twin(tmp_path / "big"), "c-move") == first


def two_patients():
    study = ct(slices=4)
    for ds in study[2:]:
        ds.PatientID, ds.PatientName = "QUAY-0009", "Heron^Otto"
        ds.SeriesInstanceUID = samples.uid(ds.SeriesInstanceUID, "other")
    return study


@pytest.mark.parametrize("over", ALL)
def test_orthanc_lists_a_study_of_two_patients_twice_and_it_is_held(orthanc, orthanc_site, over):
    orthanc.upload(two_patients())
    done = orthanc_site.load(ACC, over=over)
    assert done.exit_code == 5
    assert {row.status for row in done.rows} == {Status.HELD}
    assert orthanc_site.images() == {}


@pytest.mark.parametrize("over", DIMSE)
def test_dcmqrscp_with_a_study_of_two_patients_is_held(dcmqrscp, dcmqrscp_site, over):
    dcmqrscp.store(two_patients())
    done = dcmqrscp_site.load(ACC, over=over)
    assert done.exit_code == 5
    assert {row.status for row in done.rows} == {Status.HELD}
    assert dcmqrscp_site.images() == {}


@pytest.mark.parametrize("over", ALL)
def test_one_accession_with_two_studies_on_orthanc(orthanc, orthanc_site, over):
    orthanc.upload([*ct(seed="a"), *ct(seed="b", slices=2)])
    done = orthanc_site.load(ACC, over=over)
    assert sorted(row.stored for row in done.rows) == [2, 3]
    assert {row.case_id for row in done.rows} == {"case0001"}


@pytest.mark.parametrize("over", DIMSE)
def test_one_accession_with_two_studies_on_dcmqrscp(dcmqrscp, dcmqrscp_site, over):
    dcmqrscp.store([*ct(seed="a"), *ct(seed="b", slices=2)])
    done = dcmqrscp_site.load(ACC, over=over)
    assert sorted(row.stored for row in done.rows) == [2, 3]


@pytest.mark.parametrize("over", ALL)
def test_a_load_from_orthanc_that_is_killed_is_completed(orthanc, orthanc_site, over, tmp_path, monkeypatch):
    """300 objects of 32 kB; killed as soon as some are there."""
    slices = 300
    orthanc.upload(
        samples.ct_study(slices=slices, rows=128, columns=128, accession=ACC, patient_id="CANARYID7", private=False)
    )
    orthanc_site.write((over,))
    monkeypatch.chdir(orthanc_site.folder)
    process = subprocess.Popen(
        [*PACSFERRY, "load", "p", ACC, "-s", str(orthanc_site.file), "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=orthanc_site.folder,
        env={**os.environ, **temporary(tmp_path / "tmp")},
    )
    until(lambda: len(list(orthanc_site.root().rglob("*.dcm"))) >= 5)
    everybody = family(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: not any(alive(one) for one in everybody), 10)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert len(orthanc_site.images()) < slices
    told = call("resume", "p", "--workers", 1)
    assert (told.code, [row["status"] for row in told.document["results"]]) == (0, ["ok"])
    assert len(orthanc_site.images()) == slices
    assert call("verify-files", "p").code == 0
    assert not list((orthanc_site.root() / ".staging").iterdir())
    uids = {
        str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
        for path in orthanc_site.root().rglob("*.dcm")
    }
    assert len(uids) == slices
