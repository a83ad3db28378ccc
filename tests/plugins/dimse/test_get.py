"""C-GET brings everything as it is stored, or says what did not come and why."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_GET

from pacsferry.core.errors import ConfigError, StoreError, TransferError
from pacsferry.core.model import Receipt, Wanted
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.settings import GetSettings
from support.peers import Dcmqrscp, Orthanc, free_port
from support.scripted_scp import (
    CT,
    ELE,
    PRIVATE,
    RLE,
    CollectingSink,
    Study,
    archive,
    make_study,
    pixels,
    raw_peer,
    scp,
    slow_proxy,
    status_of,
)

MIXED = ("MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "JPEG-LL.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small.dcm")
MULTI_FRAME = ("rtdose.dcm", "SC_rgb_rle_2frame.dcm", "examples_ybr_color.dcm")


@pytest.fixture
def opened() -> Iterator[Callable[..., CGet]]:
    """Make a transport that is closed at the end."""
    made: list[CGet] = []

    def make(*args: Any, **kwargs: Any) -> CGet:
        made.append(CGet(archive(*args, **kwargs), GetSettings()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def all_of(study: Study, *, known: bool = True) -> Wanted:
    classes = study.classes if known else frozenset()
    return Wanted(study=study.uid, sop_classes=classes, expected=len(study.instances))


def untouched(study: Study, sink: CollectingSink) -> bool:
    """Whether each compressed instance came in its own syntax, and each with its own pixel data."""
    return all(
        sink.heads[str(one.SOPInstanceUID)].transfer_syntax in {one.file_meta.TransferSyntaxUID, *_plain(one)}
        and pixels(one) in sink.data[str(one.SOPInstanceUID)]
        for one in study.instances
    )


def _plain(one: Any) -> set[str]:
    return set() if one.file_meta.TransferSyntaxUID.is_compressed else {ELE}


@pytest.mark.peers
@pytest.mark.parametrize("names", [MIXED, MULTI_FRAME], ids=["mixed", "multi-frame"])
def test_orthanc_gives_every_syntax_untouched(orthanc: Orthanc, opened: Any, names: tuple[str, ...]) -> None:
    study, sink = make_study(names), CollectingSink()
    orthanc.upload(study.instances)
    tally = opened(orthanc.dicom_port, orthanc.aet).fetch(all_of(study), sink)
    assert (len(sink.data), tally.completed, tally.failed, tally.code) == (len(names), len(names), 0, "")
    assert untouched(study, sink)


@pytest.mark.peers
@pytest.mark.parametrize("level", ["study", "series", "instances"])
def test_each_level_brings_what_it_names(orthanc: Orthanc, opened: Any, level: str) -> None:
    study, sink = make_study(), CollectingSink()
    orthanc.upload([*study.instances, *make_study().instances])
    wanted = {
        "study": Wanted(study=study.uid, sop_classes=study.classes),
        "series": Wanted(study=study.uid, series=study.series),
        "instances": Wanted(study=study.uid, series=study.series, instances=study.uids[:2]),
    }[level]
    opened(orthanc.dicom_port, orthanc.aet).fetch(wanted, sink)
    assert set(sink.data) == set(study.uids[:2] if level == "instances" else study.uids)
    assert all(head.wanted == wanted for head in sink.heads.values())


@pytest.mark.peers
@pytest.mark.parametrize("known", [True, False], ids=["classes-known", "classes-unknown"])
def test_dcmqrscp_gives_raw_and_rle_of_one_study(make_dcmqrscp: Any, opened: Any, known: bool) -> None:
    server: Dcmqrscp = make_dcmqrscp("+xr")
    study, sink = make_study(("MR_small.dcm", "MR_small_RLE.dcm") * 2), CollectingSink()
    server.store(study.instances)
    tally = opened(server.port, server.aet).fetch(all_of(study, known=known), sink)
    assert (len(sink.data), tally.completed, tally.failed, tally.code) == (4, 4, 0, "")
    assert untouched(study, sink)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("option", "name"),
    [("+xr", "MR_small_RLE.dcm"), ("+xv", "MR_small_jp2klossless.dcm"), ("+xs", "JPEG-LL.dcm"), ("+xi", "rtplan.dcm")],
)
def test_dcmqrscp_gives_a_study_that_is_compressed_throughout(
    make_dcmqrscp: Any, opened: Any, option: str, name: str
) -> None:
    server: Dcmqrscp = make_dcmqrscp(option)
    study, sink = make_study((name, name)), CollectingSink()
    server.store(study.instances)
    opened(server.port, server.aet).fetch(all_of(study), sink)
    assert len(sink.data) == 2
    syntaxes = {head.transfer_syntax for head in sink.heads.values()}
    assert syntaxes == {str(study.instances[0].file_meta.TransferSyntaxUID)}


@pytest.mark.peers
def test_a_private_class_comes_where_answers_name_it(orthanc: Orthanc, opened: Any) -> None:
    study, sink = make_study(sop_class=PRIVATE), CollectingSink()
    orthanc.upload(study.instances)
    opened(orthanc.dicom_port, orthanc.aet).fetch(all_of(study), sink)
    assert set(sink.data) == set(study.uids)


def test_a_private_class_comes_where_the_profile_names_it(opened: Any) -> None:
    study = make_study(sop_class=PRIVATE)
    named, unnamed = CollectingSink(), CollectingSink()
    with scp([(evt.EVT_C_GET, giving(study))], classes=(CT, PRIVATE)) as port:
        opened(port, dimse={"sop_classes": [PRIVATE]}).fetch(all_of(study, known=False), named)
        with pytest.raises(TransferError) as caught:
            opened(port).fetch(all_of(study, known=False), unnamed)
    assert set(named.data) == set(study.uids)
    assert (unnamed.data, caught.value.code) == ({}, "cannot-perform")


@pytest.mark.peers
def test_what_was_deleted_meanwhile_does_not_come(dcmqrscp: Dcmqrscp, opened: Any) -> None:
    sink = CollectingSink()
    tally = opened(dcmqrscp.port, dcmqrscp.aet).fetch(all_of(make_study()), sink)
    assert (tally.completed or 0, sink.data) == (0, {})


@pytest.mark.peers
def test_nothing_is_left_in_the_temp_folder(
    orthanc: Orthanc, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    study = make_study()
    orthanc.upload(study.instances)
    opened(orthanc.dicom_port, orthanc.aet).fetch(all_of(study), CollectingSink())
    assert os.listdir(tmp_path) == []


@pytest.mark.peers
def test_many_fetches_at_once_do_not_disturb_each_other(orthanc: Orthanc, opened: Any) -> None:
    studies = [make_study() for _ in range(4)]
    sinks = [CollectingSink() for _ in studies]
    for study in studies:
        orthanc.upload(study.instances)
    transport = opened(orthanc.dicom_port, orthanc.aet)
    threads = [
        threading.Thread(target=transport.fetch, args=(all_of(study), sink))
        for study, sink in zip(studies, sinks, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [set(sink.data) for sink in sinks] == [set(study.uids) for study in studies]


def giving(study: Study, *, final: int | None = None, drop: int = 0) -> Callable[[Any], Iterator[Any]]:
    """A C-GET handler that sends a study, less the last ``drop``."""

    def handle(event: Any) -> Iterator[Any]:
        chosen = study.instances[: len(study.instances) - drop]
        yield len(chosen)
        for one in chosen:
            yield 0xFF00, one
        if final is not None:
            yield status_of(final), None

    return handle


def refusing(code: int) -> Callable[[Any], Iterator[Any]]:
    def handle(event: Any) -> Iterator[Any]:
        yield 1
        yield status_of(code), None

    return handle


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (0xA701, "cannot-match", True),
        (0xA702, "cannot-perform", True),
        (0xA900, "identifier-mismatch", False),
        (0xC001, "unable-to-process", True),
        (0xFE00, "cancelled", True),
        (0x0122, "not-supported", False),
        (0x0124, "not-authorised", False),
    ],
)
def test_a_failed_request_says_why(opened: Any, status: int, code: str, retryable: bool) -> None:
    study = make_study()
    with scp([(evt.EVT_C_GET, refusing(status))]) as port, pytest.raises(TransferError) as caught:
        opened(port).fetch(all_of(study), CollectingSink())
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_success_with_nothing_sent_is_told_as_it_is(opened: Any) -> None:
    def handle(event: Any) -> Iterator[Any]:
        yield 0

    sink = CollectingSink()
    with scp([(evt.EVT_C_GET, handle)]) as port:
        tally = opened(port).fetch(all_of(make_study()), sink)
    assert (tally.completed or 0, sink.data) == (0, {})


def test_an_instance_that_the_archive_leaves_out_is_not_made_up(opened: Any) -> None:
    study, sink = make_study(), CollectingSink()
    with scp([(evt.EVT_C_GET, giving(study, drop=1))]) as port:
        tally = opened(port).fetch(all_of(study), sink)
    assert set(sink.data) == set(study.uids[:2])
    assert tally.completed == 2


def test_failures_that_the_archive_admits_are_in_the_tally(opened: Any) -> None:
    study = make_study(("MR_small.dcm", "CT_small.dcm"))
    with scp([(evt.EVT_C_GET, giving(study))], classes=(CT,)) as port:
        tally = opened(port).fetch(all_of(study), CollectingSink())
    assert (tally.completed, tally.failed, tally.code) == (1, 1, "sub-operation-failed")


def half_a_pdu(event: Any, hold: threading.Event) -> Iterator[Any]:
    yield 1
    event.assoc.dul.socket.socket.sendall(b"\x04\x00\x00\x01\x00\x00" + b"\x00\x00\xff\xfc\x01\x03" + b"\x00" * 1000)
    hold.wait(20)


@pytest.mark.parametrize("how", ["mid-pdu", "between"])
def test_a_silent_archive_does_not_hang(opened: Any, how: str) -> None:
    hold = threading.Event()

    def handle(event: Any) -> Iterator[Any]:
        if how == "mid-pdu":
            yield from half_a_pdu(event, hold)
        yield 1
        hold.wait(20)

    start = time.monotonic()
    with scp([(evt.EVT_C_GET, handle)]) as port:
        transport = opened(port)
        with pytest.raises(TransferError) as caught:
            transport.fetch(all_of(make_study()), CollectingSink())
        transport.close()
        took = time.monotonic() - start
        hold.set()
    assert caught.value.code == "stalled"
    assert 1.5 < took < 5


def pending_for_ever(study: Study, hold: threading.Event) -> Callable[[Any], Iterator[Any]]:
    """Send a study, then say "pending" five times a second until ``hold`` is set."""

    def handle(event: Any) -> Iterator[Any]:
        yield len(study.instances) + 1
        for one in study.instances:
            yield 0xFF00, one
        response = C_GET()
        response.MessageIDBeingRespondedTo = event.request.MessageID
        response.AffectedSOPClassUID = event.request.AffectedSOPClassUID
        response.Status = 0xFF00
        response.NumberOfRemainingSuboperations = 1
        while not hold.wait(0.2):
            event.assoc.dimse.send_msg(response, event.context.context_id)

    return handle


def test_pending_for_ever_ends_once_all_came(opened: Any) -> None:
    study, sink, hold = make_study(), CollectingSink(), threading.Event()
    with scp([(evt.EVT_C_GET, pending_for_ever(study, hold))]) as port:
        start = time.monotonic()
        tally = opened(port).fetch(all_of(study), sink)
        took = time.monotonic() - start
        hold.set()
    assert set(sink.data) == set(study.uids)
    assert (tally.completed, tally.code) == (None, "")
    assert 0.9 < took < 12


def test_pending_for_ever_without_progress_ends_with_the_patience_for_slow_storage(opened: Any) -> None:
    study, sink, hold = make_study(), CollectingSink(), threading.Event()
    wanted = Wanted(study=study.uid, sop_classes=study.classes, expected=4)
    with scp([(evt.EVT_C_GET, pending_for_ever(study, hold))]) as port:
        start = time.monotonic()
        with pytest.raises(TransferError) as caught:
            opened(port, timeouts={"stall": "1s", "nearline": "2s"}).fetch(wanted, sink)
        took = time.monotonic() - start
        hold.set()
    assert (caught.value.code, caught.value.retryable) == ("nearline", True)
    assert set(sink.data) == set(study.uids)
    assert 1.9 < took < 15


@pytest.mark.parametrize(("nearline", "comes"), [(True, True), (False, False)])
def test_what_is_in_slow_storage_may_take_longer_than_a_stall(opened: Any, nearline: bool, comes: bool) -> None:
    study, sink = make_study(("MR_small.dcm",)), CollectingSink()

    def handle(event: Any) -> Iterator[Any]:
        yield 1
        time.sleep(1.5)
        yield 0xFF00, study.instances[0]

    wanted = Wanted(study=study.uid, sop_classes=study.classes, expected=1, nearline=nearline)
    with scp([(evt.EVT_C_GET, handle)]) as port, contextlib.suppress(TransferError):
        opened(port, timeouts={"stall": "500ms", "nearline": "10s"}).fetch(wanted, sink)
    assert bool(sink.data) is comes


def test_an_archive_that_aborts_in_the_middle_is_retryable(opened: Any) -> None:
    study, sink = make_study(), CollectingSink()

    def handle(event: Any) -> Iterator[Any]:
        yield 3
        yield 0xFF00, study.instances[0]
        event.assoc.abort()

    with scp([(evt.EVT_C_GET, handle)]) as port, pytest.raises(TransferError) as caught:
        opened(port).fetch(all_of(study), sink)
    assert (caught.value.code, caught.value.retryable) == ("aborted", True)
    assert set(sink.data) == {study.uids[0]}


@pytest.mark.parametrize("poison", [3])
def test_an_instance_over_which_the_archive_aborts_keeps_no_other_away(opened: Any, poison: int) -> None:
    study, sink = make_study(("MR_small.dcm",) * 7), CollectingSink()

    def handle(event: Any) -> Iterator[Any]:
        named = str(event.identifier["SOPInstanceUID"].value)  # one, or many in brackets
        chosen = [one for one in study.instances if str(one.SOPInstanceUID) in named]
        yield len(chosen)
        for one in chosen:
            if one is study.instances[poison]:
                event.assoc.abort()
                return
            yield 0xFF00, one

    wanted = Wanted(study=study.uid, series=study.series, instances=study.uids, sop_classes=study.classes, expected=7)
    with scp([(evt.EVT_C_GET, handle)]) as port, pytest.raises(TransferError) as caught:
        opened(port).fetch(wanted, sink)
    assert caught.value.code == "aborted"
    assert set(sink.data) == set(study.uids) - {study.uids[poison]}


def test_an_archive_that_always_aborts_is_not_asked_for_each_instance(opened: Any) -> None:
    asked: list[int] = []

    def handle(event: Any) -> Iterator[Any]:
        asked.append(1)
        yield 1
        event.assoc.abort()

    names = tuple(f"1.2.3.{n}" for n in range(600))
    wanted = Wanted(study="1.2", series="1.3", instances=names, sop_classes=frozenset({CT}), expected=600)
    with scp([(evt.EVT_C_GET, handle)]) as port, pytest.raises(TransferError):
        opened(port).fetch(wanted, CollectingSink())
    assert len(asked) == 10


def test_a_slow_archive_that_keeps_sending_is_not_ended(opened: Any) -> None:
    study, sink = make_study(("MR_small.dcm",)), CollectingSink()
    study.instances[0].Rows = study.instances[0].Columns = 512
    study.instances[0].PixelData = bytes(512 * 512 * 2)
    with scp([(evt.EVT_C_GET, giving(study))]) as port, slow_proxy(port, 150_000) as slow:
        start = time.monotonic()
        opened(slow, timeouts={"stall": "1s"}).fetch(all_of(study), sink)
    assert time.monotonic() - start > 3
    assert len(sink.data) == 1


@pytest.mark.skipif(os.environ.get("PACSFERRY_SOAK") != "1", reason="takes 40 s: make soak")
def test_an_archive_that_sends_300_kb_per_second_for_longer_than_any_time_out_is_not_ended(opened: Any) -> None:
    study, sink = make_study(("MR_small.dcm",)), CollectingSink()
    study.instances[0].Rows = study.instances[0].Columns = 2448
    study.instances[0].PixelData = bytes(2448 * 2448 * 2)
    with scp([(evt.EVT_C_GET, giving(study))]) as port, slow_proxy(port, 300_000) as slow:
        start = time.monotonic()
        opened(slow, timeouts={"stall": "2s"}).fetch(all_of(study), sink)
    assert time.monotonic() - start > 35
    assert len(sink.data) == 1


def test_a_slow_sink_is_not_taken_for_a_silent_archive(opened: Any) -> None:
    def slow(head: Any) -> Receipt:
        time.sleep(1.5)
        return Receipt.KEPT

    study, sink = make_study(("MR_small.dcm",)), CollectingSink(slow)
    with scp([(evt.EVT_C_GET, giving(study))]) as port:
        opened(port, timeouts={"stall": "0.5s"}).fetch(all_of(study), sink)
    assert len(sink.data) == 1


def test_no_space_ends_the_request_and_tells_the_archive(opened: Any) -> None:
    study, told = make_study(), []

    def handle(event: Any) -> Iterator[Any]:
        yield 3
        for one in study.instances:
            yield 0xFF00, one

    def heard(event: Any) -> None:
        if event.message.__class__.__name__ == "C_STORE_RSP":
            told.append(event.message.command_set.Status)

    sink = CollectingSink(lambda head: Receipt.NO_SPACE)
    with scp([(evt.EVT_C_GET, handle), (evt.EVT_DIMSE_RECV, heard)]) as port, pytest.raises(StoreError):
        opened(port).fetch(all_of(study), sink)
    assert set(told) == {0xA700}
    assert sink.calls == 1


def test_an_error_of_the_sink_is_raised_as_it_is(opened: Any) -> None:
    def broken(head: Any) -> Receipt:
        raise ZeroDivisionError

    study = make_study()
    with scp([(evt.EVT_C_GET, giving(study))]) as port, pytest.raises(ZeroDivisionError):
        opened(port).fetch(all_of(study), CollectingSink(broken))


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_a_hostile_uid_reaches_the_sink_as_it_is_and_no_path(opened: Any) -> None:
    study, sink = make_study(("MR_small.dcm",)), CollectingSink(lambda head: Receipt.UNEXPECTED)
    study.instances[0].SOPInstanceUID = "../../evil"
    with scp([(evt.EVT_C_GET, giving(study))]) as port, pytest.raises(TransferError) as caught:
        opened(port).fetch(all_of(study), sink)
    assert sink.calls == 1
    assert "evil" not in str(caught.value)


def test_a_closed_port_is_unreachable(opened: Any) -> None:
    with pytest.raises(TransferError) as caught:
        opened(free_port()).fetch(all_of(make_study()), CollectingSink())
    assert (caught.value.code, caught.value.retryable) == ("unreachable", True)


def test_a_host_that_does_not_exist_is_unreachable(opened: Any) -> None:
    with pytest.raises(TransferError) as caught:
        opened(104, dimse={"host": "nowhere.invalid"}).ping()
    assert caught.value.code == "unreachable"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of the scripted archive
def test_an_unknown_title_is_a_refusal_that_says_so(opened: Any) -> None:
    with scp([], require_called_aet=True) as port, pytest.raises(TransferError, match="called AE title") as caught:
        opened(port, "WRONG").ping()
    assert (caught.value.code, caught.value.retryable) == ("refused-association", False)


def test_an_archive_without_c_get_accepts_no_context(opened: Any) -> None:
    from pynetdicom import AE

    entity = AE()
    entity.add_supported_context(CT, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        with pytest.raises(TransferError) as caught:
            opened(server.server_address[1], "ANY").fetch(
                Wanted(study="1.2", sop_classes=frozenset({CT})), CollectingSink()
            )
    finally:
        entity.shutdown()
    assert caught.value.code == "no-context"


def test_a_listener_that_is_no_dicom_server_is_told(opened: Any) -> None:
    def http(connection: Any) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        time.sleep(3)

    with raw_peer(http) as port, pytest.raises(TransferError) as caught:
        opened(port).ping()
    assert caught.value.code in {"aborted", "bad-answer"}


def test_a_listener_that_never_answers_is_given_up(opened: Any) -> None:
    start = time.monotonic()
    with raw_peer(lambda connection: time.sleep(20)) as port, pytest.raises(TransferError):
        opened(port).ping()
    assert time.monotonic() - start < 5


def test_close_ends_a_fetch_under_way(opened: Any) -> None:
    hold = threading.Event()

    def handle(event: Any) -> Iterator[Any]:
        yield 1
        hold.wait(20)

    with scp([(evt.EVT_C_GET, handle)]) as port:
        transport = opened(port, timeouts={"stall": "30s"})
        threading.Timer(0.5, transport.close).start()
        start = time.monotonic()
        with pytest.raises(TransferError) as caught:
            transport.fetch(all_of(make_study()), CollectingSink())
        took = time.monotonic() - start
        hold.set()
    assert caught.value.code == "interrupted"
    assert took < 3


def test_long_lists_of_instances_are_asked_for_in_parts(opened: Any) -> None:
    asked: list[int] = []

    def handle(event: Any) -> Iterator[Any]:
        asked.append(len(event.identifier.SOPInstanceUID))
        yield 0

    names = tuple(f"1.2.3.{n}" for n in range(450))
    wanted = Wanted(study="1.2", series="1.3", instances=names, sop_classes=frozenset({CT}))
    with scp([(evt.EVT_C_GET, handle)]) as port:
        opened(port).fetch(wanted, CollectingSink())
    assert asked == [200, 200, 50]


def test_the_profile_must_have_a_dimse_address() -> None:
    from pacsferry.core.archive import Archive

    with pytest.raises(ConfigError, match=r"archive\.dimse"):
        CGet(Archive(name="none"), GetSettings())


def test_explicit_is_preferred_and_nothing_deflated_is_proposed(opened: Any) -> None:
    proposed: list[tuple[str, ...]] = []

    def look(event: Any) -> None:
        for context in event.assoc.requestor.primitive.presentation_context_definition_list:
            proposed.append(tuple(map(str, context.transfer_syntax)))

    def handle(event: Any) -> Iterator[Any]:
        yield 0

    with scp([(evt.EVT_C_GET, handle), (evt.EVT_REQUESTED, look)]) as port:
        opened(port).fetch(Wanted(study="1.2"), CollectingSink())
    assert len(proposed) == 128
    assert {syntaxes[0] for syntaxes in proposed} == {"1.2.840.10008.1.2.1"}
    assert not any(
        syntax in one for one in proposed for syntax in ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", RLE)
    )
