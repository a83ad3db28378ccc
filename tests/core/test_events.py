"""The audit trail: one chain, whoever appends, in which no event can be changed, dropped or moved unnoticed."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core import host
from pacsferry.core.events import HostAudit, plain
from pacsferry.core.ledger_chain import DETAILS, GENESIS, Event, checked
from support.ledgers import python, said


@pytest.fixture
def audit(tmp_path):
    with HostAudit(tmp_path) as one:
        for number in range(6):
            one.append("find", "main-pacs", details={"matches": number})
        yield one


def tamper(audit, *statements):
    with sqlite3.connect(audit.path) as conn:
        for statement in statements:
            conn.execute(statement)
    conn.close()


def test_an_event_says_who_did_what_and_when(audit):
    first = next(audit.events())
    assert (first.seq, first.action, first.object, first.outcome, first.details) == (
        1,
        "find",
        "main-pacs",
        "ok",
        {"matches": 0},
    )
    assert first.at.endswith("Z")
    assert len(first.at) == len("2024-01-01T00:00:00.000Z")
    assert first.actor
    assert first.prev == GENESIS
    assert first.hash == first.digest()


def test_each_event_names_the_one_before(audit):
    events = list(audit.events())
    assert [one.prev for one in events[1:]] == [one.hash for one in events[:-1]]


def test_the_last_events_come_in_order(audit):
    assert [one.seq for one in audit.events(last=2)] == [5, 6]
    assert [one.seq for one in audit.events(last=100)] == list(range(1, 7))
    assert list(audit.events(last=0)) == []


def test_a_long_trail_is_read_in_pages(audit, monkeypatch):
    monkeypatch.setattr("pacsferry.core.ledger_chain._PAGE", 2)
    assert [one.seq for one in audit.events()] == list(range(1, 7))
    assert audit.check_chain().ok


def test_an_untouched_chain_is_whole(audit):
    report = audit.check_chain()
    assert (report.ok, report.count, report.first_bad) == (True, 6, None)
    assert report.head == list(audit.events())[-1].hash


@pytest.mark.parametrize("column", ["at", "run", "actor", "action", "object", "outcome", "prev", "hash"])
def test_a_changed_event_is_noticed(audit, column):
    tamper(audit, f"UPDATE event SET {column} = {column} || 'x' WHERE seq = 3")
    assert (audit.check_chain().ok, audit.check_chain().first_bad) == (False, 3)


@pytest.mark.parametrize("details", ['{"matches":9}', '{"matches": 2}', "{}", "not json", ""])
def test_changed_details_are_noticed(audit, details):
    tamper(audit, f"UPDATE event SET details = '{details}' WHERE seq = 3")
    assert audit.check_chain().first_bad == 3


def test_a_dropped_event_is_noticed(audit):
    tamper(audit, "DELETE FROM event WHERE seq = 3")
    assert audit.check_chain().first_bad == 3


def test_a_dropped_event_is_noticed_when_the_rest_moves_up(audit):
    tamper(
        audit,
        "DELETE FROM event WHERE seq = 3",
        *(f"UPDATE event SET seq = {n - 1} WHERE seq = {n}" for n in (4, 5, 6)),
    )
    assert audit.check_chain().first_bad == 3


def test_a_new_first_event_is_noticed(audit):
    tamper(audit, "DELETE FROM event WHERE seq = 1")
    assert audit.check_chain().first_bad == 1


def test_two_events_that_changed_places_are_noticed(audit):
    tamper(
        audit,
        "UPDATE event SET seq = 99 WHERE seq = 3",
        "UPDATE event SET seq = 3 WHERE seq = 4",
        "UPDATE event SET seq = 4 WHERE seq = 99",
    )
    assert audit.check_chain().first_bad == 3


def test_a_cut_tail_is_noticed(audit):
    tamper(audit, "DELETE FROM event WHERE seq > 4")
    assert (audit.check_chain().ok, audit.check_chain().first_bad) == (False, 5)


def test_an_emptied_trail_is_noticed(audit):
    tamper(audit, "DELETE FROM event")
    assert (audit.check_chain().ok, audit.check_chain().first_bad) == (False, 1)


def test_an_event_slipped_in_at_the_end_is_noticed(audit):
    last = list(audit.events())[-1]
    forged = Event(seq=7, at=last.at, run="", actor="x", action="find", object="", outcome="ok", prev=last.hash)
    columns = f"(7, '{last.at}', '', 'x', 'find', '', 'ok', '{{}}', '{last.hash}', '{forged.digest()}')"
    tamper(audit, f"INSERT INTO event VALUES {columns}")
    assert audit.check_chain().ok is False


def test_a_whole_new_chain_is_only_noticed_by_its_head(audit, tmp_path):
    """What the module says it cannot notice by itself: hence the head in every report."""
    before = audit.check_chain().head
    audit.close()
    audit.path.unlink()
    with HostAudit(tmp_path) as forged:
        forged.append("find")
        assert forged.check_chain().ok
        assert forged.check_chain().head != before


def test_two_processes_append_to_one_chain(audit, tmp_path):
    code = """
        import sys
        from pacsferry.core.events import HostAudit
        from pathlib import Path
        with HostAudit(Path(sys.argv[1])) as audit:
            print("ready", flush=True)
            sys.stdin.readline()
            for n in range(30):
                audit.append("echo", details={"seconds": n / 7})
    """
    writers = [python(code, tmp_path, folder=tmp_path) for _ in range(2)]
    for one in writers:
        one.stdout.readline()
    for one in writers:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in writers:
        said(one)
    assert (audit.check_chain().ok, audit.check_chain().count) == (True, 66)


def test_looking_at_a_trail_that_is_not_there_makes_none(tmp_path):
    with HostAudit(tmp_path / "state") as audit:
        assert list(audit.events(last=3)) == []
        assert audit.check_chain().ok
    assert not (tmp_path / "state").exists()


def test_the_trail_lies_in_the_hosts_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(host.VARIABLE, str(tmp_path / "state"))
    with HostAudit() as audit:
        audit.append("echo")
    assert (tmp_path / "state" / "audit.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_trail_in_a_shared_folder_is_for_those_who_share_it(tmp_path):
    tmp_path.chmod(0o2770)
    with HostAudit(tmp_path) as audit:
        audit.append("echo")
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o660}


@given(st.text())
def test_plain_text_is_plain_and_stays_so(text):
    once = plain(text)
    assert once.isascii()
    assert once.isprintable() or not once
    assert plain(once) == once
    assert not set(once) & set(" '\"\\^*=<>&\n\t")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_details_are_taken_whole_or_not_at_all(details):
    try:
        taken = checked(details)
    except ValueError:
        return
    assert set(taken) <= DETAILS
    assert taken == details


@pytest.mark.parametrize("value", [object(), b"bytes", {1: 1}, [{"CANARY^X": 1}], "two words", "Müller"])
def test_details_of_another_kind_are_refused(value):
    with pytest.raises(ValueError, match=r"detail.*plain words"):
        checked({"status": value} if value != {1: 1} else {"counts": {"a b": 1}})


def test_no_detail_is_called_like_an_identifying_attribute():
    words = {"accession", "patient", "patient_id", "name_of_patient", "study_uid", "birth", "mrn", "text", "typed"}
    assert not words & DETAILS
