"""Leases: a dead owner loses them at once, a live one only by time, and a late writer never writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from pacsferry.core import processes
from pacsferry.core.ledger import LeaseLost, Ledger
from pacsferry.core.ledger_model import Owner
from support.ledgers import STUDY, leased, outcome, plan, python, said, somebody_else

TAKE = """
    import sys
    from support.ledgers import *
    with Ledger.open(sys.argv[1], create=False) as ledger:
        lease = ledger.lease(STUDY, seconds=3600)
        print(lease.fence, flush=True)
        sys.stdin.readline()
        try:
            ledger.record("late", lease, [outcome(0)])
            print("written")
        except Exception as err:
            print(type(err).__name__)
"""


@pytest.fixture
def path(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as one:
        one.expect(one.start_run("load"), plan(4))
    return tmp_path / "ledger.db"


def test_a_killed_process_loses_its_lease_at_once(path, tmp_path):
    other = python(TAKE, path, folder=tmp_path)
    assert other.stdout.readline() == "1\n"
    with Ledger.open(path) as ledger:
        assert ledger.lease(STUDY) is None
        assert ledger.holder(STUDY).startswith(f"process {other.pid} since ")
        assert ledger.study(STUDY).leased_by == ledger.holder(STUDY)
        other.send_signal(signal.SIGKILL)
        # Not waited for: a zombie is as dead as one that is gone.
        deadline = time.monotonic() + 10
        while (lease := ledger.lease(STUDY)) is None:
            assert time.monotonic() < deadline
        assert lease.fence == 2
        taken = [event for event in ledger.events() if event.action == "lease-taken-over"]
        assert [event.details for event in taken] == [{"process": other.pid}]
    other.communicate()


def test_a_process_that_was_stopped_too_long_cannot_write(path, tmp_path):
    other = python(TAKE, path, folder=tmp_path)
    other.stdout.readline()
    os.kill(other.pid, signal.SIGSTOP)
    with Ledger.open(path) as ledger:
        assert ledger.lease(STUDY) is None
        expire(ledger)
        assert leased(ledger).fence == 2
        os.kill(other.pid, signal.SIGCONT)
        other.stdin.write("\n")
        assert said(other) == "LeaseLost"
        assert ledger.study(STUDY).stored == 0


def expire(ledger):
    from pacsferry.core.ledger_schema import study

    with ledger._store.write() as conn:
        conn.execute(study.update().values(lease_until=time.time() - 1))


def test_two_processes_never_hold_one_study(path, tmp_path):
    race = """
        import sys
        from support.ledgers import *
        with Ledger.open(sys.argv[1], create=False) as ledger:
            sys.stdin.readline()
            lease = ledger.lease(STUDY)
            print("mine" if lease else "no", flush=True)
            sys.stdin.readline()
    """
    racers = [python(race, path, folder=tmp_path) for _ in range(3)]
    for one in racers:
        one.stdin.write("\n")
        one.stdin.flush()
    answers = [one.stdout.readline().strip() for one in racers]
    for one in racers:
        one.communicate("\n", timeout=30)
    assert sorted(answers) == ["mine", "no", "no"]


def test_fences_only_grow(path):
    with Ledger.open(path) as ledger, Ledger.open(path, owner=somebody_else()) as other:
        seen = []
        for one in (ledger, other, other, ledger):
            lease = leased(one)
            seen.append(lease.fence)
            one.release(lease)
        assert seen == sorted(set(seen))


def test_a_released_lease_writes_no_more(path):
    with Ledger.open(path) as ledger:
        lease = leased(ledger)
        ledger.release(lease)
        ledger.release(lease)
        assert ledger.holder(STUDY) == ""
        with pytest.raises(LeaseLost):
            ledger.record("run", lease, [outcome(0)])


def test_who_records_keeps_the_lease(path):
    with Ledger.open(path) as ledger, Ledger.open(path, owner=somebody_else()) as other:
        lease = leased(ledger)
        ledger.renew(lease, seconds=-1)
        ledger.record("run", lease, [outcome(0)])
        assert other.lease(STUDY) is None
        ledger.check(lease)
        ledger.renew(lease, seconds=-1)
        leased(other)
        with pytest.raises(LeaseLost):
            ledger.check(lease)


def test_a_process_takes_its_own_lease_anew(path):
    with Ledger.open(path) as ledger:
        first, second = leased(ledger), leased(ledger)
        ledger.record("run", second, [outcome(0)])
        with pytest.raises(LeaseLost):
            ledger.record("run", first, [outcome(1)])
        assert not any(event.action == "lease-taken-over" for event in ledger.events())


def test_a_lease_of_another_host_or_container_ends_by_time_only(path):
    mine = Owner.me()
    for stranger in (
        replace(mine, host="elsewhere", pid=2**22 + 1),
        replace(mine, boot_id=mine.boot_id.partition("/")[0] + "/1", pid=2**22 + 1),
    ):
        assert not stranger.dead()
        with Ledger.open(path) as ledger, Ledger.open(path, owner=stranger) as other:
            lease = leased(other)
            assert ledger.lease(STUDY) is None
            other.renew(lease, seconds=-1)
            ledger.release(leased(ledger))


def test_the_holder_on_another_host_is_named_with_it(path):
    with Ledger.open(path, owner=replace(Owner.me(), host="elsewhere", pid=7)) as other:
        leased(other)
        assert " on elsewhere since " in other.holder(STUDY)


def test_a_process_number_used_again_is_another_process():
    assert not Owner.me().dead()
    assert replace(Owner.me(), started=1).dead()


def test_after_a_restart_of_the_host_all_owners_are_dead():
    assert replace(Owner.me(), boot_id="another-boot/4026531836").dead()


def test_a_process_that_ended_is_dead_even_before_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = somebody_else(child.pid)
    assert not owner.dead()
    child.kill()
    deadline = time.monotonic() + 10
    while not owner.dead():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.communicate()
    assert processes.started(child.pid) is None


def test_an_owners_tag_is_a_plain_file_name():
    tag = replace(Owner.me(), host="höst/../x").tag
    assert tag.replace("-", "").isalnum()
    assert tag.startswith(f"{os.getpid()}-")


def test_threads_of_one_process_record_side_by_side(path):
    with Ledger.open(path) as ledger:
        run = ledger.start_run("load")
        keys = [f"2.25.7{n}" for n in range(4)]
        for key in keys:
            ledger.expect(run, plan(40, key=key, series=f"{key}.1"))

        def work(key):
            lease = leased(ledger, key)
            for start in range(0, 40, 8):
                ledger.record(run, lease, [outcome(n, series=f"{key}.1") for n in range(start, start + 8)])

        threads = [threading.Thread(target=work, args=(key,)) for key in keys]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert [ledger.study(key).stored for key in keys] == [40] * 4
        assert ledger.check_chain().ok
