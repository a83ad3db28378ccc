from __future__ import annotations

import json

import pytest

from pacsferry.app.wiring import known
from pacsferry.core import registry
from pacsferry.core.archive import Archive, Dicomweb, Timeouts
from pacsferry.core.model import Level, Query
from pacsferry.plugins.dicomweb import QidoSettings, WadoSettings
from pacsferry.plugins.dicomweb.query import Qido
from support.scripted_http import answer, serving
from support.web_archive import SECRET, Certificates

REGISTRY = registry.load(external=False)
ROW = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}


def one_study(request):
    """An archive with one study."""
    body = [] if "offset" in request.target else [ROW]
    return [answer(200, json.dumps(body).encode(), Content_Type="application/dicom+json")]


def archive_of(base, url: str | None, auth: dict, *, stall: float = 5, **web) -> Archive:
    """As the composition root makes it: settings checked, secrets not read yet."""
    archive = Archive(
        name="test",
        dicomweb=Dicomweb(**{"url": url, "auth": auth, **web}),
        timeouts=Timeouts(stall=stall, connect=5),
    )
    return known(archive.at(base), REGISTRY)


@pytest.fixture
def serve():
    """Start a scripted server."""
    with serving() as start:
        yield start


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("WEB_SECRET", SECRET)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def made():
    """Build finders and transports; closed at the end."""
    built = []

    def make(archive: Archive, kind: type = Qido, **settings):
        model = QidoSettings if kind is Qido else WadoSettings
        built.append(kind(archive, model(**{"max_tries": 2, "max_wait": 2, **settings})))
        return built[-1]

    yield make
    for one in built:
        one.close()


@pytest.fixture
def ask(tmp_path, made):
    """The studies that an archive gives to somebody with these settings."""

    def studies(url: str, auth: dict, **more) -> list[str]:
        finder = made(archive_of(tmp_path, url, auth, **more))
        return [found.text("StudyInstanceUID") for found in finder.find(Query(level=Level.STUDY))]

    return studies
