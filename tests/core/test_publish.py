"""Batches go out when they are full, when nothing comes, and at once when somebody waits for the last of them."""

import threading
import time

import pytest

from pacsferry.core import publish
from pacsferry.core.intake import Received
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import InstanceState
from pacsferry.core.model import Outcome
from pacsferry.core.publish import Publisher, Work
from pacsferry.core.workers import Answer
from support.ledgers import SERIES, STUDY, instance, plan


@pytest.fixture
def begun(tmp_path):
    """A publisher and the work on one study, of which four instances are expected."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        run = ledger.start_run("load")
        ledger.expect(run, plan(4))
        publisher = Publisher(ledger, run, tmp_path, tmp_path, lambda _: None)
        yield publisher, Work(ledger.lease(STUDY), "case0001"), ledger
        publisher.close()


def held(number):
    received = Received(key=instance(number), series=SERIES, sop_class="1.2", arrival=None)
    return received, Answer(outcome=Outcome.HOLD, code="malformed")


def hand_over(work, count):
    for _ in range(count):
        work.handed_over()


def waiting(work):
    """A thread that waits for the end of the work, once it really does."""
    thread = threading.Thread(target=work.drain)
    thread.start()
    while not work.ends_with(10**6):
        time.sleep(0.001)
    return thread


def test_the_last_batch_waits_for_nothing(begun, monkeypatch):
    monkeypatch.setattr(publish, "_LULL", 20.0)
    monkeypatch.setattr(publish, "PATIENCE", 20.0)
    publisher, work, ledger = begun
    hand_over(work, 4)
    thread = waiting(work)
    began = time.monotonic()
    for number in range(4):
        publisher.put(work, *held(number))
    thread.join(15)
    assert not thread.is_alive()
    assert time.monotonic() - began < 10
    assert set(ledger.instance_states(STUDY).values()) == {InstanceState.HELD}


def test_while_more_is_under_way_a_batch_waits_for_a_lull(begun, monkeypatch):
    monkeypatch.setattr(publish, "_LULL", 0.3)
    publisher, work, ledger = begun
    hand_over(work, 3)
    thread = waiting(work)
    publisher.put(work, *held(0))
    publisher.put(work, *held(1))
    assert not work.settled
    publisher.put(work, *held(2))
    thread.join(10)
    assert len(work.settled) == 3
    recorded = [event for event in ledger.events() if event.action == "recorded"]
    assert len(recorded) == 1


def test_a_batch_goes_out_without_anybody_waiting(begun):
    publisher, work, _ = begun
    hand_over(work, 2)
    publisher.put(work, *held(0))
    end = time.monotonic() + 10
    while not work.settled and time.monotonic() < end:
        time.sleep(0.005)
    assert list(work.settled) == [instance(0)]
    work.finished(1)
