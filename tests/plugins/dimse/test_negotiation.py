"""C-GET brings every class and syntax that an archive can send: many classes, private ones, odd acceptors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import UID

from pacsferry.core.archive import Archive
from pacsferry.core.model import Tally, Wanted
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.dimse.contexts import STANDARD
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.settings import GetSettings
from pacsferry.testing.simulator import Fault, Simulator
from support.peers import Dcmqrscp, Orthanc, dcmqrscp_profile
from support.scripted_scp import ELE, MR, PRIVATE, RLE, CollectingSink, Study, archive, make_study
from support.sites import Site

#: More than one association takes, all of which dcmqrscp 3.6.7 knows.
KNOWN_TO_DCMTK = [one for one in STANDARD[:145] if one != "1.2.840.10008.5.1.4.1.1.11.12"]


def many_classes(classes: Sequence[str]) -> Study:
    """One small instance of each class."""
    study = make_study(("MR_small.dcm",) * len(classes))
    for one, sop_class in zip(study.instances, classes, strict=True):
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = UID(sop_class)
        one.Rows = one.Columns = 8
        one.PixelData = bytes(128)
    return study


def fetched(settings: Archive, study: Study, *, named: bool = True, **more: Any) -> tuple[CollectingSink, Tally]:
    """What one C-GET of the whole study brings."""
    sink, transport = CollectingSink(), CGet(settings.with_quirks(Quirks()), GetSettings())
    classes = study.classes if named else frozenset()
    try:
        tally = transport.fetch(
            Wanted(study=study.uid, sop_classes=classes, expected=len(study.instances), **more), sink
        )
    finally:
        transport.close()
    return sink, tally


@pytest.mark.peers
def test_a_study_of_more_classes_than_contexts_comes_complete_from_orthanc(orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc aborts when it comes to a class that was not proposed."""
    study = many_classes([f"1.2.840.113564.1.{n}" for n in range(1, 141)])
    for one in study.instances:
        one.AccessionNumber = "MANY"
    orthanc.upload(study.instances)
    site = Site(tmp_path, orthanc.aet, orthanc.dicom_port)
    (row,) = site.load("MANY", over="c-get").rows
    assert (row.expected, row.received, row.missing) == (140, 140, 0)


@pytest.mark.peers
@pytest.mark.parametrize("named", [True, False])
def test_a_study_of_more_classes_than_contexts_comes_complete_from_dcmqrscp(dcmqrscp: Dcmqrscp, named: bool) -> None:
    study = many_classes(KNOWN_TO_DCMTK)
    dcmqrscp.place(study.instances)
    sink, tally = fetched(archive(dcmqrscp.port, dcmqrscp.aet), study, named=named)
    assert set(sink.data) == set(study.uids)
    assert (sink.calls, tally.code) == (len(KNOWN_TO_DCMTK), "")


@pytest.mark.peers
def test_a_private_class_comes_from_dcmqrscp_when_the_profile_names_it(make_dcmqrscp: Any, tmp_path: Path) -> None:
    server: Dcmqrscp = make_dcmqrscp(*dcmqrscp_profile(tmp_path / "assoc.cfg", [PRIVATE, MR]))
    study = make_study(sop_class=PRIVATE)
    server.place(study.instances)
    settings = archive(server.port, server.aet, dimse={"sop_classes": [PRIVATE]})
    sink, tally = fetched(settings, study, named=False)
    assert set(sink.data) == set(study.uids)
    assert (tally.completed, tally.code) == (3, "")


@pytest.mark.peers
def test_stored_syntaxes_that_the_archive_names_need_one_association(make_dcmqrscp: Any) -> None:
    server: Dcmqrscp = make_dcmqrscp("+xr", "-v")
    study = make_study(("MR_small_RLE.dcm",) * 2)
    server.store(study.instances)
    before = _associations(server)
    sink, _ = fetched(archive(server.port, server.aet), study, syntaxes=frozenset({(MR, RLE)}))
    assert {head.transfer_syntax for head in sink.heads.values()} == {RLE}
    assert _associations(server) == before + 1


def _associations(server: Dcmqrscp) -> int:
    return (server.folder / "dcmqrscp.log").read_text(errors="replace").count("Association Received")


@pytest.fixture
def squeezing() -> Iterator[tuple[Simulator, Study, Callable[..., Archive]]]:
    """An archive that accepts compressed syntaxes only, where they are proposed, and has nothing compressed to send."""
    study = make_study()
    with Simulator(study.instances, ae_title="SIM", faults=[Fault("prefers-compressed")]) as sim:

        def settings(**quirks: bool) -> Archive:
            return archive(sim.dimse_port, "SIM", quirks=quirks)

        yield sim, study, settings


def test_an_archive_that_accepts_compression_and_then_fails_to_send_is_asked_without(squeezing: Any) -> None:
    _, study, settings = squeezing
    sink, tally = fetched(settings(), study)
    assert set(sink.data) == set(study.uids)
    assert {head.transfer_syntax for head in sink.heads.values()} == {ELE}
    assert tally.code == ""


def test_what_was_learnt_of_compression_is_remembered_and_can_be_said_before(squeezing: Any) -> None:
    sim, study, settings = squeezing
    for site, expected in ((settings(), [4, 1]), (settings(uncompressed_only=True), [1, 1])):
        transport = CGet(site.with_quirks(Quirks()), GetSettings())
        counts = []
        for _ in range(2):
            before = len(sim.log.of("associate"))
            wanted = Wanted(study=study.uid, sop_classes=study.classes, expected=3)
            transport.fetch(wanted, CollectingSink())
            counts.append(len(sim.log.of("associate")) - before)
        transport.close()
        assert counts == expected
