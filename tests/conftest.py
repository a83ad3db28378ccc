"""Fixtures for every test: the real archives of ``support.peers``, and a machine on which nothing was done before."""

import pytest

pytest_plugins = ["support.peers"]


@pytest.fixture
def own_state(tmp_path, monkeypatch):
    """Leases, audit trail and history in the test's own folder, which is the current one too; no site by default."""
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("PACSFERRY_SITE", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
