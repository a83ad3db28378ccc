"""User identity negotiation: only over TLS, confirmed by the archive, its refusal explained, the passcode never shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.fitting import attempt
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.settings import GetSettings
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Security, Simulator
from support.certificates import Authority

PASSCODE = "Zahnrad-77-π"


@pytest.fixture
def archive(hospital: Authority) -> Iterator[Callable[..., Simulator]]:
    """A simulator with users."""
    started: list[Simulator] = []

    def start(**more: Any) -> Simulator:
        pair = hospital.issue("pacs")
        users = {"research": None, "loader": PASSCODE}
        security = Security(cert=pair.cert, key=pair.key, users=users, **more)
        started.append(Simulator(ct_study(slices=1, rows=16, columns=16), security=security))
        return started[-1]

    yield start
    for sim in started:
        sim.close()


def table(sim: Simulator, hospital: Authority, **identity: Any) -> dict[str, Any]:
    dimse = {
        "host": sim.host,
        "port": sim.dimse_port,
        "ae_title": sim.ae_title,
        "tls": {"mode": "required", "ca": str(hospital.ca)},
        "user_identity": identity,
    }
    return {"name": "x", "dimse": dimse, "timeouts": {"connect": "2s", "stall": "3s"}}


def ping(archive: Archive) -> None:
    transport = CGet(archive, GetSettings())
    try:
        transport.ping()
    finally:
        transport.close()


@pytest.fixture
def passcode(tmp_path: Path) -> str:
    path = tmp_path / "passcode"
    path.write_text(f"{PASSCODE}\n", encoding="utf-8")
    path.chmod(0o600)
    return "file:passcode"


@pytest.mark.parametrize("use", ["username", "username-passcode"])
def test_an_archive_that_knows_us_confirms_it(
    archive: Any, hospital: Authority, passcode: str, tmp_path: Path, use: str
) -> None:
    sim = archive()
    said = {"username": "research"} if use == "username" else {"username": "loader", "passcode": passcode}
    ping(Archive.model_validate(table(sim, hospital, use=use, **said)).at(tmp_path))
    assert [asked.user for asked in sim.log.of("associate")] == [said["username"]]


@pytest.mark.parametrize(
    "said",
    [
        {"use": "none"},
        {"use": "username", "username": "nobody"},
        {"use": "username", "username": "loader"},
        {"use": "username-passcode", "username": "loader", "passcode": "env:WRONG"},
    ],
)
def test_a_refused_identity_is_explained_and_not_tried_again(
    archive: Any, hospital: Authority, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    monkeypatch.setenv("WRONG", "wrong-passcode")
    sim = archive()
    with pytest.raises(TransferError) as caught:
        ping(Archive.model_validate(table(sim, hospital, **said)))
    text = f"{caught.value} {caught.value.hint}"
    assert "wrong-passcode" not in text
    if said["use"] == "none":
        assert caught.value.code == "refused-association"
        assert "user_identity" in text
    else:
        assert (caught.value.code, caught.value.retryable) == ("user-identity", False)
        assert "may not accept our user identity" in text
        assert "archive.dimse.user_identity" in text


def test_an_archive_that_accepts_and_confirms_nothing_is_not_believed(archive: Any, hospital: Authority) -> None:
    sim = archive(confirms=False)
    said = {"use": "username", "username": "research"}
    with pytest.raises(TransferError) as caught:
        ping(Archive.model_validate(table(sim, hospital, **said)))
    assert caught.value.code == "user-identity"
    assert "did not confirm" in str(caught.value)
    assert "confirm = false" in (caught.value.hint or "")
    assert sim.log.of("c-echo") == []
    ping(Archive.model_validate(table(sim, hospital, **said, confirm=False)))


def test_other_rejections_are_told_as_they_are(archive: Any, hospital: Authority) -> None:
    sim = archive()
    sim.faults.add("limit-associations:limit=0")
    with pytest.raises(TransferError) as caught:
        ping(Archive.model_validate(table(sim, hospital, use="username", username="research")))
    assert caught.value.code == "refused-association"
    assert "no free association" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tls": {"mode": "off"}}, "user_identity.use: an identity is sent over TLS only"),
        ({"user_identity": {"use": "username"}}, "username: missing"),
        ({"user_identity": {"use": "username-passcode", "username": "x"}}, "passcode: missing"),
        ({"user_identity": {"use": "username", "username": "x", "passcode": "env:A"}}, "passcode: not sent"),
        (
            {"user_identity": {"use": "username-passcode", "username": "x", "passcode": "literal77"}},
            "write a reference",
        ),
        ({"user_identity": {"use": "kerberos"}}, "must be 'none', 'username' or 'username-passcode'"),
        ({"tls": {"ca": "ca.pem"}}, "mode: missing"),
        ({"tls": {"mode": "required", "key": "us.key"}}, "cert: missing"),
        ({"receiver": {"tls": {"mode": "required"}}}, "tls.cert: missing"),
        ({"receiver": {"tls": {"mode": "required", "cert": "c", "server_name": "x"}}}, "tls.ca: missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_right_key(change: Any, text: str) -> None:
    good = {
        "host": "pacs.example",
        "port": 104,
        "ae_title": "PACS",
        "tls": {"mode": "required"},
        "user_identity": {"use": "username", "username": "research"},
    }
    assert attempt(Archive, {"dimse": good})[1] == []
    value, problems = attempt(Archive, {"dimse": {**good, **change}})
    assert value is None
    lines = "\n".join(one.line("archive") for one in problems)
    assert text in lines
    assert "literal77" not in lines


def test_a_passcode_that_is_not_there_stops_before_anybody_is_contacted(archive: Any, hospital: Authority) -> None:
    sim = archive()
    said = {"use": "username-passcode", "username": "loader", "passcode": "env:NO_SUCH_VARIABLE"}
    with pytest.raises(ConfigError, match=r"archive\.dimse\.user_identity\.passcode: .*NO_SUCH_VARIABLE"):
        ping(Archive.model_validate(table(sim, hospital, **said)))
    assert sim.log.of("associate") == []


def test_nothing_shows_the_passcode(monkeypatch: pytest.MonkeyPatch, hospital: Authority) -> None:
    monkeypatch.setenv("PASSCODE_HERE", PASSCODE)
    said = {"use": "username-passcode", "username": "loader", "passcode": "env:PASSCODE_HERE"}
    dimse = {"host": "h", "port": 1, "ae_title": "A", "tls": {"mode": "required", "ca": str(hospital.ca)}}
    made = Archive.model_validate({"dimse": {**dimse, "user_identity": said}})
    transport = CGet(made, GetSettings())
    assert PASSCODE not in f"{made!r} {made.model_dump_json()} {transport._caller._identity!r}"
    assert "loader" not in repr(transport._caller._identity)
