"""HTTP Basic and bearer tokens, before an archive that checks what it is sent."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import ConfigError, TransferError
from support.web_archive import SECRET, basic, guarded

from .conftest import one_study

BASIC = {"use": "basic", "username": "ferry", "password": "env:WEB_SECRET"}


def refused(ask, url, auth, **more) -> TransferError:
    with pytest.raises(TransferError) as caught:
        ask(url, auth, **more)
    return caught.value


def test_a_user_with_the_right_password_is_let_in(serve, ask):
    server = serve(guarded(basic("ferry", SECRET), one_study))
    assert ask(server.url, BASIC) == ["1.2.3"]
    assert all(request.headers["authorization"] == basic("ferry", SECRET) for request in server.requests)


def test_a_wrong_password_is_tried_once_and_not_shown(serve, ask):
    server = serve(guarded(basic("ferry", "another"), one_study))
    err = refused(ask, server.url, BASIC)
    assert (err.code, err.retryable) == ("http-401", False)
    assert len(server.requests) == 1
    assert "archive.dicomweb.auth" in str(err)
    assert SECRET not in f"{err} {err.hint}"


def test_who_says_nothing_is_told_what_to_say(serve, ask):
    server = serve(guarded(basic("ferry", SECRET), one_study))
    err = refused(ask, server.url, {})
    assert err.code == "http-401"
    assert "archive.dicomweb.auth" in err.hint


def test_a_user_name_may_be_a_reference_too(serve, ask, monkeypatch):
    monkeypatch.setenv("WEB_USER", "ferry")
    server = serve(guarded(basic("ferry", SECRET), one_study))
    assert ask(server.url, {**BASIC, "username": "env:WEB_USER"}) == ["1.2.3"]


def test_a_password_that_was_changed_is_read_again(serve, ask, made, tmp_path):
    from pacsferry.core.model import Level, Query

    from .conftest import archive_of

    path, right = tmp_path / "password", ["first"]
    path.write_text("first\n")
    path.chmod(0o600)
    server = serve(guarded(lambda: basic("ferry", right[0]), one_study))
    finder = made(archive_of(tmp_path, server.url, {**BASIC, "password": "file:password"}))
    assert len(list(finder.find(Query(level=Level.STUDY)))) == 1
    path.write_text("second\n")
    right[0] = "second"
    assert len(list(finder.find(Query(level=Level.STUDY)))) == 1


def test_a_token_is_sent_as_it_is_and_read_again_when_it_was_renewed(serve, ask, made, tmp_path):
    from pacsferry.core.model import Level, Query

    from .conftest import archive_of

    path, right = tmp_path / "token", ["aaa.bbb-1"]
    path.write_text("aaa.bbb-1\n")
    path.chmod(0o600)
    server = serve(guarded(lambda: f"Bearer {right[0]}", one_study))
    finder = made(archive_of(tmp_path, server.url, {"use": "bearer", "token": "file:token"}))
    assert len(list(finder.find(Query(level=Level.STUDY)))) == 1
    path.write_text("ccc.ddd-2\n")
    right[0] = "ccc.ddd-2"
    assert len(list(finder.find(Query(level=Level.STUDY)))) == 1
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer aaa.bbb-1"] * 3 + ["Bearer ccc.ddd-2"] * 2


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "ä", "a,b"])
def test_what_is_no_token_is_refused_before_anything_is_sent(serve, ask, monkeypatch, text):
    monkeypatch.setenv("WEB_TOKEN", text)
    server = serve(one_study)
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.auth\.token") as caught:
        ask(server.url, {"use": "bearer", "token": "env:WEB_TOKEN"})
    assert server.requests == []
    assert not text or text not in str(caught.value).replace("RFC", "")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"password": "hunter2-in-the-clear"}, "archive.dicomweb.auth.password"),
        ({"password": "env:NOT_SET_ANYWHERE"}, "archive.dicomweb.auth.password"),
        ({"password": "file:not-there"}, "archive.dicomweb.auth.password"),
        ({"user": "x"}, "archive.dicomweb.auth.user"),
        ({"use": "basik"}, "archive.dicomweb.auth.use"),
        ({"username": 3}, "archive.dicomweb.auth.username"),
    ],
)
def test_a_wrong_setting_is_a_configuration_error_with_its_address(serve, ask, change, where):
    server = serve(one_study)
    with pytest.raises(ConfigError) as caught:
        ask(server.url, {**BASIC, **change})
    assert where in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert server.requests == []


def test_a_password_file_that_others_can_read_is_refused(serve, ask, tmp_path):
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o644)
    with pytest.raises(ConfigError, match="only its owner"):
        ask(serve(one_study).url, {**BASIC, "password": "file:password"})


def test_a_user_name_with_a_colon_cannot_be_sent(serve, ask, monkeypatch):
    monkeypatch.setenv("WEB_USER", "a:b")
    with pytest.raises(ConfigError, match="colon"):
        ask(serve(one_study).url, {**BASIC, "username": "env:WEB_USER"})


# Where credentials may not go at all.


@pytest.mark.parametrize("auth", [BASIC, {"use": "bearer", "token": "env:WEB_TOKEN"}])
@pytest.mark.parametrize("url", ["http://192.0.2.7/dicom-web", "http://archive.example:8042/dicom-web"])
def test_no_credentials_travel_unencrypted_to_another_host(ask, monkeypatch, auth, url):
    monkeypatch.setenv("WEB_TOKEN", "abc")
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.url: credentials would travel unencrypted") as caught:
        ask(url, auth)
    assert "credentials_over_http" in caught.value.hint


def test_nor_through_a_proxy_elsewhere(ask):
    with pytest.raises(ConfigError, match="unencrypted"):
        ask("http://127.0.0.1:8042/dicom-web", BASIC, proxy="http://proxy.example:3128")


def test_unless_the_profile_accepts_it(serve, ask):
    proxy = serve(guarded(basic("ferry", SECRET), one_study))
    url = "http://archive.invalid/dicom-web"
    assert ask(url, BASIC, proxy=proxy.origin, credentials_over_http=True) == ["1.2.3"]


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"])
def test_a_link_local_address_is_no_archive(ask, host):
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.url: a link-local address"):
        ask(f"http://{host}/dicom-web", {})


def test_a_name_that_leads_to_a_link_local_address_gets_nothing(ask, monkeypatch):
    import socket

    from urllib3.util import connection

    class Line(socket.socket):
        def getpeername(self):
            return ("169.254.169.254", 80)

    lines = []

    def connect(*_args, **_kwargs):
        lines.append(Line())
        return lines[-1]

    monkeypatch.setattr(connection, "create_connection", connect)
    err = refused(ask, "http://metadata.invalid/dicom-web", {})
    assert (err.code, err.retryable) == ("unreachable", False)
    assert "link-local" in str(err)
    assert lines[0].fileno() == -1
