"""The table of steps and the arithmetic of counters."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.ledger_model import InstanceState, UndefinedStep
from pacsferry.core.ledger_steps import STEPS, Tally, missing, step

counts = st.integers(0, 30)
tallies = st.builds(
    Tally,
    expected=st.none() | counts,
    barred=st.booleans(),
    pending=counts,
    stored=counts,
    held=counts,
    excluded=counts,
)


def test_every_step_is_either_in_the_table_or_an_error():
    for action, before, after in itertools.product(STEPS, [None, *InstanceState], InstanceState):
        if after in STEPS[action].get(before, ()):
            assert step(action, before, after) is after
        else:
            with pytest.raises(UndefinedStep):
                step(action, before, after)


def test_only_withdrawing_and_losing_take_a_stored_instance_back():
    leaving = {
        action
        for action, steps in STEPS.items()
        if steps.get(InstanceState.STORED, frozenset()) - {InstanceState.STORED}
    }
    assert leaving == {"withdraw", "lose"}


@given(tallies, st.sampled_from(InstanceState), st.sampled_from(InstanceState))
def test_moving_there_and_back_changes_nothing(tally, one, other):
    assert tally.moved(one, other).moved(other, one) == tally
    assert tally.moved(None, one).moved(one, None) == tally


@given(tallies)
def test_no_counter_of_a_study_is_ever_negative(tally):
    assert all(number >= 0 for number in tally.sums.values())


@given(tallies)
def test_a_series_left_out_lacks_nothing(tally):
    if tally.barred:
        assert tally.short == 0


@given(st.lists(tallies, max_size=5))
def test_a_study_lacks_at_least_what_its_series_lack(series):
    sums = {name: sum(one.sums[name] for one in series) for name in Tally().sums if name != "series_count"}
    expected = sum(one.expected or 0 for one in series)
    lacks = missing(expected=expected, **sums)
    assert lacks >= sums["short"]
    assert lacks >= sums["pending"]
    assert missing(expected=None, **sums) == max(sums["short"], sums["pending"])
