"""What the processes of a host keep together: nobody waits for ever for one that sleeps."""

from __future__ import annotations

import fcntl

from pacsferry.core import hoststate
from pacsferry.core.hoststate import HostState


def test_a_process_that_sleeps_over_the_file_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(hoststate, "PATIENCE", 0.05)
    path = tmp_path / "state" / "numbers"
    ours, others = HostState(path), HostState(path)
    with others.changing() as kept:
        kept["paid"] = 1
    with path.open("r+b") as asleep:
        fcntl.flock(asleep, fcntl.LOCK_EX)
        with ours.changing() as kept:
            assert kept == {}
            kept["paid"] = 7
        assert ours.look() == {"paid": 7}
    assert {key: value for key, value in ours.look().items() if key != "boot"} == {"paid": 1}
