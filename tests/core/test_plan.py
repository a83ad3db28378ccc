"""What to ask a transport for: as few requests as can be, and never for what is here."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.ledger_model import Original, StudyPlan
from pacsferry.core.model import Evidence, Level
from pacsferry.core.plan import (
    CLASSES_PER_REQUEST,
    MOST_PER_REQUEST,
    UIDS_PER_REQUEST,
    Order,
    SeriesOrder,
    Target,
    evidence,
    expected,
    requests,
)

ALL = frozenset({Level.STUDY, Level.SERIES, Level.IMAGE})
CT = "1.2.840.10008.5.1.4.1.1.2"


def series(name, count, *, excluded="", listed=True, narrowed=False, classes=CT):
    targets = tuple(Target(key=f"k{name}.{n}", uid=f"1.{name}.{n}", sop_class=classes) for n in range(count))
    return SeriesOrder(
        key=f"k{name}",
        uid=f"1.{name}",
        count=count,
        targets=targets if listed else None,
        excluded=excluded,
        narrowed=narrowed,
    )


def order(*parts, narrowed=False):
    plan = StudyPlan(
        key="k",
        subject="s",
        case_id="case0001",
        original=Original(study_uid="1"),
        evidence=evidence(parts, None),
        expected=expected(parts, None),
    )
    return Order(study_uid="1", plan=plan, series=parts, narrowed=narrowed)


def done(*parts, but=0):
    keys = [(target.key, part.key) for part in parts for target in part.targets]
    return dict(keys[: len(keys) - but])


def test_a_study_of_which_nothing_is_here_is_asked_for_as_a_whole():
    (one,) = requests(order(series(1, 3), series(2, 4)), {}, ALL)
    assert (one.level, one.study, one.expected, one.sop_classes) == (Level.STUDY, "1", 7, {CT})


def test_what_is_here_is_not_asked_for_again():
    first, second = series(1, 3), series(2, 4)
    (one,) = requests(order(first, second), done(first), ALL)
    assert (one.level, one.series, one.expected) == (Level.SERIES, "1.2", 4)
    assert requests(order(first, second), done(first, second), ALL) == []


def test_the_rest_of_a_series_is_asked_for_by_name():
    first = series(1, 3)
    (one,) = requests(order(first), done(first, but=1), ALL)
    assert (one.level, one.instances, one.expected) == (Level.IMAGE, ("1.1.2",), 1)


def test_long_lists_of_instances_are_split():
    first = series(1, UIDS_PER_REQUEST + 5)
    asked = requests(order(first), {"k1.0": "k1"}, ALL)
    assert [len(one.instances) for one in asked] == [UIDS_PER_REQUEST, 4]


def test_a_study_that_no_counter_can_hold_is_asked_for_by_series():
    parts = [series(1, MOST_PER_REQUEST, listed=False), series(2, 1, listed=False)]
    assert [one.series for one in requests(order(*parts), {}, ALL)] == ["1.1", "1.2"]
    assert [one.level for one in requests(order(*parts), {}, frozenset({Level.STUDY}))] == [Level.STUDY]


def test_a_series_that_no_counter_can_hold_is_asked_for_by_name():
    asked = requests(order(series(1, MOST_PER_REQUEST + 1)), {}, ALL)
    assert {one.level for one in asked} == {Level.IMAGE}
    assert sum(len(one.instances) for one in asked) == MOST_PER_REQUEST + 1


def test_more_classes_than_an_association_can_negotiate_are_asked_for_apart():
    one = series(1, 300)
    many = tuple(replace(target, sop_class=f"1.2.{n % 150}") for n, target in enumerate(one.targets))
    asked = requests(order(replace(one, targets=many)), {}, ALL)
    assert max(len(part.sop_classes) for part in asked) <= CLASSES_PER_REQUEST
    assert sorted(uid for part in asked for uid in part.instances) == sorted(target.uid for target in many)
    assert len(asked) == 3


def test_what_the_archive_says_of_transfer_syntaxes_goes_with_the_request():
    one = series(1, 2)
    known = tuple(replace(target, syntaxes=("1.2.840.10008.1.2.5",)) for target in one.targets)
    (whole,) = requests(order(replace(one, targets=known)), {}, ALL)
    (rest,) = requests(order(replace(one, targets=known)), {"k1.0": "k1"}, ALL)
    assert whole.syntaxes == rest.syntaxes == {(CT, "1.2.840.10008.1.2.5")}


def test_an_excluded_series_is_left_out():
    (one,) = requests(order(series(1, 3), series(2, 2, excluded="select")), {}, ALL)
    assert (one.level, one.series) == (Level.SERIES, "1.1")


def test_a_query_for_one_series_does_not_fetch_the_study():
    (one,) = requests(order(series(1, 3), narrowed=True), {}, ALL)
    assert one.series == "1.1"


def test_a_query_for_some_images_does_not_fetch_the_series():
    (one,) = requests(order(series(1, 2, narrowed=True), narrowed=True), {}, ALL)
    assert one.instances == ("1.1.0", "1.1.1")


def test_a_class_that_is_not_known_leaves_the_choice_to_the_transport():
    (one,) = requests(order(series(1, 2, classes="")), {}, ALL)
    assert one.sop_classes == frozenset()


def test_counted_series_are_asked_for_until_the_count_is_reached():
    counted = series(1, 3, listed=False)
    (one,) = requests(order(counted), {"a": "k1", "b": "k1"}, ALL)
    assert (one.level, one.series, one.expected) == (Level.SERIES, "1.1", 3)
    assert requests(order(counted), dict.fromkeys("abc", "k1"), ALL) == []


def test_one_listed_and_one_counted_series_are_both_asked_for():
    listed, counted = series(1, 2), series(2, 2, listed=False)
    asked = requests(order(listed, counted), {"k1.0": "k1"}, ALL)
    assert [(one.level, one.series) for one in asked] == [(Level.IMAGE, "1.1"), (Level.SERIES, "1.2")]
    assert order(listed, counted).plan.evidence is Evidence.SERIES_COUNTS


def test_a_transport_without_study_level_gets_series():
    asked = requests(order(series(1, 2), series(2, 2)), {}, frozenset({Level.SERIES}))
    assert [one.series for one in asked] == ["1.1", "1.2"]


def test_without_series_the_study_is_asked_for_until_its_count_is_here():
    plan = order().plan
    counted = Order(
        study_uid="1",
        plan=StudyPlan(
            key=plan.key,
            subject="",
            case_id="",
            original=plan.original,
            evidence=Evidence.STUDY_COUNT,
            expected=2,
        ),
        series=(),
    )
    assert [one.level for one in requests(counted, {"a": "x"}, ALL)] == [Level.STUDY]
    assert requests(counted, {"a": "x", "b": "x"}, ALL) == []


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.data(),
    st.sets(st.sampled_from(sorted(ALL)), min_size=1).map(frozenset),
)
def test_every_missing_instance_is_asked_for_and_none_by_name_that_is_here(counts, data, takes):
    parts = [series(number, count) for number, count in enumerate(counts)]
    everything = [(target.key, part.key, target.uid) for part in parts for target in part.targets]
    here = {key: name for key, name, _ in data.draw(st.lists(st.sampled_from(everything), unique=True))}
    asked = requests(order(*parts), here, takes)
    named = {uid for one in asked for uid in one.instances}
    whole = {one.series for one in asked if one.level is Level.SERIES}
    study = any(one.level is Level.STUDY for one in asked)
    for key, _, uid in everything:
        covered = uid in named or uid.rpartition(".")[0] in whole or study
        assert covered or key in here
        assert not (uid in named and key in here)
    assert bool(asked) == (len(here) < len(everything))
    assert all(one.level in takes or one.level is Level.STUDY for one in asked)
