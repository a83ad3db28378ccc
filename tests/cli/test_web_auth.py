"""`check` of how we prove who we are: every mistake with its address, nobody contacted, no secret shown."""

from __future__ import annotations

import pytest

from support.commands import call

SITE = """
extends = "research-base"
[archive]
name = "web"
[archive.dicomweb]
url = "{url}"
auth = {auth}
{more}
[[transport]]
use = "wado-rs"
"""
BASIC = '{ use = "basic", username = "ferry", password = "env:WEB_PASSWORD" }'
HERE, THERE = "http://127.0.0.1:1/dicom-web", "http://192.0.2.7/dicom-web"


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEB_PASSWORD", "s3cret-word")

    def checked(url: str, auth: str, more: str = "") -> tuple[int, dict[str, tuple[str, str]]]:
        (tmp_path / "site.toml").write_text(SITE.format(url=url, auth=auth, more=more))
        answer = call("check", "--site", "./site.toml", "--json")
        assert "s3cret-word" not in answer.out + answer.err
        return answer.code, {one["where"]: (one["status"], one["text"]) for one in answer.document["checks"]}

    return checked


def test_all_is_well(check):
    code, lines = check(HERE, BASIC)
    assert code == 0
    assert lines["archive.dicomweb.auth"][0] == "ok"


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ('{ use = "basic", username = "ferry", password = "s3cret-word" }', "auth.password: write a reference"),
        ('{ use = "basic", username = "ferry", password = "env:NOT_SET" }', "NOT_SET is not set"),
        ('{ use = "basic", username = "ferry" }', "auth.password: missing"),
        ('{ use = "basik" }', "did you mean 'basic'?"),
        ('{ use = "mtls", cert = "nowhere.pem" }', "cannot read"),
        (
            '{ use = "oauth2-client", token_url = "http://login.example/", client_id = "a", client_secret = "env:WEB_PASSWORD" }',
            "https",
        ),
    ],
)
def test_each_mistake_has_its_address(check, auth, said):
    code, lines = check(HERE, auth)
    assert code == 2
    status, text = lines["archive.dicomweb.auth"]
    assert status == "failed"
    assert said in text
    assert "archive.dicomweb.auth" in text


def test_credentials_that_would_travel_unencrypted(check):
    code, lines = check(THERE, BASIC)
    assert code == 2
    assert "unencrypted" in lines["wiring"][1]
    code, lines = check(THERE, BASIC, "credentials_over_http = true")
    assert code == 0
    assert "WARNING" in lines["archive.dicomweb.credentials_over_http"][1]
