"""Whether somebody is there, and what is in the way, in words: names, refusals, silence, certificates."""

import contextlib
import datetime as dt
import socket
import ssl
import threading

import pytest
import trustme

from pacsferry.app.doctor.reach import Address, reach, speaks_tls
from pacsferry.core.ports import Standing
from support.listeners import black_hole

CA, STRANGER = trustme.CA(), trustme.CA()
PAST = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
SOON = dt.datetime.now(dt.UTC) + dt.timedelta(days=5)


@contextlib.contextmanager
def serving(authority=CA, *names, client_ca=None, expires=None, version=None):
    """A TLS server that greets and says nothing; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",)), not_after=expires).configure_cert(context)
    if version is not None:
        context.maximum_version = version
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]


def _greet(listener, context):
    while True:
        try:
            wire, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), context.wrap_socket(wire, server_side=True) as secure:
            secure.recv(1)


def trusting(authority=CA):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def reached(port, *, tls=None, name="localhost", host="127.0.0.1", seconds=2.0):
    return reach(Address(host=host, port=port, probe="dimse", seconds=seconds, tls=tls, server_name=name))[-1]


def test_a_certificate_that_is_right_is_told_with_its_days():
    with serving() as port:
        told = reached(port, tls=trusting())
    assert told.status is Standing.OK
    assert "TLSv1.3; its certificate is accepted and valid for" in told.text


@pytest.mark.parametrize(
    ("server", "client", "text"),
    [
        ({"expires": PAST}, {"tls": trusting()}, "has expired"),
        ({}, {"tls": trusting(), "name": "elsewhere"}, "is for another name"),
        ({}, {"tls": trusting(STRANGER)}, "not know"),
        ({"client_ca": CA}, {"tls": trusting()}, "wants a certificate of ours"),
    ],
)
def test_what_is_wrong_with_tls_is_told_in_words(server, client, text):
    with serving(**server) as port:
        told = reached(port, **client)
    assert told.status is Standing.FAILED
    assert text in told.text
    assert told.advice


def test_a_certificate_that_ends_soon_is_a_warning():
    with serving(expires=SOON) as port:
        assert reached(port, tls=trusting()).status is Standing.WARNING


def test_a_service_without_tls_is_told():
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer():
            wire, _ = plain.accept()
            wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            wire.close()

        threading.Thread(target=answer, daemon=True).start()
        told = reached(plain.getsockname()[1], tls=trusting())
    assert told.status is Standing.FAILED
    assert "TLS" in told.text


def test_a_closed_port_a_full_queue_and_an_unknown_name_are_told_apart():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "refused" in reached(closed.getsockname()[1]).text
    with black_hole() as (_, port):
        told = reached(port, seconds=0.5)
    assert "does not answer within 0.5 s" in told.text
    assert "firewall" in told.advice
    assert "cannot be resolved" in reached(104, host="no-such-host.invalid").text


def test_whoever_speaks_tls_is_recognised_without_being_trusted():
    with serving(STRANGER) as port:
        assert speaks_tls("127.0.0.1", port, 2.0) is True
    with socket.create_server(("127.0.0.1", 0)) as plain:
        assert speaks_tls("127.0.0.1", plain.getsockname()[1], 0.5) is False
