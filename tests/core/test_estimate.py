"""How long a load will take: from counts, sizes, pauses and the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pacsferry.core.estimate import Estimate, Work, estimate
from pacsferry.core.history import History, Sizes
from pacsferry.core.hours import hours
from pacsferry.core.terms import Terms

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SIZES = Sizes({"CT": 1_000_000.0}, 10_000_000.0)


def study(images=100, modality="CT", **more):
    return Work(images={modality: images}, **{"series": 4, "requests": 1, **more})


def test_nothing_to_fetch_takes_no_time():
    assert estimate([Work(), Work()], Terms(), SIZES, NOON) == Estimate()


def test_bytes_per_minute_decide_where_they_are_the_narrowest():
    found = estimate([study()] * 2, Terms(bytes_per_minute=50_000_000), SIZES, NOON)
    assert (found.size, found.measured) == (200_000_000, True)
    assert found.seconds == pytest.approx(240)
    assert found.ends == NOON + timedelta(seconds=240)


def test_without_a_limit_it_is_what_was_measured_over_all_associations():
    one = estimate([study()], Terms(associations=4), SIZES, NOON)
    two = estimate([study()] * 2, Terms(associations=4), SIZES, NOON)
    assert one.seconds == pytest.approx(10.2)
    assert two.seconds == pytest.approx(10.2)


def test_pauses_come_after_batches():
    found = estimate([study(images=0)] * 3, Terms(batch_size=5, batch_wait=60), SIZES, NOON)
    assert found.pauses == 120


def test_the_calendar_counts():
    there = hours(["mon-fri 19:00-20:00"], "UTC")
    terms = Terms(bytes_per_minute=1_000_000, hours=there)
    found = estimate([study(images=90)], terms, SIZES, NOON)
    assert found.starts == NOON + timedelta(hours=7)
    assert found.ends == NOON + timedelta(days=1, hours=7, minutes=30)
    assert found.seconds == 31.5 * 3600


def test_what_is_too_far_away_is_not_said():
    there = hours(["mon 19:00-19:01"], "UTC")
    found = estimate([study(images=100_000)], Terms(bytes_per_minute=1_000_000, hours=there), SIZES, NOON)
    assert (found.seconds, found.ends) == (None, None)
    assert found.starts is not None


def test_unknown_sizes_are_usual_ones_and_said_to_be():
    found = estimate([study(modality="MG"), study(modality="odd")], Terms(), Sizes({}, None), NOON)
    assert not found.measured
    assert found.size == 100 * 30_000_000 + 100 * 1_000_000


def test_what_nobody_counts_is_told():
    assert estimate([study(images=0, uncounted=2)], Terms(), SIZES, NOON).uncounted == 2


def test_history_is_a_mean_that_forgets(tmp_path):
    one = History(tmp_path / "state" / "archives" / "a.json")
    one.add("CT", 10, 10_000)
    one.add("ct ", 10, 30_000)
    one.add("Heron^O", 1, 5)
    one.add("MR", 0, 5)
    one.moved(1000, 2.0)
    sizes = History(tmp_path / "state" / "archives" / "a.json").bytes_per_image()
    assert (sizes.of("CT"), sizes.of("MR"), sizes.rate) == (2000, 350_000, 500)
    assert sizes.seen("CT")
    assert not sizes.seen("MR")
    one.add("CT", 10_000_000, 10_000_000 * 7000)
    assert one.bytes_per_image().of("CT") == pytest.approx(7000, rel=0.01)
    for _ in range(3):
        one.add("CT", 20_000, 20_000 * 100)
    assert one.bytes_per_image().of("CT") < 1000
    assert "Heron" not in (tmp_path / "state" / "archives" / "a.json").read_text()


@pytest.mark.parametrize("junk", ["{", '{"CT": 5}', '{"CT": {"count": 0, "size": 1}}', '{"CT": {"count": "x"}}', "[]"])
def test_a_history_that_makes_no_sense_is_none(tmp_path, junk):
    (tmp_path / "archives").mkdir()
    path = tmp_path / "archives" / "a.json"
    path.write_text(junk)
    assert History(path).bytes_per_image().of("CT") == 530_000
    History(path).add("CT", 1, 100)
    assert History(path).bytes_per_image().of("CT") == pytest.approx(100, abs=2)
