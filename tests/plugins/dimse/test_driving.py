"""Our changes to pynetdicom fit the installed version, and what a hostile peer sends harms nobody."""

from __future__ import annotations

import logging
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pynetdicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Query, Wanted
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.dimse import driving
from pacsferry.plugins.dimse.admission import Tenant, _networks
from pacsferry.plugins.dimse.find import CFind
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.receiver import Receiver
from pacsferry.plugins.dimse.settings import FindSettings, GetSettings
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Simulator
from support.peers import HOST, Orthanc, free_port
from support.scripted_scp import CollectingSink, archive, make_study, scp, send


def stock() -> Association:
    assoc = Association(AE(), "requestor")
    assoc.dul.socket = object.__new__(AssociationSocket)
    return assoc


def test_the_installed_pynetdicom_is_one_that_was_looked_into() -> None:
    assert pynetdicom.__version__.split(".")[:2] == ["3", "0"]
    assert driving.fits(stock().dul)


def test_what_is_replaced_exists_in_the_stock_library() -> None:
    assoc = stock()
    for name in ("run_reactor", "_c_store_scp", "_serve_request", "_accepted_cx", "_kill"):
        assert hasattr(assoc, name)
    assert hasattr(assoc.dimse, "get_msg")
    assert hasattr(assoc.dul, "_target")
    assert callable(AE._create_socket)


@pytest.mark.peers
@pytest.mark.parametrize("missing", ["a name", "poll"])
def test_a_library_that_looks_different_is_driven_as_it_comes(
    orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "poll":
        monkeypatch.delattr(select, "poll")
    else:
        monkeypatch.setattr(driving, "_REACTOR", (*driving._REACTOR, "no_such_name"))
    study, sink = make_study(), CollectingSink()
    orthanc.upload(study.instances)
    transport = CGet(archive(orthanc.dicom_port, orthanc.aet), GetSettings())
    transport.fetch(Wanted(study=study.uid, sop_classes=study.classes), sink)
    transport.close()
    assert set(sink.data) == set(study.uids)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_class_that_does_not_fit_its_context_is_refused_on_that_context(
    receiver: tuple[Receiver, int], monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    if not streaming:
        monkeypatch.setattr(driving, "_REACTOR", (*driving._REACTOR, "no_such_name"))
    one, port = receiver
    study, sink, answers = make_study(("MR_small.dcm", "CT_small.dcm")), CollectingSink(), []
    with one.lease(one._tenants[0], Wanted(study=study.uid), sink, 1):
        entity = AE(ae_title="SCRIPTED")
        for item in study.instances:
            entity.add_requested_context(item.SOPClassUID, item.file_meta.TransferSyntaxUID)
        heard = (evt.EVT_DATA_RECV, lambda event: answers.append(event.data))
        assoc = entity.associate(HOST, port, ae_title="PACSFERRY", evt_handlers=[heard])
        assoc._get_valid_context = lambda *_, **__: assoc.accepted_contexts[1]  # type: ignore[method-assign]
        status, again = (assoc.send_c_store(one) for one in study.instances)
        assoc.release()
    assert (status.Status, again.Status) == (0x0122, 0x0000)
    assert [answer[10] for answer in answers if answer[0] == 4] == [3, 3]
    assert set(sink.data) == {study.uids[1]}


@pytest.mark.peers
def test_nothing_is_changed_for_other_users_of_the_library(orthanc: Orthanc) -> None:
    before = (AssociationSocket.recv, Association._serve_request, pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE)
    CGet(archive(orthanc.dicom_port, orthanc.aet), GetSettings()).ping()
    after = (AssociationSocket.recv, Association._serve_request, pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE)
    assert before == after


def test_the_loggers_say_nothing_whatever_the_program_wants(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    pynetdicom.debug_logger()
    driving.quiet()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("pynetdicom.association").error("identifier")
        logging.getLogger("pydicom").warning("identifier")
    assert caplog.records == []
    assert all(isinstance(one, logging.NullHandler) for one in logging.getLogger("pynetdicom").handlers)


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, int]]:
    """A receiver that listens for the archive on 127.0.0.1."""
    port = free_port()
    tenant = Tenant(
        ae_title="PACSFERRY",
        networks=tuple(_networks((), HOST)),
        calling=frozenset({"SCRIPTED"}),
        stall=1.0,
        patience=60.0,
        connections=8,
    )
    one = Receiver(HOST, port)
    one.start(tenant)
    yield one, port
    assert one.leave(tenant)


def deliver(receiver: Receiver, port: int) -> bool:
    """Whether an ordinary transfer works."""
    study, sink = make_study(("MR_small.dcm",)), CollectingSink()
    tenant = receiver._tenants[0]
    with receiver.lease(tenant, Wanted(study=study.uid), sink, 1):
        return send(port, study.instances) == [0x0000] and len(sink.data) == 1


def test_a_first_pdu_of_400_mb_is_refused_unread(receiver: tuple[Receiver, int]) -> None:
    one, port = receiver
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with socket.create_connection((HOST, port)) as peer:
        peer.sendall(b"\x01\x00" + (400_000_000).to_bytes(4, "big"))
        sent = 0
        try:
            while sent < 40_000_000:
                sent += peer.send(b"\0" * 65536)
        except OSError:
            pass
    assert sent < 40_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    assert deliver(one, port)


def test_connections_beyond_the_limit_are_closed_and_silent_ones_too(
    receiver: tuple[Receiver, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, port = receiver
    threads = threading.active_count()
    peers = [socket.create_connection((HOST, port)) for _ in range(50)]
    try:
        time.sleep(0.5)
        assert threading.active_count() - threads <= 2 * 8 + 2
    finally:
        for peer in peers:
            peer.close()
    time.sleep(0.5)
    assert deliver(one, port)


def test_a_data_pdu_longer_than_agreed_ends_the_association(receiver: tuple[Receiver, int]) -> None:
    one, port = receiver
    assoc = associate(port)
    assoc.dul.socket.socket.sendall(b"\x04\x00" + (100_000_000).to_bytes(4, "big") + b"\0" * 1000)
    assert ended(assoc)
    assert deliver(one, port)


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x00\x00\x01\x01",  # a PDV without control header
        b"\xff\xff\xff\xff\x01\x03",  # a PDV longer than its PDU
        b"\x00\x00",
        b"\x00\x00\x00\x0a\x01\x03" + b"\xff" * 8,  # a command set that is none
    ],
)
def test_a_malformed_pdu_ends_the_association_only(receiver: tuple[Receiver, int], body: bytes) -> None:
    one, port = receiver
    assoc = associate(port)
    assoc.dul.socket.socket.sendall(b"\x04\x00" + len(body).to_bytes(4, "big") + body)
    assert ended(assoc)
    assert deliver(one, port)


def associate(port: int) -> Association:
    entity = AE(ae_title="SCRIPTED")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    wires: list[socket.socket] = []
    assoc = entity.associate(
        HOST,
        port,
        ae_title="PACSFERRY",
        evt_handlers=[(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))],
    )
    assert assoc.is_established
    assoc.wires = wires
    return assoc


def ended(assoc: Any) -> bool:
    """Whether the other side ends it within a few seconds."""
    end = time.monotonic() + 4
    while assoc.is_established and time.monotonic() < end:
        time.sleep(0.02)
    result = not assoc.is_established
    assoc.abort()
    for wire in assoc.wires:
        wire.close()
    return result


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400), kind=st.integers(0, 8), established=st.booleans())
def test_noise_never_breaks_the_receiver(
    receiver: tuple[Receiver, int], noise: bytes, kind: int, established: bool
) -> None:
    one, port = receiver
    pdu = bytes([kind, 0]) + len(noise).to_bytes(4, "big") + noise
    if established:
        assoc = associate(port)
        assoc.dul.socket.socket.sendall(pdu)
        assoc.abort()
        for wire in assoc.wires:
            wire.close()
    else:
        with socket.create_connection((HOST, port)) as peer:
            peer.sendall(pdu)
    assert one._server is not None


def test_it_still_works_after_noise(receiver: tuple[Receiver, int]) -> None:
    one, port = receiver
    for _ in range(10):
        with socket.create_connection((HOST, port)) as peer:
            peer.sendall(os.urandom(300))
    time.sleep(0.5)
    assert deliver(one, port)


def test_no_descriptor_is_left_open_by_many_calls() -> None:
    with scp([]) as port:
        transport = CGet(archive(port), GetSettings())
        transport.ping()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            transport.ping()
        time.sleep(0.3)
        assert len(os.listdir("/proc/self/fd")) <= before + 4
        refused = CGet(archive(free_port()), GetSettings())
        for _ in range(10):
            with pytest.raises(TransferError):
                refused.ping()
        time.sleep(0.3)
        assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_no_answer_is_lost_when_an_association_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loaded machine the reactor wakes late, and would take an answer of the next request."""

    class Slow(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            woken = super().wait(timeout)
            time.sleep(0.02)
            return woken

    stock_init = Association.__init__

    def init(self: Association, *args: Any, **kwargs: Any) -> None:
        stock_init(self, *args, **kwargs)
        if self.is_requestor:
            self._reactor_checkpoint = Slow()
            self._reactor_checkpoint.set()

    monkeypatch.setattr(Association, "__init__", init)
    study = ct_study(slices=12, rows=16, columns=16)
    with Simulator(study, ae_title="SIM") as sim:
        settings_ = {"name": "x", "dimse": {"host": sim.host, "port": sim.dimse_port, "ae_title": "SIM"}}
        finder = CFind(Archive.model_validate(settings_).with_quirks(Quirks()), FindSettings())
        keys = {
            "StudyInstanceUID": str(study[0].StudyInstanceUID),
            "SeriesInstanceUID": str(study[0].SeriesInstanceUID),
        }
        answers = [len(list(finder.find(Query(level=Level.IMAGE, keys=keys)))) for _ in range(120)]
        finder.close()
    assert answers == [12] * 120
