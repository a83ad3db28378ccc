"""A project as a whole: what is unlike the rest, what is not complete, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core import status
from pacsferry.core.ledger_model import StudyState
from pacsferry.core.model import Evidence, Row, Status
from pacsferry.core.reasons import REASONS

ALL_BUT_DONE = [one for one in Status if one not in {Status.OK, Status.SKIPPED, Status.WAIVED}]


def state(number=1, *, case=None, verdict=Status.OK, series=2, images=100, modality="CT", **more):
    told = {"expected": images, "held": 0, "excluded": 0, "missing": 0, "reasons": {}, "waived": "", **more}
    return StudyState(
        key=f"2.25.{number}",
        subject="token",
        case_id=case or f"case{number:04d}",
        study_uid=f"2.25.{number}",
        status=verdict,
        evidence=Evidence.INSTANCE_UIDS,
        announced=images,
        stored=images,
        series_count=series,
        study_date="20240102",
        modality=modality,
        description="",
        path="case0001/x",
        transports=("wado-rs",),
        updated=datetime.now(UTC),
        duration_s=1.0,
        leased_by="",
        **told,
    )


def row(request=1, verdict=Status.OK, images=100, *, uid="2.25.1", case="case0001"):
    return Row(request=request, accession="ACC-CANARY", status=verdict, image_count=images, study_uid=uid, case_id=case)


def kinds(states, **limits):
    return {(one.case_id, one.kind) for one in status.outliers(states, status.Limits(**limits)).found}


def test_under_three_cases_there_is_nothing_to_compare():
    found = status.outliers([state(1), state(2, images=1)])
    assert (found.ok, found.found) == (True, ())
    assert "fewer than 3 cases" in found.note


def test_three_studies_of_one_patient_are_one_case():
    assert status.outliers([state(n, case="case0001", images=10**n) for n in range(1, 4)]).note


def test_equal_cases_are_fine():
    found = status.outliers([state(n) for n in range(5)])
    assert (found.ok, found.note, found.found) == (True, "", ())


@pytest.mark.parametrize(("series", "odd"), [(1, True), (2, False), (4, False), (8, False), (9, True)])
def test_series_below_half_or_above_twice_the_median_are_odd(series, odd):
    states = [state(n, series=4) for n in range(4)] + [state(9, series=series)]
    assert kinds(states) == ({("case0009", "series")} if odd else set())


@pytest.mark.parametrize(("images", "odd"), [(29, True), (30, False), (90, False), (270, False), (271, True)])
def test_images_below_a_third_or_above_thrice_the_median_are_odd(images, odd):
    states = [state(n, images=90) for n in range(4)] + [state(9, images=images)]
    assert kinds(states) == ({("case0009", "images")} if odd else set())


def test_another_modality_than_the_majority_is_odd():
    states = [state(n) for n in range(3)] + [state(9, modality="MR")]
    (found,) = status.outliers(states).found
    assert (found.case_id, found.kind, found.value, found.usual) == ("case0009", "modality", "MR", "CT")


def test_without_a_majority_no_modality_is_odd():
    assert status.outliers([state(n, modality="CT" if n % 2 else "MR") for n in range(4)]).ok


def test_what_has_no_image_is_a_problem_and_no_outlier():
    states = [state(n) for n in range(3)] + [state(9, images=0, verdict=Status.FAILED)]
    assert status.outliers(states).ok
    assert [one.case_id for one in status.problems(states)] == ["case0009"]


def test_thresholds_can_be_set():
    states = [state(n, images=90) for n in range(4)] + [state(9, images=70)]
    assert kinds(states, images_low=1.1) == {("case0009", "images")}
    assert status.outliers(states, status.Limits(least_cases=9)).note


@given(st.lists(st.integers(1, 10**6), min_size=3, max_size=20))
def test_the_median_is_never_an_outlier(images):
    states = [state(n, images=count) for n, count in enumerate(images)]
    odd = [one.value for one in status.outliers(states).found if one.kind == "images"]
    assert len(odd) < len(states)


@pytest.mark.parametrize("verdict", [Status.OK, Status.SKIPPED, Status.WAIVED])
def test_what_is_settled_is_no_problem(verdict):
    assert status.problems([state(verdict=verdict, reasons={"not-sent": 3})]) == []


@pytest.mark.parametrize("verdict", ALL_BUT_DONE)
def test_every_other_verdict_says_what_to_do(verdict):
    if verdict is Status.DRY_RUN:
        return
    (found,) = status.problems([state(verdict=verdict)])
    assert found.means
    assert found.advice


def test_reasons_come_with_their_advice_the_most_frequent_first():
    reasons = {"not-sent": 2, "burned-in": 7, "select": 30}
    first, second = status.problems([state(verdict=Status.HELD, reasons=reasons)])
    assert (first.code, first.count, first.retryable) == ("burned-in", 7, False)
    assert (second.code, second.advice) == ("not-sent", REASONS["not-sent"].advice)


def test_a_study_without_a_verdict_was_interrupted():
    (found,) = status.problems([state(verdict=None, missing=7, reasons={"held": 1})])
    assert (found.status, found.count, found.retryable) == (Status.INTERRUPTED, 7, True)
    assert status.row(state(verdict=None)).status is Status.INTERRUPTED


def test_a_row_says_what_the_ledger_knows():
    one = status.row(state(images=5, held=2, missing=1, verdict=Status.INCOMPLETE), request=3, accession="A1")
    assert (one.request, one.accession, one.stored, one.received, one.missing) == (3, "A1", 5, 7, 1)
    assert one.retryable is True


def test_counts_are_of_studies_and_of_instances():
    states = [state(1), state(2, case="case0001"), state(3, verdict=Status.HELD, images=7, held=3)]
    assert status.counts(states) == {
        "studies": 3,
        "cases": 2,
        "series": 6,
        "stored": 207,
        "held": 3,
        "missing": 0,
        "excluded": 0,
        "held_studies": 1,
        "ok_studies": 2,
    }


def test_a_case_is_the_sum_of_its_studies():
    states = [state(2), state(1, modality="MR"), state(3, case="case0001")]
    first, second = status.cases(states)
    assert (first.case_id, first.studies, first.series, first.images, first.modalities) == (
        "case0001",
        2,
        4,
        200,
        ("CT", "MR"),
    )
    assert second.case_id == "case0002"


def test_a_load_is_verified_by_request():
    rows = [
        row(1),
        row(2, Status.SKIPPED),
        row(3, Status.NOT_FOUND, 0, uid=None, case=None),
        row(4, Status.INCOMPLETE),
        row(5),
        row(5, Status.HELD),
        row(6, Status.WAIVED),
    ]
    found = status.verification(rows)
    assert {key: found[key] for key in found if key != "warnings"} == {
        "ok": False,
        "total_requested": 6,
        "loaded": 1,
        "skipped": 2,
        "failed": 2,
        "not_found": 1,
    }
    assert found["warnings"] == []


def test_a_load_of_good_studies_is_ok():
    assert status.verification([row(1), row(2, Status.SKIPPED)])["ok"] is True
    assert status.verification([])["ok"] is True
    assert status.verification([row(1, Status.DRY_RUN, 0)]) == {
        "ok": True,
        "total_requested": 1,
        "loaded": 0,
        "skipped": 0,
        "failed": 0,
        "not_found": 0,
        "warnings": [],
    }


@pytest.mark.parametrize(
    "verdict", [one for one in Status if one not in {Status.OK, Status.SKIPPED, Status.WAIVED, Status.DRY_RUN}]
)
def test_nothing_that_is_not_done_is_verified(verdict):
    assert status.verification([row(1, verdict)])["ok"] is False


@pytest.mark.parametrize(("images", "warned"), [(4, True), (5, False), (5000, False), (5001, True)])
def test_very_few_and_very_many_images_warn(images, warned):
    warnings = status.verification([row(1, images=images)])["warnings"]
    assert len(warnings) == warned
    assert "ACC-CANARY" not in str(warnings)


def test_what_was_not_found_does_not_warn():
    assert status.verification([row(1, Status.NOT_FOUND, 0, uid=None)])["warnings"] == []
