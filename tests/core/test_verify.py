"""The released files are those of the ledger, byte for byte, and nothing else is there."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace

import pytest

from pacsferry.core.errors import StoreError
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import Owner
from pacsferry.core.verify import STAGING, sweep_staging, verify_files
from support.ledgers import STUDY, leased, outcome, plan, python

COUNT = 5


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as one:
        yield one


@pytest.fixture
def root(tmp_path, ledger):
    """A project with five stored files, reports, and a file that is being written."""
    root = tmp_path / "images"
    ledger.expect("run", plan(COUNT))
    outcomes = []
    for number in range(COUNT):
        content = bytes([number]) * (1000 + number)
        one = outcome(number)
        path = root / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        outcomes.append(replace(one, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    ledger.record("run", leased(ledger), outcomes)
    for name in ("reports", STAGING):
        (root / name).mkdir()
        (root / name / "summary.json").write_text("{}")
    return root


def file(root, number):
    return root / outcome(number).path


def test_what_the_ledger_says_is_there(root, ledger):
    told = []
    report = verify_files(root, ledger, progress=told.append)
    assert report.ok
    assert report.checked == COUNT
    assert told[-1] == COUNT


def test_a_missing_file_is_told_by_its_path(root, ledger):
    file(root, 2).unlink()
    report = verify_files(root, ledger)
    assert (report.ok, report.missing, report.changed, report.foreign) == (False, (outcome(2).path,), (), ())


def test_one_changed_byte_is_noticed(root, ledger):
    path = file(root, 3)
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    assert verify_files(root, ledger).changed == (outcome(3).path,)
    assert verify_files(root, ledger, quick=True).ok


@pytest.mark.parametrize("quick", [True, False])
def test_another_size_is_noticed_even_by_a_quick_look(root, ledger, quick):
    os.truncate(file(root, 3), 10)
    assert verify_files(root, ledger, quick=quick).changed == (outcome(3).path,)


def test_a_file_that_nobody_stored_is_foreign(root, ledger):
    (root / "case0001" / "mine.txt").write_text("x")
    (root / "top.dcm").write_text("x")
    (root / "case0001" / "reports").mkdir()
    (root / "case0001" / "reports" / "x").write_text("x")
    assert verify_files(root, ledger).foreign == ("case0001/mine.txt", "case0001/reports/x", "top.dcm")


def test_links_are_foreign_and_not_followed(root, ledger, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (root / "case0001" / "folder").symlink_to(outside)
    (root / "reports").rename(tmp_path / "elsewhere")
    (root / "reports").symlink_to(tmp_path / "elsewhere")
    assert verify_files(root, ledger).foreign == ("case0001/folder", "reports")


def test_a_link_in_the_place_of_a_file_is_not_that_file(root, ledger, tmp_path):
    file(root, 1).rename(tmp_path / "copy")
    file(root, 1).symlink_to(tmp_path / "copy")
    report = verify_files(root, ledger)
    assert report.missing == (outcome(1).path,)
    assert report.foreign == (outcome(1).path,)


def test_a_link_in_the_place_of_a_folder_is_not_that_folder(root, ledger, tmp_path):
    (root / "case0001").rename(tmp_path / "copy")
    (root / "case0001").symlink_to(tmp_path / "copy")
    report = verify_files(root, ledger)
    assert len(report.missing) == COUNT
    assert report.foreign == ("case0001",)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_something_else_in_the_place_of_a_file_does_not_hang(root, ledger, make):
    file(root, 1).unlink()
    make(file(root, 1))
    assert verify_files(root, ledger).changed == (outcome(1).path,)


def test_a_folder_that_is_gone_misses_everything(root, ledger):
    report = verify_files(root / "nowhere", ledger)
    assert len(report.missing) == COUNT
    assert report.foreign == ()


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_an_error(root, ledger):
    file(root, 1).chmod(0)
    with pytest.raises(StoreError, match="cannot read"):
        verify_files(root, ledger)


def test_lost_files_can_be_fetched_again(root, ledger):
    file(root, 2).unlink()
    lease = leased(ledger)
    ledger.lose("run", lease, verify_files(root, ledger).missing)
    assert ledger.study(STUDY).missing == 1
    assert verify_files(root, ledger).ok


def test_what_a_dead_process_left_is_swept_and_a_live_ones_stays(root, tmp_path):
    code = """
        from pacsferry.core.ledger_model import Owner
        print(Owner.me().tag, flush=True)
        input()
    """
    other = python(code, folder=tmp_path)
    staging = root / STAGING
    theirs = staging / f"{other.stdout.readline().strip()}-1"
    mine = staging / f"{Owner.me().tag}-1"
    unknown, old = staging / "unknown", staging / "old"
    for one in (theirs, mine, unknown, old):
        one.write_text("x")
    day_ago = time.time() - 90000
    os.utime(old, (day_ago, day_ago))
    assert sweep_staging(root) == 1
    assert not old.exists()
    assert theirs.exists()
    other.kill()
    other.communicate()
    assert sweep_staging(root) == 1
    assert {one.name for one in staging.iterdir()} == {mine.name, "unknown", "summary.json"}


def test_of_another_host_only_old_files_are_swept(root):
    stranger = replace(Owner.me(), host="elsewhere", pid=2**22 + 1)
    path = root / STAGING / f"{stranger.tag}.dcm"
    path.write_text("x")
    assert sweep_staging(root) == 0
    os.utime(path, (0, 0))
    assert sweep_staging(root) == 1


def test_a_staging_folder_that_is_a_link_is_left_alone(root, tmp_path):
    victim = tmp_path / "victim"
    (root / STAGING).rename(victim)
    (root / STAGING).symlink_to(victim)
    os.utime(victim / "summary.json", (0, 0))
    assert sweep_staging(root) == 0
    assert (victim / "summary.json").exists()
    assert sweep_staging(tmp_path / "nowhere") == 0
