"""When an archive may be worked: windows of a week in its own time zone, over midnight and over clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.hours import hours, time_zone, windows

ZURICH = "Europe/Zurich"
NIGHTS = ("mon-fri 19:00-06:00", "sat,sun")


def at(text, zone=ZURICH, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23T18:59:59", False),  # Monday
        ("2026-11-23T19:00:00", True),
        ("2026-11-23T23:59:59", True),
        ("2026-11-24T05:59:59", True),
        ("2026-11-24T06:00:00", False),
        ("2026-11-23T05:00:00", False),  # Monday morning belongs to Sunday's window, which ended at midnight
        ("2026-11-28T05:59:00", True),  # Friday's window, and Saturday
        ("2026-11-28T12:00:00", True),
        ("2026-11-29T23:59:59", True),
        ("2026-11-30T00:00:00", False),
    ],
)
def test_nights_and_week_ends(when, is_open):
    assert hours(NIGHTS, ZURICH).open(at(when)) is is_open


def test_when_it_opens_and_when_it_closes():
    there = hours(NIGHTS, ZURICH)
    assert there.change(at("2026-11-23T12:00:30")) == at("2026-11-23T19:00")
    assert there.change(at("2026-11-23T19:00")) == at("2026-11-24T06:00")
    assert there.change(at("2026-11-27T22:00")) == at("2026-11-30T00:00")
    assert f"{there.local(there.change(at('2026-11-23T12:00'))):%a %H:%M %Z}" == "Mon 19:00 CET"


def test_the_archives_clock_counts_and_not_ours():
    tokyo = hours(["mon 09:00-10:00"], "Asia/Tokyo")
    assert tokyo.open(utc("2026-11-23T00:30"))
    assert not tokyo.open(utc("2026-11-23T09:30"))


def test_without_a_zone_it_is_the_hosts(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        there = hours(["sun 01:00-04:00"])
        assert there.open(utc("2026-03-08T06:30"))  # 01:30 EST
        assert there.change(utc("2026-03-08T06:30")) == utc("2026-03-08T08:00")  # 04:00 EDT, two hours long
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_night_is_an_hour_shorter_when_the_clock_is_put_forward():
    there = hours(["sat 19:00-06:00"], ZURICH)
    start = at("2026-03-28T19:00")
    assert there.change(start) == at("2026-03-29T06:00")
    assert there.change(start) - start.astimezone(UTC) == timedelta(hours=10)


def test_a_night_is_an_hour_longer_when_the_clock_is_put_back():
    there = hours(["sat 19:00-06:00"], ZURICH)
    start = at("2026-10-24T19:00")
    assert there.change(start) - start.astimezone(UTC) == timedelta(hours=12)


def test_a_window_that_begins_in_the_hour_that_is_not_there_begins_after_it():
    there = hours(["sun 02:30-05:00"], ZURICH)
    assert there.change(utc("2026-03-28T12:00")) == utc("2026-03-29T01:00")  # 03:00, when the clock has jumped
    assert there.change(utc("2026-03-29T01:00")) == utc("2026-03-29T03:00")


def test_a_window_within_the_hour_that_is_not_there_comes_the_next_week():
    there = hours(["sun 02:10-02:50"], ZURICH)
    assert there.change(utc("2026-03-28T12:00")) == utc("2026-04-05T00:10")


def test_the_hour_that_comes_twice_counts_twice():
    there = hours(["sun 02:00-03:00"], ZURICH)
    assert there.open(at("2026-10-25T02:30", fold=0))
    assert there.open(at("2026-10-25T02:30", fold=1))
    assert there.change(utc("2026-10-24T12:00")) == utc("2026-10-25T00:00")
    assert there.change(utc("2026-10-25T00:00")) == utc("2026-10-25T02:00")


def test_a_window_that_ends_within_the_hour_that_comes_twice_is_open_again():
    there = hours(["sun 00:00-02:30"], ZURICH)
    changes = [utc("2026-10-24T22:00")]
    for _ in range(3):
        changes.append(there.change(changes[-1]))
    assert changes[1:] == [utc("2026-10-25T00:30"), utc("2026-10-25T01:00"), utc("2026-10-25T01:30")]


def test_work_that_takes_longer_than_a_night_goes_on_the_next():
    there = hours(["mon-fri 19:00-06:00"], ZURICH)
    assert there.end(at("2026-11-23T19:00"), 3600) == at("2026-11-23T20:00")
    assert there.end(at("2026-11-23T12:00"), 11 * 3600) == at("2026-11-24T06:00")
    assert there.end(at("2026-11-23T12:00"), 12 * 3600) == at("2026-11-24T20:00")
    assert there.end(at("2026-11-27T19:00"), 12 * 3600) == at("2026-11-30T20:00")
    assert there.end(at("2026-11-23T20:00"), 0) == at("2026-11-23T20:00")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("mon", 1440),
        ("mon 00:00-24:00", 1440),
        ("mon-sun", 7 * 1440),
        ("fri-mon", 4 * 1440),
        ("sun 23:00-01:00", 120),
        ("mon 22:00-24:00", 120),
        ("Mon - Fri 19:00 - 06:00", 5 * 660),
        ("sat , sun", 2 * 1440),
        ("monday,WED 7:00-8:00", 120),
        ("19:00-06:00", 7 * 660),
        ("mon 06:00-07:00,19:00-20:30", 150),
        ("mon–fri 19:00–06:00", 5 * 660),
    ],
)
def test_what_may_be_written(text, minutes):
    assert sum(hours([text], "UTC").week) == minutes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "days are mon tue"),
        ("montag", "days are mon tue"),
        ("mo-fr 19:00-06:00", "days are mon tue"),
        ("mon 19-06", "days are mon tue"),
        ("mon 19:00", "write 'mon-fri 19:00-06:00'"),
        ("mon 19:00-19:00", "leave the times out"),
        ("mon 24:00-06:00", "times go from 00:00 to 23:59"),
        ("mon 19:60-06:00", "times go from 00:00 to 23:59"),
        ("mon 19:00-25:00", "times go from 00:00 to 23:59"),
        ("mon 19:00-24:01", "times go from 00:00 to 23:59"),
        ("mon 7pm:00-06:00", "write 'mon-fri 19:00-06:00'"),
        ("mon tue 19:00-06:00", "days are mon tue"),
        ("mon-tue-wed", "days are mon tue"),
        ("-", "days are mon tue"),
        (",", "days are mon tue"),
        ("19:00-06:00 mon", "write 'mon-fri 19:00-06:00'"),
    ],
)
def test_what_is_no_window_says_what_would_be(text, said):
    with pytest.raises(ValueError, match=said):
        hours([text])


@given(st.text(max_size=30))
def test_any_text_is_a_window_or_an_error_that_shows_an_example(text):
    try:
        found = list(windows(text))
    except ValueError as err:
        found, said = [], str(err)
    else:
        said = "mon"
    assert any(word in said for word in ("mon", "00:00", "leave the times out"))
    assert all(0 <= start < 10080 and 0 < length <= 1440 for start, length in found)


def test_no_hours_are_all_hours():
    assert hours([]) is None
    always = hours(["mon-sun"], "UTC")
    assert always.open(utc("2026-11-23T12:00"))
    assert always.change(utc("2026-11-23T12:00")) is None
    assert always.end(utc("2026-11-23T12:00"), 60) == utc("2026-11-23T12:01")


@pytest.mark.parametrize(
    "name", ["Europe/Zurch", "europe/zurich", "Zurich", "../etc/passwd", "Europe", "/etc/localtime"]
)
def test_an_unknown_zone_is_told_with_the_nearest(name):
    with pytest.raises(ValueError, match="there is no time zone") as caught:
        time_zone(name)
    assert "did you mean" in str(caught.value) or "'Europe/Zurich'" in str(caught.value)


@given(
    st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2027, 12, 31)),  # noqa: DTZ001
    st.sampled_from([ZURICH, "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_the_next_change_is_the_next(when, zone):
    there, start = hours(NIGHTS, zone), when.replace(tzinfo=UTC)
    change = there.change(start)
    assert change > start
    assert there.open(change) is not there.open(start)
    assert there.open(change.astimezone(UTC) - timedelta(seconds=1)) is there.open(start)
