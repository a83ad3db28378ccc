"""An archive with a limit is asked in parts until all has come, politely; what cannot be had whole is an error."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.asking import WholeFinder
from pacsferry.core.errors import TransferError
from pacsferry.core.matching import fits
from pacsferry.core.model import Level, Match, Ping, Query
from pacsferry.core.query import gather
from pacsferry.core.quirks import STANDARD, Quirks
from pacsferry.core.splitting import MODALITIES

TODAY = date(2024, 6, 30)
STUDY = Level.STUDY


def study(number: int, day: str = "", time: str = "", modality: str = "CT") -> dict[str, str]:
    keys = {"StudyInstanceUID": f"1.2.{number}", "PatientID": f"P{number}", "ModalitiesInStudy": modality}
    return {**keys, "StudyDate": day, "StudyTime": time}


def spread(count: int, first: date, days: int, seed: int = 1) -> list[dict[str, str]]:
    """Studies at random days and times."""
    dice = random.Random(seed)
    return [
        study(
            number,
            f"{first + timedelta(days=dice.randrange(days)):%Y%m%d}",
            f"{dice.randrange(24):02d}{dice.randrange(60):02d}{dice.randrange(60):02d}",
            dice.choice(["CT", "MR", "US", "CT\\SR"]),
        )
        for number in range(count)
    ]


def agrees(keys: Mapping[str, str], match: Match) -> bool:
    return all(fits(word, wanted, match) is not False for word, wanted in keys.items())


@dataclass
class Limited:
    """An archive that gives at most ``limit`` answers to a query. ``blind`` are keys that it does not match."""

    studies: Iterable[dict[str, str]]
    limit: int = 0
    told: bool = False
    blind: frozenset[str] = frozenset()
    level: Level = STUDY
    failing: Callable[[Query], TransferError | None] = lambda query: None  # noqa: ARG005 - none fails
    asked: list[Query] = field(default_factory=list)
    protocol: str = "dimse"

    def find(self, query: Query) -> Iterator[Match]:
        self.asked.append(query)
        if error := self.failing(query):
            raise error
        keys = {word: value for word, value in query.keys.items() if word not in self.blind and value}
        low, _, high = keys.get("StudyDate", "-").partition("-")
        high = high or (low if "StudyDate" in keys and "-" not in keys["StudyDate"] else "9")
        near = (one for one in self.studies if "StudyDate" not in keys or low <= one["StudyDate"] <= high)
        found = (Match(level=self.level, keys=one) for one in near)
        answers = [one for one in found if agrees(keys, one) and all(one.many(word) for word in keys)]
        yield from answers[: self.limit or None]
        if self.told and self.limit and len(answers) > self.limit:
            raise TransferError("limit", code="capped")

    def ping(self) -> Ping:
        raise AssertionError("asking pings nobody")

    def close(self) -> None:
        """Nothing to give back."""


def whole(archive: Limited, level: Level = STUDY, expected: int | None = None, **keys: str) -> list[str]:
    return uids(WholeFinder(archive, STANDARD, TODAY), level, expected, **keys)


def uids(finder: WholeFinder, level: Level = STUDY, expected: int | None = None, **keys: str) -> list[str]:
    return [one.text("StudyInstanceUID") for one in finder.find(Query(level=level, keys=keys, expected=expected))]


def all_of(archive: Limited) -> list[str]:
    return sorted(one["StudyInstanceUID"] for one in archive.studies)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("limit", [100, 250, 500])
def test_years_of_studies_come_whole_from_an_archive_with_a_limit(told, limit):
    archive = Limited(spread(5000, date(2019, 1, 1), 1826), limit=limit, told=told)
    assert sorted(whole(archive, StudyDate="20190101-20231231")) == all_of(archive)
    assert len(archive.asked) < 3 * 5000 / limit + 16


def test_ten_thousand_studies_without_a_limit_need_few_questions():
    archive = Limited(spread(10_000, date(2019, 1, 1), 1826))
    assert sorted(whole(archive, StudyDate="20190101-20231231")) == all_of(archive)
    assert len(archive.asked) <= 3  # a round number is looked at once, in two halves


@pytest.mark.parametrize("count", [1, 4, 237, 1234])
def test_a_number_that_is_no_limit_is_asked_for_once(count):
    archive = Limited(spread(count, date(2024, 1, 1), 100))
    assert len(whole(archive, StudyDate="20240101-")) == count
    assert len(archive.asked) == 1


@pytest.mark.parametrize("limit", [5, 6, 11, 17, 101, 200])
@pytest.mark.parametrize("days", [180, 12, 2])
@pytest.mark.parametrize("order", ["random", "newest", "oldest"])
def test_a_limit_that_nobody_tells_is_found_out(limit, days, order):
    studies = spread(3 * limit, date(2024, 1, 1), days)
    if order != "random":
        studies.sort(key=lambda one: one["StudyDate"] + one["StudyTime"], reverse=order == "newest")
    archive = Limited(studies, limit)
    assert sorted(whole(archive, StudyDate="20230101-")) == all_of(archive)


@pytest.mark.parametrize("days", ["20240517", "20240501-20240531", "20240101-"])
def test_a_limit_within_one_day_is_found_out(days):
    archive = Limited(spread(30, date(2024, 5, 17), 1), 10)
    assert sorted(whole(archive, StudyDate=days)) == all_of(archive)


def test_many_small_questions_cost_few_more():
    archive = Limited(
        [study(n, f"2024{1 + n % 6:02d}{1 + n % 28:02d}") | {"PatientID": f"P{n % 97}"} for n in range(1500)]
    )
    finder = WholeFinder(archive, STANDARD, TODAY)
    assert sum(len(uids(finder, PatientID=f"P{n}")) for n in range(97)) == 1500
    assert len(archive.asked) < 97 + 10


def test_a_round_number_that_is_all_there_is_is_not_doubted_again():
    archive = Limited(spread(200, date(2024, 1, 1), 100))
    finder = WholeFinder(archive, STANDARD, TODAY)
    for _ in range(3):
        assert len(uids(finder, StudyDate="20240101-20240630")) == 200
    assert len(archive.asked) <= 5


@pytest.mark.parametrize("span", ["20190101-", "-20240630", ""])
@pytest.mark.parametrize("told", [True, False])
def test_open_ranges_are_parted_too_and_stay_open(span, told):
    studies = [*spread(900, date(2023, 1, 1), 500), study(5000, "20991231", "1200"), study(5001, "20190105", "0000")]
    archive = Limited([*studies, *([study(5002, "19121224")] if not span.startswith("2019") else [])], 200, told)
    expected = (
        [one for one in archive.studies if agrees({"StudyDate": span}, Match(level=STUDY, keys=one))]
        if span
        else archive.studies
    )
    keys = {"StudyDate": span} if span else {"PatientID": "P*"}
    assert sorted(whole(archive, **keys)) == sorted(one["StudyInstanceUID"] for one in expected)


def test_one_busy_day_is_parted_by_time_and_a_range_of_time_is_kept():
    archive = Limited(spread(900, date(2024, 5, 17), 1), 100, told=True)
    assert sorted(whole(archive, StudyDate="20240517")) == all_of(archive)
    assert all("-" in one.keys.get("StudyTime", "-") for one in archive.asked)
    wanted = {"StudyDate": "20240516-20240517", "StudyTime": "0800-1600"}
    inside = [one for one in archive.studies if agrees(wanted, Match(level=STUDY, keys=one))]
    archive.asked.clear()
    assert set(whole(archive, **wanted)) >= {one["StudyInstanceUID"] for one in inside}
    for one in archive.asked:
        days = one.keys["StudyDate"]
        assert one.keys["StudyTime"] == "0800-1600" or "-" not in days, "time parts single days only"


def test_a_minute_is_parted_by_modality():
    studies = [study(n, "20240517", "123430", "CT" if n % 2 else "MR") for n in range(150)]
    archive = Limited(studies, 100, told=True)
    assert sorted(whole(archive, StudyDate="20240517")) == all_of(archive)
    assert len(archive.asked) < len(MODALITIES) + 30


def test_what_cannot_be_parted_is_an_error():
    archive = Limited([study(n, "20240517", "120000") for n in range(150)], 100, told=True)
    with pytest.raises(TransferError) as caught:
        whole(archive, StudyDate="20240517", ModalitiesInStudy="CT")
    assert caught.value.code == "capped"
    assert len(archive.asked) < 30


def test_a_key_that_the_archive_ignores_is_no_way_to_part():
    archive = Limited(spread(600, date(2024, 5, 17), 1), 400, told=True, blind=frozenset({"StudyTime"}))
    assert sorted(whole(archive, StudyDate="20240517")) == all_of(archive)
    assert len(archive.asked) < len(MODALITIES) + 30
    deaf = Limited(
        spread(600, date(2024, 5, 17), 1), 100, told=True, blind=frozenset({"StudyTime", "ModalitiesInStudy"})
    )
    with pytest.raises(TransferError):
        whole(deaf, StudyDate="20240517")
    assert len(deaf.asked) < 10


def test_studies_without_a_date_are_not_lost_in_silence():
    studies = [study(7000), *spread(300, date(2024, 1, 1), 100)]
    with pytest.raises(TransferError, match="have no StudyDate") as caught:
        whole(Limited(studies, 100, told=True), PatientID="P*")
    assert caught.value.code == "capped"


@pytest.mark.parametrize("told", [True, False])
def test_a_limit_that_the_profile_names_is_no_round_number(told):
    archive = Limited(spread(1000, date(2024, 1, 1), 100), 137, told)
    finder = WholeFinder(archive, Quirks(result_limit=137).over(STANDARD), TODAY)
    assert sorted(uids(finder, StudyDate="20240101-20240630")) == all_of(archive)


def test_the_same_number_again_is_noticed():
    archive = Limited(spread(1000, date(2024, 1, 1), 100), 137)
    finder = WholeFinder(archive, STANDARD, TODAY)
    uids(finder, StudyDate="20240101-20240301")
    again = uids(finder, StudyDate="20240302-20240630")
    assert len(again) > 137


def test_lists_of_uids_are_halved():
    archive = Limited(spread(300, date(2024, 1, 1), 1), 100, told=True)
    listed = "\\".join(one["StudyInstanceUID"] for one in archive.studies)
    assert sorted(whole(archive, StudyInstanceUID=listed)) == all_of(archive)


def test_an_archive_that_never_answers_is_not_asked_for_ever():
    archive = Limited([], failing=lambda _: TransferError("no", code="capped"))
    with pytest.raises(TransferError):
        whole(archive, StudyDate="20000101-20240630")
    assert len(archive.asked) < 40


@pytest.mark.parametrize("count", [1, 3, 40, 900])
def test_an_archive_that_always_says_there_is_more_is_not_asked_for_ever(count):
    archive = Limited(spread(count, date(2024, 1, 1), 180))

    def find(query):
        yield from Limited(archive.studies).find(query)
        archive.asked.append(query)
        raise TransferError("299", code="capped")

    archive.find = find
    with pytest.raises(TransferError) as caught:
        whole(archive, StudyDate="20240101-20240630")
    assert caught.value.code == "capped"
    assert len(archive.asked) < 45 + len(MODALITIES)


def test_a_failure_of_a_part_fails_the_whole():
    def second(query):
        return TransferError("gone", code="aborted") if query.keys["StudyDate"].startswith("202403") else None

    archive = Limited(spread(900, date(2024, 1, 1), 181), 100, told=True, failing=second)
    with pytest.raises(TransferError) as caught:
        whole(archive, StudyDate="20240101-20240630")
    assert caught.value.code == "aborted"


@pytest.mark.parametrize("level", [Level.SERIES, Level.IMAGE])
def test_capped_series_and_instances_are_told(level):
    archive = Limited(spread(300, date(2024, 1, 1), 1), 100, True, frozenset({"StudyInstanceUID"}), level)
    with pytest.raises(TransferError) as caught:
        whole(archive, level, StudyInstanceUID="1.2")  # the archive says so
    assert caught.value.code == "capped"
    silent = Limited(
        [study(n) | {"SeriesInstanceUID": "1.3", "SOPInstanceUID": f"1.4.{n}"} for n in range(300)], 100, level=level
    )
    silent.blind = frozenset({"StudyInstanceUID"})
    with pytest.raises(TransferError):
        whole(silent, level, 300, StudyInstanceUID="1.2")
    silent.limit = 0
    assert len(whole(silent, level, 300, StudyInstanceUID="1.2")) in {1, 300}


def test_a_list_of_modalities_is_asked_one_by_one():
    archive = Limited(spread(40, date(2024, 1, 1), 100))
    (asked,) = gather(study_date="20240101-20240630", modality=["MR", "US"])
    found = list(WholeFinder(archive, STANDARD, TODAY).find(asked.query))
    assert {one.text("ModalitiesInStudy") for one in found} == {"MR", "US"}
    assert list(dict.fromkeys(one.keys["ModalitiesInStudy"] for one in archive.asked)) == ["MR", "US"]


@pytest.mark.parametrize(
    ("quirk", "keys", "sent"),
    [
        ({"modality_matching": False}, {"ModalitiesInStudy": "CT", "StudyDate": "20240101"}, {"StudyDate"}),
        ({"time_matching": False}, {"StudyTime": "0800-", "StudyDate": "20240101"}, {"StudyDate"}),
        ({"wildcards": False}, {"StudyDescription": "HEAD*", "PatientID": "P1"}, {"PatientID"}),
        ({"unmatched": ("PatientSex",)}, {"PatientSex": "F", "PatientID": "P1"}, {"PatientID"}),
    ],
)
def test_keys_that_the_archive_does_not_match_are_not_sent_but_asked_to_be_returned(quirk, keys, sent):
    archive = Limited([])
    uids(WholeFinder(archive, Quirks(**quirk).over(STANDARD), TODAY), **keys)
    (asked,) = archive.asked
    assert set(asked.keys) == sent
    assert set(asked.wants) == keys.keys() - sent


def test_counts_that_are_not_believed_are_not_passed_on():
    archive = Limited([study(1, "20240101") | {"NumberOfStudyRelatedInstances": "9", "InstanceAvailability": "ONLINE"}])
    quirks = Quirks(counts=False, availability=False).over(STANDARD)
    (match,) = WholeFinder(archive, quirks, TODAY).find(Query(level=STUDY, keys={"StudyDate": "20240101"}))
    assert match.number("NumberOfStudyRelatedInstances") is None
    assert "InstanceAvailability" not in match.keys


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 600), st.integers(5, 120), st.integers(1, 400), st.booleans(), st.integers(0, 99))
def test_it_is_whole_or_an_error_never_a_part(count, limit, days, told, seed):
    archive = Limited(spread(count, date(2024, 6, 30) - timedelta(days=days), days, seed), limit, told)
    quirks = STANDARD if told else Quirks(result_limit=limit).over(STANDARD)
    finder = WholeFinder(archive, quirks, TODAY)
    try:
        found = uids(finder, StudyDate="20200101-20240630")
    except TransferError as err:
        assert err.code == "capped"  # noqa: PT017 - it may also not raise
    else:
        assert sorted(found) == all_of(archive)
    assert len(archive.asked) < 20 + 4 * (count // limit + 1) * 12


def test_a_query_that_nobody_may_make_is_made_once():
    refused = TransferError("who are you?", code="http-401", retryable=False)
    asked = Limited([study(1)], failing=lambda query: refused if query.keys.get("PatientID") == "P1" else None)
    finder = WholeFinder(asked, STANDARD)
    for name in ("P1", "P2"):
        with pytest.raises(TransferError, match="who are you"):
            list(finder.find(Query(level=STUDY, keys={"PatientID": name})))
    assert len(asked.asked) == 1


def test_one_refusal_of_an_archive_that_answered_before_is_not_its_last_word():
    refused = TransferError("who are you?", code="http-401", retryable=False)
    asked = Limited([study(1)], failing=lambda query: refused if query.keys["PatientID"] == "P1" else None)
    finder = WholeFinder(asked, STANDARD)
    assert list(finder.find(Query(level=STUDY, keys={"PatientID": "P2"}))) == []
    with pytest.raises(TransferError):
        list(finder.find(Query(level=STUDY, keys={"PatientID": "P1"})))
    assert list(finder.find(Query(level=STUDY, keys={"PatientID": "P2"}))) == []
