"""TLS of DIMSE: certificates are checked on both sides, every failure is said in words, nothing goes out before."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Tally, Wanted
from pacsferry.plugins.dimse import tls
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.move import CMove
from pacsferry.plugins.dimse.settings import GetSettings, MoveSettings
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Security, Simulator
from support.certificates import Authority, Pair
from support.peers import HOST, free_port
from support.scripted_scp import CollectingSink, raw_peer


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def secure(hospital: Authority, pacs: Pair) -> Iterator[Simulator]:
    """An archive that wants certificates of the hospital."""
    security = Security(cert=pacs.cert, key=pacs.key, ca=hospital.ca)
    with Simulator(ct_study(slices=3, rows=64, columns=64), security=security) as sim:
        yield sim


def site(sim: Simulator, **dimse: Any) -> Archive:
    table = {"host": sim.host, "port": sim.dimse_port, "ae_title": sim.ae_title, **dimse}
    return Archive.model_validate(
        {"name": "x", "dimse": table, "timeouts": {"connect": "2s", "stall": "5s", "quiet": "1s"}}
    )


def required(ca: Path | None = None, pair: Pair | None = None, **more: Any) -> dict[str, Any]:
    table = {"mode": "required", **more}
    if ca is not None:
        table["ca"] = str(ca)
    if pair is not None:
        table |= {"cert": str(pair.cert), "key": str(pair.key)}
    return table


def refused(archive: Archive) -> TransferError:
    transport = CGet(archive, GetSettings())
    with pytest.raises(TransferError) as caught:
        transport.ping()
    transport.close()
    return caught.value


def wrong(archive: Archive) -> str:
    with pytest.raises(ConfigError) as caught:
        CGet(archive, GetSettings())
    return f"{caught.value} {caught.value.hint or ''}"


def whole(sim: Simulator) -> Wanted:
    held = sim.holdings.all()
    return Wanted(study=held[0].study, sop_classes=frozenset(one.sop_class for one in held), expected=len(held))


# --- as a client


def test_images_come_over_tls_with_certificates_on_both_sides(secure: Simulator, hospital: Authority, us: Pair) -> None:
    sink = CollectingSink()
    transport = CGet(site(secure, tls=required(hospital.ca, us)), GetSettings())
    transport.ping()
    tally: Tally = transport.fetch(whole(secure), sink)
    transport.close()
    assert (len(sink.data), tally.completed) == (3, 3)


def test_paths_count_from_the_profile_and_the_key_may_stand_with_its_certificate(
    secure: Simulator, hospital: Authority, us: Pair
) -> None:
    both = hospital.folder / "both.pem"
    both.write_bytes(us.cert.read_bytes() + us.key.read_bytes())
    both.chmod(0o600)
    table = {"mode": "required", "ca": "ca.pem", "cert": "both.pem"}
    transport = CGet(site(secure, tls=table).at(hospital.folder), GetSettings())
    transport.ping()
    transport.close()


def test_an_archive_without_tls_is_not_talked_to(hospital: Authority) -> None:
    with Simulator(ct_study(slices=1, rows=16, columns=16)) as sim:
        error = refused(site(sim, tls=required(hospital.ca)))
        assert sim.log.of("associate") == []
    assert error.code == "tls"
    assert "may not speak TLS" in str(error) or "does not speak TLS" in str(error)
    assert "archive.dimse.tls.mode" in (error.hint or "")


def test_an_archive_with_tls_says_so_to_a_profile_without(secure: Simulator) -> None:
    error = refused(site(secure))
    assert (error.code, error.retryable) == ("tls", False)
    assert "speaks TLS, and archive.dimse.tls is off" in str(error)


def test_a_tls_alert_is_no_pdu_of_absurd_length() -> None:
    def alert(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x46")

    with raw_peer(alert) as port:
        table = {"host": HOST, "port": port, "ae_title": "X"}
        error = refused(Archive.model_validate({"name": "x", "dimse": table, "timeouts": {"connect": "1s"}}))
    assert "speaks TLS" in str(error)


@pytest.mark.parametrize(
    ("why", "text", "hint"),
    [
        ("authority", "of an authority that we do not know", "archive.dimse.tls.ca"),
        ("name", "for another name", "archive.dimse.tls.server_name"),
        ("expired", "has expired", "clocks"),
        ("no certificate", "wants a certificate of ours", "archive.dimse.tls.cert"),
        ("strange certificate", "does not accept our certificate", "archive.dimse.tls.cert"),
    ],
)
def test_each_failure_is_said_in_words(
    hospital: Authority, stranger: Authority, us: Pair, why: str, text: str, hint: str
) -> None:
    shown = {"name": hospital.issue("named", "pacs.example"), "expired": hospital.expired("old", HOST)}
    pair = shown.get(why) or hospital.issue("good")
    ours = {"no certificate": None, "strange certificate": stranger.issue("ours")}.get(why, us)
    table = required(stranger.ca if why == "authority" else hospital.ca, ours)
    security = Security(cert=pair.cert, key=pair.key, ca=hospital.ca)
    with Simulator(ct_study(slices=1, rows=16, columns=16), security=security) as sim:
        error = refused(site(sim, tls=table))
    assert hint in (error.hint or "")
    if "certificate" in why and error.code == "aborted":
        return  # with TLS 1.3 ours is judged after the handshake, and the alert is lost where the reset overtakes it
    assert (error.code, error.retryable) == ("tls", False)
    assert text in str(error)


def test_a_certificate_for_a_name_serves_an_archive_addressed_by_number(hospital: Authority) -> None:
    pair = hospital.issue("by-name", "pacs.example")
    with Simulator([], security=Security(cert=pair.cert, key=pair.key)) as sim:
        transport = CGet(site(sim, tls=required(hospital.ca, server_name="pacs.example")), GetSettings())
        transport.ping()
        transport.close()


def test_the_very_certificate_of_an_archive_can_be_trusted_alone(hospital: Authority, stranger: Authority) -> None:
    mine, other = stranger.issue("mine"), stranger.issue("other")
    pinned = stranger.folder / "pinned.pem"
    pinned.write_bytes(mine.cert.read_bytes())
    for pair, good in ((mine, True), (other, False)):
        with Simulator([], security=Security(cert=pair.cert, key=pair.key)) as sim:
            archive = site(sim, tls=required(pinned))
            if good:
                transport = CGet(archive, GetSettings())
                transport.ping()
                transport.close()
            else:
                assert "authority that we do not know" in str(refused(archive))


def test_old_versions_of_tls_are_not_spoken(pacs: Pair, hospital: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pacs.cert, pacs.key)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    def old(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with raw_peer(old) as port:
        table = {"host": HOST, "port": port, "ae_title": "X", "tls": required(hospital.ca)}
        error = refused(Archive.model_validate({"name": "x", "dimse": table, "timeouts": {"connect": "1s"}}))
    assert error.code == "tls"


def test_a_port_that_is_silent_in_the_handshake_is_given_up_in_time(hospital: Authority) -> None:
    held = threading.Event()
    with raw_peer(lambda _: held.wait(20) and None) as port:
        table = {"host": HOST, "port": port, "ae_title": "X", "tls": required(hospital.ca)}
        error = refused(Archive.model_validate({"name": "x", "dimse": table, "timeouts": {"connect": "1s"}}))
        held.set()
    assert "does not answer the TLS handshake" in str(error)
    assert error.retryable


# --- what is refused before anybody is contacted


def test_a_key_that_others_can_read_is_refused(secure: Simulator, hospital: Authority) -> None:
    pair = hospital.issue("loose")
    pair.key.chmod(0o640)
    text = wrong(site(secure, tls=required(hospital.ca, pair)))
    assert "archive.dimse.tls.key: group or others can read" in text
    assert "chmod 600" in text
    assert secure.log.of("associate") == []


@pytest.mark.parametrize("key", ["ca", "cert", "key"])
def test_a_file_that_is_missing_or_holds_something_else_is_named(
    secure: Simulator, hospital: Authority, us: Pair, tmp_path: Path, key: str
) -> None:
    odd = tmp_path / "odd.pem"
    odd.write_text("no certificate")
    odd.chmod(0o600)
    good = required(hospital.ca, us)
    assert f"archive.dimse.tls.{key}: cannot read" in wrong(site(secure, tls={**good, key: str(tmp_path / "none")}))
    text = wrong(site(secure, tls={**good, key: str(odd)}))
    assert text.startswith(f"archive.dimse.tls.{'key' if key == 'cert' else key}: ")


def test_a_locked_key_needs_its_password_by_reference(
    secure: Simulator, hospital: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = hospital.issue("locked", HOST, password=b"s3cret")
    table = required(hospital.ca, pair)
    assert "key_password" in wrong(site(secure, tls=table))
    monkeypatch.setenv("KEY_PASSWORD", "another")
    text = wrong(site(secure, tls={**table, "key_password": "env:KEY_PASSWORD"}))
    assert "and the password" in text
    assert "another" not in text
    monkeypatch.setenv("KEY_PASSWORD", "s3cret")
    transport = CGet(site(secure, tls={**table, "key_password": "env:KEY_PASSWORD"}), GetSettings())
    transport.ping()
    transport.close()


# --- as a server


class Delivery:
    """A C-MOVE from a secure simulator to our receiver."""

    def __init__(self, sim: Simulator, *, tls_there: bool, receiver: Any, tls_here: Any) -> None:
        port = free_port()
        sim.register("PACSFERRY", HOST, port, tls=tls_there)
        archive = site(sim, tls=tls_here, receiver={"port": port, **receiver})
        self.sink = CollectingSink()
        self._transport = CMove(archive, MoveSettings())
        self._sim = sim

    def run(self) -> TransferError | None:
        try:
            self._transport.fetch(whole(self._sim), self.sink)
        except TransferError as err:
            return err
        finally:
            self._transport.close()
        return None


def test_images_come_to_our_receiver_over_tls(secure: Simulator, hospital: Authority, us: Pair) -> None:
    both = required(hospital.ca, us)
    delivery = Delivery(secure, tls_there=True, tls_here=both, receiver={"tls": both})
    assert delivery.run() is None
    assert len(delivery.sink.data) == 3


@pytest.mark.parametrize(
    ("tls_there", "change", "hint"),
    [
        (False, {}, "it sent without TLS"),
        (True, {"mode": "off"}, "it sent over TLS"),
        (True, {"ca": "stranger"}, "its certificate is not one of"),
        (True, {"server_name": "pacs.example"}, "its certificate is not one of"),
        (True, {"cert": "stranger"}, "it does not trust our certificate"),
    ],
)
def test_a_sender_that_is_turned_away_is_explained(
    secure: Simulator, hospital: Authority, stranger: Authority, us: Pair, tls_there: bool, change: Any, hint: str
) -> None:
    table = required(hospital.ca, us)
    if change.get("cert"):
        pair = stranger.issue("receiver")
        change = {"cert": str(pair.cert), "key": str(pair.key)}
    if change.get("ca"):
        change = {"ca": str(stranger.ca)}
    delivery = Delivery(secure, tls_there=tls_there, tls_here=table, receiver={"tls": {**table, **change}})
    error = delivery.run()
    assert not delivery.sink.data
    assert error is not None
    assert error.code == "turned-away"
    assert hint in str(error)
    assert hint in (error.hint or "")


def test_a_sender_without_a_certificate_is_turned_away(hospital: Authority, us: Pair) -> None:
    port = free_port()
    table = {"host": HOST, "port": 1, "ae_title": "X", "receiver": {"port": port, "tls": required(hospital.ca, us)}}
    server = tls.server(Archive.model_validate({"name": "x", "dimse": table}))
    assert server is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(hospital.ca)
    with socket.create_server((HOST, port)) as listener:
        done: list[str] = []

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(5)
            with server.wrap(connection) as wire:
                try:
                    server.greet(wire)
                except OSError as err:
                    done.append(tls.note_of(err))

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection((HOST, port)) as plain, contextlib.suppress(OSError):
            context.wrap_socket(plain, server_hostname=HOST).close()
        thread.join(5)
    assert done == ["no certificate"]


def test_two_archives_at_one_receiver_must_agree_on_tls(secure: Simulator, hospital: Authority, us: Pair) -> None:
    from pacsferry.plugins.dimse.admission import tenant_of
    from pacsferry.plugins.dimse.receiver import RECEIVERS

    port = free_port()
    tenants = []
    for table in (required(hospital.ca, us), {"mode": "off"}, required(hospital.ca, us)):
        archive = site(secure, receiver={"port": port, "tls": table})
        assert archive.dimse is not None
        assert archive.dimse.receiver is not None
        tenants.append(tenant_of(archive, archive.dimse.receiver))
    receiver = RECEIVERS.join(HOST, port, tenants[0])
    try:
        with pytest.raises(ConfigError, match=r"archive\.dimse\.receiver\.tls"):
            RECEIVERS.join(HOST, port, tenants[1])
        assert RECEIVERS.join(HOST, port, tenants[2]) is receiver
        RECEIVERS.leave(receiver, tenants[2])
    finally:
        RECEIVERS.leave(receiver, tenants[0])


def test_what_our_receiver_lacks_is_found_before_anybody_is_contacted(secure: Simulator, hospital: Authority) -> None:
    table = {"mode": "required", "cert": str(hospital.folder / "nowhere.pem")}
    with pytest.raises(ConfigError, match=r"archive\.dimse\.receiver\.tls\.cert: cannot read"):
        CMove(site(secure, receiver={"tls": table}), MoveSettings())
    assert secure.log.of("associate") == []


@pytest.mark.parametrize("fault", ["silence:nth=2", "reset:nth=2"])
def test_an_archive_that_goes_silent_or_away_over_tls_is_noticed(
    secure: Simulator, hospital: Authority, us: Pair, fault: str
) -> None:
    secure.faults.add(fault)
    archive = site(secure, tls=required(hospital.ca, us))
    timeouts = archive.timeouts.model_copy(update={"stall": 1.0})
    transport = CGet(archive.model_copy(update={"timeouts": timeouts}), GetSettings())
    sink, begun = CollectingSink(), time.monotonic()
    with pytest.raises(TransferError) as caught:
        transport.fetch(whole(secure), sink)
    transport.close()
    assert caught.value.code == ("stalled" if fault.startswith("silence") else "aborted")
    assert time.monotonic() - begun < 5
    assert len(sink.data) == 1


def test_a_slow_archive_over_tls_is_waited_for(hospital: Authority, pacs: Pair, us: Pair) -> None:
    security = Security(cert=pacs.cert, key=pacs.key, ca=hospital.ca)
    with Simulator(ct_study(slices=3, rows=128, columns=128), security=security, faults=["slow:rate=50000"]) as sim:
        archive = site(sim, tls=required(hospital.ca, us))
        timeouts = archive.timeouts.model_copy(update={"stall": 1.5})
        transport = CGet(archive.model_copy(update={"timeouts": timeouts}), GetSettings())
        sink, begun = CollectingSink(), time.monotonic()
        transport.fetch(whole(sim), sink)
        transport.close()
    assert len(sink.data) == 3
    assert time.monotonic() - begun > 1.5  # longer than the stall time in all
