from __future__ import annotations

import pytest

from support.scripted_http import serving
from support.web_archive import CLIENT, SECRET, Certificates, TokenEndpoint


@pytest.fixture
def web_secrets(tmp_path, monkeypatch):
    """Settings of each built-in web auth, with secrets that are there."""
    monkeypatch.setenv("KIT_SECRET", SECRET)
    monkeypatch.setenv("KIT_TOKEN", "abcdefgh.12345678")
    cert, key = Certificates(tmp_path).client()
    with serving() as serve:
        yield {
            "none": {},
            "basic": {"username": "kit", "password": "env:KIT_SECRET"},
            "bearer": {"token": "env:KIT_TOKEN"},
            "oauth2-client": {
                "token_url": TokenEndpoint(serve).url,
                "client_id": CLIENT,
                "client_secret": "env:KIT_SECRET",
            },
            "mtls": {"cert": str(cert), "key": str(key)},
        }
