"""What is tried after a request that fell short: each reason has one remedy, and nothing is tried for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.distress import NOTHING
from pacsferry.core.ladder import FRUITLESS, REMEDIES, Climb, Fall, levels_left, remedy, short
from pacsferry.core.model import Level, Tally, Wanted
from pacsferry.core.reasons import REASONS

STUDY, SERIES, IMAGE = Level.STUDY, Level.SERIES, Level.IMAGE
ALL = frozenset({STUDY, SERIES, IMAGE})


def never(_code: str, _tries: int) -> bool:
    return False


def test_every_reason_of_the_table_has_words():
    assert set(REMEDIES) - {NOTHING} <= set(REASONS)


@pytest.mark.parametrize(
    "code",
    ["http-401", "http-403", "http-redirect", "tls", "user-identity", "destination-unknown", "not-authorised"]
    + ["turned-away", "no-context", "transport-failed", "web-auth-failed", "nearline", "distress"],
)
def test_what_a_person_has_to_change_is_asked_for_once(code):
    assert remedy(code).more == 0
    assert levels_left(ALL, STUDY, code) == frozenset()


@pytest.mark.parametrize("code", ["identifier-mismatch", "http-404", "http-406", "not-supported"])
def test_where_an_archive_has_no_instance_level_the_series_is_asked_for_again(code):
    assert levels_left(ALL, IMAGE, code) == {STUDY, SERIES}
    assert levels_left(frozenset({STUDY, SERIES}), SERIES, code) == {STUDY}


@pytest.mark.parametrize("code", ["identifier-mismatch", "http-404", "http-406"])
def test_an_instance_that_is_not_there_is_no_missing_level(code):
    assert levels_left(ALL, IMAGE, code, served=True) == frozenset()


@pytest.mark.parametrize("code", ["not-sent", "", NOTHING, "sub-operation-failed", "truncated"])
def test_what_did_not_come_by_name_does_not_bring_the_whole_series_again(code):
    assert levels_left(ALL, STUDY, code) == {SERIES, IMAGE}
    assert levels_left(ALL, SERIES, code) == {IMAGE}
    assert levels_left(ALL, IMAGE, code) == frozenset()


def test_an_archive_that_breaks_off_is_asked_for_instances_as_one_of_them_may_be_why():
    assert levels_left(ALL, STUDY, "aborted") == {IMAGE}


def test_something_new_is_reason_to_go_on_and_nothing_new_only_a_few_times():
    tries = []
    climb = Climb(ALL, lambda code, count: tries.append((code, count)) is None)
    fall = Fall(level=STUDY, code="aborted", tries=2)
    for _ in range(20):
        climb.came(STUDY)
        assert climb.goes_on(fall, gained=True)
    assert tries == []
    asked = [climb.goes_on(fall, gained=False) for _ in range(FRUITLESS)]
    assert asked == [True] * FRUITLESS
    assert climb.takes == {IMAGE}, "the last of them was about another level"
    assert tries == [("aborted", 2)] * (FRUITLESS - 1)


def test_what_cannot_end_otherwise_is_not_asked_for_again_whatever_else_came():
    climb = Climb(ALL, lambda *_: True)
    assert not climb.goes_on(Fall(level=SERIES, code="http-403", retryable=False), gained=True)
    assert climb.takes == frozenset()


@given(
    st.lists(st.tuples(st.sampled_from([*REMEDIES, "", "http-403", "x"]), st.sampled_from(sorted(ALL)), st.booleans()))
)
def test_without_anything_new_it_ends(falls):
    climb, rounds = Climb(ALL, lambda *_: True), 0
    for code, level, retryable in falls:
        if level not in climb.takes:
            continue
        rounds += 1
        if not climb.goes_on(Fall(level=level, code=code, retryable=retryable), gained=False):
            break
    assert rounds <= FRUITLESS + len(ALL)


def test_an_answer_that_says_well_and_brought_too_little_fell_short():
    wanted = Wanted(study="1", series="1.2", expected=3)
    assert short(wanted, Tally(completed=3), offered=3, received=3) is None
    assert short(wanted, Tally(completed=3), offered=3, received=2) == Fall(level=SERIES)
    assert short(wanted, Tally(), offered=0, received=0) == Fall(level=SERIES, code=NOTHING)
    assert short(wanted, Tally(code="truncated"), offered=3, received=3) == Fall(level=SERIES, code="truncated")
    assert short(Wanted(study="1"), Tally(), offered=1, received=1) is None
