"""C-MOVE: our receiver takes what was asked for from whom it was asked, late or not, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pynetdicom import AE

from pacsferry.core.errors import BusyError, ConfigError, StoreError, TransferError
from pacsferry.core.model import Receipt, Tally, Wanted
from pacsferry.plugins.dimse.move import CMove
from pacsferry.plugins.dimse.receiver import RECEIVERS
from pacsferry.plugins.dimse.settings import MoveSettings
from support.peers import HOST, Dcmqrscp, Orthanc, free_port
from support.scripted_scp import (
    ELE,
    ILE,
    PRIVATE,
    RLE,
    CollectingSink,
    Study,
    archive,
    make_study,
    pixels,
    scp,
    send,
)

MIXED = ("MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "JPEG-LL.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small.dcm")


@pytest.fixture
def opened() -> Iterator[Callable[..., CMove]]:
    """Make a transport that is closed at the end."""
    made: list[CMove] = []

    def make(port: int, aet: str = "SCRIPTED", *, receiver_port: int | None = None, **more: Any) -> CMove:
        settings = MoveSettings.model_validate(more.pop("settings", {}))
        made.append(CMove(archive(port, aet, receiver_port=receiver_port or free_port(), **more), settings))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert not RECEIVERS._all


def all_of(study: Study, *, expected: bool = True) -> Wanted:
    return Wanted(study=study.uid, sop_classes=study.classes, expected=len(study.instances) if expected else None)


class Fetching:
    """A fetch in a thread."""

    def __init__(self, transport: CMove, wanted: Wanted, sink: CollectingSink) -> None:
        self.tally: Tally | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(transport, wanted, sink))
        self._thread.start()

    def _run(self, *args: Any) -> None:
        transport, wanted, sink = args
        try:
            self.tally = transport.fetch(wanted, sink)
        except BaseException as err:
            self.error = err

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.mark.peers
def test_orthanc_sends_every_syntax_untouched(orthanc: Orthanc, opened: Any) -> None:
    study, sink, port = make_study(MIXED), CollectingSink(), free_port()
    orthanc.upload(study.instances)
    orthanc.register("PACSFERRY", port)
    tally = opened(orthanc.dicom_port, orthanc.aet, receiver_port=port).fetch(all_of(study), sink)
    assert (len(sink.data), tally.completed, tally.code) == (len(MIXED), len(MIXED), "")
    for one in study.instances:
        name = str(one.SOPInstanceUID)
        assert sink.heads[name].transfer_syntax == one.file_meta.TransferSyntaxUID
        assert pixels(one) in sink.data[name]


@pytest.mark.peers
def test_dcmqrscp_sends(dcmqrscp: Dcmqrscp, opened: Any) -> None:
    study, sink = make_study(), CollectingSink()
    dcmqrscp.store(study.instances)
    tally = opened(dcmqrscp.port, dcmqrscp.aet, receiver_port=dcmqrscp.receiver_port).fetch(all_of(study), sink)
    assert (set(sink.data), tally.completed, tally.failed) == (set(study.uids), 3, 0)


@pytest.mark.peers
def test_dcmqrscp_sends_rle_as_it_is(make_dcmqrscp: Any, opened: Any) -> None:
    server: Dcmqrscp = make_dcmqrscp("+xr", "-xr")
    study, sink = make_study(("MR_small_RLE.dcm",) * 2), CollectingSink()
    server.store(study.instances)
    opened(server.port, server.aet, receiver_port=server.receiver_port).fetch(all_of(study), sink)
    assert {head.transfer_syntax for head in sink.heads.values()} == {RLE}
    assert all(pixels(one) in sink.data[str(one.SOPInstanceUID)] for one in study.instances)


@pytest.mark.peers
@pytest.mark.parametrize("level", ["series", "instances"])
def test_each_level_brings_what_it_names(orthanc: Orthanc, opened: Any, level: str) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    orthanc.upload(study.instances)
    orthanc.register("PACSFERRY", port)
    instances = study.uids[:2] if level == "instances" else ()
    wanted = Wanted(study=study.uid, series=study.series, instances=instances)
    opened(orthanc.dicom_port, orthanc.aet, receiver_port=port).fetch(wanted, sink)
    assert set(sink.data) == set(instances or study.uids)


@pytest.mark.peers
def test_fetches_at_once_share_the_receiver(orthanc: Orthanc, opened: Any) -> None:
    port = free_port()
    orthanc.register("PACSFERRY", port)
    studies = [make_study() for _ in range(4)]
    sinks = [CollectingSink() for _ in studies]
    for study in studies:
        orthanc.upload(study.instances)
    transport = opened(orthanc.dicom_port, orthanc.aet, receiver_port=port)
    running = [Fetching(transport, all_of(study), sink) for study, sink in zip(studies, sinks, strict=True)]
    for one in running:
        one.end()
    assert [one.error for one in running] == [None] * 4
    assert [set(sink.data) for sink in sinks] == [set(study.uids) for study in studies]


@pytest.mark.peers
def test_two_archives_have_receivers_of_their_own_or_share_one(
    orthanc: Orthanc, dcmqrscp: Dcmqrscp, opened: Any
) -> None:
    port = dcmqrscp.receiver_port
    orthanc.register("PACSFERRY", port)
    first, second = make_study(), make_study()
    orthanc.upload(first.instances)
    dcmqrscp.store(second.instances)
    one = opened(orthanc.dicom_port, orthanc.aet, receiver_port=port)
    other = opened(dcmqrscp.port, dcmqrscp.aet, receiver_port=port)
    sinks = CollectingSink(), CollectingSink()
    running = Fetching(one, all_of(first), sinks[0]), Fetching(other, all_of(second), sinks[1])
    for fetching in running:
        fetching.end()
    assert (set(sinks[0].data), set(sinks[1].data)) == (set(first.uids), set(second.uids))


@pytest.mark.peers
def test_a_destination_that_the_archive_does_not_know_is_not_retried(orthanc: Orthanc, opened: Any) -> None:
    orthanc.unregister("PACSFERRY")
    study = make_study()
    orthanc.upload(study.instances)
    with pytest.raises(TransferError) as caught:
        opened(orthanc.dicom_port, orthanc.aet).fetch(all_of(study), CollectingSink())
    assert caught.value.code in {"destination-unknown", "unable-to-process", "cannot-perform"}


@pytest.mark.peers
def test_dcmqrscp_does_not_know_the_destination(dcmqrscp: Dcmqrscp, opened: Any) -> None:
    study = make_study()
    dcmqrscp.store(study.instances)
    transport = opened(dcmqrscp.port, dcmqrscp.aet, receiver_port=free_port(), receiver={"ae_title": "NOBODY"})
    with pytest.raises(TransferError) as caught:
        transport.fetch(all_of(study), CollectingSink())
    assert (caught.value.code, caught.value.retryable) == ("destination-unknown", False)


@pytest.mark.peers
def test_an_archive_may_store_from_another_title_than_it_is_queried_at(orthanc: Orthanc, opened: Any) -> None:
    study, port, sink = make_study(), free_port(), CollectingSink()
    orthanc.upload(study.instances)
    orthanc.register("PACSFERRY", port)
    opened(orthanc.dicom_port, "ALIAS", receiver_port=port).fetch(all_of(study), sink)
    assert set(sink.data) == set(study.uids)


@pytest.mark.peers
def test_an_archive_that_calls_itself_otherwise_than_the_list_says_is_refused_with_advice(
    orthanc: Orthanc, opened: Any
) -> None:
    study, port = make_study(), free_port()
    orthanc.upload(study.instances)
    orthanc.register("PACSFERRY", port)
    strict = opened(orthanc.dicom_port, orthanc.aet, receiver_port=port, receiver={"calling_ae_titles": ["SOMEBODY"]})
    with pytest.raises(TransferError) as caught:
        strict.fetch(all_of(study), CollectingSink())
    assert "archive.dimse.receiver.calling_ae_titles" in (caught.value.hint or "")
    assert "'ORTHANC'" in (caught.value.hint or "")


@pytest.fixture
def async_move(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A C-MOVE server that answers first and sends, or does not send, later: ``async_move(status, then)``."""
    from pynetdicom.dimse_primitives import C_MOVE
    from pynetdicom.service_class import QueryRetrieveServiceClass

    def install(status: int = 0x0000, then: Callable[[], None] = lambda: None, counters: Any = None) -> Any:
        def answer(self: Any, request: Any, context: Any) -> None:
            if not isinstance(request, C_MOVE):
                return stock(self, request, context)
            threading.Thread(target=then).start()
            if status is None:
                return None
            response = C_MOVE()
            response.MessageIDBeingRespondedTo = request.MessageID
            response.AffectedSOPClassUID = request.AffectedSOPClassUID
            response.Status = status
            for name, value in (counters or {}).items():
                setattr(response, f"NumberOf{name}Suboperations", value)
            self.dimse.send_msg(response, context.context_id)
            return None

        stock = QueryRetrieveServiceClass.SCP
        monkeypatch.setattr(QueryRetrieveServiceClass, "SCP", answer)
        return scp([])

    return install


def test_images_that_arrive_after_success_are_counted(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()

    def late() -> None:
        for one in study.instances:
            time.sleep(0.6)
            send(port, [one])

    with async_move(then=late) as archive_port:
        start = time.monotonic()
        opened(archive_port, receiver_port=port, timeouts={"quiet": "8s"}).fetch(all_of(study), sink)
        took = time.monotonic() - start
    assert set(sink.data) == set(study.uids)
    assert 1.5 < took < 8  # it ended with the last image, not with the quiet period


def test_without_an_expected_number_the_quiet_period_ends_it(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    with async_move(then=lambda: (time.sleep(0.5), send(port, study.instances))) as archive_port:
        opened(archive_port, receiver_port=port).fetch(all_of(study, expected=False), sink)
    assert set(sink.data) == set(study.uids)


def test_success_with_nothing_sent_ends_after_the_quiet_period(opened: Any, async_move: Any) -> None:
    sink = CollectingSink()
    with async_move() as archive_port:
        start = time.monotonic()
        tally = opened(archive_port).fetch(all_of(make_study()), sink)
        took = time.monotonic() - start
    assert (tally.completed, tally.code, sink.data) == (None, "", {})
    assert 0.9 < took < 3


def test_success_although_our_receiver_turned_the_sender_away_says_whom(opened: Any, async_move: Any) -> None:
    study, port = make_study(), free_port()

    def refused() -> None:
        with contextlib.suppress(ConnectionError):
            send(port, study.instances, called="SOMEBODY")

    with async_move(then=refused) as archive_port, pytest.raises(TransferError) as caught:
        opened(archive_port, receiver_port=port).fetch(all_of(study), CollectingSink())
    assert (caught.value.code, caught.value.retryable) == ("turned-away", False)
    assert "archive.dimse.receiver.ae_title" in (caught.value.hint or "")


def test_the_first_image_from_slow_storage_may_come_long_after_success(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    wanted = Wanted(study=study.uid, expected=3, nearline=True)
    with async_move(then=lambda: (time.sleep(2), send(port, study.instances))) as archive_port:
        opened(archive_port, receiver_port=port, timeouts={"quiet": "500ms", "nearline": "10s"}).fetch(wanted, sink)
    assert set(sink.data) == set(study.uids)


def test_lying_counters_are_told_and_not_believed(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    counters = {"Completed": 3, "Failed": 0, "Warning": 0}
    with async_move(then=lambda: send(port, study.instances[:1]), counters=counters) as archive_port:
        tally = opened(archive_port, receiver_port=port).fetch(all_of(study), sink)
    assert (tally.completed, tally.failed) == (3, 0)
    assert set(sink.data) == set(study.uids[:1])


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (0xA701, "cannot-match", True),
        (0xA702, "cannot-perform", True),
        (0xA801, "destination-unknown", False),
        (0xA900, "identifier-mismatch", False),
        (0xC001, "unable-to-process", True),
        (0xFE00, "cancelled", True),
        (0x0122, "not-supported", False),
        (0x0124, "not-authorised", False),
    ],
)
def test_a_failed_request_says_why(opened: Any, async_move: Any, status: int, code: str, retryable: bool) -> None:
    with async_move(status) as port, pytest.raises(TransferError) as caught:
        opened(port).fetch(all_of(make_study()), CollectingSink())
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_failures_that_the_archive_admits_need_no_waiting(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    counters = {"Completed": 2, "Failed": 1, "Warning": 0}
    with async_move(0xB000, lambda: send(port, study.instances[:2]), counters) as archive_port:
        start = time.monotonic()
        quiet = {"quiet": "10s"}
        tally = opened(archive_port, receiver_port=port, timeouts=quiet).fetch(all_of(study), sink)
        took = time.monotonic() - start
    assert (tally.completed, tally.failed, tally.code) == (2, 1, "sub-operation-failed")
    assert len(sink.data) == 2
    assert took < 3


def trickle(port: int, instances: Any) -> Callable[[], None]:
    def run() -> None:
        for one in instances:
            time.sleep(0.7)
            send(port, [one])

    return run


def test_a_silent_archive_is_given_up_when_no_image_comes_either(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    with async_move(None, trickle(port, study.instances[:2])) as archive_port:
        start = time.monotonic()
        transport = opened(archive_port, receiver_port=port, timeouts={"stall": "3s"})
        with pytest.raises(TransferError) as caught:
            transport.fetch(all_of(study), sink)
        took = time.monotonic() - start
    assert caught.value.code == "stalled"
    assert set(sink.data) == set(study.uids[:2])
    assert 4 < took < 12


def test_a_final_response_that_never_comes_does_not_matter_once_all_images_came(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(), CollectingSink(), free_port()
    with async_move(None, trickle(port, study.instances)) as archive_port:
        tally = opened(archive_port, receiver_port=port, timeouts={"stall": "20s"}).fetch(all_of(study), sink)
    assert set(sink.data) == set(study.uids)
    assert (tally.completed, tally.code) == (None, "")


@pytest.fixture
def waiting(opened: Any, async_move: Any) -> Iterator[tuple[Study, CollectingSink, int, Callable[..., None]]]:
    """A fetch that waits for its study on a port, while a test sends what it likes; then it is let go."""
    study, sink, port = make_study(), CollectingSink(), free_port()
    started: list[Fetching] = []

    def start(**more: Any) -> None:
        transport = opened(archive_port, receiver_port=port, timeouts={"quiet": "3s"}, **more)
        started.append(Fetching(transport, all_of(study), sink))
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                socket.create_connection((HOST, port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return

    with async_move() as archive_port:
        yield study, sink, port, start
        for one in started:
            one.end()


def test_a_study_that_nobody_asked_for_is_refused(waiting: Any) -> None:
    study, sink, port, start = waiting
    start()
    assert send(port, make_study().instances) == [0x0124] * 3
    assert send(port, study.instances) == [0x0000] * 3
    assert set(sink.data) == set(study.uids)


def test_a_wrong_called_title_is_refused(waiting: Any) -> None:
    study, sink, port, start = waiting
    start()
    with pytest.raises(ConnectionError, match="rejected"):
        send(port, study.instances, called="SOMEBODY")
    assert not sink.data
    send(port, study.instances)


def test_a_wrong_calling_title_is_refused(waiting: Any) -> None:
    study, sink, port, start = waiting
    start(receiver={"calling_ae_titles": ["SCRIPTED", "OTHER"]})
    with pytest.raises(ConnectionError, match="rejected"):
        send(port, study.instances, calling="STRANGER")
    assert not sink.data
    send(port, study.instances)


def test_an_address_that_is_not_on_the_list_is_refused(waiting: Any) -> None:
    study, sink, port, start = waiting
    start(receiver={"allow": ["192.0.2.0/24"]})
    with pytest.raises(ConnectionError):
        send(port, study.instances)
    assert not sink.data


@pytest.mark.parametrize("receiver", [{}, {"calling_ae_titles": ["*"]}])
def test_any_calling_title_is_taken_unless_some_are_named(waiting: Any, receiver: Any) -> None:
    study, sink, port, start = waiting
    start(receiver=receiver)
    send(port, study.instances, calling="STRANGER")
    assert set(sink.data) == set(study.uids)


def test_explicit_is_taken_before_implicit(waiting: Any) -> None:
    study, sink, port, start = waiting
    start()
    send(port, study.instances, syntaxes=(ILE, ELE))
    assert {head.transfer_syntax for head in sink.heads.values()} == {ELE}


def test_the_receiver_answers_an_echo(waiting: Any) -> None:
    study, _, port, start = waiting
    start()
    entity = AE(ae_title="SCRIPTED")
    entity.add_requested_context("1.2.840.10008.1.1")
    assoc = entity.associate(HOST, port, ae_title="PACSFERRY")
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    send(port, study.instances)


def test_an_archive_that_idles_between_images_is_not_dropped(waiting: Any) -> None:
    study, sink, port, start = waiting
    start()
    entity = AE(ae_title="SCRIPTED")
    entity.add_requested_context(study.instances[0].SOPClassUID, [ELE])
    assoc = entity.associate(HOST, port, ae_title="PACSFERRY")
    for one in study.instances:
        assert assoc.send_c_store(one).Status == 0x0000
        time.sleep(0.9)
    assoc.release()
    assert set(sink.data) == set(study.uids)


def test_a_private_class_is_taken(opened: Any, async_move: Any) -> None:
    study, sink, port = make_study(sop_class=PRIVATE), CollectingSink(), free_port()
    with async_move(then=lambda: send(port, study.instances)) as archive_port:
        opened(archive_port, receiver_port=port).fetch(all_of(study), sink)
    assert {head.sop_class for head in sink.heads.values()} == {PRIVATE}


def test_no_space_ends_the_request_and_tells_the_archive(opened: Any, async_move: Any) -> None:
    study, port, told = make_study(), free_port(), []
    sink = CollectingSink(lambda head: Receipt.NO_SPACE)

    def deliver() -> None:
        told.extend(send(port, study.instances[:1]))

    with async_move(None, deliver) as archive_port, pytest.raises(StoreError):
        opened(archive_port, receiver_port=port).fetch(all_of(study), sink)
    assert told == [0xA700]


def test_an_error_of_the_sink_is_raised_as_it_is(opened: Any, async_move: Any) -> None:
    def broken(head: Any) -> Receipt:
        raise ZeroDivisionError

    study, port = make_study(), free_port()
    with async_move(then=lambda: send(port, study.instances[:1])) as archive_port, pytest.raises(ZeroDivisionError):
        opened(archive_port, receiver_port=port).fetch(all_of(study), CollectingSink(broken))


def test_a_port_in_use_says_who_is_to_be_asked(opened: Any) -> None:
    with socket.create_server((HOST, 0)) as taken, scp([]) as archive_port:
        transport = opened(archive_port, receiver_port=taken.getsockname()[1])
        with pytest.raises(BusyError, match=r"archive\.dimse\.receiver"):
            transport.fetch(all_of(make_study()), CollectingSink())


def test_an_address_of_another_machine_is_a_configuration_error(opened: Any) -> None:
    transport = opened(104, receiver={"host": "192.0.2.1", "allow": ["127.0.0.1"]})
    with pytest.raises(ConfigError, match="Cannot assign requested address"):
        transport.fetch(all_of(make_study()), CollectingSink())


def test_the_port_is_open_only_while_needed(opened: Any, async_move: Any) -> None:
    port = free_port()
    with async_move(0xA801) as archive_port:
        transport = opened(archive_port, receiver_port=port)
        assert transport.listens == (HOST, port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), 1)
        with pytest.raises(TransferError):
            transport.fetch(all_of(make_study()), CollectingSink())
        socket.create_connection((HOST, port), 1).close()
        transport.close()
        transport.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), 1)


def test_close_ends_a_fetch_under_way(opened: Any, async_move: Any) -> None:
    with async_move() as archive_port:
        transport = opened(archive_port, timeouts={"quiet": "30s"})
        fetching = Fetching(transport, all_of(make_study()), CollectingSink())
        time.sleep(0.5)
        start = time.monotonic()
        transport.close()
        fetching.end()
    assert time.monotonic() - start < 4
    assert isinstance(fetching.error, TransferError)
    assert fetching.error.code == "interrupted"


def test_two_requests_for_one_study_wait_for_each_other(opened: Any, async_move: Any) -> None:
    study, port = make_study(), free_port()
    with async_move(then=lambda: send(port, study.instances)) as archive_port:
        transport = opened(archive_port, receiver_port=port)
        sinks = [CollectingSink(), CollectingSink()]
        running = [Fetching(transport, all_of(study), sink) for sink in sinks]
        for one in running:
            one.end()
    assert [one.error for one in running] == [None, None]
    assert [set(sink.data) for sink in sinks] == [set(study.uids)] * 2


def test_c_move_needs_a_receiver() -> None:
    with pytest.raises(ConfigError, match=r"archive\.dimse\.receiver"):
        CMove(archive(104), MoveSettings())
