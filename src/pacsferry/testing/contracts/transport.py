"""The contract of transports: every instance once, bytes as they were, failures as errors, nothing believed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from pacsferry.core.archive import Archive
from pacsferry.core.errors import StoreError, TransferError
from pacsferry.core.model import Level, Receipt, Tally, Wanted
from pacsferry.core.ports import Offer, Transport
from pacsferry.core.reasons import REASONS
from pacsferry.core.strict import Strict
from pacsferry.testing.simulator import Fault, Simulator, Stored

from .kit import ArchiveContract, Kept, MemorySink, build, chain, in_time, uids, wanted, without_canaries

#: What the simulator is asked with, by the protocol of a transport.
VERBS: Final[Mapping[str, tuple[str, ...]]] = {"dimse": ("c-get", "c-move"), "dicomweb": ("wado-rs",)}

#: Misbehaviours after which something is missing; what did come must be whole.
SPOILED: Final = (
    "drop:nth=2",
    "nothing:claim=true",
    "abort:nth=2",
    "reset:nth=2",
    "silence:nth=2",
    "cut:nth=2",
    "cannot-perform",
    "destination-unknown",
    "unable-to-process",
    "http-503:retry_after=0",
    "http-404",
    "http-206",
)


class TransportContract(ArchiveContract):
    """Override ``offer``. The archive is a simulator that speaks DIMSE and DICOMweb.

    A transport that speaks something else also overrides ``transport`` (built against its own test archive) and
    ``held`` (what is in there, as a study in two series and another study).
    """

    @pytest.fixture
    def transport(self, offer: Offer[Any], archive: Archive, settings: Strict) -> Iterator[Transport]:
        """The transport under test."""
        transport: Transport = build(offer, archive, settings)
        yield transport
        transport.close()

    @pytest.fixture
    def held(self, sim: Simulator) -> list[list[Stored]]:
        """What the archive has, by study; the first has two series."""
        studies: dict[str, list[Stored]] = {}
        for one in sim.holdings.all():
            studies.setdefault(one.study, []).append(one)
        return list(studies.values())

    # --- what it brings --------------------------------------------------------------------------------------------

    def test_it_says_what_it_takes(self, transport: Transport) -> None:
        traits = transport.traits
        assert traits.takes, "a transport takes at least one level"
        assert all(isinstance(level, Level) for level in traits.takes)
        assert Level.PATIENT not in traits.takes, "nothing is ever asked for at PATIENT level"
        assert traits.protocol, "the protocol tells which finder fits"

    def test_it_brings_every_instance_once(self, transport: Transport, held: list[list[Stored]]) -> None:
        for request, expected in _requests(transport, held[0]):
            sink = MemorySink()
            in_time(lambda: transport.fetch(request, sink))  # noqa: B023 - called at once
            assert sink.instances == expected, f"at {request.level}: each instance asked for, once, and nothing else"

    def test_it_brings_the_other_study_too(self, transport: Transport, held: list[list[Stored]]) -> None:
        sink = MemorySink()
        for request in _whole(transport, held[1]):
            in_time(lambda: transport.fetch(request, sink))  # noqa: B023
        assert sink.instances == uids(held[1]), "compressed instances come as well as plain ones"

    def test_the_bytes_are_those_of_the_archive(self, transport: Transport, held: list[list[Stored]]) -> None:
        for study in held:
            sink = MemorySink()
            for request in _whole(transport, study):
                in_time(lambda: transport.fetch(request, sink))  # noqa: B023
            _unchanged(sink, study)

    def test_it_tells_which_request_an_object_answers(self, transport: Transport, held: list[list[Stored]]) -> None:
        sink, request = MemorySink(), _whole(transport, held[0])[0]
        in_time(lambda: transport.fetch(request, sink))
        assert all(one.head.wanted in (None, request) for one in sink.kept)

    def test_it_answers_with_a_tally(self, transport: Transport, held: list[list[Stored]]) -> None:
        tally = in_time(lambda: transport.fetch(_whole(transport, held[0])[0], MemorySink()))
        assert isinstance(tally, Tally)
        assert tally.code == "", "all went well, so there is no reason to give"

    # --- what the sink says ----------------------------------------------------------------------------------------

    def test_no_space_is_no_success(self, transport: Transport, held: list[list[Stored]]) -> None:
        try:
            tally = in_time(lambda: transport.fetch(_whole(transport, held[0])[0], MemorySink({0: Receipt.NO_SPACE})))
        except StoreError:
            return
        except TransferError as error:
            assert error.code == "no-space"
            return
        assert tally.code == "no-space" or tally.failed, "the sink had no space, and nobody was told"

    def test_what_the_sink_refuses_stops_nothing(self, transport: Transport, held: list[list[Stored]]) -> None:
        sink = MemorySink({1: Receipt.UNEXPECTED})
        for request in _whole(transport, held[0]):
            in_time(lambda: transport.fetch(request, sink))  # noqa: B023
        assert len(set(sink.instances)) >= len(held[0]) - 1, "one refused object cost others"

    def test_duplicates_stop_nothing(self, transport: Transport, held: list[list[Stored]]) -> None:
        sink = MemorySink({0: Receipt.DUPLICATE})
        for request in _whole(transport, held[0]):
            in_time(lambda: transport.fetch(request, sink))  # noqa: B023
        assert sink.calls >= len(held[0])

    def test_an_error_of_the_sink_surfaces(self, transport: Transport, held: list[list[Stored]]) -> None:
        sink = MemorySink({2: StoreError("the disk is gone")})
        with pytest.raises(StoreError, match="the disk is gone"):
            for request in _whole(transport, held[0]):
                in_time(lambda: transport.fetch(request, sink))  # noqa: B023

    # --- failures --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("fault", SPOILED)
    def test_what_is_spoiled_is_not_kept(
        self, transport: Transport, held: list[list[Stored]], sim: Simulator, fault: str
    ) -> None:
        if not set(Fault.parse(fault).kind.verbs) & set(VERBS.get(transport.traits.protocol, ("c-get", "wado-rs"))):
            pytest.skip("a fault of another protocol")
        sim.faults.add(fault)
        sink = MemorySink()
        for request in _whole(transport, held[0]):
            try:
                in_time(lambda: transport.fetch(request, sink))  # noqa: B023
            except TransferError as error:
                assert error.code in REASONS or error.code, "a failure has a reason code"
                without_canaries(*chain(error))
        _unchanged(sink, held[0])
        assert len(sink.instances) == len(set(sink.instances)), "an object that came whole is not given twice"

    def test_it_completes_when_the_archive_behaves_again(
        self, transport: Transport, held: list[list[Stored]], sim: Simulator
    ) -> None:
        sim.faults.add("drop:nth=2,times=1", "abort:nth=1,times=1")
        for _ in range(3):
            sink = MemorySink()
            try:
                for request in _whole(transport, held[0]):
                    in_time(lambda: transport.fetch(request, sink))  # noqa: B023
            except TransferError:
                continue
        assert sink.instances == uids(held[0]), "a failure is not for ever"

    def test_a_silent_archive_is_an_error(self, transport: Transport, held: list[list[Stored]], sim: Simulator) -> None:
        sim.faults.add("silence:nth=1")
        sink = MemorySink()
        try:
            tally = in_time(lambda: transport.fetch(_whole(transport, held[0])[0], sink))
        except TransferError:
            return
        assert tally.code or not sim.log.of("c-get", "c-move", "wado-rs"), "silence was taken for an answer"

    def test_an_archive_that_is_not_there_is_an_error(
        self, offer: Offer[Any], archive: Archive, settings: Strict, held: list[list[Stored]], sim: Simulator
    ) -> None:
        sim.close()
        transport = build(offer, archive, settings)
        try:
            with pytest.raises(TransferError) as caught:
                in_time(lambda: transport.fetch(_whole(transport, held[0])[0], MemorySink()))
            without_canaries(*chain(caught.value))
            with pytest.raises(TransferError):
                in_time(transport.ping)
        finally:
            transport.close()

    # --- manners ---------------------------------------------------------------------------------------------------

    def test_requests_at_once_do_not_mix(self, transport: Transport, held: list[list[Stored]]) -> None:
        sinks = [MemorySink() for _ in held]

        def bring(study: list[Stored], sink: MemorySink) -> None:
            for request in _whole(transport, study):
                transport.fetch(request, sink)

        with ThreadPoolExecutor(len(held)) as pool:
            for future in [pool.submit(bring, *pair) for pair in zip(held, sinks, strict=True)]:
                in_time(future.result)
        for study, sink in zip(held, sinks, strict=True):
            assert sink.instances == uids(study), "each sink gets its own study, whole"

    def test_it_pings(self, transport: Transport) -> None:
        ping = in_time(transport.ping)
        assert ping.service
        assert ping.address
        assert 0 <= ping.seconds < 30

    def test_close_twice(self, transport: Transport) -> None:
        transport.close()
        transport.close()

    def test_it_leaves_no_file_and_says_nothing(
        self,
        transport: Transport,
        held: list[list[Stored]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr(tempfile, "tempdir", None)
        with caplog.at_level("DEBUG"):
            for request in _whole(transport, held[0]):
                in_time(lambda: transport.fetch(request, MemorySink()))  # noqa: B023
        transport.close()
        assert not list(tmp_path.iterdir()), "identifiable bytes never have a name on disk"
        without_canaries(caplog.text, *capfd.readouterr())


def _requests(transport: Transport, study: list[Stored]) -> Iterator[tuple[Wanted, list[str]]]:
    """A request per level that the transport takes, with the instances that answer it."""
    takes = transport.traits.takes
    if Level.STUDY in takes:
        yield wanted(study), uids(study)
    if Level.SERIES in takes:
        yield wanted(study, series=True), uids(one for one in study if one.series == study[0].series)
    if Level.IMAGE in takes:
        request = wanted(study, instances=2)
        yield request, sorted(request.instances)


def _whole(transport: Transport, study: list[Stored]) -> list[Wanted]:
    """Requests for the whole study, at the highest level that the transport takes."""
    takes = transport.traits.takes
    if Level.STUDY in takes:
        return [wanted(study)]
    series = [[one for one in study if one.series == uid] for uid in dict.fromkeys(one.series for one in study)]
    if Level.SERIES in takes:
        return [wanted(members, series=True) for members in series]
    return [wanted(members, instances=len(members)) for members in series]


def _alike(kept: Kept, expected: bytes) -> bool:
    """The same but for how the lengths of sequences are written, which core writes its own way whatever comes."""
    syntax = UID(kept.transfer_syntax)
    ours, theirs = (
        read_dataset(BytesIO(data_set), syntax.is_implicit_VR, syntax.is_little_endian)
        for data_set in (kept.data_set, expected)
    )
    return ours == theirs


def _unchanged(sink: MemorySink, study: list[Stored]) -> None:
    """What was kept is what the archive has, byte for byte (an archive may recode between uncompressed syntaxes)."""
    have = {one.instance: one for one in study}
    for kept in sink.kept:
        stored = have.get(kept.instance)
        assert stored is not None, "an object of another study was given to the sink"
        _announced(kept)
        expected = bytes(stored.data_set(kept.transfer_syntax))
        assert kept.data_set == expected or _alike(kept, expected), "the bytes are not those of the archive"


def _announced(kept: Kept) -> None:
    head = kept.head
    if head.sop_instance is not None:
        assert head.sop_instance == kept.instance
    if head.framing == "data-set":
        assert head.transfer_syntax, "a bare data set needs its transfer syntax"
        assert head.sop_class, "a C-STORE says the SOP class"
        assert head.sop_instance, "a C-STORE says the SOP instance"
