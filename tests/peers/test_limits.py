"""Real archives that give only some of their answers: everything is found, and a study that is not listed is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pacsferry import app
from pacsferry.core.model import Status
from pacsferry.core.query import gather
from pacsferry.testing.samples import ct_study, mr_study
from support.peers import Dcmqrscp, Orthanc
from support.sites import Site

pytestmark = pytest.mark.peers

STUDIES, SLICES, LIMIT = 18, 12, 5


@pytest.fixture
def limited(make_orthanc: Callable[..., Orthanc], tmp_path: Path) -> Site:
    """An Orthanc that gives five answers to a query, and says so over DIMSE only."""
    server = make_orthanc(LimitFindResults=LIMIT, LimitFindInstances=LIMIT)
    for number in range(STUDIES):
        server.upload(
            ct_study(
                slices=1 if number else SLICES,
                rows=8,
                columns=8,
                accession=f"ACC{number}",
                patient_id=f"CANARY{number}",
                date=f"202401{number // 2 + 1:02d}",
                seed=number,
            )
        )
    return Site(tmp_path / "site", server.aet, server.dicom_port, server.dicomweb_url)


@pytest.mark.parametrize("over", ["c-get", "wado-rs"])
def test_everything_is_found_past_the_limit(limited: Site, over: str) -> None:
    limited.write((over,))
    found = app.find(str(limited.file), gather(date_from="20240101"))
    assert (len(found.rows), found.errors, found.exit_code) == (STUDIES, (), 0)


@pytest.mark.parametrize("over", ["c-get", "wado-rs"])
def test_a_study_with_more_instances_than_are_listed_is_whole(limited: Site, over: str) -> None:
    loaded = limited.load("ACC0", over=over)
    (row,) = loaded.rows
    assert (row.status, row.stored, loaded.exit_code) == (Status.OK, SLICES, 0)
    assert limited.load("ACC0", over=over).rows[0].status is Status.SKIPPED


def test_a_modality_that_dcmqrscp_does_not_match_is_filtered_here(dcmqrscp: Dcmqrscp, tmp_path: Path) -> None:
    dcmqrscp.clear()
    dcmqrscp.store(ct_study(slices=1, rows=8, columns=8, accession="CT1", seed="ct"))
    dcmqrscp.store(mr_study(slices=1, rows=8, columns=8, accession="MR1", seed="mr"))
    site = Site(tmp_path / "site", dcmqrscp.aet, dcmqrscp.port)
    site.write(("c-get",))
    found = app.find(str(site.file), gather(modality=["MR"]))
    assert [row.identified["AccessionNumber"] for row in found.rows] == ["MR1"]
    found = app.find(str(site.file), gather(modality=["MR", "CT"], study_date="20000101-"))
    assert len(found.rows) == 2
