"""The helpers that start real archives do what other tests rely on."""

from __future__ import annotations

import pydicom
import pytest
from pydicom.data import get_testdata_file

from support.peers import Dcmqrscp, Orthanc, free_ports

pytestmark = pytest.mark.peers


def test_orthanc_takes_and_forgets_what_it_is_given(orthanc: Orthanc) -> None:
    orthanc.clear()
    orthanc.upload([get_testdata_file("CT_small.dcm"), pydicom.dcmread(get_testdata_file("MR_small.dcm"))])
    assert orthanc.count() == 2
    orthanc.clear()
    assert orthanc.count() == 0


def test_orthanc_learns_and_forgets_a_destination(orthanc: Orthanc) -> None:
    orthanc.register("ELSEWHERE", 11112)
    assert "ELSEWHERE" in orthanc.rest("GET", "/modalities")
    orthanc.unregister("ELSEWHERE")
    assert "ELSEWHERE" not in orthanc.rest("GET", "/modalities")


def test_dcmqrscp_takes_and_forgets_what_it_is_given(dcmqrscp: Dcmqrscp) -> None:
    dcmqrscp.clear()
    dcmqrscp.store([get_testdata_file("CT_small.dcm")])
    dcmqrscp.place([get_testdata_file("MR_small_RLE.dcm")], dcmqrscp.other_aet)
    assert (dcmqrscp.count(), dcmqrscp.count(dcmqrscp.other_aet)) == (1, 1)
    dcmqrscp.clear()
    assert dcmqrscp.count() == 0


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
