"""Observers are told in order, change nothing, and never stop or delay a run, whatever they do."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time

import pytest

from pacsferry.core.audience import Audience
from pacsferry.core.events import HostAudit
from pacsferry.core.ledger import Ledger


class Keeping:
    def __init__(self):
        self.lines, self.closed = [], 0

    def tell(self, line):
        self.lines.append(line)

    def close(self):
        self.closed += 1


class Failing(Keeping):
    def tell(self, line):
        raise OSError("Mustermann^Max cannot be reached")


class Hanging(Keeping):
    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def tell(self, line):
        self.go.wait(30)
        super().tell(line)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as one:
        yield one


def audience(*observers, **more):
    return Audience("stroke", lambda: [(type(one).__name__, lambda one=one: one) for one in observers], **more)


def test_each_event_is_told_after_it_is_on_record_and_in_order(ledger):
    kept = Keeping()
    told = audience(kept)
    ledger.observe(told)
    run = ledger.start_run("load", details={"requests": 2})
    ledger.note(run, "distress", outcome="http-503", details={"seconds": 1.5})
    ledger.end_run(run, "ok", {"loaded": 2})
    assert told.flush() == []
    events = list(ledger.events())
    assert [(one.seq, one.action, one.hash, one.prev) for one in kept.lines] == [
        (one.seq, one.action, one.hash, one.prev) for one in events
    ]
    assert kept.lines[-1].hash == ledger.head()
    assert {one.trail for one in kept.lines} == {"stroke"}
    told.close()
    assert kept.closed == 1


def test_what_is_rolled_back_is_not_told(ledger):
    kept = Keeping()
    told = audience(kept)
    ledger.observe(told)
    run = ledger.start_run("load")
    with pytest.raises(ValueError, match="no detail"):
        ledger.note(run, "x", details={"patient_name": 1})
    ledger.end_run(run, "ok", {})
    told.flush()
    assert [one.action for one in kept.lines] == ["run-started", "run-ended"]


def test_a_line_cannot_be_changed(ledger):
    kept = Keeping()
    told = audience(kept)
    ledger.observe(told)
    run = ledger.start_run("load")
    ledger.end_run(run, "ok", {"loaded": 2})
    told.flush()
    line = kept.lines[-1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        line.outcome = "failed"
    with pytest.raises(TypeError):
        line.details["counts"]["loaded"] = 3
    assert ledger.check_chain().ok


def test_a_failure_is_logged_by_its_type_once_and_told_at_the_end(ledger, caplog):
    kept = Keeping()
    told = audience(Failing(), kept)
    ledger.observe(told)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            ledger.start_run("load")
        (warning,) = told.flush()
    assert len(kept.lines) == 5, "others are told"
    assert [record.message for record in caplog.records] == ["observer Failing failed (OSError); the run goes on"]
    assert warning == "observer Failing was not told every audit line: 5 failed (OSError); the trail has them all"
    assert "Mustermann" not in caplog.text
    told.close()


def test_one_that_hangs_delays_nobody_and_what_finds_no_room_is_counted(ledger):
    slow = Hanging()
    told = audience(slow, room=3)
    ledger.observe(told)
    began = time.monotonic()
    for _ in range(10):
        ledger.start_run("load")
    assert time.monotonic() - began < 10
    (warning,) = told.flush(0.2)
    assert "found no room" in warning
    assert "still wait" in warning
    began = time.monotonic()
    told.close(0.2)
    assert time.monotonic() - began < 3
    slow.go.set()


def test_one_that_cannot_be_built_is_logged_by_type(ledger, caplog):
    def broken():
        raise RuntimeError("Mustermann")

    told = Audience("p", lambda: [("odd", broken)])
    ledger.observe(told)
    with caplog.at_level(logging.WARNING):
        ledger.start_run("load")
        assert told.flush() != []
    assert "observer odd cannot be built (RuntimeError)" in caplog.text
    assert "Mustermann" not in caplog.text
    told.close()


def test_the_hosts_own_trail_is_told_too(tmp_path):
    kept = Keeping()
    told = Audience("", lambda: [("kept", lambda: kept)])
    with HostAudit(tmp_path, told=told) as trail:
        event = trail.append("echo", "main-pacs", details={"services": 2})
    told.close()
    assert [(one.trail, one.seq, one.hash) for one in kept.lines] == [("", 1, event.hash)]


def test_nobody_is_built_where_nothing_happens(ledger):
    told = Audience("p", lambda: pytest.fail("built for nothing"))
    ledger.observe(told)
    assert list(ledger.runs()) == []
    assert told.flush() == []
    told.close()
