"""Killed in the middle, out of space, without a secret: nothing is lost, nothing is left lying, and a resume completes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess

import pytest

from pacsferry.core.errors import StoreError
from pacsferry.testing.samples import ct_study
from support.commands import PACSFERRY, call, run
from support.loading import TRANSPORTS, place
from support.processes import alive, family, temporary, until, workers
from support.strangers import installed

SLICES = 12
ACC = "ACC100"


@pytest.fixture
def there(tmp_path):
    study = ct_study(
        slices=SLICES, rows=64, columns=64, accession=ACC, patient_id="CANARYID7", patient_name="Canary^Anna"
    )
    with place(tmp_path, study) as made:
        made.write()
        yield made


def start(there, *words, **env):
    return subprocess.Popen(
        [*PACSFERRY, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=there.folder,
        env={**os.environ, **env},
    )


def recorded(there):
    """How many instances the ledger has as stored; a file gets its name a moment before."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{there.folder}/private/p/ledger.db?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT coalesce(sum(stored), 0) FROM study").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not made yet


def load_until(there, over, count, **env):
    """Start a load that stands still before the instance after ``count``; wait until so many are recorded."""
    there.write((over,))
    there.archive.faults.add(f"pause:nth={count + 1},seconds=30")
    process = start(
        there, "load", "p", ACC, "-s", there.site, "--set", "archive.timeouts.stall=60s", "--workers", 2, **env
    )
    try:
        until(lambda: recorded(there) >= count - 1)  # the end of a part shows only when the next one begins
    except AssertionError:
        process.kill()
        out, err = process.communicate()
        raise AssertionError((len(there.images()), out, err)) from None
    return process


def completes(there, over):
    there.archive.faults.clear()
    there.archive.log.clear()
    before = len(there.images())
    told = call("resume", "p", "--workers", 0)
    assert told.code == 0, told
    assert [row["status"] for row in told.document["results"]] == ["ok"]
    assert len(there.images()) == SLICES
    # What an archive had on its way to the killed run may come to this one, which then asks for less.
    until(lambda: 0 < len(set(there.archive.log.sent(over))) <= SLICES - before, 5)
    staging = there.folder / "research" / "p" / ".staging"
    assert not staging.exists() or list(staging.iterdir()) == []
    assert call("verify-files", "p").document["status"] == "ok"
    assert call("audit", "p", "--check").document["chain"]["ok"]


def left_over(there):
    """Everything in the two folders of the project that is not in place."""
    private = {path.name for path in (there.folder / "private" / "p").iterdir()}
    return private - {"project.toml", "secret", "ledger.db", "ledger.db-wal", "ledger.db-shm", "reports", "key.csv"}


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_load_killed_outright_is_completed_by_resume(there, over, tmp_path):
    process = load_until(there, over, 5, **temporary(tmp_path / "tmp"))
    all_of_it = family(process.pid)
    assert len(all_of_it) > 1
    process.kill()
    process.communicate()
    until(lambda: not any(alive(one) for one in all_of_it), 10)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert left_over(there) == set()
    assert 0 < len(there.images()) < SLICES
    completes(there, over)


def test_the_state_after_a_kill_is_told_as_interrupted(there):
    process = load_until(there, "wado-rs", 5)
    process.kill()
    process.communicate()
    told = call("status", "p")
    assert told.code == 5
    (problem,) = told.document["problems"]
    assert problem["status"] == "interrupted"
    completes(there, "wado-rs")


def test_a_load_again_after_a_kill_completes_too(there):
    process = load_until(there, "c-get", 5)
    process.kill()
    process.communicate()
    there.archive.faults.clear()
    there.write(("c-get",))
    told = call("load", "p", ACC, "-s", there.site, "--workers", 0)
    assert (told.code, told.document["results"][0]["stored"]) == (0, SLICES)


def test_files_that_were_named_and_never_recorded_do_no_harm(there, monkeypatch):
    """A crash between rename and record: the file has no row; the same bytes come again at the same path."""
    with monkeypatch.context() as broken:
        broken.setattr("pacsferry.core.ledger.Ledger.record", lambda *_: (_ for _ in ()).throw(StoreError("gone")))
        told = call("load", "p", ACC, "-s", there.site, "--workers", 0)
    assert told.code == 6, told
    unrecorded = {path: path.read_bytes() for path in there.images()}
    assert unrecorded
    completed = call("resume", "p", "--workers", 0)
    assert completed.code == 0, completed
    assert len(there.images()) == SLICES
    assert {path: path.read_bytes() for path in unrecorded} == unrecorded
    assert call("verify-files", "p").code == 0


def test_a_killed_worker_is_replaced_and_loses_nothing(there):
    there.write(("wado-rs",))
    there.archive.faults.add("pause:nth=6,seconds=3")
    process = start(there, "load", "p", ACC, "-s", there.site, "--workers", 2, "--set", "archive.timeouts.stall=60s")
    until(lambda: len(there.images()) >= 4)
    first = workers(process.pid)
    for worker in first:
        os.kill(worker, signal.SIGKILL)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, (out, err)
    assert len(first) == 2
    assert json.loads(out)["results"][0]["stored"] == SLICES


DEADLY = """
    import os
    from pacsferry import hookimpl
    from pacsferry.core.strict import NoSettings
    from pacsferry.core.model import Verdict
    from pacsferry.core.ports import Offer

    class Deadly:
        def __init__(self, settings=None):
            pass

        def judge(self, draft):
            if draft.facts.instance_number == 4:
                {what}
            return Verdict.allow()

    @hookimpl
    def pacsferry_gates():
        return [Offer(name="deadly", summary="Kills its worker.", build=Deadly, settings=NoSettings)]
"""

CHOSEN = '[[gate]]\nuse = "deadly"\n'


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("os._exit(3)", "worker-died"),
        ("os.kill(os.getpid(), 11)", "worker-died"),
        ("bytearray(8 * 2**30)", "worker-limit"),
        ("raise RuntimeError('CANARYID7')", "gate-failed"),
    ],
)
def test_an_object_that_kills_its_worker_is_held_and_the_others_are_stored(there, tmp_path, what, code):
    env = installed(tmp_path / "plug", "deadly_gate", DEADLY.format(what=what))
    there.write(("wado-rs",), CHOSEN)
    told = run("load", "p", ACC, "-s", there.site, "--workers", 2, cwd=tmp_path, **env)
    assert told.code == 5, told
    (row,) = told.document["results"]
    assert (row["status"], row["stored"], row["held"]) == ("held", SLICES - 1, 1)
    assert row["reasons"] == [{"code": code, "count": 1}]
    assert "CANARYID7" not in told.out + told.err
    # Without it, the held one is fetched again and nothing else.
    there.write(("wado-rs",))
    there.archive.log.clear()
    again = run("resume", "p", cwd=tmp_path, **env)
    assert again.code == 0, again
    assert len(there.images()) == SLICES
    assert len(set(there.archive.log.sent("wado-rs"))) == 1


def test_a_worker_that_cannot_start_is_no_hang(there, tmp_path):
    env = installed(tmp_path / "plug", "deadly_gate", DEADLY.format(what="pass") + "\n    import sys\n")
    code = (tmp_path / "plug" / "deadly_gate.py").read_text()
    (tmp_path / "plug" / "deadly_gate.py").write_text(
        code + "\nif 'pacsferry.clearer' in sys.argv[0] or sys.argv[0].endswith('clearer.py'):\n    os._exit(9)\n"
    )
    there.write(("wado-rs",), CHOSEN)
    told = run("load", "p", ACC, "-s", there.site, "--workers", 2, cwd=tmp_path, timeout=60, **env)
    assert told.code == 1, told
    assert there.images() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_signal_keeps_what_is_done_and_says_how_to_go_on(there, over, number, tmp_path):
    process = load_until(there, over, 5, **temporary(tmp_path / "tmp"))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    document = json.loads(out)
    assert document["results"][0]["status"] == "interrupted"
    assert document["results"][0]["stored"] >= 4
    assert "pacsferry resume p" in document["hint"]
    assert list((tmp_path / "tmp").iterdir()) == []
    completes(there, over)


def test_a_terminals_control_c_reaches_the_workers_too_and_nothing_is_held(there):
    process = load_until(there, "wado-rs", 5)
    for one in workers(process.pid):
        os.kill(one, signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["results"][0]["held"]) == (130, 0)
    completes(there, "wado-rs")
