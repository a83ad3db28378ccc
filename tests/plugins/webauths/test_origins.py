"""Credentials, cookies and fields of ours never leave the configured origin; a foreign port records all it gets."""

from __future__ import annotations

import json
import socket

import pytest

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Query, Receipt, Wanted
from pacsferry.plugins.dicomweb.retrieve import Wado
from support.scripted_http import Server, answer, in_turn, study
from support.web_archive import CLIENT, SECRET, TokenEndpoint, basic, guarded

from .conftest import ROW, archive_of, one_study

WAYS = ("basic", "bearer", "oauth2-client")
OBJECT = b"DICM" * 100
KINDS = {"qido": Level.STUDY, "wado": None}


class Sink:
    def accept(self, head, chunks):
        list(chunks)
        return Receipt.KEPT


class Foreign(Server):
    """Another origin: notes each connection, whatever is said on it."""

    @property
    def touched(self) -> bool:
        return bool(self.requests or self._lines)


@pytest.fixture
def foreign():
    server = Foreign(lambda _: [study([OBJECT])])
    yield server
    server.stop()


@pytest.fixture
def auth(request, serve, monkeypatch):
    """Settings of one way to prove who we are."""
    monkeypatch.setenv("WEB_TOKEN", "t0ken.t0ken")
    endpoint = TokenEndpoint(serve)
    secret = {"client_id": CLIENT, "client_secret": "env:WEB_SECRET"}
    return {
        "basic": {"use": "basic", "username": "ferry", "password": "env:WEB_SECRET"},
        "bearer": {"use": "bearer", "token": "env:WEB_TOKEN"},
        "oauth2-client": {"use": "oauth2-client", "token_url": endpoint.url, **secret},
    }[request.param]


def do(made, archive, what: str) -> TransferError | None:
    """Ask the archive for something; its error, if there was one."""
    try:
        if what == "qido":
            list(made(archive, max_tries=1).find(Query(level=Level.STUDY)))
        else:
            made(archive, Wado, max_tries=1).fetch(Wanted(study="1.2.3"), Sink())
    except TransferError as err:
        return err
    return None


@pytest.mark.parametrize("auth", WAYS, indirect=True)
@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_not_even_connected_to(serve, made, foreign, tmp_path, auth, what, status):
    server = serve(lambda _: [answer(status, Location=f"{foreign.url}/studies/1.2.3", Set_Cookie="session=abc")])
    err = do(made, archive_of(tmp_path, server.url, auth), what)
    assert (err.code, err.retryable) == ("http-redirect", False)
    assert not foreign.touched
    assert all("authorization" in request.headers for request in server.requests)


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "127.0.0.1.", "0.0.0.0", "[::1]", "2130706433"])
def test_another_name_of_the_same_host_is_another_origin(serve, made, tmp_path, auth, host):
    def away(request):
        port = server.origin.rpartition(":")[2]
        return [study([OBJECT]) if "moved" in request.path else answer(302, Location=f"http://{host}:{port}/moved")]

    server = serve(away)
    assert do(made, archive_of(tmp_path, server.url, auth), "wado") is not None
    assert len(server.requests) == 1


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
def test_addresses_inside_of_answers_are_not_followed(serve, made, foreign, tmp_path, auth):
    bulk = {"7FE00010": {"vr": "OW", "BulkDataURI": f"{foreign.url}/bulk/1"}}
    url = {"00081190": {"vr": "UR", "Value": [f"{foreign.url}/studies/1.2.3"]}}

    def tempting(request):
        body = [] if "offset" in request.target else [{**ROW, **bulk, **url}]
        fields = {"Link": f'<{foreign.url}/studies?offset=1>; rel="next"', "Content_Location": foreign.url}
        return [answer(200, json.dumps(body).encode(), Location=foreign.url, **fields)]

    server = serve(tempting)
    assert do(made, archive_of(tmp_path, server.url, auth), "qido") is None
    assert not foreign.touched


@pytest.mark.parametrize("auth", WAYS, indirect=True)
def test_no_cookie_is_kept(serve, made, tmp_path, auth):
    def tempting(request):
        return [
            answer(200, json.dumps([] if "offset" in request.target else [ROW]).encode(), Set_Cookie="id=1; Path=/")
        ]

    server = serve(tempting)
    assert do(made, archive_of(tmp_path, server.url, auth), "qido") is None
    assert len(server.requests) == 2
    assert not [request for request in server.requests if "cookie" in request.headers]


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
def test_the_roots_of_a_profile_may_redirect_to_each_other(serve, made, tmp_path, auth):
    wado = serve(guarded(basic("ferry", SECRET), lambda _: [study([OBJECT])]))
    qido = serve(lambda _: [answer(307, Location=f"{wado.url}/studies/1.2.3")])
    archive = archive_of(tmp_path, None, auth, qido=wado.url, wado=qido.url)
    assert do(made, archive, "wado") is None
    assert wado.requests[0].headers["authorization"] == basic("ferry", SECRET)


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
def test_but_not_from_https_to_http(serve, made, tmp_path, certificates, auth):
    plain = serve(lambda _: [study([OBJECT])])
    secure = serve(lambda _: [answer(308, Location=f"{plain.url}/x")], tls=certificates.server())
    roots = {"qido": plain.url, "wado": secure.url, "ca": str(certificates.ca)}
    err = do(made, archive_of(tmp_path, None, auth, **roots), "wado")
    assert err.code == "http-redirect"
    assert len(secure.requests) == 1
    assert plain.requests == []


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
def test_a_proxy_is_asked_for_a_tunnel_and_learns_nothing_else(serve, made, tmp_path, auth):
    proxy = serve(lambda _: [answer(502)])
    archive = archive_of(tmp_path, "https://archive.invalid/dicom-web", auth, proxy=proxy.origin)
    assert do(made, archive, "qido").code == "unreachable"
    request = proxy.requests[0]
    assert (request.method, request.target) == ("CONNECT", "archive.invalid:443")
    assert not {"authorization", "cookie", "proxy-authorization"} & request.headers.keys()


@pytest.mark.parametrize("auth", ["basic"], indirect=True)
def test_credentials_go_through_a_tunnel_to_the_archive_only(serve, made, tmp_path, certificates, auth):
    archive_server = serve(guarded(basic("ferry", SECRET), one_study), tls=certificates.server())
    port = int(archive_server.origin.rpartition(":")[2])
    proxy = Tunnel(port)
    archive = archive_of(tmp_path, archive_server.url, auth, proxy=proxy.url, ca=str(certificates.ca))
    assert do(made, archive, "qido") is None
    assert b"uthorization" not in proxy.heard
    proxy.stop()


class Tunnel:
    """A proxy that knows CONNECT, and remembers what it can read."""

    def __init__(self, port: int) -> None:
        import threading

        self._port, self.heard = port, b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        import contextlib
        import threading

        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += line.recv(1)
                self.heard += head
                line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                onward = socket.create_connection(("127.0.0.1", self._port))
                for one, other in ((line, onward), (onward, line)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        import contextlib

        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.heard += data
                other.sendall(data)
        for line in (one, other):
            line.close()


@pytest.mark.parametrize("auth", WAYS, indirect=True)
def test_the_field_is_gone_where_a_server_ends_up_elsewhere_later(serve, made, foreign, tmp_path, auth):
    """First within the origin, then out of it."""
    server = serve(in_turn([answer(302, Location="/dicom-web/next")], [answer(302, Location=foreign.url)]))
    assert do(made, archive_of(tmp_path, server.url, auth), "wado").code == "http-redirect"
    assert len(server.requests) == 2
    assert not foreign.touched


def test_a_signature_is_made_anew_for_each_address(serve, made, tmp_path):
    """As a plugin does that signs requests: a redirect is another request."""
    from pacsferry.core.ports import Proof

    class Signing:
        proof = Proof.HEADERS

        def headers(self, method, url):
            return {"X-Signature": f"{method} {url.rpartition('/')[2]}"}

        def renew(self, refused):
            return False

        def secure(self, context):
            pass

    server = serve(in_turn([answer(307, Location="/dicom-web/moved")], [study([OBJECT])]))
    archive = archive_of(tmp_path, server.url, {}).known_by(Signing)
    assert do(made, archive, "wado") is None
    assert [request.headers["x-signature"] for request in server.requests] == ["GET 1.2.3", "GET moved"]


def test_what_a_plugin_gives_is_checked(serve, made, tmp_path):
    from pacsferry.core.errors import ConfigError, FerryError
    from pacsferry.core.guarded import GuardedAuthenticator
    from pacsferry.core.ports import Proof

    class Bad:
        proof = Proof.HEADERS

        def __init__(self, given):
            self.given = given

        def headers(self, method, url):
            if isinstance(self.given, Exception):
                raise self.given
            return self.given

        def renew(self, refused):
            return False

        def secure(self, context):
            pass

    server = serve(one_study)
    for given, code in (
        ({"Host": "elsewhere"}, None),
        ({"X-Key": "SECRET\r\nX-Other: 1"}, None),
        ({"X Key": "SECRET"}, None),
        (ZeroDivisionError("SECRET"), "web-auth-failed"),
        ({"X-Key": 3}, "web-auth-failed"),
    ):
        guarded_auth = GuardedAuthenticator("bad", lambda it=given: Bad(it))
        finder = made(archive_of(tmp_path, server.url, {}).known_by(lambda it=guarded_auth: it))
        with pytest.raises(FerryError) as caught:
            list(finder.find(Query(level=Level.STUDY)))
        assert getattr(caught.value, "code", None) == code
        assert isinstance(caught.value, ConfigError) is (code is None)
        assert "SECRET" not in str(caught.value)
    assert server.requests == []


def test_a_plugin_that_does_not_say_where_its_proof_goes_is_none():
    from pacsferry.core.guarded import GuardedAuthenticator

    with pytest.raises(TransferError) as caught:
        GuardedAuthenticator("bad", object)
    assert (caught.value.code, caught.value.retryable) == ("web-auth-failed", False)
