"""A real Orthanc that wants to know who asks: users of its own, and TLS with certificates on both sides in front."""

from __future__ import annotations

import http.client

import pytest

from pacsferry.testing.samples import ct_study, part10
from support.peers import HOST
from support.sites import Site
from support.tls_front import TlsFront
from support.web_archive import Certificates, basic

pytestmark = pytest.mark.peers
USER = {"AuthenticationEnabled": True, "RegisteredUsers": {"ferry": "s3cret"}}
AUTH = """
[archive.dicomweb]
url = "{url}"
auth = {auth}
{more}
"""


@pytest.fixture
def archive(make_orthanc):
    """Filled over its REST API, which wants the same credentials."""
    server = make_orthanc(**USER)
    line = http.client.HTTPConnection(HOST, server.http_port, timeout=20)
    for ds in ct_study(slices=3, rows=32, columns=32, accession="WHO1"):
        line.request("POST", "/instances", body=part10(ds), headers={"Authorization": basic("ferry", "s3cret")})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 200
    line.close()
    return server


@pytest.fixture
def load(tmp_path):
    """Load over WADO-RS from an address, as somebody."""

    def loaded(archive, url: str, auth: str, more: str = ""):
        site = Site(folder=tmp_path, ae_title=archive.aet, dimse_port=archive.dicom_port)
        return site.load("WHO1", over="wado-rs", extra=AUTH.format(url=url, auth=auth, more=more))

    return loaded


def test_a_user_of_orthanc_loads_a_study_and_nobody_else_does(archive, load, monkeypatch):
    user = '{ use = "basic", username = "ferry", password = "env:WHO" }'
    for auth, password in ((user, "wr0ng-one"), ('{ use = "none" }', "")):
        monkeypatch.setenv("WHO", password)
        done = load(archive, archive.dicomweb_url, auth)
        assert done.exit_code == 4
        assert done.rows[0].reasons == {"http-401": 1}
        assert "wr0ng-one" not in repr(done)
    monkeypatch.setenv("WHO", "s3cret")
    done = load(archive, archive.dicomweb_url, user)
    assert (done.exit_code, done.rows[0].stored) == (0, 3)


def test_certificates_on_both_sides(make_orthanc, load, tmp_path):
    server = make_orthanc()
    server.upload(part10(ds) for ds in ct_study(slices=3, rows=32, columns=32, accession="WHO1"))
    certificates = Certificates(tmp_path)
    certificates.client("ferry.example")
    front = TlsFront(server.http_port, certificates.server(clients=True))
    url, trusted = f"{front.origin}/dicom-web", f'ca = "{certificates.ca}"'
    done = load(server, url, '{ use = "mtls", cert = "client.pem", key = "client.key" }', trusted)
    assert (done.exit_code, done.rows[0].stored) == (0, 3)
    assert set(front.names) == {"ferry.example"}
    assert load(server, url, '{ use = "none" }', trusted).exit_code == 4
    assert front.refused > 0
    front.stop()
