"""Killed at every fsync, rename and commit of a study: the next run completes, and nothing is lost or left lying.

strace kills the command at the n-th system call of a kind. The points of the short version are spread over a run; all of
them are gone through with ``PACSFERRY_SOAK=1`` (``make soak``).
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pacsferry.testing.samples import ct_study
from support.commands import PACSFERRY, call
from support.loading import place
from support.peers import missing

SLICES = 3
ACC = "ACC100"
WHOLE = os.environ.get("PACSFERRY_SOAK") == "1"
#: System calls that make something last, each with the points of the short version. `pwrite64` and `fdatasync` are
#: SQLite's: a transaction is committed by the fdatasync of its last frame.
POINTS = {
    "fsync": (1, 4, 9, 14),
    "rename,renameat,renameat2": (1, 3),
    "fdatasync": (1, 3, 6, 9),
    "pwrite64": (2, 20, 50),
    "link,linkat": (1,),
}
#: So many points at most; a command that ends well before is past its last one.
MOST = 400


@pytest.fixture(autouse=True)
def _strace():
    if shutil.which("strace") is None:
        missing("strace")


@pytest.fixture
def there(tmp_path):
    study = ct_study(slices=SLICES, rows=16, columns=16, accession=ACC, patient_id="CANARYID7")
    with place(tmp_path, study) as made:
        made.write()
        yield made


def killed(there, calls, number):
    """Load under strace; whether it was killed at the n-th of these system calls of a thread."""
    traced = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}"]
    traced += ["-e", f"inject={calls}:signal=SIGKILL:when={number}"]
    words = ["load", "p", ACC, "-s", str(there.site), "--workers", "0"]
    done = subprocess.run([*traced, *PACSFERRY, *words], cwd=there.folder, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode != 0


def completes(there):
    """Whatever was left: the same command again ends well, with every file once, and a ledger that is whole."""
    told = call("load", "p", ACC, "-s", there.site, "--workers", 0)
    assert told.code == 0, told
    assert told.document["results"][0]["status"] in {"ok", "skipped"}
    images = there.images()
    assert len(images) == SLICES
    verified = call("verify-files", "p")
    assert (verified.code, verified.document["status"]) == (0, "ok"), verified
    assert call("audit", "p", "--check").document["chain"]["ok"]
    staging = there.folder / "research" / "p" / ".staging"
    assert not staging.exists() or not list(staging.iterdir())
    names = {path.name for path in (there.folder / "private" / "p").iterdir()}
    assert names <= {"project.toml", "secret", "ledger.db", "ledger.db-wal", "ledger.db-shm", "reports", "key.csv"}
    return {path.relative_to(there.folder): path.read_bytes() for path in images}


def afresh(there):
    for name in ("research", "private", "state"):
        shutil.rmtree(there.folder / name, ignore_errors=True)


@pytest.mark.parametrize("calls", POINTS)
def test_killed_there_the_next_run_completes(there, calls):
    hit = 0
    for number in range(1, MOST) if WHOLE else POINTS[calls]:
        if not killed(there, calls, number):
            break
        hit += 1
        completes(there)
        afresh(there)
    assert hit, f"no {calls} was ever called"
    assert hit < MOST - 1


def test_the_files_are_those_of_a_run_that_was_not_killed(there):
    """Killed after the secret is there: the same secret, so the same bytes at the same paths."""
    assert call("load", "p", ACC, "-s", there.site, "--workers", 0).code == 0
    whole = completes(there)
    shutil.rmtree(there.folder / "research")
    (there.folder / "private" / "p" / "ledger.db").unlink()
    for left in (there.folder / "private" / "p").glob("ledger.db-*"):
        left.unlink()
    assert killed(there, "fsync", 4)
    assert completes(there) == whole
