"""Drafts: what dead processes left is removed, what is being written is not."""

import os
import subprocess
import sys

from pacsferry.core.drafts import draft, sweep

DIES = """
import os, sys
from pathlib import Path
from pacsferry.core.drafts import draft
draft(Path(sys.argv[1]) / "project.toml").write_text("half")
os._exit(9)
"""


def test_what_a_dead_process_left_goes_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    mine = draft(tmp_path / "secret")
    mine.write_text("being written")
    (tmp_path / "project.toml").write_text("whole")
    assert len(list(tmp_path.iterdir())) == 3
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([mine, tmp_path / "project.toml"])


def test_names_that_are_nobodys_stay_for_a_day(tmp_path):
    odd = tmp_path / ".draft-odd"
    odd.write_text("x")
    sweep(tmp_path)
    assert odd.exists()
    os.utime(odd, (0, 0))
    sweep(tmp_path)
    assert not odd.exists()


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path):
    sweep(tmp_path / "none")
    assert not (tmp_path / "none").exists()
