"""A warning is said once per process, and the command line shows it in its own way."""

from __future__ import annotations

import json
import logging

import pytest

from pacsferry.cli import remarks
from pacsferry.core import warn
from pacsferry.core.archive import Archive
from pacsferry.plugins.dimse import tls


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warn, "_said", set())
    monkeypatch.setattr(warn.LOGGER, "handlers", [])
    monkeypatch.setattr(warn.LOGGER, "propagate", True)


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("one", "two", "one"):
        warn.warn_once(text)
    assert [record.getMessage() for record in caplog.records] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["load", "p"], "pacsferry: warning: TLS is off\n"),
        (["load", "p", "--json"], "pacsferry: warning: TLS is off\n"),
        (["load", "p", "--quiet"], ""),
        (["load", "p", "-q"], ""),
        (["find", "--", "--quiet"], "pacsferry: warning: TLS is off\n"),
    ],
)
def test_the_command_line_shows_it_on_stderr(capsys: pytest.CaptureFixture[str], words: list[str], shown: str) -> None:
    remarks.hear(words)
    warn.warn_once("TLS is off")
    assert capsys.readouterr() == ("", shown)


def test_among_events_it_is_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    remarks.hear(["load", "p", "--events"])
    warn.warn_once("TLS is off")
    told = json.loads(capsys.readouterr().err)
    assert (told["schema"], told["event"], told["text"]) == ("pacsferry.event", "note", "TLS is off")


def test_a_program_that_uses_the_library_hears_it_as_it_configured_logging(caplog: pytest.LogCaptureFixture) -> None:
    warn.warn_once("TLS is off")
    assert [(record.name, record.levelno) for record in caplog.records] == [("pacsferry", logging.WARNING)]


@pytest.mark.parametrize(
    ("host", "secured", "receiver", "said"),
    [
        ("pacs.example", False, False, ["archive.dimse.tls"]),
        ("pacs.example", True, False, ["archive.dimse.receiver.tls"]),
        ("pacs.example", True, True, []),
        ("192.0.2.7", False, True, ["archive.dimse.tls"]),
        ("127.0.0.1", False, False, []),
        ("127.1.2.3", False, False, []),
        ("::1", False, False, []),
        ("localhost", False, False, []),
    ],
)
def test_tls_that_is_off_towards_another_machine_is_told(
    caplog: pytest.LogCaptureFixture, host: str, secured: bool, receiver: bool, said: list[str]
) -> None:
    table = {
        "host": host,
        "port": 104,
        "ae_title": "PACS",
        "tls": {"mode": "required" if secured else "off"},
        "receiver": {"tls": {"mode": "required", "cert": "ours.pem"} if receiver else {"mode": "off"}},
    }
    archive = Archive.model_validate({"dimse": table})
    assert archive.dimse is not None
    for _ in range(2):
        tls.warn(archive.dimse)
        tls.warn_of_receiver(archive)
    assert len(caplog.records) == len(said)
    for key, record in zip(said, caplog.records, strict=True):
        assert f"({key})" in record.getMessage()
        assert host in record.getMessage()
