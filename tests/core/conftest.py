import pytest

from pacsferry.core.hoststate import HostState


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved, for everything that hosts share."""

    class Clock:
        now = 1_000_000.0

    one = Clock()
    monkeypatch.setattr(HostState, "clock", staticmethod(lambda: one.now))
    return one
