"""What an archive answers at each level becomes an order: filtered again, with what is offline left on its shelf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Evidence, Level, Match, Ping, Query
from pacsferry.core.plan import Order, offline, requests
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.query import gather
from pacsferry.core.quirks import STANDARD
from pacsferry.core.selection import Rule, Selection
from pacsferry.core.survey import Surveyor, matching

ALL = frozenset({Level.STUDY, Level.SERIES, Level.IMAGE})
Tree = dict[str, Any]


def image(number: int, **more: str) -> Tree:
    return {
        "SOPInstanceUID": f"1.9.{number}",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "InstanceNumber": str(number),
        **more,
    }


def series(number: int, *images: Tree, modality: str = "CT", **more: str) -> Tree:
    keys = {"SeriesInstanceUID": f"1.8.{number}", "Modality": modality, "SeriesNumber": str(number), **more}
    return {**keys, "NumberOfSeriesRelatedInstances": str(len(images)), "below": images}


def study(number: int, *below: Tree, **more: str) -> Tree:
    keys = {
        "StudyInstanceUID": f"1.7.{number}",
        "PatientID": "P1",
        "AccessionNumber": f"A{number}",
        "StudyDate": "20240517",
    }
    return {**keys, **more, "below": below}


@dataclass
class Fake:
    """An archive that matches UIDs only; ``deaf`` levels are refused, with this code."""

    studies: list[Tree]
    deaf: Mapping[Level, str] = field(default_factory=dict)
    asked: list[Query] = field(default_factory=list)
    protocol: str = "dimse"

    def find(self, query: Query) -> Iterator[Match]:
        self.asked.append(query)
        if code := self.deaf.get(query.level):
            raise TransferError("refused", code=code)
        rows = self.studies
        for level, uid in ((Level.SERIES, "StudyInstanceUID"), (Level.IMAGE, "SeriesInstanceUID")):
            if query.level is Level.STUDY or (query.level is Level.SERIES and level is Level.IMAGE):
                break
            rows = [row for above in rows if above[uid] in query.keys[uid].split("\\") for row in above["below"]]
        for row in rows:
            yield Match(level=query.level, keys={word: value for word, value in row.items() if word != "below"})

    def ping(self) -> Ping:
        raise AssertionError("a survey pings nobody")

    def close(self) -> None:
        """Nothing to give back."""


def surveyor(finder: Fake) -> Surveyor:
    return Surveyor(finder=finder, keys=ProjectKeys(b"x" * 32), selection=Selection(rules={}), quirks=STANDARD)


def order_of(archive: Fake, **query: object) -> Order:
    (asked,) = gather(**(query or {"accessions": ["A1"]}))  # type: ignore[arg-type]
    there = surveyor(archive)
    (found,) = there.studies(asked)
    return there.order(found, case_id="case0001")


def found_by(archive: Fake, **query: object) -> list[str]:
    (asked,) = gather(**query)  # type: ignore[arg-type]
    return [one.text("AccessionNumber") for one in matching(archive, asked)]


def test_an_implicit_wildcard_of_the_archive_is_no_match() -> None:
    assert found_by(Fake([study(1), study(11)]), accessions=["A1"]) == ["A1"]


def test_a_modality_is_looked_for_in_the_series_where_the_study_does_not_say_its_own() -> None:
    archive = Fake(
        [study(1, series(1)), study(2, series(2, modality="MR")), study(3, series(3), ModalitiesInStudy="CT")]
    )
    assert found_by(archive, modality=["CT"]) == ["A1", "A3"]
    assert [one.level for one in archive.asked] == [Level.STUDY, Level.SERIES, Level.SERIES]


def test_series_keys_select_studies_and_series() -> None:
    archive = Fake([study(1, series(4, image(1)), series(5, image(2))), study(2, series(6))])
    assert found_by(archive, match=["SeriesNumber=+4"]) == ["A1"]
    order = order_of(archive, match=["SeriesNumber=4"])
    assert [one.uid for one in order.series] == ["1.8.4"]
    assert order.narrowed
    assert all("SeriesNumber" not in one.keys for one in archive.asked), "an archive may know it as +4"


def test_instance_keys_select_studies_too() -> None:
    archive = Fake([study(1, series(1, image(1), image(2))), study(2, series(2, image(7)))])
    assert found_by(archive, match=["InstanceNumber=7"]) == ["A2"]
    order = order_of(archive, match=["InstanceNumber=2"])
    assert [target.uid for target in order.series[0].targets or ()] == ["1.9.2"]


@pytest.mark.parametrize("key", ["ProtocolName=T1*", "StudyDescription=HEAD", "PatientSex=F"])
def test_a_key_of_which_no_answer_says_anything_is_an_error(key: str) -> None:
    with pytest.raises(TransferError) as caught:
        found_by(Fake([study(1, series(1, image(1)))]), match=[key, "AccessionNumber=A1"])
    assert caught.value.code == "unmatched"
    assert key.partition("=")[0] in str(caught.value)


def test_a_study_without_a_value_does_not_match_where_others_have_one() -> None:
    archive = Fake([study(1, StudyDescription="HEAD"), study(2, StudyDescription="")])
    assert found_by(archive, match=["StudyDescription=HEAD"]) == ["A1"]


@pytest.mark.parametrize(("level", "key"), [(Level.SERIES, "SeriesNumber=1"), (Level.IMAGE, "InstanceNumber=1")])
def test_keys_of_a_level_that_the_archive_does_not_answer_at_are_an_error(level: Level, key: str) -> None:
    archive = Fake([study(1, series(1, image(1)))], deaf={level: "not-supported"})
    with pytest.raises(TransferError) as caught:
        found_by(archive, match=[key])
    assert caught.value.code == "unmatched"


@pytest.mark.parametrize("code", ["capped", "not-supported"])
def test_capped_or_refused_instances_are_counted_instead(code: str) -> None:
    order = order_of(Fake([study(1, series(1, image(1), image(2)))], deaf={Level.IMAGE: code}))
    assert (order.plan.evidence, order.plan.expected) == (Evidence.SERIES_COUNTS, 2)
    assert [one.level for one in requests(order, {}, ALL)] == [Level.STUDY]


@pytest.mark.parametrize("code", ["capped", "identifier-mismatch"])
def test_capped_or_refused_series_leave_the_count_of_the_study(code: str) -> None:
    there = study(1, series(1, image(1)), NumberOfStudyRelatedInstances="1")
    order = order_of(Fake([there], deaf={Level.SERIES: code}))
    assert (order.plan.evidence, order.plan.expected) == (Evidence.STUDY_COUNT, 1)


def test_a_level_that_fails_whenever_it_is_asked_at_is_counted_instead() -> None:
    there = surveyor(
        Fake([study(1, series(1, image(1)), series(2, image(2)))], deaf={Level.IMAGE: "unable-to-process"})
    )
    (found,) = there.studies(gather(accessions=["A1"])[0])
    with pytest.raises(TransferError):
        there.order(found, case_id="case0001")
    order = there.order(found, case_id="case0001")
    assert (order.plan.evidence, order.plan.expected) == (Evidence.SERIES_COUNTS, 2)


def grown(archive: Fake, more: Tree, selection: Selection | None = None, **query: object) -> int:
    """How much a study has grown once ``more`` is there instead."""
    (asked,) = gather(**(query or {"accessions": ["A1"]}))  # type: ignore[arg-type]
    there = replace(surveyor(archive), selection=selection or Selection(rules={}))
    (found,) = there.studies(asked)
    order = there.order(found, case_id="case0001")
    archive.studies[:] = [more]
    return there.grown(found, order)


def test_growth_is_counted_by_series() -> None:
    small, large = (
        study(1, series(1, image(1))),
        study(1, series(1, image(1), image(2)), series(2, image(3), modality="MR")),
    )
    assert grown(Fake([small]), large) == 2
    assert grown(Fake([small]), small) == 0
    assert grown(Fake([large]), small) == 0
    assert grown(Fake([small]), large, modality=["CT"]) == 1


def test_growth_that_nobody_wants_is_none() -> None:
    small, large = (
        study(1, series(1, image(1))),
        study(1, series(1, image(1), image(2)), series(2, image(3), modality="MR")),
    )
    only_ct = Selection(rules={"modality": Rule(only=("CT",))})
    assert grown(Fake([small]), large, only_ct) == 1
    assert grown(Fake([small]), large, match=["InstanceNumber=1"]) == 0


# --- availability

OFF, ON, NEAR = ({"InstanceAvailability": word} for word in ("OFFLINE", "ONLINE", "NEARLINE"))


def test_a_series_that_is_offline_is_not_asked_for() -> None:
    order = order_of(Fake([study(1, series(1, image(1), image(2), **ON), series(2, image(3), **OFF), **OFF)]))
    assert not order.offline
    assert order.availability == ("ONLINE", "OFFLINE")
    assert [one.series for one in requests(order, {}, ALL)] == ["1.8.1"]
    done = dict.fromkeys((target.key for target in order.series[0].wanted), order.series[0].key)
    assert offline(order, done) == 1
    assert requests(order, done, ALL) == []


def test_instances_that_are_offline_are_not_asked_for() -> None:
    order = order_of(Fake([study(1, series(1, image(1, **ON), image(2, **OFF)))]))
    (wanted,) = requests(order, {}, ALL)
    assert wanted.instances == ("1.9.1",)
    assert offline(order, {}) == 1


@pytest.mark.parametrize("deaf", [{}, {Level.IMAGE: "not-supported"}])
def test_a_study_is_offline_where_all_of_it_is(deaf: Mapping[Level, str]) -> None:
    order = order_of(Fake([study(1, series(1, image(1), **OFF), series(2, image(2), **OFF))], deaf=deaf))
    assert order.offline
    assert offline(order, {}) == 2


def test_what_the_series_say_counts_more_than_what_the_study_says() -> None:
    order = order_of(Fake([study(1, series(1, image(1), **ON), **NEAR)]))
    assert not order.nearline
    assert order.availability == ("ONLINE",)
    assert order_of(Fake([study(1, series(1, image(1), **NEAR))])).nearline
    assert order_of(Fake([study(1, series(1, image(1)), **NEAR)])).nearline
