"""Originals stand in the linkage table and in no other: not in state, not in events, not in an error."""

from __future__ import annotations

import re
import sqlite3

import pytest

from pacsferry.core.errors import FerryError
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import StudyFacts
from pacsferry.core.model import Status, Subject
from support.ledgers import STUDY, excluded, held, leased, outcome, plan

CANARY = re.compile("CANARY|1\\.2\\.840\\.99999", re.IGNORECASE)


@pytest.fixture
def path(tmp_path):
    """A ledger in which all that can happen has happened, with canaries wherever an original may come in."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        run = ledger.start_run("load", details={"transports": ["wado-rs"]})
        ledger.typed(run, [(1, "ACC-CANARY"), (2, "PatientName=CANARY*")])
        who = Subject(token="token", patient_id="PID-CANARY", issuer="ISSUER-CANARY", accession="ACC-CANARY")
        ledger.number_subjects([who], lambda _new, first: [f"case{first:04d}"])
        ledger.introduce(run, STUDY, "token", "case0001", plan().original)
        ledger.expect(run, plan(6))
        lease = leased(ledger)
        ledger.record(
            run,
            lease,
            [
                outcome(0),
                held(1, "residual-identifier", detail="PatientName, (0010,0020)"),
                held(2, "CANARY^PATIENT", detail="PatientName=CANARY^PATIENT"),
                excluded(3, "canary patient"),
            ],
        )
        ledger.conclude(
            run,
            lease,
            status=Status.INCOMPLETE,
            reasons={"residual-identifier": 1, "CANARY^PATIENT": 1},
            transports=["wado-rs"],
            facts=StudyFacts(study_uid=STUDY),
        )
        ledger.link_request(run, 1, [STUDY], Status.INCOMPLETE)
        ledger.link_request(run, 2, [], Status.NOT_FOUND)
        ledger.waive(run, STUDY, "the archive lost it")
        ledger.withdraw(run, lease, "mixed-patients")
        ledger.note(run, "saved", object="finds.csv", details={"rows": 3})
        ledger.release(lease)
        ledger.end_run(run, "incomplete", {"stored": 1})
    return tmp_path / "ledger.db"


def rows(path):
    with sqlite3.connect(path) as conn:
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in conn.execute(f'SELECT * FROM "{table}"'):
                yield table, repr(row)
    conn.close()


def test_originals_stand_in_the_linkage_table_only(path):
    found = {table for table, row in rows(path) if CANARY.search(row)}
    assert found == {"linkage"}


def test_every_original_is_in_the_linkage_table(path):
    links = " ".join(row for table, row in rows(path) if table == "linkage")
    for original in ("ACC-CANARY", "PID-CANARY", "ISSUER-CANARY", "1.2.840.99999.2.25.1", "PatientName=CANARY*"):
        assert original in links


def test_element_names_stay_and_what_is_no_name_does_not(path):
    with sqlite3.connect(path) as conn:
        found = sorted(conn.execute("SELECT code, detail FROM instance WHERE code != '' AND detail != ''"))
        codes = {code for (code,) in conn.execute("SELECT code FROM instance")}
    conn.close()
    assert found == [("residual-identifier", "PatientName, (0010,0020)")]
    assert "unnamed" in codes


def test_nothing_identified_shows_in_a_repr(path):
    with Ledger.open(path) as ledger:
        shown = [repr(ledger.original(STUDY)), repr(ledger.request_rows()), repr(list(ledger.studies()))]
        shown += [repr(event) for event in ledger.events()] + [repr(ledger.runs())]
    assert not CANARY.search(" ".join(shown))


def test_an_event_takes_no_detail_that_is_not_listed(path):
    with Ledger.open(path) as ledger:
        count = ledger.check_chain().count
        for details in ({"PatientName": "x"}, {"CANARY": 1}, {"status": "CANARY^PATIENT"}, {"codes": ["a b"]}):
            with pytest.raises(ValueError, match="event") as caught:
                ledger.note("run", "note", details=details)
            assert "CANARY^" not in str(caught.value)
        with pytest.raises(ValueError, match="must be numbers or plain words"):
            ledger.note("run", "note", details={"counts": {"CANARY^PATIENT": 1}})
        assert ledger.check_chain().count == count


def test_errors_name_no_accession(path):
    with Ledger.open(path) as ledger, pytest.raises(FerryError) as caught:
        ledger.lease("ACC-CANARY")
    assert not CANARY.search(str(caught.value))
