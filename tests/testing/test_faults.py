"""Orders of misbehaviour: by name, with parameters, so many times, for some requests only."""

import contextlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.testing.simulator import FAULTS, Fault
from pacsferry.testing.simulator.faults import COMMON, VERBS, Faults


def test_there_are_at_least_twenty_five_and_each_says_what_it_is():
    assert len(FAULTS) >= 25
    for name, kind in FAULTS.items():
        assert kind.name == name
        assert kind.summary
        assert kind.verbs
        assert set(kind.verbs) <= set(VERBS)
        assert not set(kind.parameters) & set(COMMON)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_ordered_by_name_alone(name):
    assert Fault.parse(name) == Fault(name)
    assert Fault(name)["times"] == 0


def test_text_and_keywords_give_the_same_order():
    assert Fault.parse("drop:nth=2,told=yes,times=1") == Fault("drop", nth=2, told=True, times=1)
    assert Fault.parse("find-fails:status=0xA700")["status"] == 0xA700
    assert Fault.parse("late:seconds=0.5")["seconds"] == 0.5


@pytest.mark.parametrize("text", ["", "dorp", "drop:nth", "drop:speed=1", "drop:nth=two"])
def test_what_cannot_be_ordered_is_an_error(text):
    with pytest.raises(ValueError):
        Fault.parse(text)


def test_times_counts_requests_and_not_instances():
    faults = Faults(["drop:nth=0,times=2"])
    for _ in range(2):
        request = faults.for_request("c-get", "1.2")
        assert all(request.at("drop", number) for number in (1, 2, 3))
    assert faults.for_request("c-get", "1.2").at("drop", 1) is None
    assert faults.active() == []


def test_an_order_for_the_fifth_is_not_used_up_by_a_request_for_three():
    faults = Faults(["drop:nth=5,times=1"])
    request = faults.for_request("wado-rs", "1.2")
    assert [request.at("drop", number) for number in (1, 2, 3)] == [None] * 3
    assert len(faults.active()) == 1


def test_an_order_fits_its_verb_study_and_level_only():
    faults = Faults([Fault("drop", study="1.2", verb="c-get", level="IMAGE")])
    assert faults.for_request("c-move", "1.2", "IMAGE").take("drop") is None
    assert faults.for_request("c-get", "1.3", "IMAGE").take("drop") is None
    assert faults.for_request("c-get", "1.2", "STUDY").take("drop") is None
    assert faults.for_request("c-get", "1.2", "IMAGE").take("drop")
    assert Faults(["cut"]).for_request("c-get").take("cut") is None


def test_faults_are_cleared_by_name_or_all():
    faults = Faults(["drop", "late"])
    faults.clear("drop")
    assert [fault.name for fault in faults.active()] == ["late"]
    faults.clear()
    assert faults.active() == []


def test_one_order_is_taken_once_by_many_threads():
    faults, taken = Faults(["http-503:times=3"]), []

    def take():
        if faults.for_request("wado-rs").take("http-503"):
            taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 3


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_an_order_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert Fault.parse(text).name in FAULTS
