"""Every fault ends with the right verdict and exit code, and a later run without it completes the study."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import FerryError
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study
from support.loading import TRANSPORTS, Place, place
from support.processes import until

ACC = "ACC100"
SLICES = 6


@pytest.fixture
def there(tmp_path):
    study = ct_study(
        slices=SLICES, rows=64, columns=64, accession=ACC, patient_id="CANARYID7", patient_name="Canary^Anna"
    )
    with place(tmp_path, study) as made:
        yield made


def only_row(loaded):
    (row,) = loaded.rows
    return row


def completes(there: Place, over: str) -> None:
    """A later run without the fault ends complete, and asks only for what is missing."""
    there.archive.faults.clear()
    there.archive.log.clear()
    before = len(there.images())
    loaded = there.load(ACC, over=over)
    assert only_row(loaded).status in {Status.OK, Status.SKIPPED}
    assert loaded.exit_code == 0
    assert len(there.images()) == SLICES
    # The simulator notes an instance once it is acknowledged, which may be after we have all of them.
    until(lambda: len(set(there.archive.log.sent(over))) == SLICES - before, 5)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_dropped_instance_is_missing_and_comes_later(there, over):
    there.archive.faults.add("drop:nth=3")
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    # Asked again for what was missing, the archive dropped the third of those too, until fewer than three were left.
    assert row.status is Status.INCOMPLETE or row.status is Status.OK
    assert row.stored + row.missing == SLICES
    assert (loaded.exit_code == 5) == (row.missing > 0)
    completes(there, over)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_an_instance_that_is_always_dropped_is_never_ok(there, over):
    there.archive.faults.add("drop:nth=1")
    row = only_row(loaded := there.load(ACC, over=over))
    assert (row.status, row.missing, loaded.exit_code) == (Status.INCOMPLETE, SLICES - row.stored, 5)
    assert row.missing > 0
    completes(there, over)


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("claim", ["true", "false"])
def test_success_with_nothing_sent_is_a_failure(there, over, claim):
    there.archive.faults.add(f"nothing:claim={claim}")
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, row.stored, row.missing) == (Status.FAILED, 0, SLICES)
    assert row.reasons
    assert loaded.exit_code in {4, 5}
    assert row.retryable
    completes(there, over)


@pytest.mark.parametrize("over", ["c-get", "c-move"])
@pytest.mark.parametrize(
    ("fault", "code"), [("cannot-perform", "cannot-perform"), ("unable-to-process", "unable-to-process")]
)
def test_refused_requests_say_why(there, over, fault, code):
    there.archive.faults.add(fault)
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, loaded.exit_code) == (Status.FAILED, 4)
    assert row.reasons == {code: SLICES}
    completes(there, over)


def test_an_unknown_destination_is_a_failure_that_is_not_retried(there):
    there.archive.faults.add("destination-unknown")
    loaded = there.load(ACC, over="c-move")
    row = only_row(loaded)
    assert (row.status, row.reasons, row.retryable) == (Status.FAILED, {"destination-unknown": SLICES}, False)
    assert loaded.exit_code == 4
    assert len(there.archive.log.of("c-move")) == 1
    completes(there, "c-move")


def test_what_a_person_has_to_change_is_asked_for_once_a_run(there):
    more = [f"MORE{number}" for number in range(4)]
    for number, name in enumerate(more):
        there.archive.add(*ct_study(slices=1, rows=16, columns=16, accession=name, patient_id=name, seed=number))
    there.archive.faults.add("destination-unknown")
    notes = []
    loaded = there.load(ACC, *more, over=("c-move", "c-get"), told=notes.append)
    assert (loaded.exit_code, {row.transports for row in loaded.rows}) == (0, {("c-get",)})
    assert len(there.archive.log.of("c-move")) <= 2, "no more than are under way at once"
    assert len([step.text for step in notes if step.kind == "note" and "c-move is not asked again" in step.text]) == 1


def test_an_archive_that_turns_us_away_for_good_is_asked_once_and_not_waited_for(there):
    there.archive.faults.add("reject")
    loaded = there.load(ACC, "OTHER1", "OTHER2", over="c-get")
    assert (loaded.exit_code, {row.status for row in loaded.rows}) == (4, {Status.FAILED})
    assert len(there.archive.log.of("associate")) == 1
    assert loaded.verification["warnings"] == [], "it is in no distress"


def test_a_failed_query_is_never_not_found(there):
    there.archive.faults.add("find-fails")
    loaded = there.load(ACC, over="c-get")
    row = only_row(loaded)
    assert (row.status, loaded.exit_code) == (Status.FAILED, 4)
    assert row.error
    completes(there, "c-get")


def test_a_query_that_fails_after_an_answer_is_a_failure(there):
    there.archive.faults.add("find-fails:after=1")
    loaded = there.load(ACC, over="c-get")
    assert only_row(loaded).status is Status.FAILED
    assert there.images() == []
    completes(there, "c-get")


def test_images_that_arrive_after_success_are_counted(there):
    there.archive.faults.add("late:seconds=0.4")
    loaded = there.load(ACC, over="c-move")
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)
    assert len(there.images()) == SLICES


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("fault", ["silence:nth=3,times=1", "abort:nth=3,times=1", "reset:nth=3,times=1"])
def test_a_transfer_that_breaks_off_keeps_what_came_and_is_completed(there, over, fault):
    there.archive.faults.add(fault)
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert row.stored + row.missing == SLICES
    assert row.status in {Status.OK, Status.INCOMPLETE, Status.FAILED}
    assert (row.status is Status.OK) == (row.missing == 0)
    completes(there, over)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_silence_for_ever_ends_within_the_stall_limit(there, over):
    there.archive.faults.add("silence:nth=1")
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, loaded.exit_code) == (Status.FAILED, 4)
    assert "stalled" in row.reasons or "aborted" in row.reasons or "not-sent" in row.reasons
    assert row.duration_s < 15
    completes(there, over)


@pytest.mark.parametrize("at", ["middle", "after"])
def test_a_cut_multipart_is_no_success(there, at):
    there.archive.faults.add(f"cut:nth=1,at={at}")
    loaded = there.load(ACC)
    row = only_row(loaded)
    assert row.status in {Status.INCOMPLETE, Status.FAILED}
    assert row.missing > 0
    assert "truncated" in row.reasons
    assert loaded.exit_code in {4, 5}
    completes(there, "wado-rs")


@pytest.mark.parametrize("fault", ["cut:nth=3", "cut:nth=3,at=after", "http-206:times=1,verb=wado-rs"])
def test_a_part_of_a_study_is_completed_by_asking_for_the_rest(there, fault):
    there.archive.faults.add(fault)
    loaded = there.load(ACC)
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)
    assert [one.level for one in there.archive.log.of("wado-rs")][0] == "STUDY"
    assert len(there.archive.log.of("wado-rs")) > 1


@pytest.mark.parametrize("fault", ["http-503:times=1", "http-429:times=1"])
def test_an_overloaded_server_is_asked_again(there, fault):
    there.archive.faults.add(f"{fault},verb=wado-rs")
    loaded = there.load(ACC)
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)


@pytest.mark.parametrize("fault", ["http-401", "http-404", "http-204"])
def test_other_answers_are_never_ok(there, fault):
    there.archive.faults.add(f"{fault}:verb=wado-rs")
    loaded = there.load(ACC)
    row = only_row(loaded)
    assert row.missing > 0
    assert loaded.exit_code in {4, 5}
    completes(there, "wado-rs")


@pytest.mark.parametrize("over", TRANSPORTS)
def test_an_object_of_another_study_is_refused(there, over):
    there.archive.add(*ct_study(slices=2, rows=64, columns=64, accession="OTHER", patient_id="STRANGER9", seed=5))
    there.archive.faults.add("stranger:nth=2")
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, row.stored) == (Status.OK, SLICES)
    # The receiver of C-MOVE refuses what belongs to no leased study at the door; the others hand it to the sink.
    assert row.reasons.get("unexpected", 0) >= (0 if over == "c-move" else 1)
    assert len(there.images()) == SLICES


@pytest.mark.parametrize("over", TRANSPORTS)
def test_the_next_transport_of_the_profile_gets_only_what_is_missing(there, over):
    other = "c-get" if over != "c-get" else "wado-rs"
    there.archive.faults.add(f"abort:nth=4,verb={over}")
    loaded = there.load(ACC, over=(over, other))
    row = only_row(loaded)
    assert (row.status, row.stored) == (Status.OK, SLICES)
    assert len(set(there.archive.log.sent(other))) < SLICES or row.transports == (other,)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_objects_of_another_patient_are_held_and_nothing_of_the_study_stays(there, over):
    there.archive.faults.add("other-patient:nth=0")
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, row.stored, loaded.exit_code) == (Status.HELD, 0, 5)
    assert set(row.reasons) <= {"mixed-patients", "other-patient"}
    assert there.images() == []
    with there.ledger() as ledger:
        assert ledger.check_chain().ok


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("fault", ["other-patient:nth=2", "truncated-object:nth=2"])
def test_what_was_held_for_what_the_archive_sent_comes_once_it_is_put_right(there, over, fault):
    there.archive.faults.add(fault)
    loaded = there.load(ACC, over=over)
    row = only_row(loaded)
    assert (row.status, row.missing, loaded.exit_code) == (Status.HELD, 0, 5)
    assert sum(row.reasons.values()) == row.held > 0
    completes(there, over)


#: Fault, transports, and how many requests it takes; none of them brings anything but the last.
PASSING = [
    ("reset:nth=1,times=2", ("wado-rs", "c-get"), 3),
    ("reset:nth=1,times=1", ("c-move",), 2),
    ("abort:nth=1,times=2", ("wado-rs", "c-get"), 3),
    ("abort:nth=1,times=1", ("c-move",), 2),
    ("silence:nth=1,times=1", TRANSPORTS, 2),
    ("nothing:times=1", ("c-get", "c-move"), 2),
    ("cannot-perform:times=1", ("c-move",), 2),
    ("out-of-resources:times=1", ("c-get", "c-move"), 2),
    ("unable-to-process:times=1", ("c-get", "c-move"), 2),
]


@pytest.mark.parametrize(
    ("fault", "over", "requests"), [(fault, over, count) for fault, overs, count in PASSING for over in overs]
)
def test_what_is_over_in_a_moment_costs_no_study(there, fault, over, requests):
    there.archive.faults.add(fault)
    loaded = there.load(ACC, over=over)
    assert (only_row(loaded).status, dict(only_row(loaded).reasons), loaded.exit_code) == (Status.OK, {}, 0)
    assert [one.level for one in there.archive.log.of(over)] == ["STUDY"] * requests
    assert len(set(there.archive.log.sent(over))) == SLICES


@pytest.mark.parametrize("fault", ["find-abort:times=1", "find-silence:times=1", "find-fails:times=1"])
def test_a_query_that_fails_in_passing_is_asked_again(there, fault):
    there.archive.faults.add(fault)
    loaded = there.load(ACC, over="c-get", extra='[find]\nuse = "c-find"')
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)


@pytest.mark.parametrize(
    ("over", "fault"), [("c-get", "identifier-mismatch"), ("c-move", "identifier-mismatch"), ("wado-rs", "http-404")]
    + [("wado-rs", "http-406")],
)  # fmt: skip
def test_where_there_is_no_instance_level_the_series_is_asked_for_again(there, over, fault):
    there.archive.faults.add(f"{fault}:level=IMAGE,verb={over}", "drop:nth=3,times=1")
    loaded = there.load(ACC, over=over)
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)
    assert [one.level for one in there.archive.log.of(over) if one.sent] == ["STUDY", "SERIES"]
    assert len(there.images()) == SLICES


@pytest.mark.parametrize("over", TRANSPORTS)
def test_an_instance_that_never_comes_does_not_bring_its_series_again(there, over):
    there.archive.faults.add("drop:nth=1,told=yes" if over != "wado-rs" else "drop:nth=1")
    loaded = there.load(ACC, over=over)
    assert only_row(loaded).status is Status.INCOMPLETE
    sent = there.archive.log.sent(over)
    assert len(sent) == len(set(sent)) == SLICES - only_row(loaded).missing


@pytest.mark.parametrize("code", ["http-401", "http-403", "redirect"])
def test_what_a_person_has_to_change_is_asked_for_once(there, code):
    there.archive.faults.add(f"{code}:verb=wado-rs")
    loaded = there.load(ACC)
    assert (only_row(loaded).status, loaded.exit_code) == (Status.FAILED, 4)
    assert set(only_row(loaded).reasons) == {"http-redirect" if code == "redirect" else code}
    assert {one.level for one in there.archive.log.of("wado-rs")} <= {"STUDY"}


def test_no_query_at_all_is_an_error_before_any_contact(there):
    with pytest.raises(FerryError, match="nothing was asked for") as err:
        there.load()
    assert err.value.exit_code == 2
    assert there.archive.log.of() == []


def test_a_released_file_that_somebody_removed_comes_again(there):
    there.load(ACC)
    there.images()[0].unlink()
    there.archive.log.clear()
    loaded = there.load(ACC)
    assert (only_row(loaded).status, loaded.exit_code) == (Status.OK, 0)
    assert len(there.images()) == SLICES
    assert len(there.archive.log.sent("wado-rs")) == 1
