import pytest

from support.certificates import hospital, pacs, us
from support.sites import Site

__all__ = ["hospital", "pacs", "us"]


@pytest.fixture(autouse=True)
def _own_state(own_state):
    pass


@pytest.fixture
def orthanc_site(orthanc, tmp_path):
    """A profile for an empty Orthanc, which knows the profile's receiver."""
    orthanc.clear()
    site = Site(tmp_path / "first", orthanc.aet, orthanc.dicom_port, orthanc.dicomweb_url)
    orthanc.register("PACSFERRY", site.receiver_port)
    yield site
    orthanc.unregister("PACSFERRY")


@pytest.fixture
def dcmqrscp_site(dcmqrscp, tmp_path):
    """A profile for an empty dcmqrscp, which has no DICOMweb."""
    dcmqrscp.clear()
    return Site(tmp_path / "first", dcmqrscp.aet, dcmqrscp.port, receiver_port=dcmqrscp.receiver_port)
