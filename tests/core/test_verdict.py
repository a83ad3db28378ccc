"""The verdict on a study: "ok" only where every expected instance is accounted for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.errors import TransferError
from pacsferry.core.ledger_model import StudyState
from pacsferry.core.model import Evidence, Status
from pacsferry.core.verdict import Signs, exit_code, facts, reasons, status

COMPLETE = StudyState(
    key="k",
    subject="s",
    case_id="case0001",
    study_uid="2.25.1",
    status=None,
    evidence=Evidence.INSTANCE_UIDS,
    announced=10,
    expected=10,
    stored=10,
    held=0,
    excluded=0,
    missing=0,
    series_count=1,
    study_date="",
    modality="CT",
    description="",
    path="case0001/x",
    transports=(),
    reasons={},
    waived="",
    updated=datetime.now(UTC),
    duration_s=0,
    leased_by="",
)
LOST = TransferError("lost", code="aborted")


@pytest.mark.parametrize(
    ("state", "signs", "verdict"),
    [
        ({}, {}, Status.OK),
        ({"stored": 8, "excluded": 2}, {}, Status.OK),
        ({"stored": 9, "missing": 1}, {}, Status.INCOMPLETE),
        ({"stored": 0, "missing": 10}, {}, Status.FAILED),
        ({"stored": 0, "missing": 10}, {"code": "offline"}, Status.OFFLINE),
        ({"stored": 9, "missing": 1}, {"stopped": True}, Status.INTERRUPTED),
        ({"stored": 9, "held": 1}, {}, Status.HELD),
        ({"stored": 8, "held": 1, "missing": 1}, {}, Status.INCOMPLETE),
        ({"expected": None}, {}, Status.UNVERIFIED),
        ({"expected": None, "stored": 0}, {"error": LOST}, Status.FAILED),
        ({}, {"counted": 12}, Status.UNVERIFIED),
        ({"stored": 12}, {"counted": 12}, Status.OK),
        ({"stored": 11}, {"unlisted": 1}, Status.CHANGED),
    ],
)
def test_verdicts(state, signs, verdict):
    assert status(replace(COMPLETE, **state), Signs(**signs)) is verdict


@given(
    stored=st.integers(0, 5),
    held=st.integers(0, 2),
    missing=st.integers(0, 5),
    stopped=st.booleans(),
    counted=st.none() | st.integers(0, 20),
    code=st.sampled_from(["", "aborted", "offline", "not-sent"]),
)
def test_never_ok_with_anything_missing_or_held(stored, held, missing, stopped, counted, code):
    state = replace(COMPLETE, stored=stored, held=held, missing=missing, expected=stored + held + missing)
    signs = Signs(stopped=stopped, counted=counted, lacking=missing, code=code)
    said = status(state, signs)
    if missing or held:
        assert said is not Status.OK
        assert exit_code(said, None) != 0
    if missing:
        assert sum(reasons(state, signs, {}).values()) >= missing


def test_reasons_name_what_is_missing_held_and_odd():
    state = replace(COMPLETE, stored=6, held=1, missing=3)
    said = reasons(state, Signs(code="stalled", odd={"unexpected": 2}), {"burned-in": 1})
    assert said == {"burned-in": 1, "stalled": 3, "unexpected": 2}


def test_a_gap_that_nobody_explains_was_not_sent():
    assert reasons(replace(COMPLETE, missing=2), Signs(), {}) == {"not-sent": 2}


def test_the_archives_failure_is_its_own_exit_code_only_when_nothing_came():
    assert exit_code(Status.FAILED, LOST) == 4
    assert exit_code(Status.FAILED, None) == 4, "it spoke of success and sent nothing"
    assert exit_code(Status.INCOMPLETE, LOST) == 5
    assert exit_code(Status.INTERRUPTED, None) == 130
    assert exit_code(Status.SKIPPED, None) == 0


def test_facts_join_modalities_over_runs():
    one = {"modality": "SR", "instance_uid": "2", "study_uid": "2.25.1", "study_date": "", "study_description": ""}
    said = facts([{**one, "folder": "case0001/x"}], COMPLETE)
    assert said is not None
    assert (said.modality, said.path) == ("CT,SR", "case0001/x")
    assert facts([], COMPLETE) is None


def test_what_is_missing_because_it_is_offline_is_told_apart():
    gap = replace(COMPLETE, stored=3, missing=COMPLETE.stored - 3)
    away = gap.missing
    assert status(gap, Signs(offline=away)) is Status.OFFLINE
    assert reasons(gap, Signs(offline=away, code="not-sent"), {}) == {"offline": away}
    assert status(gap, Signs(offline=away - 1)) is Status.INCOMPLETE
    assert reasons(gap, Signs(offline=away - 1), {}) == {"offline": away - 1, "not-sent": 1}
    assert status(gap, Signs(offline=away, stopped=True)) is Status.INTERRUPTED


def test_what_the_archive_counted_all_the_time_and_did_not_list_is_no_growth():
    listed = COMPLETE.stored - 4
    assert status(COMPLETE, Signs(counted=COMPLETE.stored, listed=listed, unlisted=4)) is Status.OK
    fewer = Signs(counted=COMPLETE.stored - 1, listed=listed, unlisted=4)
    assert status(COMPLETE, fewer) is Status.CHANGED
    assert reasons(COMPLETE, fewer, {}) == {"study-changed": 1}


def test_what_is_counted_and_not_listed_is_no_gap_but_a_difference():
    counted = replace(COMPLETE, expected=12, stored=9, missing=3)
    assert status(counted, Signs(counted=12, listed=9)) is Status.UNVERIFIED
    assert reasons(counted, Signs(counted=12, listed=9), {}) == {"counts-differ": 3}
    assert status(counted, Signs(counted=12, listed=10, lacking=1)) is Status.INCOMPLETE
    assert reasons(counted, Signs(counted=12, listed=10, lacking=1), {}) == {"counts-differ": 2, "not-sent": 1}
