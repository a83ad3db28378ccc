"""OAuth 2.0 client credentials: a token endpoint and an archive that check what they are sent."""

from __future__ import annotations

import threading
import time

import pytest

from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Level, Query
from pacsferry.plugins.webauths import endpoint as endpoint_module
from support.scripted_http import CLOSE, HANG, answer
from support.web_archive import CLIENT, SECRET, TokenEndpoint, guarded, said

from .conftest import archive_of, one_study


def oauth(endpoint, **more) -> dict:
    return {
        "use": "oauth2-client",
        "token_url": endpoint.url,
        "client_id": CLIENT,
        "client_secret": "env:WEB_SECRET",
        **more,
    }


def studies(finder) -> int:
    return len(list(finder.find(Query(level=Level.STUDY))))


def refused(ask, url, auth, **more) -> TransferError:
    with pytest.raises(TransferError) as caught:
        ask(url, auth, **more)
    err = caught.value
    assert SECRET not in f"{err} {err.hint}"
    assert CLIENT not in f"{err} {err.hint}"
    return err


def test_a_token_is_fetched_once_and_used_until_it_expires(serve, made, tmp_path):
    endpoint = TokenEndpoint(serve)
    server = serve(guarded(lambda: endpoint.now, one_study))
    finder = made(archive_of(tmp_path, server.url, oauth(endpoint)))
    assert [studies(finder) for _ in range(3)] == [1, 1, 1]
    assert endpoint.given == 1


def test_nothing_is_fetched_before_the_archive_is_asked(serve, made, tmp_path):
    endpoint = TokenEndpoint(serve)
    made(archive_of(tmp_path, serve(one_study).url, oauth(endpoint)))
    assert endpoint.server.requests == []


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post"])
def test_the_client_proves_itself_in_either_way(serve, ask, way):
    endpoint = TokenEndpoint(serve, post=way == "client_secret_post")
    server = serve(guarded(lambda: endpoint.now, one_study))
    assert ask(server.url, oauth(endpoint, client_auth=way)) == ["1.2.3"]
    request = endpoint.server.requests[0]
    assert (request.method, request.headers["content-type"]) == ("POST", "application/x-www-form-urlencoded")
    assert "token" not in request.headers.get("cookie", "")


def test_scope_audience_and_further_parameters_are_sent(serve, ask):
    wanted = {"scope": "dicom.read dicom/*", "audience": "https://archive.example/", "resource": "urn:x"}
    endpoint = TokenEndpoint(serve, wanted=wanted)
    server = serve(guarded(lambda: endpoint.now, one_study))
    more = {**wanted, "params": {"resource": wanted["resource"]}}
    del more["resource"]
    assert ask(server.url, oauth(endpoint, **more)) == ["1.2.3"]


@pytest.mark.parametrize("name", ["grant_type", "client_secret", "scope"])
def test_a_parameter_that_has_its_own_setting_is_refused(serve, ask, name):
    with pytest.raises(ConfigError, match=rf"params: {name} cannot be set here"):
        ask("https://127.0.0.1:1/", oauth(TokenEndpoint(serve), params={name: "x"}))


def test_a_token_is_renewed_before_it_expires(serve, made, tmp_path):
    endpoint = TokenEndpoint(serve, expires_in=1.2)
    server = serve(guarded(lambda: endpoint.now, one_study))
    finder = made(archive_of(tmp_path, server.url, oauth(endpoint, leeway=0.9)))
    studies(finder)
    time.sleep(0.7)  # half of its life is over, and a leeway that is longer than that counts as half
    studies(finder)
    assert endpoint.given == 2
    assert all(request.headers["authorization"].startswith("Bearer token-") for request in server.requests)
    assert not [request for request in server.requests if request.headers["authorization"] == "Bearer token-0"]


@pytest.mark.parametrize("expires_in", [None, "3600", "soon", -1, 0, True, "NaN", "inf", 1e99])
def test_an_odd_life_time_does_no_harm(serve, made, tmp_path, expires_in):
    endpoint = TokenEndpoint(serve, expires_in=expires_in)
    server = serve(guarded(lambda: endpoint.now, one_study))
    finder = made(archive_of(tmp_path, server.url, oauth(endpoint, lifetime="1m")))
    assert studies(finder) == 1
    assert endpoint.given == 1


def test_a_401_fetches_one_more_token_and_a_second_401_ends_it(serve, made, tmp_path):
    endpoint = TokenEndpoint(serve)
    valid = ["Bearer token-2"]
    server = serve(guarded(lambda: valid[0], one_study))
    finder = made(archive_of(tmp_path, server.url, oauth(endpoint)))
    assert studies(finder) == 1
    assert endpoint.given == 2
    valid[0] = "Bearer never"
    asked = len(server.requests)
    with pytest.raises(TransferError) as caught:
        studies(finder)
    assert caught.value.code == "http-401"
    assert endpoint.given == 3
    assert len(server.requests) == asked + 2


def test_an_endpoint_that_gives_the_same_token_again_is_not_asked_for_more(serve, ask):
    endpoint = TokenEndpoint(serve)
    endpoint.answers = [said(200, access_token="same", token_type="Bearer")] * 9
    server = serve(guarded("Bearer other", one_study))
    assert refused(ask, server.url, oauth(endpoint)).code == "http-401"
    assert len(endpoint.server.requests) == 2
    assert len(server.requests) == 1


def test_many_threads_share_one_token_and_one_renewal(serve, made, tmp_path):
    endpoint = TokenEndpoint(serve)
    valid = ["Bearer token-1"]
    server = serve(guarded(lambda: valid[0], one_study))
    finder = made(archive_of(tmp_path, server.url, oauth(endpoint)))
    found = []

    def all_at_once() -> None:
        threads = [threading.Thread(target=lambda: found.append(studies(finder))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

    all_at_once()
    assert endpoint.given == 1
    valid[0] = "Bearer token-2"
    all_at_once()
    assert found == [1] * 16
    assert endpoint.given == 2


def test_a_wrong_secret_is_explained_without_it(serve, ask, monkeypatch):
    monkeypatch.setenv("WEB_SECRET", "not-the-one")
    endpoint = TokenEndpoint(serve)
    server = serve(one_study)
    err = refused(ask, server.url, oauth(endpoint))
    assert (err.code, err.retryable) == ("no-token", False)
    assert "client_id and client_secret" in str(err)
    assert "not-the-one" not in str(err)
    assert server.requests == []
    assert len(endpoint.server.requests) == 1


@pytest.mark.parametrize(
    ("acts", "words", "retryable"),
    [
        ([said(400, error="invalid_scope")], "scope", False),
        ([said(400, error="SECRET-CODE", error_description="SECRET")], "HTTP status 400", False),
        ([answer(302, Location="http://127.0.0.1:1/")], "redirects", False),
        ([answer(200, b"<html>", Content_Type="text/html")], "no JSON", False),
        ([answer(200, b"[" * 100_000)], "no JSON", False),
        ([answer(200, b'["x"]')], "no JSON", False),
        ([said(200, token_type="bearer")], "no access token", False),
        ([said(200, access_token="a b", token_type="bearer")], "no access token", False),
        ([said(200, access_token="a\r\nX: y", token_type="bearer")], "no access token", False),
        ([said(200, access_token="abc", token_type="mac")], "bearer", False),
        ([b"SSH-2.0\r\n\r\n", CLOSE], "no HTTP", False),
        ([CLOSE], "cannot be reached", True),
        ([answer(200, b"{" + b" " * 1_100_000 + b"}")], "no JSON", False),
    ],
)
def test_an_endpoint_that_gives_no_token_is_explained(serve, ask, acts, words, retryable):
    server = serve(one_study)
    endpoint = serve(lambda _: acts)
    auth = oauth(type("Endpoint", (), {"url": endpoint.url}))
    err = refused(ask, server.url, auth)
    assert err.code == "no-token"
    assert err.retryable is retryable
    assert words in str(err)
    assert "SECRET" not in str(err)
    assert server.requests == []


def test_an_endpoint_that_stumbles_is_asked_again_in_the_one_layer_of_patience(serve, ask):
    endpoint = TokenEndpoint(serve)
    endpoint.answers = [answer(503, Retry_After="0")]
    server = serve(guarded(lambda: endpoint.now, one_study))
    assert ask(server.url, oauth(endpoint)) == ["1.2.3"]
    assert len(endpoint.server.requests) == 2


def test_a_silent_endpoint_is_left_within_the_stall_limit(serve, made, tmp_path):
    endpoint = serve(lambda _: [HANG])
    auth = oauth(type("Endpoint", (), {"url": endpoint.url}))
    finder = made(archive_of(tmp_path, serve(one_study).url, auth, stall=0.5), max_tries=1)
    begun = time.monotonic()
    with pytest.raises(TransferError, match="silent"):
        studies(finder)
    assert time.monotonic() - begun < 3


def test_an_endpoint_that_sends_a_byte_now_and_then_is_left_too(serve, made, tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint_module, "WHOLE", 0.4)
    drops: list[bytes | float] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" ", 0.1] * 40]
    endpoint = serve(lambda _: drops)
    auth = oauth(type("Endpoint", (), {"url": endpoint.url}))
    finder = made(archive_of(tmp_path, serve(one_study).url, auth, stall=5.0), max_tries=1)
    begun = time.monotonic()
    with pytest.raises(TransferError, match="takes too long"):
        studies(finder)
    assert time.monotonic() - begun < 3


def test_over_https_the_endpoint_has_an_authority_of_its_own(serve, ask, certificates):
    endpoint = TokenEndpoint(serve, tls=certificates.server())
    server = serve(guarded(lambda: endpoint.now, one_study))
    err = refused(ask, server.url, oauth(endpoint))
    assert "certificate is not trusted" in str(err)
    assert endpoint.server.requests == []
    assert ask(server.url, oauth(endpoint, ca=str(certificates.ca))) == ["1.2.3"]


@pytest.mark.parametrize("url", ["http://login.example/token", "http://192.0.2.1/token"])
def test_a_secret_goes_to_an_endpoint_over_https_only(ask, url):
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.auth\.token_url: .*https"):
        ask("https://127.0.0.1:1/", oauth(type("Endpoint", (), {"url": url})))
