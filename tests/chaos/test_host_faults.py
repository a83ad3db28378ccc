"""What a host does to a run: no space, files that may not grow, a process that sleeps past its lease, a clock put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from pacsferry.testing.samples import ct_study
from support.commands import PACSFERRY, call
from support.loading import place
from support.processes import until

SLICES = 12
ACC = "ACC100"
#: A run in which leases last a second, so that sleeping past their end takes no two minutes.
HASTY = """
import pacsferry.core.ledger_leases as leases
leases.SECONDS = 1.0
import pacsferry.core.study as study
study.LEASE = 1.0
from pacsferry.cli.main import run
run()
"""
#: A run whose clock is put back by an hour, and later forward by two, in the middle.
ODD_CLOCK = """
import itertools, time
real, asked = time.time, itertools.count()
def odd():
    count = next(asked)
    return real() - 3600 * (20 < count <= 40) + 3600 * (count > 40)
time.time = odd
from pacsferry.cli.main import run
run()
"""


@pytest.fixture
def there(tmp_path):
    study = ct_study(slices=SLICES, rows=128, columns=128, accession=ACC, patient_id="CANARYID7")
    with place(tmp_path, study) as made:
        made.write()
        yield made


def whole(there, *words):
    told = call(*(words or ("resume", "p")), "--workers", 0)
    assert told.code == 0, told
    assert len(there.images()) == SLICES
    assert call("verify-files", "p").document["status"] == "ok"
    assert call("audit", "p", "--check").document["chain"]["ok"]


def namespaces():
    """Whether a mount of one's own is possible here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("folder", "size"), [("research", "150k"), ("private", "300k")])
def test_a_full_disk_ends_with_6_and_a_whole_ledger_and_loses_nothing(there, tmp_path, folder, size):
    """On a small tmpfs in a name space of its own; afterwards the same project goes on where there is room."""
    if not namespaces():
        pytest.skip("needs name spaces of users and mounts")
    assert call("init", "p", "-s", there.site).code == 0
    words = ["load", "p", ACC, "-s", str(there.site), "--workers", "1", "--json"]
    script = (
        f"set -e; cp -a {folder} kept 2>/dev/null || mkdir kept; mkdir -p {folder}; mount -t tmpfs -o size={size} tmpfs {folder}; "
        f'cp -a kept/. {folder}/; chmod 700 private; set +e; "$@"; code=$?; rm -rf kept; cp -a {folder} kept; exit $code'
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", *PACSFERRY, *words],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 6, (done.stdout, done.stderr)
    assert "space" in told.get("error", "") + told.get("hint", "") + done.stderr.decode()
    shutil.rmtree(tmp_path / folder)
    (tmp_path / "kept").rename(tmp_path / folder)
    if folder == "private":
        (tmp_path / folder).chmod(0o700)
    assert not any(b"CANARYID7" in path.read_bytes() for path in there.images())
    whole(there)


def test_files_that_may_not_grow_end_with_6_and_nothing_is_lost(there):
    words = ["load", "p", ACC, "-s", str(there.site), "--workers", "1", "--json"]
    assert call("init", "p", "-s", there.site).code == 0
    done = subprocess.run(
        ["prlimit", "--fsize=20000", *PACSFERRY, *words], cwd=there.folder, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 6, (done.stdout, done.stderr)
    assert there.images() == []
    whole(there, "load", "p", ACC, "-s", there.site)


def start(there, code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=there.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    )


def test_who_sleeps_past_the_end_of_a_lease_cannot_write_any_more(there):
    """Another process takes the study over; the first wakes up, and what it has in hand is not recorded twice."""
    there.archive.faults.add("pause:nth=6,seconds=4,times=1")
    words = ("load", "p", ACC, "-s", there.site, "--workers", 0, "--set", "archive.timeouts.stall=60s", "--json")
    sleeper = start(there, HASTY, *words)
    try:
        until(lambda: len(there.images()) >= 4)
        time.sleep(0.7)  # it waits for the archive now; asleep in the middle of a commit it would hold the ledger
        os.kill(sleeper.pid, signal.SIGSTOP)
        time.sleep(1.5)
        other = start(there, HASTY, "resume", "p", "--workers", 0, "--json")
        out, err = other.communicate(timeout=40)
        assert other.returncode == 0, (out, err)
        assert json.loads(out)["results"][0]["status"] == "ok"
        names = {path: path.stat().st_mtime_ns for path in there.images()}
        assert len(names) == SLICES
    except BaseException:
        sleeper.kill()
        sleeper.communicate()
        raise
    os.kill(sleeper.pid, signal.SIGCONT)
    out, err = sleeper.communicate(timeout=40)
    assert sleeper.returncode in {0, 5, 6, 8}, (out, err)
    assert b"Traceback" not in err
    assert set(there.images()) == set(names)
    whole(there)


def test_a_clock_that_is_put_back_and_forward_changes_nothing(there):
    done = start(there, ODD_CLOCK, "load", "p", ACC, "-s", there.site, "--workers", 0, "--json")
    out, err = done.communicate(timeout=60)
    assert done.returncode == 0, (out, err)
    assert json.loads(out)["results"][0]["stored"] == SLICES
    whole(there)
