"""The ledger's file: private, whole or not there, busy for nobody for long, and silent about what it holds."""

from __future__ import annotations

import os
import sqlite3
import traceback

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from pacsferry.core import ledger_schema, ledger_store, processes
from pacsferry.core.errors import StoreError
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_schema import instance, linkage
from support.ledgers import STUDY, leased, numbered, outcome, plan, python, said, subjects


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


def modes(folder):
    return {one.name: oct(one.stat().st_mode & 0o777) for one in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_all_its_files_are_for_the_owner_only_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        with Ledger.open(path) as ledger:
            ledger.start_run("load")
            assert set(modes(path.parent).values()) == {"0o600"}
    finally:
        os.umask(before)
    assert modes(path.parent) == {"ledger.db": "0o600"}


def test_a_ledger_that_others_can_read_is_closed_to_them(path):
    Ledger.open(path).close()
    path.chmod(0o664)
    with Ledger.open(path) as ledger:
        ledger.start_run("load")
        assert set(modes(path.parent).values()) == {"0o600"}


def test_no_ledger_is_made_where_none_is_wanted(path):
    with pytest.raises(StoreError, match="there is no ledger at"):
        Ledger.open(path, create=False)
    assert list(path.parent.iterdir()) == []


def test_without_its_folder_there_is_no_ledger(path):
    with pytest.raises(StoreError, match="cannot create"):
        Ledger.open(path.parent / "absent" / "ledger.db")


@pytest.mark.parametrize(
    "content", [b"not a database, at least 100 bytes long" * 9, b"", b"SQLite format 3\0" + b"x" * 200]
)
@pytest.mark.parametrize("create", [True, False])
def test_a_damaged_ledger_is_never_taken_for_a_new_one(path, content, create):
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged|not a ledger") as caught:
        Ledger.open(path, create=create)
    assert "backup" in caught.value.hint
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_no_ledger(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    with pytest.raises(StoreError):
        Ledger.open(path)


def test_a_ledger_of_a_newer_version_is_left_alone(path):
    Ledger.open(path).close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE meta SET value = '99' WHERE key = '_version'")
    other.close()
    with pytest.raises(StoreError, match="version 99; this pacsferry knows up to 1") as caught:
        Ledger.open(path)
    assert "newer" in caught.value.hint


def test_damage_inside_is_told_without_what_is_inside(path):
    with Ledger.open(path) as ledger:
        for number in range(200):
            ledger.expect("run", plan(20, key=f"2.25.{number}"))
    raw = bytearray(path.read_bytes())
    raw[8192:-4096] = b"\xff" * (len(raw) - 8192 - 4096)
    path.write_bytes(raw)
    with pytest.raises(StoreError, match="damaged"):
        read_all(path)


def read_all(path):
    with Ledger.open(path) as ledger:
        return list(ledger.studies()), list(ledger.originals())


def test_two_processes_can_make_the_same_ledger_at_once(path, tmp_path):
    code = """
        import sys
        from support.ledgers import *
        print("ready", flush=True)
        sys.stdin.readline()
        for name in range(8):
            with Ledger.open(f"{sys.argv[1]}{name}") as ledger:
                print(ledger.number_subjects(subjects("a"), numbered)["a"])
    """
    racers = [python(code, path, folder=tmp_path) for _ in range(2)]
    for one in racers:
        one.stdout.readline()
    for one in racers:
        one.stdin.write("\n")
        one.stdin.flush()
    assert [said(one).split() for one in racers] == [["case0001"] * 8] * 2
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_without_hard_links_a_ledger_is_made_all_the_same(path, monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "link", refuse)
    with Ledger.open(path) as ledger:
        ledger.number_subjects(subjects("a"), numbered)
    made = path.stat().st_ino
    ledger_store._create(path, list(ledger_schema.ledger.sorted_tables), 0o600)
    assert path.stat().st_ino == made
    assert os.listdir(path.parent) == ["ledger.db"]


def test_a_transaction_within_a_transaction_is_an_error_and_no_deadlock(path):
    with Ledger.open(path) as ledger:

        def name(new, first):
            ledger.note("run", "naming")
            return numbered(new, first)

        with pytest.raises(RuntimeError, match="within a transaction"):
            ledger.number_subjects(subjects("a"), name)
        assert ledger.number_subjects(subjects("a"), numbered) == {"a": "case0001"}


def test_the_tables_can_be_made_in_postgresql():
    for table in ledger_schema.ledger.sorted_tables:
        made = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert f"CREATE TABLE {table.name} (" in made.replace('"', "")
        assert "STRICT" not in made


def test_a_busy_ledger_says_so(path, monkeypatch):
    monkeypatch.setattr(ledger_store, "_BUSY_SECONDS", 0.2)
    with Ledger.open(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="busy"):
            ledger.start_run("load")
        assert list(ledger.studies()) == []  # who only looks does not wait
        other.execute("ROLLBACK")
        other.close()
        assert ledger.start_run("load")


def test_who_writes_waits_for_who_writes(path, tmp_path):
    code = """
        import sys
        from support.ledgers import *
        with Ledger.open(sys.argv[1]) as ledger:
            print("ready", flush=True)
            sys.stdin.readline()
            for n in range(40):
                ledger.start_run("load")
    """
    writers = [python(code, path, folder=tmp_path) for _ in range(2)]
    for one in writers:
        one.stdout.readline()
    for one in writers:
        one.stdin.write("\n")
        one.stdin.flush()
    for one in writers:
        said(one)
    with Ledger.open(path) as ledger:
        assert len(ledger.runs()) == 80
        assert ledger.check_chain().ok
        assert ledger.check_chain().count == 80


def test_a_full_disk_ends_a_run_and_leaves_the_ledger_whole(path, tmp_path):
    code = """
        import resource, sys, signal
        from support.ledgers import *
        from pacsferry.core.errors import StoreError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with Ledger.open(sys.argv[1]) as ledger:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            try:
                for n in range(1000):
                    ledger.expect("run", plan(50, key=f"2.25.{n}"))
                print("no error")
            except StoreError as err:
                print(type(err).__name__, err.exit_code)
    """
    assert said(python(code, path, folder=tmp_path)) == "StoreError 6"
    with Ledger.open(path) as ledger:
        assert ledger.check_chain().ok
        assert {one.missing for one in ledger.studies()} == {50}


def test_no_error_holds_what_was_to_be_written(path):
    secret = "CANARY^PATIENT"
    with Ledger.open(path) as ledger:
        row = {"kind": "patient", "key": "k", "patient_id": secret}
        with pytest.raises(StoreError) as caught, ledger._store.write() as conn:
            conn.execute(linkage.insert(), [row, row])
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value.hint)
        assert secret not in told
        assert caught.value.__context__ is None or secret not in repr(caught.value.__context__)
        assert caught.value.__cause__ is None


def test_foreign_keys_hold(path):
    with Ledger.open(path) as ledger, pytest.raises(StoreError), ledger._store.write() as conn:
        conn.execute(instance.insert(), {"study_id": 404, "key": "x"})


def test_types_hold(path):
    with Ledger.open(path) as ledger, pytest.raises(StoreError), ledger._store.write() as conn:
        conn.execute(sa.text("INSERT INTO subject (token, number, case_id) VALUES ('t', 'seven', 'c')"))


@pytest.mark.parametrize(
    ("kind", "mode"), [("ext4", "WAL"), ("tmpfs", "WAL"), ("nfs4", "DELETE"), ("fuse.sshfs", "DELETE"), ("", "DELETE")]
)
def test_wal_is_for_local_file_systems(tmp_path, monkeypatch, kind, mode):
    monkeypatch.setattr(processes, "file_system", lambda _folder: kind)
    assert ledger_store.journal_mode(tmp_path) == mode
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.expect(ledger.start_run("load"), plan(2))
        ledger.record("run", leased(ledger), [outcome(0)])
        with ledger._store.read() as conn:
            assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == mode.lower()
            assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        # Reading on while writing must not lock ourselves out.
        for one in ledger.studies():
            ledger.waive("run", one.key, "known")
        assert ledger.study(STUDY).waived == "known"


def test_the_file_system_of_a_folder_is_known(tmp_path):
    assert processes.file_system(tmp_path)
    assert processes.file_system(tmp_path / "absent") == processes.file_system(tmp_path)
    from pathlib import Path

    assert processes.file_system(Path("/proc/self")) == "proc"


def test_a_ledger_survives_a_killed_writer(path, tmp_path):
    code = """
        import sys
        from support.ledgers import *
        with Ledger.open(sys.argv[1]) as ledger:
            run = ledger.start_run("load")
            ledger.expect(run, plan(3000))
            lease = ledger.lease(STUDY)
            print("ready", flush=True)
            for start in range(0, 3000, 10):
                ledger.record(run, lease, [outcome(n) for n in range(start, start + 10)])
                print(start + 10, flush=True)
    """
    for _ in range(3):
        victim = python(code, path, folder=tmp_path)
        sure = 0
        for line in victim.stdout:
            sure = int(line) if line.strip().isdecimal() else sure
            if sure >= 200:
                victim.kill()
                break
        victim.communicate()
        with Ledger.open(path) as ledger:
            assert ledger.check_chain().ok
            stored = len(list(ledger.stored(STUDY)))
            assert stored == ledger.study(STUDY).stored >= sure
            assert ledger.study(STUDY).missing == 3000 - stored
            with ledger._store.read() as conn:
                assert conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def syncs(store, *, durable):
    with store.write(durable=durable) as conn:
        return conn.exec_driver_sql("PRAGMA synchronous").scalar()


def test_only_what_must_outlive_a_power_failure_waits_for_the_disk(path):
    with Ledger.open(path) as ledger:
        assert [syncs(ledger._store, durable=wanted) for wanted in (True, False, True, False)] == [2, 1, 2, 1]


def test_without_wal_every_change_waits_for_the_disk(path, monkeypatch):
    monkeypatch.setattr(processes, "file_system", lambda _folder: "nfs4")
    with Ledger.open(path) as ledger:
        assert syncs(ledger._store, durable=False) == 2


def test_what_claims_files_or_numbers_waits_for_the_disk(path, monkeypatch):
    """Files are released on the strength of these; all else the next run finds out again."""
    with Ledger.open(path) as ledger:
        waited = []
        write = ledger._store.write
        monkeypatch.setattr(
            ledger._store, "write", lambda *, durable=True: (waited.append(durable), write(durable=durable))[1]
        )
        run = ledger.start_run("load")
        ledger.number_subjects(subjects("token"), numbered)
        assert waited == [True, True]
        ledger.expect(run, plan(1))
        lease = leased(ledger)
        del waited[:]
        ledger.record(run, lease, [outcome(0)])
        ledger.withdraw(run, lease, "mixed-patients")
        ledger.end_run(run, "ok", {})
        assert waited == [True, True, True]
