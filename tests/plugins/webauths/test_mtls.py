"""Certificates on both sides, before servers that check ours."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import ConfigError, TransferError
from support.certificates import server_context
from support.web_archive import SECRET, Certificates

from .conftest import one_study


def mtls(pair, **more) -> dict:
    return {"use": "mtls", "cert": str(pair[0]), "key": str(pair[1]), **more}


def refused(ask, url, auth, **more) -> TransferError:
    with pytest.raises(TransferError) as caught:
        ask(url, auth, **more)
    return caught.value


def test_our_certificate_is_shown(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server(clients=True))
    assert ask(server.url, mtls(certificates.client("ferry.example")), ca=str(certificates.ca)) == ["1.2.3"]
    names = server.requests[0].certificate["subjectAltName"]
    assert names == (("DNS", "ferry.example"),)


def test_paths_count_from_the_profile_and_the_authority_may_stand_with_the_certificate(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server(clients=True))
    certificates.client()
    assert certificates.ca.name == "ca.pem"
    assert ask(server.url, {"use": "mtls", "cert": "client.pem", "key": "file:client.key", "ca": "ca.pem"}) == ["1.2.3"]


def test_a_key_may_have_a_password(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server(clients=True))
    pair = certificates.client(password=SECRET)
    assert ask(server.url, mtls(pair, key_password="env:WEB_SECRET"), ca="ca.pem" if certificates.ca else "") == [
        "1.2.3"
    ]


@pytest.mark.parametrize("given", [{}, {"key_password": "env:WEB_OTHER"}])
def test_a_key_that_cannot_be_opened_is_a_configuration_error_and_nobody_is_asked(
    serve, ask, certificates, monkeypatch, given
):
    monkeypatch.setenv("WEB_OTHER", "wrong")
    server = serve(one_study, tls=certificates.server(clients=True))
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.auth: certificate and key"):
        ask(server.url, mtls(certificates.client(password=SECRET), **given))
    assert server.requests == []


def test_a_key_that_others_can_read_is_refused(ask, certificates):
    pair = certificates.client()
    pair[1].chmod(0o644)
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.auth\.key: group or others"):
        ask("https://127.0.0.1:1/", mtls(pair))


@pytest.mark.parametrize("key", ["cert", "key", "ca"])
def test_a_file_that_is_not_there_is_named(ask, certificates, key):
    with pytest.raises(ConfigError, match=rf"archive\.dicomweb\.auth\.{key}: cannot read"):
        ask("https://127.0.0.1:1/", {**mtls(certificates.client()), key: "nowhere.pem"})


def test_an_authority_file_without_certificates_is_named(serve, ask, certificates, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    server = serve(one_study, tls=certificates.server())
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.ca: .* no certificates"):
        ask(server.url, {}, ca="empty.pem")
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.auth\.ca: .* no certificates"):
        ask(server.url, mtls(certificates.client(), ca="empty.pem"))


def test_without_our_certificate_nobody_answers_and_we_know_why(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server(clients=True))
    err = refused(ask, server.url, {}, ca=str(certificates.ca))
    assert server.requests == []
    # It depends on who is faster whether the alert that says so is still read.
    assert (err.code, err.retryable) in (("http-401", False), ("aborted", True))
    assert "archive.dicomweb.auth" in f"{err} {err.hint}"


def test_a_certificate_of_somebody_else_is_not_accepted(serve, ask, certificates, tmp_path):
    server = serve(one_study, tls=certificates.server(clients=True))
    (tmp_path / "other").mkdir()
    stranger = Certificates(tmp_path / "other").client()
    refused(ask, server.url, mtls(stranger), ca=str(certificates.ca))
    assert server.requests == []


def test_a_client_certificate_needs_https(ask, certificates):
    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.url: a client certificate needs https"):
        ask("http://127.0.0.1:1/dicom-web", mtls(certificates.client()))


# Whom we trust.


def test_the_archives_certificate_is_always_checked(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server())
    err = refused(ask, server.url, {})
    assert (err.code, err.retryable) == ("tls", False)
    assert "authority" in str(err)
    assert "archive.dicomweb.ca" in err.hint
    assert server.requests == []


def test_and_so_is_its_name(serve, ask, certificates):
    server = serve(one_study, tls=certificates.server("elsewhere.example"))
    err = refused(ask, server.url, {}, ca=str(certificates.ca))
    assert "another host" in str(err)
    assert server.requests == []


def test_and_that_it_is_still_valid(serve, ask, certificates):
    server = serve(one_study, tls=server_context(certificates.expired("server")))
    assert "expired" in str(refused(ask, server.url, {}, ca=str(certificates.ca)))


def test_an_authority_of_the_profile_replaces_all_others(serve, ask, certificates, tmp_path, monkeypatch):
    server = serve(one_study, tls=certificates.server())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    assert ask(server.url, {}) == ["1.2.3"]
    (tmp_path / "other").mkdir()
    refused(ask, server.url, {}, ca=str(Certificates(tmp_path / "other").ca))
