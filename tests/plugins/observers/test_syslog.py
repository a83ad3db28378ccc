"""Audit lines at a log server: RFC 5424 inside every framing, JSON inside that, and a run that never waits."""

from __future__ import annotations

import json
import re
import ssl
import time
from dataclasses import replace

import pytest
from pydantic import ValidationError

from pacsferry.core.auditline import frozen
from pacsferry.plugins.observers import SyslogSettings
from pacsferry.plugins.observers.message import message
from pacsferry.plugins.observers.syslog import Syslog
from pacsferry.testing.contracts.observer import lines
from support.commands import call
from support.listeners import Listener
from support.loading import place

#: RFC 5424 6: PRI, VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID, no structured data, MSG.
RFC_5424 = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) ([!-~]{1,48}) (\d{1,128}) ([!-~]{1,32}) - (\{.*\})"
)


def sender(address, **more):
    return Syslog(SyslogSettings(address=address, **more))


@pytest.fixture(params=["udp", "tcp", "dgram", "stream"])
def listener(request, tmp_path):
    path = tmp_path / "log" if request.param in {"dgram", "stream"} else None
    with Listener(request.param, path) as one:
        yield one


def test_every_line_arrives_in_order_as_rfc_5424(listener):
    one = sender(listener.address, facility="local3", hostname="carrier", app_name="ferry")
    for line in lines():
        one.tell(line)
    for said, line in zip(listener.messages(5), lines(), strict=True):
        found = RFC_5424.fullmatch(said)
        assert found, said
        priority, at, host, app, _, action, text = found.groups()
        assert int(priority) == 19 * 8 + (6 if line.outcome == "ok" else 4)
        assert (at.decode(), host, app, action.decode()) == (line.at, b"carrier", b"ferry", line.action)
        document = json.loads(text)
        assert document["seq"] == line.seq
        assert document["project"] == (line.trail or None)
        assert (document["hash"], document["prev"]) == (line.hash, line.prev)
        assert document.get("head") == (line.hash if line.action in {"run-started", "run-ended"} else None)
    one.close()
    one.close()


def test_lines_may_end_with_a_line_feed_over_tcp():
    with Listener("tcp") as listener:
        one = sender(listener.address, framing="lines")
        for line in lines():
            one.tell(line)
        assert [json.loads(said.split(b" ", 7)[7])["seq"] for said in listener.messages(5)] == [1, 2, 3, 4, 1]
        one.close()


def test_odd_words_stay_within_their_fields():
    line = replace(
        lines()[0], action="ødd äction\n<14>1", trail="stróke\n", details=frozen({"hint": "\x00\u2028]} \x1b[2J"})
    )
    said = message(line, facility="audit", host="a host\n", app="päcs", process=1)
    found = RFC_5424.fullmatch(said)
    assert found, said
    assert b"\n" not in said
    assert b"\x1b" not in said
    assert json.loads(found[7])["project"] == "stróke\n"


def test_a_server_that_hung_up_is_called_again():
    with Listener("tcp") as listener:
        one = sender(listener.address)
        one.tell(lines()[0])
        listener.messages(1)
        listener.hang_up()
        time.sleep(0.2)
        for line in lines()[1:]:
            one.tell(line)
        assert [json.loads(said.split(b" ", 7)[7])["seq"] for said in listener.messages(5)] == [1, 2, 3, 4, 1]
        assert listener.connections == 2
        one.close()


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "unix:/nowhere/log", "udp://127.0.0.1:9", "tls://127.0.0.1:9"]
)
def test_nobody_there_is_an_error_in_no_time_and_not_tried_each_time(address):
    one = sender(address, timeout="1s")
    began = time.monotonic()
    failures = 0
    for line in lines() * 10:
        try:
            one.tell(line)
        except OSError:
            failures += 1
    assert failures > 40, "UDP notices a little later"
    assert time.monotonic() - began < 5
    one.close()


def test_a_server_that_accepts_and_never_reads_costs_the_time_out_only():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        one = sender(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout="500ms")
        began = time.monotonic()

        def go_on():
            for _ in range(20_000):
                one.tell(lines()[3])

        with pytest.raises(TimeoutError):
            go_on()
        assert time.monotonic() - began < 20
        one.close()


# --- TLS


def test_tls_wants_a_certificate_of_that_name_and_counts_octets(certificates):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.cert, certificates.key)
    with Listener("tls", context=server) as listener:
        good = sender(listener.address, ca=str(certificates.ca), server_name="localhost")
        for line in lines():
            good.tell(line)
        assert len(listener.messages(5)) == 5
        good.close()
        with pytest.raises(OSError, match="certificate verify failed"):
            sender(listener.address).tell(lines()[0])
        with pytest.raises(OSError, match="certificate verify failed"):
            sender(listener.address, ca=str(certificates.ca), server_name="other.example").tell(lines()[0])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority and a certificate for localhost, made by openssl."""
    import shutil
    import subprocess
    from types import SimpleNamespace

    if shutil.which("openssl") is None:
        pytest.skip("needs the Debian package openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = SimpleNamespace(ca=folder / "ca.pem", cert=folder / "cert.pem", key=folder / "key.pem")
    run = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(made.key), "-out", str(made.cert)),
    ]
    subprocess.run(run, check=True, capture_output=True)
    made.ca.write_bytes(made.cert.read_bytes())
    return made


# --- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "http://x"},
        {"address": "udp://"},
        {"address": "udp://host:0"},
        {"address": "tcp://host:99999"},
        {"address": "unix:relative"},
        {"address": "udp://user@host:514/x"},
        {"address": "udp://h:514", "ca": "/x"},
        {"address": "tls://h", "ca": "relative.pem"},
        {"address": "tls://h", "key": "/k"},
        {"facility": "local9"},
        {"app_name": "two words"},
        {"timeout": "0s"},
        {"colour": "red"},
    ],
)
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(ValidationError):
        SyslogSettings(**settings)


def test_usual_ports():
    assert SyslogSettings(address="udp://log.example").place == ("log.example", 514)
    assert SyslogSettings(address="tls://[::1]").place == ("::1", 6514)


# --- whole commands


@pytest.fixture
def there(tmp_path, monkeypatch):
    from pacsferry.testing.samples import ct_study

    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("PACSFERRY_SITE", raising=False)
    monkeypatch.chdir(tmp_path)
    objects = ct_study(slices=3, rows=32, columns=32, accession="ACC100", patient_id="QUAY-7", patient_name="Heron^O")
    with place(tmp_path, objects) as made:
        yield made


def test_a_load_is_told_with_the_head_of_its_chain_and_names_nobody(there):
    with Listener("tcp") as listener:
        there.write(("wado-rs",), extra=f'[[observer]]\nuse = "syslog"\naddress = "{listener.address}"')
        assert call("load", "p", "ACC100", "-s", there.site, "--workers", 0).code == 0
        assert call("waive", "p", "ACC100", "--reason", "none").code in {0, 2, 3}
        with there.ledger() as ledger:
            events = list(ledger.events())
        found = listener.documents(len(events))
        assert [one["seq"] for one in found] == [one.seq for one in events]
        assert [one["hash"] for one in found] == [one.hash for one in events]
        ended = [one for one in found if one["action"] == "run-ended"]
        assert ended
        assert all(one["head"] == one["hash"] for one in ended)
        said = b"".join(listener.raw)
        for identifier in (b"QUAY", b"Heron", b"ACC100"):
            assert identifier not in said
        before = len(listener.messages(1))
        assert call("echo", "-s", there.site).code == 0
        assert call("find", "ACC100", "-s", there.site).code == 0
        host = listener.documents(before + 2)[-2:]
        assert [(one["project"], one["action"]) for one in host] == [(None, "echo"), (None, "find")]


def test_a_log_server_that_is_not_there_costs_a_warning_and_nothing_else(there):
    there.write(("wado-rs",), extra='[[observer]]\nuse = "syslog"\naddress = "tcp://127.0.0.1:9"\ntimeout = "1s"')
    began = time.monotonic()
    answer = call("load", "p", "ACC100", "-s", there.site, "--workers", 0)
    assert answer.code == 0
    assert time.monotonic() - began < 20
    warnings = answer.document["verification"]["warnings"]
    assert any("observer syslog was not told every audit line" in text for text in warnings)
    assert call("audit", "p", "--check").code == 0


def test_a_wrong_setting_is_2_and_names_the_key(there):
    there.write(("wado-rs",), extra='[[observer]]\nuse = "syslog"\naddress = "ftp://x"')
    for command in (("load", "p", "ACC100"), ("check",)):
        answer = call(*command, "-s", there.site)
        assert answer.code == 2
        assert "observer.0.address" in answer.out
    assert there.archive.log.of() == []
