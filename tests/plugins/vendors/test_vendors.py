"""What is said of products is what the real ones do, measured again here; a quirk without evidence is refused."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from pacsferry.core import registry
from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.ports import Vendor
from pacsferry.core.quirks import STANDARD, Quirks
from pacsferry.plugins.vendors.catalogue import vendor, vendors
from pacsferry.testing.samples import ct_study

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@dataclass
class Asked:
    status: int
    answers: list[Dataset]


def ask(server: Any, port: int, root: Any, **keys: str) -> Asked:
    ae = AE("PACSFERRY")
    ae.add_requested_context(root)
    association = ae.associate(server.host, port, ae_title=server.aet)
    assert association.is_established
    query = Dataset()
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    pairs = list(association.send_c_find(query, root))
    association.release()
    return Asked(pairs[-1][0].Status, [answer for _, answer in pairs if answer is not None])


def measured(server: Any, port: int, sample: Dataset) -> dict[str, bool]:
    """The quirks of a server that holds one study of two series of three instances."""
    study_root, patient_root = (
        StudyRootQueryRetrieveInformationModelFind,
        PatientRootQueryRetrieveInformationModelFind,
    )
    by_accession = ask(
        server,
        port,
        study_root,
        QueryRetrieveLevel="STUDY",
        AccessionNumber=sample.AccessionNumber,
        StudyInstanceUID="",
    )
    by_patient = ask(
        server, port, patient_root, QueryRetrieveLevel="STUDY", PatientID=sample.PatientID, StudyInstanceUID=""
    )
    images = ask(
        server,
        port,
        study_root,
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID=sample.StudyInstanceUID,
        SeriesInstanceUID=sample.SeriesInstanceUID,
        SOPInstanceUID="",
        SOPClassUID="",
    )
    return {
        "requires_study_date": not by_accession.answers,
        "study_root_only": not by_patient.answers,
        "image_level_find": len(images.answers) == 3,
    }


def said(name: str) -> dict[str, bool]:
    return {one.name: one for one in vendors()}[name].quirks.model_dump(exclude_none=True)


@pytest.fixture(scope="module")
def study() -> list[Dataset]:
    return ct_study(slices=3, series=2, rows=16, columns=16, patient_id="VEND-1", accession="VEND1", seed="vendors")


@pytest.mark.peers
def test_orthanc_does_what_its_file_says(orthanc: Any, study: list[Dataset]) -> None:
    orthanc.clear()
    orthanc.upload(study)
    found = measured(orthanc, orthanc.dicom_port, study[0])
    series = f"{orthanc.dicomweb_url}/studies/{study[0].StudyInstanceUID}/series/{study[0].SeriesInstanceUID}"
    with urllib.request.urlopen(f"{series}/instances", timeout=30) as answer:
        assert len(json.load(answer)) == 3
    any_syntax = urllib.request.Request(
        series, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    )
    with urllib.request.urlopen(any_syntax, timeout=30) as answer:
        found["any_transfer_syntax"] = answer.status == 200 and answer.read().count(b"DICM") == 3
    assert found == said("orthanc")


@pytest.mark.peers
def test_dcmqrscp_does_what_its_file_says(dcmqrscp: Any, study: list[Dataset]) -> None:
    dcmqrscp.clear()
    dcmqrscp.store(study)
    assert measured(dcmqrscp, dcmqrscp.port, study[0]) == said("dcmtk")


def test_each_quirk_has_its_evidence() -> None:
    for one in vendors():
        assert one.summary
        assert set(one.evidence) == set(one.quirks.model_dump(exclude_none=True))


def test_the_registry_knows_the_three_products() -> None:
    known = registry.load(external=False)
    assert {"generic", "orthanc", "dcmtk"} <= set(known.names("vendor"))
    assert isinstance(known.named("vendor", "orthanc"), Vendor)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('summary = "x"\n[quirks]\nstudy_root_only = true', "study_root_only"),
        ('summary = "x"\n[evidence.study_root_only]\nseen = "a"\nsource = "b"', "study_root_only"),
        ('summary = "x"\n[quirks]\nstudy_root_onyl = true', "x.quirks.study_root_onyl: unknown key; did you mean"),
        ('[quirks]\nstudy_root_only = "yes"', "x.summary: missing"),
    ],
)
def test_a_file_that_proves_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        vendor("x", text)
    assert says in str(caught.value)


def test_a_site_knows_better_than_the_vendor_and_the_vendor_than_the_standard() -> None:
    archive = Archive(name="a", quirks=Quirks(study_root_only=True))
    quirks = archive.with_quirks(Quirks(study_root_only=False, requires_study_date=True)).quirks
    assert quirks.study_root_only is True
    assert quirks.requires_study_date is True
    assert quirks.image_level_find is STANDARD.image_level_find is True
    decided = STANDARD.model_dump(exclude_none=True).keys()
    assert quirks.model_dump(exclude_none=True).keys() >= decided >= {"counts", "wildcards", "result_limit"}


def test_nobody_but_the_vendors_names_a_product_in_code() -> None:
    from pathlib import Path

    import pacsferry

    root = Path(pacsferry.__file__).parent
    names = {one.name for one in vendors()} - {"generic"}
    allowed = {"plugins/vendors", "testing"}
    for path in root.rglob("*.py"):
        relative = path.relative_to(root).as_posix()
        if any(relative.startswith(folder) for folder in allowed):
            continue
        text = path.read_text()
        for name in names:
            assert f'== "{name}"' not in text, relative
            assert f"vendor={name!r}" not in text, relative
