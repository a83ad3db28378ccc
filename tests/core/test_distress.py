"""An archive in distress: everybody on the host pauses, one tries for all, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from pacsferry.core import distress as module
from pacsferry.core.distress import TRIP, Breaker
from pacsferry.core.errors import InterruptedRun, TransferError
from pacsferry.core.hoststate import HostState
from support.ledgers import python


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "archives" / "a.health.json"


class Stop:
    """An event whose waiting moves the clock."""

    def __init__(self, clock):
        self.clock, self.set_ = clock, False

    def wait(self, seconds):
        self.clock.now += seconds
        return self.set_


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda _low, high: high)


def breaker(path, clock, *, first=1.0, patience=600.0, noted=lambda *_: None):
    return Breaker(path, "a:1", first=first, patience=patience, stop=Stop(clock), noted=noted)


def waited(one, clock):
    began, said = clock.now, []
    one.wait(said.append)
    return round(clock.now - began, 1), said


def sign(one, clock, code="http-503", **more):
    one.heard(code, began=clock.now, **more)


def trip(one, clock):
    for _ in range(TRIP):
        waited(one, clock)
        sign(one, clock)


def test_a_healthy_archive_waits_for_nothing_and_nothing_is_written(path, clock):
    one = breaker(path, clock)
    for _ in range(10):
        assert waited(one, clock) == (0, [])
        one.heard("", began=clock.now)
    assert not path.exists()


def test_pauses_double_with_each_sign_and_are_told_once(path, clock):
    one = breaker(path, clock)
    pauses = []
    for _ in range(4):
        sign(one, clock)
        seconds, said = waited(one, clock)
        pauses.append(seconds)
        assert len(said) == 1
    assert pauses == [1, 2, 4, 8]
    assert said == ["a:1 shows signs of distress (http-503, 4 times in a row): pausing 8.0 s"]


def test_everybody_on_the_host_pauses(path, clock):
    sign(breaker(path, clock), clock)
    assert waited(breaker(path, clock), clock)[0] == 1


def test_requests_that_fail_together_are_one_sign(path, clock):
    one, began = breaker(path, clock), clock.now
    clock.now += 5
    for _ in range(TRIP + 1):
        one.heard("aborted", began=began)
    assert waited(one, clock)[0] == 1
    assert not one.tripped()


def test_one_success_makes_up_for_more_than_one_sign(path, clock):
    one = breaker(path, clock)
    for _ in range(20):
        sign(one, clock)
        assert waited(one, clock)[0] == 1
        one.heard("", began=clock.now)
    assert not one.tripped()


def test_a_success_that_began_before_the_sign_proves_nothing(path, clock):
    one, early = breaker(path, clock), clock.now
    clock.now += 1
    sign(one, clock)
    sign(one, clock)
    one.heard("", began=early)
    assert json.loads(path.read_bytes())["signs"] == 2


def test_what_is_no_sign_of_load_does_not_grow(path, clock):
    one = breaker(path, clock)
    for _ in range(TRIP + 2):
        sign(one, clock, "cannot-perform")
        assert waited(one, clock)[0] == 1
    assert not one.tripped()


@pytest.mark.parametrize("code", ["http-404", "not-found", "sub-operation-failed", "destination-unknown", "no-context"])
def test_an_answer_is_an_answer_even_if_it_is_no(path, clock, code):
    one = breaker(path, clock)
    sign(one, clock)
    sign(one, clock, code)
    assert json.loads(path.read_bytes())["signs"] == 0


@pytest.mark.parametrize("code", ["interrupted", "no-space", "distress", "outside-hours", "transport-failed"])
def test_what_we_did_ourselves_says_nothing_of_the_archive(path, clock, code):
    one = breaker(path, clock)
    sign(one, clock)
    sign(one, clock, code)
    assert json.loads(path.read_bytes())["signs"] == 1


def test_the_archive_may_say_how_long(path, clock):
    one = breaker(path, clock)
    sign(one, clock, "http-429", retry_after=30)
    assert waited(one, clock)[0] == 30
    one.heard("", began=clock.now)
    sign(one, clock, "http-429", retry_after=1e9)
    assert waited(one, clock)[0] == 300


def test_from_the_fifth_sign_on_one_tries_for_all(path, clock):
    one, other = breaker(path, clock), breaker(path, clock, patience=5)
    trip(one, clock)
    assert one.tripped()
    assert waited(one, clock)[0] == 16
    assert waited(one, clock)[0] == 0, "who tries does not wait for itself"
    with pytest.raises(TransferError, match="longer than .budget. patience"):
        other.wait(lambda _: None)
    one.heard("", began=clock.now)
    assert not one.tripped()
    assert waited(other, clock)[0] == 0


def test_a_try_that_fails_doubles_the_pause_up_to_five_minutes(path, clock):
    one = breaker(path, clock, patience=10_000)
    trip(one, clock)
    pauses = []
    for _ in range(7):
        pauses.append(waited(one, clock)[0])
        sign(one, clock)
    assert pauses == [16, 32, 64, 128, 256, 300, 300]


def test_nobody_waits_longer_than_patience(path, clock):
    one = breaker(path, clock, patience=100)
    trip(one, clock)
    began = clock.now

    def go_on():
        while True:
            one.wait(lambda _: None)
            sign(one, clock)

    with pytest.raises(TransferError) as caught:
        go_on()
    assert caught.value.code == "distress"
    assert caught.value.exit_code == 4
    assert 90 < clock.now - began < 110
    before = clock.now
    with pytest.raises(TransferError):
        one.wait(lambda _: None)
    assert clock.now == before, "having lost patience once, it does not wait again"


def test_who_tried_and_died_lets_another_try_at_once(path, clock, tmp_path):
    one = breaker(path, clock)
    trip(one, clock)
    clock.now += 60
    other = python("print('here', flush=True); input()", folder=tmp_path)
    other.stdout.readline()
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps({**kept, "trial_pid": other.pid, "trial_until": clock.now + 100}))
    with pytest.raises(TransferError):
        breaker(path, clock, patience=2).wait(lambda _: None)
    other.kill()
    other.communicate()
    assert waited(one, clock)[0] == 0


def test_who_tried_and_was_stopped_keeps_the_others_waiting_for_two_minutes_at_most(path, clock):
    one = breaker(path, clock)
    trip(one, clock)
    waited(one, clock)
    clock.now += 121
    assert waited(breaker(path, clock), clock)[0] == 0
    one.heard("", began=clock.now - 121)
    assert not one.tripped()


def test_a_try_that_found_out_nothing_lets_another_try(path, clock):
    one = breaker(path, clock)
    trip(one, clock)
    waited(one, clock)
    one.heard("interrupted", began=clock.now)
    assert waited(breaker(path, clock), clock)[0] == 0


def test_signs_of_long_ago_are_forgotten(path, clock):
    one = breaker(path, clock)
    trip(one, clock)
    clock.now += 2000
    assert waited(one, clock)[0] == 0
    sign(one, clock)
    assert waited(one, clock)[0] == 1


@pytest.mark.parametrize(
    "kept",
    [
        {"signs": 1e9, "until": 1e300, "at": 5},
        {"signs": "x", "until": [], "at": {}},
        {"signs": 7, "until": 1001, "at": 1e12},
        {"signs": -5, "until": -5, "at": -5, "trial_pid": -1},
        {"signs": 9, "at": 999, "trial_pid": 1, "trial_until": 1e12},
        {"signs": True, "code": "Mustermann^Max\x1b[2J", "at": 1000, "until": 1001},
    ],
)
def test_what_makes_no_sense_delays_nobody_for_long(path, clock, kept):
    one = breaker(path, clock)
    sign(one, clock)
    boot = json.loads(path.read_bytes())["boot"]
    path.write_text(json.dumps({**kept, "boot": boot}))
    seconds, said = waited(one, clock)
    assert seconds <= 2
    assert "Mustermann" not in "".join(said)
    sign(one, clock)
    assert waited(one, clock)[0] <= 300


def test_no_back_off_means_none(path, clock):
    one = breaker(path, clock, first=0)
    trip(one, clock)
    assert waited(one, clock) == (0, [])
    assert not path.exists()


def test_stopping_ends_a_pause(path):
    stop = threading.Event()
    one = Breaker(path, "a:1", first=60, patience=600, stop=stop)
    one.heard("stalled", began=HostState.clock())
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(InterruptedRun):
        one.wait(lambda _: None)
    assert time.monotonic() - began < 5


def test_signs_are_noted_with_their_pauses(path, clock):
    noted = []
    one = breaker(path, clock, noted=lambda code, seconds: noted.append((code, seconds)))
    sign(one, clock)
    sign(one, clock, "nothing")
    assert noted == [("http-503", 1), ("nothing", 2)]
    waited(one, clock)
    assert one.told.signs == {"http-503": 1, "nothing": 1}
    assert one.told.seconds == 2


def test_an_archive_that_slows_down_is_noticed_and_one_slow_request_is_not(path, clock):
    one = breaker(path, clock)
    assert not any(one.lasted(0.5) for _ in range(10))
    assert not one.lasted(60)
    assert not any(one.lasted(0.5) for _ in range(3))
    assert [one.lasted(20) for _ in range(3)] == [False, False, True]


def test_what_was_always_slow_is_not_slow(path, clock):
    one = breaker(path, clock)
    assert not any(one.lasted(60) for _ in range(30))


def test_an_archive_that_changed_for_good_is_not_slow_for_ever(path, clock):
    one = breaker(path, clock)
    for _ in range(20):
        one.lasted(1)
    for _ in range(60):
        one.lasted(5)
    assert not any(one.lasted(5) for _ in range(20))


def test_the_clock_of_the_calendar_does_not_matter(path, monkeypatch):
    one = Breaker(path, "a:1", first=0.3, patience=5, stop=threading.Event())
    one.heard("stalled", began=HostState.clock())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    began = time.monotonic()
    one.wait(lambda _: None)
    assert time.monotonic() - began < 2


def test_processes_see_each_others_signs(path, tmp_path):
    code = """
        import sys, threading
        from pathlib import Path
        from pacsferry.core.distress import Breaker
        from pacsferry.core.hoststate import HostState
        Breaker(Path(sys.argv[1]), "a:1", first=2, patience=5, stop=threading.Event()).heard("aborted", began=HostState.clock())
    """
    python(code, path, folder=tmp_path).communicate()
    said = []
    began = time.monotonic()
    Breaker(path, "a:1", first=2, patience=5, stop=threading.Event()).wait(said.append)
    assert len(said) == 1
    assert 0.2 < time.monotonic() - began < 5
    assert os.stat(path).st_mode & 0o777 == 0o600
