"""Secrets are references; a file that others can read is refused, and nothing that was read is ever shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pacsferry.core.errors import ConfigError
from pacsferry.profiles.secrets import lines, reference, secret

WHERE = "exclude.patients"


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refused(ref: str, base: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        secret(ref, base, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: ")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return f"{caught.value} {caught.value.hint}"


def test_each_scheme_gives_what_it_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setenv("FERRY_TOKEN", "s3cret")
    monkeypatch.setattr(keyring, "get_password", lambda service, user: f"{service}|{user}")
    private(tmp_path / "token", b"s3cret\n")
    for ref, value in {
        "env:FERRY_TOKEN": "s3cret",
        "file:token": "s3cret",
        f"file:{tmp_path}/token": "s3cret",
        "cmd:printf 's3cret\\n'": "s3cret",
        "keyring:ferry/me/too": "ferry|me/too",
    }.items():
        found = secret(ref, tmp_path, WHERE)
        assert found.get_secret_value() == value
        assert value not in repr(found) + str(found)


@pytest.mark.parametrize("literal", ["hunter2", "", "env:", "file: ", "http://x", "FILE:x", "keyring:x", "token:abc"])
def test_a_literal_is_refused_without_repeating_it(literal: str) -> None:
    with pytest.raises(ValueError, match="write") as caught:
        reference(literal)
    assert not literal.strip() or literal.partition(":")[2].strip() == "" or literal not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o610])
def test_a_file_that_group_or_others_can_touch_is_refused(mode: int, tmp_path: Path) -> None:
    private(tmp_path / "token", b"s3cret", mode)
    said = refused("file:token", tmp_path)
    assert "only its owner may" in said
    assert "chmod 600" in said
    assert "s3cret" not in said


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    private(tmp_path / "bytes", b"\xff\xfe")
    assert "No such file" in refused("file:none", tmp_path)
    assert "no file" in refused("file:pipe", tmp_path)
    assert "not UTF-8" in refused("file:bytes", tmp_path)
    assert "is not set" in refused("env:FERRY_NOT_SET", tmp_path)
    assert "ended with 3" in refused(f"cmd:{sys.executable} -c 'print(\"s3cret\"); exit(3)'", tmp_path)
    assert "could not be run" in refused("cmd:/no/such/program", tmp_path)
    assert "could not be run" in refused("cmd:unbalanced 'quote", tmp_path)


def test_a_command_that_fails_does_not_show_what_it_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = refused(f"cmd:{sys.executable} -c 'import sys; print(\"s3cret\", file=sys.stderr); exit(1)'", tmp_path)
    assert "s3cret" not in said + "".join(capfd.readouterr())


def test_an_empty_keyring_says_what_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setattr(keyring, "get_password", lambda *_: None)
    assert "nothing for ferry/me" in refused("keyring:ferry/me", tmp_path)

    def locked(*_: str) -> str:
        msg = "s3cret"
        raise RuntimeError(msg)

    monkeypatch.setattr(keyring, "get_password", locked)
    said = refused("keyring:ferry/me", tmp_path)
    assert "RuntimeError" in said
    assert "s3cret" not in said


def test_a_list_has_comments_blanks_a_byte_order_mark_and_each_line_once(tmp_path: Path) -> None:
    private(tmp_path / "list", b"\xef\xbb\xbf# who objected\r\nPAT-1  # since May\r\n\r\n PAT#2 \nPAT-1\n\t#x\nPAT-3")
    assert lines("file:list", tmp_path, WHERE) == ("PAT-1", "PAT#2", "PAT-3")
