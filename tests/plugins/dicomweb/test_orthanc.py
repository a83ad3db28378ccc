"""QIDO-RS and WADO-RS against a real Orthanc with its DICOMweb plugin."""

from __future__ import annotations

import hashlib

import pytest
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Query, Wanted

pytestmark = pytest.mark.peers

COMPRESSED = {
    "JPEG baseline": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG lossless": "SC_rgb_jpeg_gdcm.dcm",
    "JPEG 2000": "JPEG2000.dcm",
    "JPEG 2000 lossless": "MR_small_jp2klossless.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm",
    "RLE": "SC_rgb_rle.dcm",
    "RLE, two frames": "SC_rgb_rle_2frame.dcm",
    "big endian": "MR_small_bigendian.dcm",
    "implicit": "MR_small_implicit.dcm",
    "deflated": "image_dfl.dcm",
    "structured report": "test-SR.dcm",
}


def part10(ds) -> bytes:
    buffer = DicomBytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def series(count: int, study: str, patient: str = "PAT1", accession: str = "ACC1", number: int = 1, pixels: int = 64):
    made = []
    for n in range(count):
        ds = dcmread(get_testdata_file("CT_small.dcm"))
        ds.remove_private_tags()
        ds.PatientID, ds.AccessionNumber, ds.PatientName = patient, accession, "Müller^Ünsal"
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.StudyDate, ds.StudyDescription = "20240517", "CT ABDOMEN"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.{number}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{study}.{number}.{n + 1}"
        ds.SeriesNumber, ds.InstanceNumber = number, n + 1
        ds.Rows = ds.Columns = pixels
        ds.PixelData = hashlib.shake_128(bytes([n % 256])).digest(pixels * pixels * 2)
        made.append(part10(ds))
    return made


@pytest.fixture
def filled(orthanc):
    """Two studies of one patient and one of another; 1.2.3.4.1 has two series."""
    orthanc.clear()
    orthanc.upload(series(3, "1.2.3.4.1"))
    orthanc.upload(series(2, "1.2.3.4.1", number=2))
    orthanc.upload(series(1, "1.2.3.4.2", accession="ACC2"))
    orthanc.upload(series(1, "1.2.3.4.3", patient="PAT2", accession="ACC3"))
    return orthanc


def found(finder, level, wanted="", **keys):
    matches = list(finder.find(Query(level=level, keys=keys)))
    return sorted(match.text(wanted) for match in matches) if wanted else matches


def test_studies_by_accession(filled, qido):
    (study,) = found(qido(filled.dicomweb_url), Level.STUDY, AccessionNumber="ACC1")
    assert study.text("StudyInstanceUID") == "1.2.3.4.1"
    assert study.text("PatientID") == "PAT1"
    assert study.text("ModalitiesInStudy") == "CT"
    assert study.text("StudyDescription") == "CT ABDOMEN"
    assert (study.number("NumberOfStudyRelatedSeries"), study.number("NumberOfStudyRelatedInstances")) == (2, 5)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"AccessionNumber": "NOBODY"}, []),
        ({"AccessionNumber": "ACC*"}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"PatientID": "PAT2"}, ["1.2.3.4.3"]),
        ({"StudyDate": "20240501-20240531", "AccessionNumber": "ACC2"}, ["1.2.3.4.2"]),
        ({"StudyDate": "20240518-"}, []),
        ({"StudyDate": "-20240517"}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"StudyInstanceUID": "1.2.3.4.1\\1.2.3.4.3"}, ["1.2.3.4.1", "1.2.3.4.3"]),
        ({"ModalitiesInStudy": "MR"}, []),
        ({"ModalitiesInStudy": "MR\\CT", "AccessionNumber": "ACC1"}, ["1.2.3.4.1"]),
        ({"PatientName": "MÜLLER*"}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"PatientName": "Müller^Ünsal", "AccessionNumber": "ACC?"}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"PatientName": "Möller*"}, []),
        ({"StudyDescription": "CT ABDOMEN"}, ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]),
        ({"StudyDescription": "CT ABDO", "PatientID": "PAT1"}, []),
        ({"AccessionNumber": "ACC 1"}, []),
    ],
)
def test_keys_narrow_the_studies_down(filled, qido, keys, expected):
    assert found(qido(filled.dicomweb_url), Level.STUDY, "StudyInstanceUID", **keys) == expected


def test_the_levels_below(filled, qido):
    finder = qido(filled.dicomweb_url)
    one = {"StudyInstanceUID": "1.2.3.4.1"}
    first, second = sorted(found(finder, Level.SERIES, **one), key=lambda match: match.number("SeriesNumber"))
    assert (first.text("Modality"), first.text("StudyInstanceUID")) == ("CT", "1.2.3.4.1")
    assert [match.number("NumberOfSeriesRelatedInstances") for match in (first, second)] == [3, 2]
    assert len(found(finder, Level.IMAGE, **one)) == 5
    image = found(finder, Level.IMAGE, SeriesInstanceUID="1.2.3.4.1.2", **one)[0]
    assert image.text("SOPClassUID") == uid.CTImageStorage
    assert image.text("SeriesInstanceUID") == "1.2.3.4.1.2"
    assert found(finder, Level.SERIES, StudyInstanceUID="9.9.9") == []


def test_patients(filled, qido):
    assert found(qido(filled.dicomweb_url), Level.PATIENT, "PatientID") == ["PAT1", "PAT2"]


def test_small_pages_lose_nothing(filled, qido):
    finder = qido(filled.dicomweb_url, settings={"page_size": 2})
    images = found(finder, Level.IMAGE, "SOPInstanceUID", StudyInstanceUID="1.2.3.4.1")
    assert len(images) == len(set(images)) == 5


def test_one_study_of_two_patients(orthanc, qido):
    orthanc.clear()
    orthanc.upload(series(1, "1.2.3.4.9", patient="A") + series(1, "1.2.3.4.9", patient="B", number=2))
    assert found(qido(orthanc.dicomweb_url), Level.STUDY, "PatientID", StudyInstanceUID="1.2.3.4.9") == ["A", "B"]


def test_a_study_of_two_patients_comes_by_series_only(orthanc, wado, basket):
    """Orthanc has two studies with one UID then, and does not know which one is meant."""
    orthanc.clear()
    both = series(2, "1.2.3.4.9", patient="A") + series(1, "1.2.3.4.9", patient="B", number=2)
    orthanc.upload(both)
    transport = wado(orthanc.dicomweb_url)
    with pytest.raises(TransferError) as caught:
        transport.fetch(Wanted(study="1.2.3.4.9"), basket)
    assert caught.value.code == "http-404"
    for number in (1, 2):
        transport.fetch(Wanted(study="1.2.3.4.9", series=f"1.2.3.4.9.{number}"), basket)
    assert sorted(basket.kept) == sorted(both)


@pytest.mark.parametrize("path", ["", "/nothing-here"])
def test_a_wrong_root_is_an_error(orthanc, qido, wado, basket, path):
    with pytest.raises(TransferError) as caught:
        found(qido(orthanc.url + path), Level.STUDY)
    assert caught.value.code == ("http-404" if path else "http-error")
    with pytest.raises(TransferError):
        wado(orthanc.url + path).fetch(Wanted(study="1.2.3.4.1"), basket)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(study="1.2.3.4.1"), 5),
        (Wanted(study="1.2.3.4.1", series="1.2.3.4.1.2"), 2),
        (Wanted(study="1.2.3.4.1", series="1.2.3.4.1.1", instances=("1.2.3.4.1.1.1", "1.2.3.4.1.1.3")), 2),
    ],
)
def test_objects_come_as_they_were_stored(filled, wado, basket, wanted, count):
    tally = wado(filled.dicomweb_url).fetch(wanted, basket)
    assert (tally.completed, tally.code) == (count, "")
    stored = {*series(3, "1.2.3.4.1"), *series(2, "1.2.3.4.1", number=2)}
    assert len(basket.kept) == len(set(basket.kept)) == count
    assert set(basket.kept) <= stored


@pytest.mark.parametrize("name", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_every_encoding_arrives_untouched(orthanc, qido, wado, basket, name):
    orthanc.clear()
    with open(get_testdata_file(name), "rb") as file:
        original = file.read()
    orthanc.upload([original])
    (study,) = found(qido(orthanc.dicomweb_url), Level.STUDY)
    wado(orthanc.dicomweb_url).fetch(Wanted(study=study.text("StudyInstanceUID")), basket)
    assert basket.kept == [original]


def test_many_frames_with_boundary_like_pixels(orthanc, wado, basket):
    orthanc.clear()
    ds = dcmread(get_testdata_file("SC_rgb_rle_2frame.dcm"))
    frames = [(b"\r\n--boundary--\r\n\r\n--" * 5000)[:90_000] for _ in range(40)]
    ds.NumberOfFrames, ds.StudyInstanceUID = len(frames), "1.2.3.4.7"
    ds.PixelData = encapsulate(frames)
    original = part10(ds)
    orthanc.upload([original])
    wado(orthanc.dicomweb_url).fetch(Wanted(study="1.2.3.4.7"), basket)
    assert basket.kept == [original]


def test_what_is_not_there(orthanc, wado, basket):
    for wanted in (Wanted(study="9.9"), Wanted(study="9.9", series="9.8", instances=("9.7",))):
        with pytest.raises(TransferError) as caught:
            wado(orthanc.dicomweb_url).fetch(wanted, basket)
        assert caught.value.code == "http-404"


def test_ping(orthanc, qido, wado):
    for one in (qido(orthanc.dicomweb_url), wado(orthanc.dicomweb_url)):
        ping = one.ping()
        assert (ping.service, ping.address) == ("QIDO-RS", orthanc.dicomweb_url)
        assert 0 < ping.seconds < 5


def test_a_server_with_users_wants_credentials(make_orthanc, qido):
    server = make_orthanc(AuthenticationEnabled=True, RegisteredUsers={"someone": "secret"})
    with pytest.raises(TransferError) as caught:
        found(qido(server.dicomweb_url), Level.STUDY)
    assert caught.value.code == "http-401"
