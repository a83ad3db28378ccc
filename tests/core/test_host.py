"""Where a host keeps what belongs to no project."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacsferry.core import host


def test_the_environment_wins_then_the_shared_folder_then_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "SHARED", tmp_path / "shared")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PACSFERRY_STATE", raising=False)
    assert host.state_folder() == host.user_state_folder() == tmp_path / "user/pacsferry"
    (tmp_path / "shared").mkdir()
    assert host.state_folder() == tmp_path / "shared"
    assert host.user_state_folder() == tmp_path / "user/pacsferry"
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "set"))
    assert host.state_folder() == host.user_state_folder() == tmp_path / "set"
    assert not (tmp_path / "set").exists()
