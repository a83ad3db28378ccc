"""Compressed studies and a multi-frame arrive untouched in their pixel data, over every transport that offers them."""

from __future__ import annotations

import io

import pydicom
import pytest

from pacsferry.core.model import Status
from pacsferry.testing import samples
from pacsferry.testing._encodings import loaded, transplant
from support.peers import as_bytes
from support.sites import Site

pytestmark = pytest.mark.peers

ALL = ("wado-rs", "c-get", "c-move")
ACC = "ACC400"
#: Encodings of files that ship with pydicom, by what their pixels are encoded in.
KINDS = {
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-baseline": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg2000-lossless": "1.2.840.10008.1.2.4.90",
    "jpeg2000": "1.2.840.10008.1.2.4.91",
}
#: What lets dcmqrscp take a syntax (+), and offer it to the destination of a C-MOVE (-).
DCMQRSCP = {
    "rle": "xr",
    "jpeg-baseline": "xy",
    "jpeg-extended": "xx",
    "jpeg-lossless": "xs",
    "jpeg-ls": "xt",
    "jpeg2000-lossless": "xv",
    "jpeg2000": "xw",
}


def study(kind):
    """An MR of two slices with these pixels; colour or not, so that no gate holds it."""
    made = samples.mr_study(slices=2, series=1, rows=8, columns=8, accession=ACC, patient_id="CANARYID7", private=False)
    for ds in made:
        transplant(ds, loaded(kind))
    assert {str(ds.file_meta.TransferSyntaxUID) for ds in made} == {KINDS[kind]}
    return made


def pixels(data):
    ds = pydicom.dcmread(io.BytesIO(data))
    return str(ds.file_meta.TransferSyntaxUID), bytes(ds.PixelData)


def arrived(site, over, sent):
    done = site.load(ACC, over=over)
    (row,) = done.rows
    assert (row.status, done.exit_code) == (Status.OK, 0), (over, row.reasons, row.error)
    stored = site.images()
    assert sorted(map(pixels, stored.values())) == sorted(pixels(as_bytes(one)) for one in sent), over
    return stored


def over_each(site, sent, transports, tmp_path):
    first = arrived(site, transports[0], sent)
    for over in transports[1:]:
        there = arrived(site.twin(tmp_path / over), over, sent)
        assert there == first, over


@pytest.mark.parametrize("kind", KINDS)
def test_orthanc_gives_compressed_pixels_as_they_are_over_all_three(orthanc, orthanc_site, tmp_path, kind):
    sent = study(kind)
    orthanc.upload(sent)
    over_each(orthanc_site, sent, ALL, tmp_path)


def test_orthanc_gives_a_multi_frame_as_it_is_over_all_three(orthanc, orthanc_site, tmp_path):
    sent = samples.multi_frame(frames=6, rows=32, columns=32, accession=ACC)
    orthanc.upload(sent)
    over_each(orthanc_site, sent, ALL, tmp_path)


def test_orthanc_gives_a_compressed_multi_frame_as_it_is(orthanc, orthanc_site, tmp_path):
    sent = samples.rle(samples.multi_frame(frames=6, rows=32, columns=32, accession=ACC))
    orthanc.upload(sent)
    over_each(orthanc_site, sent, ALL, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_dcmqrscp_gives_compressed_pixels_as_they_are(make_dcmqrscp, tmp_path, kind):
    server = make_dcmqrscp(f"+{DCMQRSCP[kind]}", f"-{DCMQRSCP[kind]}")
    sent = study(kind)
    server.store(sent)
    site = Site(tmp_path / "first", server.aet, server.port, receiver_port=server.receiver_port)
    over_each(site, sent, ("c-get", "c-move"), tmp_path)


def test_dcmqrscp_gives_a_multi_frame_as_it_is(dcmqrscp, tmp_path):
    dcmqrscp.clear()
    sent = samples.multi_frame(frames=6, rows=32, columns=32, accession=ACC)
    dcmqrscp.store(sent)
    site = Site(tmp_path / "first", dcmqrscp.aet, dcmqrscp.port, receiver_port=dcmqrscp.receiver_port)
    over_each(site, sent, ("c-get", "c-move"), tmp_path)
