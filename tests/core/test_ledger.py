"""The ledger: what was expected, what came, what is missing, and who may write it down."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pacsferry.core.errors import ConfigError, StoreError
from pacsferry.core.ledger import LeaseLost, Ledger, PathTaken, UndefinedStep
from pacsferry.core.ledger_model import InstanceState, SeriesPlan, StudyFacts
from pacsferry.core.model import Evidence, Status
from support.ledgers import STUDY, excluded, held, instance, leased, outcome, plan, somebody_else


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as one:
        yield one


@pytest.fixture
def run(ledger):
    return ledger.start_run("load")


def conclude(ledger, run, lease, status=Status.OK, **more):
    ledger.conclude(run, lease, status=status, reasons={}, transports=["wado-rs"], **more)


def counters(ledger, key=STUDY):
    one = ledger.study(key)
    return (one.stored, one.held, one.excluded, one.missing)


def test_a_run_id_is_plain_and_sorts_by_time(ledger):
    ids = [ledger.start_run("load") for _ in range(3)]
    assert all(re.fullmatch(r"\d{8}T\d{9}Z-[0-9a-f]{8}", one) for one in ids)
    assert [one.id for one in ledger.runs()] == sorted(ids)


def test_a_run_that_was_killed_has_no_end(ledger, run):
    other = ledger.start_run("resume", details={"transports": ["c-get"]})
    ledger.end_run(other, "ok", {"loaded": 2})
    killed, ended = ledger.run(run), ledger.run(other)
    assert (killed.ended, killed.status) == (None, "")
    assert (ended.status, ended.counts, ended.details) == ("ok", {"loaded": 2}, {"transports": ["c-get"]})
    assert ended.started <= ended.ended
    assert ledger.run("nobody") is None


def test_all_that_is_expected_is_missing_until_it_is_stored(ledger, run):
    ledger.expect(run, plan(3))
    assert counters(ledger) == (0, 0, 0, 3)
    ledger.record(run, leased(ledger), [outcome(0), outcome(1)])
    assert counters(ledger) == (2, 0, 0, 1)
    assert ledger.study(STUDY).status is None
    assert ledger.instance_states(STUDY)[instance(2)] is InstanceState.EXPECTED


def test_held_and_excluded_instances_are_not_missing(ledger, run):
    ledger.expect(run, plan(4, excluded=frozenset({3})))
    ledger.record(run, leased(ledger), [outcome(0), held(1), excluded(2)])
    assert counters(ledger) == (1, 1, 2, 0)
    assert ledger.codes(STUDY) == {"malformed": 1, "select": 2}


def test_recording_the_same_batch_twice_changes_nothing(ledger, run):
    ledger.expect(run, plan(3))
    lease = leased(ledger)
    for _ in range(2):
        ledger.record(run, lease, [outcome(0), held(1), outcome(2)])
    assert counters(ledger) == (2, 1, 0, 0)


def test_an_instance_that_nobody_listed_does_not_make_up_for_a_missing_one(ledger, run):
    ledger.expect(run, plan(2))
    ledger.record(run, leased(ledger), [outcome(0), outcome(99)])
    assert counters(ledger) == (2, 0, 0, 1)


def test_a_series_with_one_too_many_does_not_hide_one_with_one_too_few(ledger, run):
    other = "2.25.21"
    wanted = plan(2, evidence=Evidence.SERIES_COUNTS)
    wanted = replace(wanted, expected=4, series=(*wanted.series, SeriesPlan(key=other, expected=2)))
    ledger.expect(run, wanted)
    assert counters(ledger) == (0, 0, 0, 4)
    ledger.record(run, leased(ledger), [outcome(0), outcome(1), outcome(2), outcome(0, series=other)])
    assert counters(ledger) == (4, 0, 0, 1)


def test_with_a_count_for_the_study_only_the_sum_decides(ledger, run):
    ledger.expect(run, plan(3, evidence=Evidence.STUDY_COUNT))
    ledger.record(run, leased(ledger), [outcome(0), held(1)])
    assert counters(ledger) == (1, 1, 0, 1)


def test_without_any_evidence_nothing_is_known_to_be_missing(ledger, run):
    ledger.expect(run, plan(evidence=Evidence.NONE))
    assert (ledger.study(STUDY).expected, ledger.study(STUDY).missing) == (None, 0)


def test_a_series_left_out_by_the_plan_counts_as_excluded(ledger, run):
    ledger.expect(run, plan(5, evidence=Evidence.SERIES_COUNTS, barred="select"))
    assert counters(ledger) == (0, 0, 5, 0)


def test_all_instances_of_a_series_left_out_are_excluded(ledger, run):
    ledger.expect(run, plan(5, barred="select"))
    assert counters(ledger) == (0, 0, 5, 0)
    assert ledger.codes(STUDY) == {"select": 5}


def test_what_is_stored_stays_when_the_archive_is_asked_again(ledger, run):
    ledger.expect(run, plan(4))
    ledger.record(run, leased(ledger), [outcome(0), held(1)])
    ledger.expect(run, plan(3))
    assert counters(ledger) == (1, 1, 0, 1)
    assert set(ledger.settled(STUDY)) == {instance(0), instance(1)}


def test_what_is_held_or_excluded_by_a_gate_is_expected_again_when_asked_to(ledger, run):
    ledger.expect(run, plan(4))
    ledger.record(run, leased(ledger), [outcome(0), held(1), excluded(2)])
    ledger.expect(run, plan(4))
    assert counters(ledger) == (1, 1, 1, 1)
    ledger.expect(run, plan(4), again=True)
    assert counters(ledger) == (1, 0, 0, 3)


def test_what_the_plan_excluded_is_expected_when_the_plan_wants_it(ledger, run):
    ledger.expect(run, plan(2, excluded=frozenset({0, 1})))
    assert counters(ledger) == (0, 0, 2, 0)
    ledger.expect(run, plan(2))
    assert counters(ledger) == (0, 0, 0, 2)


def test_what_the_archive_lists_no_more_is_dropped_unless_it_is_stored(ledger, run):
    ledger.expect(run, plan(5))
    ledger.record(run, leased(ledger), [outcome(4), held(3)])
    ledger.expect(run, plan(2))
    assert set(ledger.instance_states(STUDY)) == {instance(0), instance(1), instance(4)}
    assert counters(ledger) == (1, 0, 0, 2)


def test_without_a_list_what_a_gate_excluded_is_done_with(ledger, run):
    ledger.expect(run, plan(2, evidence=Evidence.STUDY_COUNT))
    ledger.record(run, leased(ledger), [outcome(0), excluded(1)])
    ledger.expect(run, plan(2, evidence=Evidence.STUDY_COUNT))
    assert counters(ledger) == (1, 0, 1, 0)
    ledger.expect(run, plan(2, evidence=Evidence.STUDY_COUNT), again=True)
    assert counters(ledger) == (1, 0, 0, 1)


def test_nothing_is_set_back_under_a_process_at_work(tmp_path, ledger, run):
    ledger.expect(run, plan(3))
    with Ledger.open(tmp_path / "ledger.db", owner=somebody_else()) as other:
        lease = leased(other)
        other.record(run, lease, [outcome(0), held(1)])
        ledger.expect(run, plan(4), again=True)
        assert counters(ledger) == (1, 1, 0, 2)


def test_stored_is_never_quietly_turned_into_held(ledger, run):
    ledger.expect(run, plan(1))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0)])
    with pytest.raises(UndefinedStep, match="record cannot turn stored into held"):
        ledger.record(run, lease, [held(0)])
    assert counters(ledger) == (1, 0, 0, 0)


def test_a_stored_instance_needs_a_path_and_no_other_may_have_one(ledger, run):
    ledger.expect(run, plan(1))
    for wrong in (replace(outcome(0), path=""), replace(held(0), path="case0001/x.dcm")):
        with pytest.raises(ValueError, match="if, and only if"):
            ledger.record(run, leased(ledger), [wrong])


def test_a_path_of_another_instance_is_refused_before_anything_is_written(ledger, run):
    ledger.expect(run, plan(3))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0, path="case0001/same.dcm")])
    with pytest.raises(PathTaken) as caught:
        ledger.record(run, lease, [outcome(1), outcome(2, path="case0001/same.dcm")])
    assert caught.value.key == instance(2)
    assert counters(ledger) == (1, 0, 0, 2)
    assert ledger.path_owner("case0001/same.dcm") == instance(0)
    assert ledger.path_owner("case0001/free.dcm") is None
    wanted = {instance(0): "case0001/same.dcm", instance(1): "case0001/same.dcm", instance(2): "case0001/free.dcm"}
    assert ledger.taken(STUDY, wanted) == {instance(1)}


def test_the_same_instance_in_two_studies_does_not_share_a_path(ledger, run):
    ledger.expect(run, plan(1))
    ledger.expect(run, plan(1, key="2.25.2"))
    ledger.record(run, leased(ledger), [outcome(0)])
    assert ledger.taken("2.25.2", {instance(0): outcome(0).path}) == {instance(0)}
    with pytest.raises(PathTaken):
        ledger.record(run, leased(ledger, "2.25.2"), [outcome(0)])


def test_two_of_a_batch_cannot_have_one_path(ledger, run):
    ledger.expect(run, plan(2))
    with pytest.raises(PathTaken):
        ledger.record(run, leased(ledger), [outcome(0, path="a.dcm"), outcome(1, path="a.dcm")])


def test_a_withdrawn_study_is_held_and_gives_its_paths_back(ledger, run):
    ledger.expect(run, plan(3))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0), outcome(1), held(2, "other-patient")])
    paths = ledger.withdraw(run, lease, "mixed-patients")
    assert paths == [outcome(0).path, outcome(1).path]
    assert counters(ledger) == (0, 3, 0, 0)
    assert ledger.codes(STUDY) == {"mixed-patients": 2, "other-patient": 1}
    assert list(ledger.stored(STUDY)) == []
    assert ledger.study(STUDY).series_count == 0


def test_a_file_that_is_lost_is_expected_again(ledger, run):
    ledger.expect(run, plan(2))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0), outcome(1)])
    conclude(ledger, run, lease)
    assert ledger.lose(run, lease, [outcome(0).path, "case0001/unknown.dcm"]) == [outcome(0).path]
    assert counters(ledger) == (1, 0, 0, 1)
    assert ledger.study(STUDY).status is None


def test_a_verdict_stands_with_what_is_released(ledger, run):
    ledger.expect(run, plan(1))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0)])
    facts = StudyFacts(study_uid=STUDY, study_date="20240102", modality="CT", description="HEAD", path="case0001/s")
    conclude(ledger, run, lease, facts=facts, duration_s=1.5)
    ledger.conclude(run, lease, status=Status.OK, reasons={}, transports=["c-get", "wado-rs"])
    one = ledger.study(STUDY)
    assert (one.status, one.study_date, one.description, one.series_count) == (Status.OK, "20240102", "HEAD", 1)
    assert one.transports == ("wado-rs", "c-get")
    assert [(left.status, left.stored, left.transports) for left in ledger.results(run)] == [
        (Status.OK, 1, ("c-get", "wado-rs"))
    ]


def test_a_new_gap_takes_the_verdict_back(ledger, run):
    ledger.expect(run, plan(1))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0)])
    conclude(ledger, run, lease)
    ledger.expect(run, plan(1))
    assert ledger.study(STUDY).status is Status.OK
    ledger.expect(run, plan(2))
    assert ledger.study(STUDY).status is None


def test_a_waived_gap_stays_waived_until_it_grows(ledger, run):
    ledger.expect(run, plan(3))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0)])
    conclude(ledger, run, lease, Status.INCOMPLETE)
    assert ledger.waive(run, STUDY, " the archive lost two ") is True
    assert (ledger.study(STUDY).status, ledger.study(STUDY).waived) == (Status.WAIVED, "the archive lost two")
    ledger.expect(run, plan(3))
    conclude(ledger, run, lease, Status.INCOMPLETE)
    assert ledger.study(STUDY).status is Status.WAIVED
    ledger.expect(run, plan(6))
    assert ledger.study(STUDY).status is None
    conclude(ledger, run, lease, Status.INCOMPLETE)
    assert ledger.study(STUDY).status is Status.INCOMPLETE
    assert ledger.study(STUDY).waived


def test_a_waiver_needs_a_gap_and_a_reason(ledger, run):
    ledger.expect(run, plan(1))
    lease = leased(ledger)
    ledger.record(run, lease, [outcome(0)])
    conclude(ledger, run, lease)
    assert ledger.waive(run, STUDY, "no need") is False
    with pytest.raises(ConfigError, match="needs a reason"):
        ledger.waive(run, STUDY, " ")


def test_problems_are_what_is_neither_ok_nor_waived(ledger, run):
    for number, status in enumerate((Status.OK, Status.INCOMPLETE, Status.FAILED)):
        key = f"2.25.{number}"
        ledger.expect(run, plan(1, key=key, case_id=f"case{number:04d}"))
        conclude(ledger, run, leased(ledger, key), status)
    ledger.expect(run, plan(1, key="2.25.9", case_id="case0009"))
    ledger.waive(run, "2.25.2", "known")
    assert [one.key for one in ledger.studies(problems=True)] == ["2.25.1", "2.25.9"]
    assert ledger.verdicts() == {one.key: one.status for one in ledger.studies()}
    assert [one.case_id for one in ledger.studies()] == ["case0000", "case0001", "case0002", "case0009"]


def test_studies_are_found_by_their_accession(ledger, run):
    ledger.expect(run, plan(1))
    ledger.expect(run, plan(1, key="2.25.2"))
    ledger.expect(run, plan(1, key="2.25.3", accession="OTHER"))
    assert [one.key for one in ledger.studies_of_accession("ACC-CANARY")] == [STUDY, "2.25.2"]
    assert ledger.studies_of_accession("ACC") == []
    assert ledger.original("2.25.3").accession == "OTHER"
    assert ledger.original("2.25.4") is None
    assert {key: one.accession for key, one in ledger.originals()}["2.25.3"] == "OTHER"


def test_a_study_can_be_introduced_before_it_is_planned(ledger, run):
    ledger.introduce(run, STUDY, "token", "case0001", plan().original)
    lease = leased(ledger)
    one = ledger.study(STUDY)
    assert (one.status, one.expected, one.missing, one.case_id) == (None, None, 0, "case0001")
    ledger.introduce(run, STUDY, "token", "case0002", plan().original)
    assert ledger.study(STUDY).case_id == "case0001"
    ledger.expect(run, plan(1))
    ledger.record(run, lease, [outcome(0)])
    assert counters(ledger) == (1, 0, 0, 0)


def test_what_was_typed_is_remembered_with_how_it_ended(ledger, run):
    ledger.expect(run, plan(1))
    ledger.typed(run, [(1, "A1"), (2, "A2")])
    ledger.link_request(run, 1, [STUDY], Status.OK)
    ledger.link_request(run, 2, [], "not_found")
    later = ledger.start_run("resume")
    ledger.typed(later, [(1, "A2"), (2, "A3")])
    ledger.link_request(later, 1, [STUDY], Status.OK)
    assert [(one.text, one.status, one.studies) for one in ledger.request_rows(run)] == [
        ("A1", Status.OK, (STUDY,)),
        ("A2", Status.NOT_FOUND, ()),
    ]
    newest = {one.text: (one.status, one.run) for one in ledger.request_rows()}
    assert newest == {"A1": (Status.OK, run), "A2": (Status.OK, later), "A3": (None, later)}


def test_the_stored_files_come_by_path_and_in_pages(ledger, run, monkeypatch):
    monkeypatch.setattr("pacsferry.core.ledger_read._PAGE", 3)
    ledger.expect(run, plan(7))
    ledger.expect(run, plan(1, key="2.25.2", series="2.25.21"))
    ledger.record(run, leased(ledger), [outcome(n) for n in reversed(range(7))])
    ledger.record(run, leased(ledger, "2.25.2"), [outcome(0, series="2.25.21")])
    assert [one.path for one in ledger.stored(STUDY)] == [outcome(n).path for n in range(7)]
    assert len(list(ledger.all_stored())) == 8
    assert ledger.known_paths([outcome(0).path, "nothing"]) == {outcome(0).path}


def test_small_strings_are_kept_apart_from_the_ledgers_own(ledger):
    assert ledger.get_meta("_version") is None
    ledger.set_meta("_version", "999")
    ledger.set_meta("rules", "abc")
    ledger.set_meta("rules", "def")
    assert (ledger.get_meta("rules"), ledger.get_meta("_version")) == ("def", "999")


def test_an_unknown_study_is_an_error(ledger, run):
    with pytest.raises(StoreError, match="does not know"):
        ledger.lease("2.25.404")
    assert ledger.study("2.25.404") is None
    assert ledger.holder("2.25.404") == ""


def test_a_batch_costs_the_same_in_a_large_study(ledger, run, monkeypatch):
    import sqlalchemy as sa

    ledger.expect(run, plan(1000))
    lease = leased(ledger)
    asked = []
    sa.event.listen(ledger._store._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    ledger.record(run, lease, [outcome(n) for n in range(64)])
    first = len(asked)
    for start in range(64, 960, 64):
        ledger.record(run, lease, [outcome(n) for n in range(start, start + 64)])
    asked.clear()
    ledger.record(run, lease, [outcome(n) for n in range(960, 1000)])
    assert len(asked) <= first <= 16
    assert not any("count(" in statement for statement in asked)


def test_the_state_of_all_studies_is_one_question(ledger, run):
    import sqlalchemy as sa

    for number in range(50):
        ledger.expect(run, plan(2, key=f"2.25.{number}"))
    asked = []
    sa.event.listen(ledger._store._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    assert len(list(ledger.studies())) == 50
    assert [statement.partition(" ")[0] for statement in asked] == ["BEGIN", "SELECT"]
    assert "instance" not in asked[1]


def test_a_lease_that_is_lost_writes_nothing(tmp_path, ledger, run):
    ledger.expect(run, plan(2))
    lease = leased(ledger)
    with Ledger.open(tmp_path / "ledger.db", owner=somebody_else()) as other:
        assert other.lease(STUDY) is None
        ledger.renew(lease, seconds=-1)
        mine = leased(other)
        assert mine.fence == lease.fence + 1
        events = len(list(ledger.events()))
        for late in (
            lambda: ledger.record(run, lease, [outcome(0)]),
            lambda: conclude(ledger, run, lease),
            lambda: ledger.withdraw(run, lease, "malformed"),
            lambda: ledger.lose(run, lease, ["x"]),
            lambda: ledger.renew(lease),
        ):
            with pytest.raises(LeaseLost):
                late()
        assert counters(ledger) == (0, 0, 0, 2)
        assert len(list(ledger.events())) == events
        ledger.release(lease)
        assert other.holder(STUDY)
        other.record(run, mine, [outcome(0)])
    assert counters(ledger) == (1, 0, 0, 1)
