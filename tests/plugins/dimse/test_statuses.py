"""Each DIMSE status has one meaning, and the ladder does what the table says."""

from __future__ import annotations

import pytest

from pacsferry.core.ladder import REMEDIES, remedy
from pacsferry.core.reasons import REASONS
from pacsferry.plugins.dimse.statuses import STATUS, Then, failure, meaning_of


@pytest.mark.parametrize(
    ("status", "code", "then"),
    [
        (0xA700, "unable-to-process", Then.AGAIN),
        (0xA701, "cannot-match", Then.AGAIN),
        (0xA702, "cannot-perform", Then.AGAIN),
        (0xB000, "sub-operation-failed", Then.REST),
        (0xA801, "destination-unknown", Then.CONFIGURATION),
        (0xA900, "identifier-mismatch", Then.LEVEL),
        (0xC000, "unable-to-process", Then.AGAIN),
        (0xC123, "unable-to-process", Then.AGAIN),
        (0xFE00, "cancelled", Then.AGAIN),
        (0x0122, "not-supported", Then.LEVEL),
        (0x0124, "not-authorised", Then.RUNG),
        (0xA777, "unable-to-process", Then.AGAIN),
        (0xB007, "unable-to-process", Then.AGAIN),
    ],
)
def test_a_status_means_one_thing(status: int, code: str, then: Then) -> None:
    assert (meaning_of(status).code, meaning_of(status).then) == (code, then)
    assert failure("C-GET", status).retryable is (then in {Then.AGAIN, Then.REST})


def test_every_meaning_has_words_and_the_ladder_knows_what_another_level_may_help() -> None:
    assert {one.code for one in STATUS.values()} <= set(REASONS)
    assert all(remedy(one.code).more for one in STATUS.values() if one.then is Then.AGAIN)
    assert all(remedy(one.code).below for one in STATUS.values() if one.then is Then.REST)
    assert not any(remedy(one.code).more for one in STATUS.values() if one.then is Then.REST)
    assert all(remedy(one.code).above for one in STATUS.values() if one.then is Then.LEVEL)
    assert not {one.code for one in STATUS.values() if one.then in {Then.RUNG, Then.CONFIGURATION}} & set(REMEDIES)


def test_what_is_worth_the_same_request_is_worth_another_run() -> None:
    assert all(REASONS[one.code].retryable for one in STATUS.values() if one.then is Then.AGAIN)
