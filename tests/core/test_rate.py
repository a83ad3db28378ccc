"""Bytes per minute: smooth, shared by all processes of the host, and nothing is too large for it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from pacsferry.core.hoststate import HostState
from pacsferry.core.rate import Rate
from support.ledgers import python, said
from support.processes import stopped, until

SPEND = """
    import sys, threading, time
    from pathlib import Path
    from pacsferry.core.rate import Rate
    rate = Rate(Path(sys.argv[1]), 60_000_000, threading.Event())
    end, total = time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < end:
        rate.spend(20_000)
        total += 20_000
    print(total)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "archives" / "a.json"


def rate(path, per_minute=60_000_000, stop=None):
    return Rate(path, per_minute, stop or threading.Event())


def test_a_second_of_bytes_takes_a_second(path):
    one, began = rate(path), time.monotonic()
    for _ in range(100):
        one.spend(10_000)
    assert 0.7 < time.monotonic() - began < 2


def test_it_is_smooth(path):
    """No tenth of a second brings much more than a tenth of a second's bytes."""
    one, began = rate(path), time.monotonic()
    came = []
    for _ in range(70):
        one.spend(10_000)
        came.append(time.monotonic() - began)
    windows = [sum(start <= moment < start + 0.2 for moment in came) for start in (0.2, 0.3, 0.4)]
    assert max(windows) <= 45, windows


def test_an_object_larger_than_a_minute_passes(path, clock):
    one = rate(path, 1_000_000)
    waits = 0.0
    for _ in range(20):
        waits += (wait := one.take(one._step))
        clock.now += wait
    assert waits == pytest.approx(20 * one._step / (1_000_000 / 60), rel=0.2)
    big, ended = rate(path, 600_000_000), time.monotonic()
    monotonic = threading.Thread(target=big.spend, args=(2_000_000,), daemon=True)
    monotonic.start()
    monotonic.join(10)
    assert not monotonic.is_alive()
    assert time.monotonic() - ended < 10


def test_small_pieces_are_counted_together(path):
    one = rate(path)
    for _ in range(1000):
        one.spend(1)
    assert not path.exists()


def test_stopping_ends_a_wait(path):
    stop = threading.Event()
    one = rate(path, 60_000, stop)
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    one.spend(10_000_000)
    assert time.monotonic() - began < 5


def test_two_processes_share_evenly(path, tmp_path):
    both = [python(SPEND, path, "2.0", folder=tmp_path) for _ in range(2)]
    first, second = (int(said(one)) for one in both)
    assert first + second < 3_600_000, "both together are within the limit, start-up apart"
    assert min(first, second) > 0.2 * max(first, second)


def test_a_process_that_is_killed_or_stopped_takes_nothing_with_it(path, tmp_path):
    other = python(SPEND, path, "60", folder=tmp_path)
    until(path.exists)
    with HostState(path).changing():  # it is stopped between two payments, and not within one
        os.kill(other.pid, signal.SIGSTOP)
        until(lambda: stopped(other.pid))
    one, began = rate(path), time.monotonic()
    one.spend(500_000)
    assert time.monotonic() - began < 3
    other.kill()
    other.communicate()
    began = time.monotonic()
    one.spend(300_000)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"[]",
        b'{"free_at": "x"}',
        b'{"free_at": 1e300}',
        b'{"free_at": NaN}',
        b"\xff\xfe",
        b'{"free_at": true}',
    ]
    + [b"[" * 60000],
)
def test_a_file_that_makes_no_sense_does_not_stop_us(path, junk):
    one = rate(path)
    one.take(10)
    boot = json.loads(path.read_bytes())["boot"]
    path.write_bytes(junk if not junk.startswith(b'{"') else junk[:-1] + f', "boot": "{boot}"}}'.encode())
    assert one.take(10) < 1
    assert json.loads(path.read_bytes())["free_at"] < time.monotonic() + 1


def test_what_another_boot_wrote_counts_as_nothing(path):
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"boot": "another", "free_at": time.monotonic() + 50}))
    assert rate(path).take(10) < 1


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_another_user_who_may_only_read_keeps_a_count_of_its_own():
    import tempfile
    from pathlib import Path

    code = """
        import os, sys, threading
        from pathlib import Path
        from pacsferry.core.rate import Rate
        os.setuid(65534)
        rate = Rate(Path(sys.argv[1]) / "archives" / "a.json", 60_000, threading.Event())
        print([round(rate.take(100), 1) for _ in range(4)])
    """
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        path = Path(name) / "archives" / "a.json"
        rate(path, 60_000).take(10)
        assert path.stat().st_mode & 0o777 == 0o666
        path.chmod(0o644)
        shown = python(code, name, folder="/").communicate()[0]
        assert shown.startswith("["), shown
        assert json.loads(shown)[-1] > 0.1
