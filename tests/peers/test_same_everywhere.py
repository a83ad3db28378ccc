"""The same study over every transport of real archives: same paths, same bytes, and nothing is fetched twice."""

from __future__ import annotations

import json

import pytest

from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study, mr_study
from support.sites import relayed

pytestmark = pytest.mark.peers

ALL = ("wado-rs", "c-get", "c-move", "dcmtk-getscu", "dcmtk-movescu")
DIMSE = ("c-get", "c-move", "dcmtk-getscu", "dcmtk-movescu")
ACC = "ACC100"
#: Bytes from the archive of a run that only asks; the images of both studies have 330 000.
QUERIES_ONLY = 60_000


def objects():
    """A CT of two series and an MR of another patient, with private blocks and sequences."""
    return [
        *ct_study(slices=3, series=2, rows=128, columns=128, accession=ACC, patient_id="CANARYID7"),
        *mr_study(slices=2, rows=128, columns=128, accession="ACC200", patient_id="QUAY-0009"),
    ]


def loaded(site, over, *accessions):
    done = site.load(*(accessions or (ACC, "ACC200")), over=over)
    assert done.exit_code == 0, [(row.status, row.reasons, row.error) for row in done.rows]
    assert {row.status for row in done.rows} == {Status.OK}
    return site.images()


def alike(first, tmp_path, transports):
    """Load over each transport in a folder of its own; all the same, to the byte."""
    begun = loaded(first, transports[0])
    assert begun
    for over in transports[1:]:
        there = loaded(first.twin(tmp_path / over), over)
        assert list(there) == list(begun), over
        assert [path for path in begun if there[path] != begun[path]] == [], over
    return begun


def test_orthanc_gives_the_same_files_over_every_transport(orthanc, orthanc_site, tmp_path):
    orthanc.upload(objects())
    assert len(alike(orthanc_site, tmp_path, ALL)) == 10


def test_dcmqrscp_gives_the_same_files_over_every_transport_it_has(dcmqrscp, dcmqrscp_site, tmp_path):
    dcmqrscp.store(objects())
    assert len(alike(dcmqrscp_site, tmp_path, DIMSE)) == 10


def test_two_archives_give_the_same_files(orthanc, orthanc_site, dcmqrscp, tmp_path):
    orthanc.upload(objects())
    dcmqrscp.clear()
    dcmqrscp.store(objects())
    first = loaded(orthanc_site, "wado-rs")
    other = orthanc_site.twin(tmp_path / "other")
    other.ae_title, other.dimse_port, other.dicomweb_url = dcmqrscp.aet, dcmqrscp.port, ""
    assert loaded(other, "c-get") == first


@pytest.mark.parametrize("over", ALL)
def test_a_second_load_from_orthanc_transfers_nothing(orthanc, orthanc_site, over):
    orthanc.upload(objects())
    before = loaded(orthanc_site, over)
    stamps = {path: (orthanc_site.root() / path).stat().st_mtime_ns for path in before}
    with relayed(orthanc_site) as relays:
        again = orthanc_site.load(ACC, "ACC200", over=over)
    assert (again.exit_code, {row.status for row in again.rows}) == (0, {Status.SKIPPED})
    assert sum(relay.received for relay in relays) < QUERIES_ONLY
    assert {path: (orthanc_site.root() / path).stat().st_mtime_ns for path in before} == stamps
    assert orthanc_site.images() == before


@pytest.mark.parametrize("over", DIMSE)
def test_a_second_load_from_dcmqrscp_transfers_nothing(dcmqrscp, dcmqrscp_site, over):
    dcmqrscp.store(objects())
    before = loaded(dcmqrscp_site, over)
    with relayed(dcmqrscp_site) as relays:
        again = dcmqrscp_site.load(ACC, "ACC200", over=over)
    assert {row.status for row in again.rows} == {Status.SKIPPED}
    assert relays[0].received < QUERIES_ONLY
    assert dcmqrscp_site.images() == before


def test_the_installed_command_does_the_whole_path(orthanc, orthanc_site):
    orthanc.upload(objects())
    orthanc_site.write(ALL)
    told = orthanc_site.command("load", "p", ACC, "ACC200", "NOPE", "-s", orthanc_site.file)
    assert told.code == 5, told
    assert [row["status"] for row in told.document["results"]] == ["ok", "ok", "not_found"]
    assert orthanc_site.command("verify-files", "p").code == 0
    assert orthanc_site.command("audit", "p", "--check").document["chain"]["ok"]
    summary = json.loads((orthanc_site.root() / "reports" / "summary.json").read_text())
    assert summary["schema"] == "pacsferry.summary" or summary["schema"].startswith("pacsferry.")
