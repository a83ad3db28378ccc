"""HTTPS: who is not trusted is not talked to, and a read can be ended there as well."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Wanted
from support.scripted_http import HANG, RELATED, answer, related, study
from support.scripted_scp import raw_peer

OBJECTS = [b"DICM" * 100_000, b"DICM"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs Debian package openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_stranger_is_not_trusted(serve, wado, basket, certificate):
    server = serve(lambda _: [study(OBJECTS)], tls=certificate[1])
    with pytest.raises(TransferError) as caught:
        wado(server.url).fetch(Wanted(study="1.2"), basket)
    assert (caught.value.code, caught.value.retryable) == ("tls", False)
    assert server.requests == []


def test_an_authority_of_the_environment_is_trusted(serve, wado, basket, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    server = serve(lambda _: [study(OBJECTS)], tls=certificate[1])
    assert wado(server.url).fetch(Wanted(study="1.2"), basket).completed == 2
    assert basket.kept == OBJECTS


def test_https_is_not_left_for_http(serve, wado, basket, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    plain = serve(lambda _: [study(OBJECTS)])
    server = serve(lambda _: [answer(301, Location=plain.url)], tls=certificate[1])
    with pytest.raises(TransferError):
        wado(server.url).fetch(Wanted(study="1.2"), basket)
    assert plain.requests == []


def test_close_ends_a_fetch_under_way(serve, wado, basket, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    server = serve(
        lambda _: [answer(200, related(OBJECTS)[:999], length=9999, Content_Type=RELATED), HANG], tls=certificate[1]
    )
    transport, caught = wado(server.url, stall=30), []

    def fetch() -> None:
        try:
            transport.fetch(Wanted(study="1.2"), basket)
        except TransferError as err:
            caught.append(err.code)

    thread = threading.Thread(target=fetch)
    thread.start()
    time.sleep(0.4)
    transport.close()
    thread.join(5)
    assert not thread.is_alive()
    assert caught == ["interrupted"]


# Why there is no connection, in words.


def why(wado, url: str, basket) -> tuple[str, str]:
    with pytest.raises(TransferError) as caught:
        wado(url, connect=0.5, stall=3, max_tries=1).fetch(Wanted(study="1.2"), basket)
    return caught.value.code, str(caught.value)


def test_a_refused_connection_is_no_time_out(wado, basket):
    assert why(wado, "http://127.0.0.1:1/x", basket) == (
        "unreachable",
        "the archive could not be reached (archive.dicomweb.url)",
    )


def test_a_host_that_nobody_knows_is_named_as_such(wado, basket):
    code, text = why(wado, "http://nobody-knows-this.invalid/x", basket)
    assert code == "unreachable"
    assert "host name is not known" in text


def test_a_server_that_never_shakes_hands_is_left_within_the_limit(wado, basket):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = time.monotonic()
        code, text = why(wado, f"https://127.0.0.1:{listener.getsockname()[1]}/x", basket)
    assert code == "unreachable"
    assert "no secure connection within archive.timeouts.connect" in text
    assert time.monotonic() - begun < 3


def test_a_server_that_speaks_no_tls_is_named_as_such(wado, basket):
    def refuse(client):
        client.recv(65536)
        client.sendall(answer(400))

    with raw_peer(refuse) as port:
        code, text = why(wado, f"https://127.0.0.1:{port}/x", basket)
    assert code == "tls"
    assert "it does not speak TLS" in text


def test_connections_are_kept_alive_by_the_system(serve, wado, basket):
    """A firewall between here and there forgets connections on which nothing happens while a tape is read."""
    transport = wado(serve(lambda _: [study(OBJECTS)]).url)
    transport.fetch(Wanted(study="1.2"), basket)
    (line,) = transport._session._lines._open
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
