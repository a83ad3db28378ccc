"""The budget of an archive: shared by all processes of the host, spent once."""

from __future__ import annotations

import json
import threading
import time

import pytest

from pacsferry.core.budget import Budget, Pace
from pacsferry.core.errors import BusyError, InterruptedRun
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.terms import Terms
from support.ledgers import python, said


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "archives"


def pace(folder, size=3, wait=10.0):
    return Pace(folder / "a.json", batch_size=size, batch_wait=wait)


def test_after_each_batch_there_is_a_pause(folder, clock):
    one = pace(folder)
    assert [one.spend(1), one.spend(1), one.spend(1)] == [0, 0, 10]
    clock.now += 10
    assert [one.spend(1), one.spend(1), one.spend(1)] == [0, 0, 10]


def test_who_comes_during_a_pause_waits_for_its_end(folder, clock):
    pace(folder).spend(3)
    clock.now += 4
    assert pace(folder).spend(1) == 6


def test_a_study_of_many_batches_earns_as_many_pauses(folder, clock):
    assert pace(folder).spend(10) == 30
    assert pace(folder).spend(1) == 30
    assert pace(folder).spend(1) == 40


def test_after_a_rest_the_count_starts_again(folder, clock):
    one = pace(folder)
    one.spend(2)
    clock.now += 10.5
    assert [one.spend(1), one.spend(1), one.spend(1)] == [0, 0, 10]


def test_a_time_that_cannot_be_does_not_stop_us(folder, clock):
    pace(folder).spend(3)
    clock.now -= 3600
    assert pace(folder).spend(1) == 0


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"null", b'{"count": "x"}', b"\xff", b'{"count":1,"rest_until":[],"at":0}']
)
def test_a_count_that_makes_no_sense_starts_again(folder, clock, junk):
    folder.mkdir(parents=True)
    (folder / "a.json").write_bytes(junk)
    assert pace(folder).spend(1) == 0
    assert json.loads((folder / "a.json").read_bytes())["count"] == 1


@pytest.mark.parametrize(("size", "wait"), [(0, 10.0), (3, 0.0)])
def test_without_a_batch_or_a_pause_nothing_is_counted(folder, size, wait):
    assert pace(folder, size, wait).spend(100) == 0
    assert not folder.exists()


def test_processes_count_together(folder, tmp_path, clock):
    code = """
        import sys
        from pathlib import Path
        from pacsferry.core.budget import Pace
        one = Pace(Path(sys.argv[1]), batch_size=1000, batch_wait=1000.0)
        for _ in range(100):
            one.spend(1)
    """
    both = [python(code, folder / "a.json", folder=tmp_path) for _ in range(2)]
    for one in both:
        said(one)
    assert json.loads((folder / "a.json").read_bytes())["count"] == 200


def test_a_pause_is_told_and_can_be_interrupted(folder):
    stop = threading.Event()
    budget = Budget(HostLeases(folder), "a:1", Terms(batch_size=1, batch_wait=60), stop=stop)
    told = []
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    budget.spend(1)
    with pytest.raises(InterruptedRun):
        budget.rest(told=told.append)
    assert time.monotonic() - began < 10
    assert told == ["pausing 60 s for a:1, as [budget] batch_wait asks"]


def test_a_pause_is_over_when_it_is_over(folder):
    budget = Budget(HostLeases(folder), "a:1", Terms(batch_size=2, batch_wait=0.1))
    began = time.monotonic()
    budget.spend(1)
    budget.rest()
    assert time.monotonic() - began < 0.1
    budget.spend(1)
    assert time.monotonic() - began < 0.1
    budget.rest()
    assert time.monotonic() - began >= 0.1


def test_no_more_associations_than_the_budget_allows(folder):
    mine = Budget(HostLeases(folder), "a:1", Terms(associations=2))
    other_project = Budget(HostLeases(folder), "a:1", Terms(associations=2))
    other_archive = Budget(HostLeases(folder), "b:1", Terms(associations=1))
    with (
        mine.association(),
        other_project.association(),
        other_archive.association(),
        pytest.raises(BusyError, match="an association with a:1 is held by process"),
        mine.association(wait=False),
    ):
        raise AssertionError("one too many")
    with mine.association(wait=False):
        pass


def test_who_waits_for_an_association_says_so(folder):
    budget = Budget(HostLeases(folder), "a:1", Terms(associations=1))
    told, done = [], []

    def second():
        with budget.association(told=told.append):
            done.append(True)

    with budget.association():
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        assert not done
    thread.join(10)
    assert done == [True]
    assert len(told) == 1
