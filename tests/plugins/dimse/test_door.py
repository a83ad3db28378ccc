"""The receiver's door: silent, slow, huge and garbled guests harm nobody, with TLS and without; honest ones come in."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from pacsferry.core.archive import Tls
from pacsferry.core.model import Wanted
from pacsferry.plugins.dimse import door, driving, tls
from pacsferry.plugins.dimse.admission import Tenant, _networks
from pacsferry.plugins.dimse.receiver import Receiver
from support.certificates import Authority, client_context, server_context
from support.peers import HOST, free_port
from support.scripted_scp import ELE, CollectingSink, make_study

CT_STORE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass
class House:
    """A receiver for the archive on 127.0.0.1, and a way to talk to it."""

    receiver: Receiver
    port: int
    tenant: Tenant
    client: ssl.SSLContext | None

    def connect(self) -> socket.socket:
        """A connection on which nothing was said yet, TLS done where it is due."""
        plain = self.silent()
        return self.client.wrap_socket(plain, server_hostname=HOST) if self.client else plain

    def silent(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), 5)

    def deliver(self, count: int = 1) -> list[int | None]:
        """The statuses of an ordinary transfer."""
        study, sink = make_study(("MR_small.dcm",) * count), CollectingSink()
        with self.receiver.lease(self.tenant, Wanted(study=study.uid), sink, 1), self.associate() as assoc:
            return [assoc.send_c_store(one).get("Status") for one in study.instances]

    @contextlib.contextmanager
    def associate(self, sop_class: str = "1.2.840.10008.5.1.4.1.1.4") -> Iterator[Any]:
        entity = AE(ae_title="SCRIPTED")
        entity.add_requested_context(sop_class, [ELE])
        wires: list[socket.socket] = []
        more: Any = {"tls_args": (Remembering(self.client, wires), HOST)} if self.client else {}
        remember = [(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))]
        assoc = entity.associate(HOST, self.port, ae_title="PACSFERRY", evt_handlers=remember, **more)
        try:
            if not assoc.is_established:
                raise ConnectionError("refused")
            yield assoc
        finally:
            if assoc.is_established:
                assoc.release()
            assoc.abort()
            for wire in wires:
                wire.close()


@dataclass
class Remembering:
    """A context that remembers what it wrapped: pynetdicom leaves it open when the handshake fails."""

    context: ssl.SSLContext
    wires: list[socket.socket]

    def wrap_socket(self, *args: Any, **more: Any) -> ssl.SSLSocket:
        self.wires.append(wrapped := self.context.wrap_socket(*args, **more))
        return wrapped


@pytest.fixture(params=["plain", "tls"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """The same house without and with TLS."""
    secured, client = None, None
    if request.param == "tls":
        hospital = Authority(tmp_path / "ca")
        pair = hospital.issue("us")
        secured = tls.Server(context=server_context(pair, hospital.ca), source=(Tls(), tmp_path))
        client = client_context(hospital.ca, hospital.issue("pacs"))
    tenant = Tenant(
        ae_title="PACSFERRY",
        networks=tuple(_networks((), HOST)),
        calling=frozenset(),
        stall=0.6,
        patience=60.0,
        connections=6,
        connections_per_address=4,
        secured=secured,
    )
    port = free_port()
    receiver = Receiver(HOST, port)
    receiver.start(tenant)
    yield House(receiver=receiver, port=port, tenant=tenant, client=client)
    assert receiver.leave(tenant)


def closed(peer: socket.socket, seconds: float = 5.0) -> bool:
    """Whether the other side hangs up in time."""
    peer.settimeout(seconds)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while peer.recv(4096):
            pass
        return True
    return True


def ours() -> int:
    """Threads that belong to somebody's connection."""
    return threading.active_count()


def rss() -> int:
    """kB of this process, at the most until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def settled(wish: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if wish():
            return True
        time.sleep(0.02)
    return wish()


def test_fifty_silent_connections_keep_nobody_out(house: House) -> None:
    before, memory = ours(), rss()
    peers = [house.silent() for _ in range(50)]
    try:
        assert house.deliver(3) == [0] * 3
        assert ours() - before <= door.GREETING_PER_ADDRESS + 2
        assert rss() - memory < 60_000
        assert len(house.receiver._server.guests) <= door.GREETING_PER_ADDRESS  # type: ignore[union-attr]
    finally:
        for peer in peers:
            peer.close()
    assert settled(lambda: ours() <= before + 1)
    assert settled(lambda: not house.receiver._server.guests)  # type: ignore[union-attr]


def test_connections_that_shook_hands_and_say_no_more_keep_nobody_out(house: House) -> None:
    peers = []
    try:
        for _ in range(20):
            with contextlib.suppress(OSError):
                peers.append(house.connect())
        assert house.deliver() == [0]
    finally:
        for peer in peers:
            peer.close()


def test_whoever_spells_his_request_byte_by_byte_has_little_time_in_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "GREETING_SECONDS", 1.5)
    begun = time.monotonic()
    with house.connect() as peer:
        try:
            for byte in b"\x01\x00\x00\x00\x01\x00" + b"\0" * 100:
                peer.send(bytes((byte,)))
                time.sleep(0.1)
        except OSError:
            pass
        took = time.monotonic() - begun
    assert 1.0 < took < 6
    assert house.deliver() == [0]


@pytest.mark.parametrize("length", [400_000_000, 0xFFFFFFFF])
def test_a_first_pdu_of_absurd_length_is_refused_unread(house: House, length: int) -> None:
    before, sent = rss(), 0
    with house.connect() as peer:
        peer.sendall(b"\x01\x00" + length.to_bytes(4, "big"))
        with contextlib.suppress(OSError):
            while sent < 40_000_000:
                sent += peer.send(b"\0" * 65536)
    assert sent < 40_000_000
    assert rss() - before < 60_000
    assert house.deliver() == [0]


@pytest.mark.parametrize("length", [door.driving.MAX_PDU * 2, 400_000_000, 0xFFFFFFFF])
def test_a_data_pdu_longer_than_agreed_ends_its_association_only(house: House, length: int) -> None:
    before = rss()
    with house.associate() as assoc:
        with contextlib.suppress(OSError):
            assoc.dul.socket.socket.sendall(b"\x04\x00" + length.to_bytes(4, "big") + b"\0" * 100_000)
        assert settled(lambda: not assoc.is_established)
    assert rss() - before < 60_000
    assert house.deliver() == [0]


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 500, b"SSH-2.0-x\r\n", b"\xff" * 70_000, b"\x16\x03"]
)
def test_garbage_is_hung_up_on(house: House, noise: bytes) -> None:
    with house.silent() as peer:
        with contextlib.suppress(OSError):
            peer.sendall(noise)
            peer.shutdown(socket.SHUT_WR)
        assert closed(peer)
    with house.connect() as peer, contextlib.suppress(OSError):
        peer.sendall(os.urandom(300))
    assert house.deliver() == [0]


def test_a_half_closed_connection_is_given_up(house: House) -> None:
    with house.silent() as peer:
        peer.shutdown(socket.SHUT_WR)
        assert closed(peer, 3)
    assert settled(lambda: not house.receiver._server.guests)  # type: ignore[union-attr]


def test_a_peer_that_goes_silent_in_an_object_is_given_up_after_the_stall_time(house: House) -> None:
    with house.associate() as assoc:
        wire = assoc.dul.socket.socket
        wire.sendall(b"\x04\x00\x00\x00\x02\x00" + b"\x00\x00\x01\xf0\x01\x01" + b"\0" * 64)
        begun = time.monotonic()
        assert settled(lambda: not assoc.is_established, 6)
        assert 0.3 < time.monotonic() - begun < 5
    assert house.deliver() == [0]


def test_a_peer_that_idles_between_objects_stays(house: House) -> None:
    study, sink = make_study(("MR_small.dcm",) * 2), CollectingSink()
    with house.receiver.lease(house.tenant, Wanted(study=study.uid), sink, 1), house.associate() as assoc:
        for one in study.instances:
            assert assoc.send_c_store(one).get("Status") == 0
            time.sleep(1.0)  # longer than the stall time
    assert len(sink.data) == 2


def test_idle_associations_make_way_when_there_are_too_many(house: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(house.associate())
        with pytest.raises(ConnectionError), house.associate():
            pass
        assert "more connections came" in (house.tenant.hint() or "")
        time.sleep(0.8)  # longer than the stall time, and nothing brought
        assert house.deliver() == [0]


def test_an_association_that_brings_images_does_not_make_way(house: House) -> None:
    study, sink = make_study(("MR_small.dcm",) * 4), CollectingSink()
    with (
        house.receiver.lease(house.tenant, Wanted(study=study.uid), sink, 1),
        contextlib.ExitStack() as stack,
    ):
        working = stack.enter_context(house.associate())
        for _ in range(3):
            stack.enter_context(house.associate())
        for one in study.instances:
            time.sleep(0.25)
            assert working.send_c_store(one).get("Status") == 0
        stack.enter_context(house.associate())
        assert working.is_established
    assert len(sink.data) == 4


def test_every_connection_is_kept_alive_by_tcp(house: House) -> None:
    with house.associate():
        guests = house.receiver._server.guests  # type: ignore[union-attr]
        wires = [guest.line.socket for guest in guests if guest.line is not None]
        assert [wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for wire in wires if wire] == [1]


def test_whoever_speaks_the_wrong_language_is_told_in_his_own(house: House) -> None:
    if house.client is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with house.silent() as plain, pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            context.wrap_socket(plain)
        assert "over TLS" in (house.tenant.hint() or "")
        return
    entity = AE(ae_title="SCRIPTED")
    entity.add_requested_context(CT_STORE)
    wires: list[socket.socket] = []
    remember = [(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))]
    assoc = entity.associate(HOST, house.port, ae_title="PACSFERRY", evt_handlers=remember)
    assert assoc.is_rejected
    for wire in wires:
        wire.close()
    assert "without TLS" in (house.tenant.hint() or "")


def test_hanging_up_on_tls_never_lets_encrypted_bytes_through(tmp_path: Path) -> None:
    """Python's ``SSLSocket.shutdown`` forgets the keys; a reader would take what is still in the pipe for data."""
    hospital = Authority(tmp_path)
    server, client = server_context(hospital.issue("us")), client_context(hospital.ca)
    here, there = socket.socketpair()
    wires: list[Any] = [None, None]

    def greet() -> None:
        wires[0] = server.wrap_socket(here, server_side=True)

    thread = threading.Thread(target=greet)
    thread.start()
    wires[1] = client.wrap_socket(there, server_hostname=HOST)
    thread.join(5)
    with wires[0], wires[1]:
        wires[0].sendall(b"A" * 40_000)
        assoc = type("A", (), {"dul": type("D", (), {"socket": type("S", (), {"socket": wires[1]})()})()})()
        driving.hang_up(assoc)
        wires[1].settimeout(2)
        heard = b""
        with contextlib.suppress(OSError):
            while piece := wires[1].recv(4096):
                heard += piece
    assert set(heard) <= {ord("A")}
