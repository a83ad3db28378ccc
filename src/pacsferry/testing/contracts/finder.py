"""The contract of finders: whole answers or an error, at every level, and nothing of it in a log."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Match, Query
from pacsferry.core.ports import Finder, Offer
from pacsferry.core.strict import Strict
from pacsferry.testing.simulator import Simulator

from .kit import ACCESSION, NAME, PATIENT, ArchiveContract, build, chain, in_time, without_canaries

_WANTS = ("StudyInstanceUID", "AccessionNumber", "PatientID", "PatientName", "ModalitiesInStudy", "StudyDate")


class FinderContract(ArchiveContract):
    """Override ``offer``. The archive is a simulator that speaks DIMSE and DICOMweb."""

    @pytest.fixture
    def finder(self, offer: Offer[Any], archive: Archive, settings: Strict) -> Iterator[Finder]:
        """The finder under test."""
        finder: Finder = build(offer, archive, settings)
        yield finder
        finder.close()

    def test_it_names_its_protocol(self, finder: Finder) -> None:
        assert finder.protocol

    def test_it_finds_a_study_by_its_accession(self, finder: Finder) -> None:
        (match,) = _find(finder, Level.STUDY, {"AccessionNumber": ACCESSION})
        assert match.level is Level.STUDY
        assert match.text("AccessionNumber") == ACCESSION
        assert match.text("PatientID") == PATIENT
        assert match.text("PatientName").rstrip("^") == NAME
        assert match.many("ModalitiesInStudy") == ("CT",)
        assert match.text("StudyDate") == "20240517"

    def test_nothing_matches(self, finder: Finder) -> None:
        assert _find(finder, Level.STUDY, {"AccessionNumber": "NOBODYHASIT"}) == []

    def test_all_matches_come(self, finder: Finder, sim: Simulator) -> None:
        found = _find(finder, Level.STUDY, {"PatientID": PATIENT})
        assert {one.text("StudyInstanceUID") for one in found} == {one.study for one in sim.holdings.all()}

    def test_dates_match_as_ranges(self, finder: Finder) -> None:
        inside = _find(finder, Level.STUDY, {"StudyDate": "20240501-20240531", "PatientID": PATIENT})
        assert [one.text("AccessionNumber") for one in inside] == [ACCESSION]
        assert len(_find(finder, Level.STUDY, {"StudyDate": "20240501-", "PatientID": PATIENT})) == 2

    def test_it_goes_down_to_the_instances(self, finder: Finder, sim: Simulator) -> None:
        stored = [one for one in sim.holdings.all() if one.header.AccessionNumber == ACCESSION]
        study = {"StudyInstanceUID": stored[0].study}
        series = _find(finder, Level.SERIES, study, ("SeriesInstanceUID", "Modality", "SeriesNumber"))
        assert {one.text("SeriesInstanceUID") for one in series} == {one.series for one in stored}
        images = []
        for one in series:
            keys = {**study, "SeriesInstanceUID": one.text("SeriesInstanceUID")}
            images += _find(finder, Level.IMAGE, keys, ("SOPInstanceUID", "SOPClassUID", "InstanceNumber"))
        assert sorted(one.text("SOPInstanceUID") for one in images) == sorted(one.instance for one in stored)
        assert {one.text("SOPClassUID") for one in images} == {one.sop_class for one in stored}
        assert all(one.number("InstanceNumber") for one in images)

    def test_answers_are_not_repeated(self, finder: Finder, sim: Simulator) -> None:
        sim.faults.add("find-twice")
        found = _find(finder, Level.STUDY, {"PatientID": PATIENT})
        assert len(found) == len({one.text("StudyInstanceUID") for one in found}), "de-duplicated by the level's UID"

    @pytest.mark.parametrize("fault", ["find-fails", "find-fails:after=1", "http-500", "bad-json", "login-page"])
    def test_a_failure_is_an_error_and_no_empty_list(self, finder: Finder, sim: Simulator, fault: str) -> None:
        sim.faults.add(fault)
        if not any(
            verb in ("c-find", "qido-rs") and _speaks(finder, verb) for verb in sim.faults.active()[0].kind.verbs
        ):
            pytest.skip("a fault of another protocol")
        with pytest.raises(TransferError) as caught:
            in_time(lambda: list(finder.find(Query(level=Level.STUDY, keys={"PatientID": PATIENT}, wants=_WANTS))))
        without_canaries(*chain(caught.value))

    def test_an_archive_that_is_not_there_is_an_error(self, finder: Finder, sim: Simulator) -> None:
        sim.close()
        with pytest.raises(TransferError) as caught:
            in_time(lambda: list(finder.find(Query(level=Level.STUDY, keys={"AccessionNumber": ACCESSION}))))
        without_canaries(*chain(caught.value))
        with pytest.raises(TransferError):
            in_time(finder.ping)

    def test_it_answers_several_threads(self, finder: Finder) -> None:
        with ThreadPoolExecutor(4) as pool:
            counts = list(pool.map(lambda _: len(_find(finder, Level.STUDY, {"PatientID": PATIENT})), range(8)))
        assert counts == [2] * 8

    def test_it_pings(self, finder: Finder) -> None:
        ping = in_time(finder.ping)
        assert ping.service
        assert ping.address
        assert 0 <= ping.seconds < 30

    def test_close_twice(self, finder: Finder) -> None:
        finder.close()
        finder.close()

    def test_it_says_nothing_of_what_it_asks(
        self, finder: Finder, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with caplog.at_level("DEBUG"):
            found = _find(finder, Level.STUDY, {"AccessionNumber": ACCESSION, "PatientID": PATIENT})
        without_canaries(caplog.text, *capfd.readouterr(), *map(repr, found))


def _find(finder: Finder, level: Level, keys: dict[str, str], wants: tuple[str, ...] = _WANTS) -> list[Match]:
    query = Query(level=level, keys=keys, wants=wants)
    found: list[Match] = in_time(lambda: list(finder.find(query)))
    return found


def _speaks(finder: Finder, verb: str) -> bool:
    return verb == {"dimse": "c-find", "dicomweb": "qido-rs"}.get(finder.protocol)
