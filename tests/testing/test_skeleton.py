"""`plugins new`: each skeleton, as it is written, is found by the registry and passes its contract."""

import json
import os
import subprocess
import sys

import pytest

from pacsferry.core.errors import ConfigError
from pacsferry.core.registry import KINDS
from pacsferry.testing import skeleton

PROBE = """
import json
from pacsferry.core import registry
found = registry.load()
print(json.dumps([found.broken, found.names(%r)]))
"""


def run(folder, *arguments, paths=()):
    """A process that sees ``paths`` before everything else."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=170, check=False
    )


def dist_info(folder, name, package):
    """What an installer would write, so that the entry point is found without installing."""
    info = folder / f"pacsferry_{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pacsferry-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[pacsferry]\n{name} = pacsferry_{package}\n")


def test_every_kind_of_the_registry_has_a_skeleton():
    assert {kind.replace(" ", "-") for kind in KINDS} == set(skeleton.KINDS)


@pytest.mark.parametrize("kind", skeleton.KINDS)
def test_a_skeleton_is_found_and_passes_its_contract(tmp_path, kind):
    written = skeleton.render("new-tide", kind, tmp_path)
    folder = tmp_path / "new-tide"
    assert folder / "pyproject.toml" in written
    assert all(path.is_file() for path in written)
    dist_info(folder / "src", "new-tide", "new_tide")
    known = run(tmp_path, "-c", PROBE % kind.replace("-", " "), paths=[folder / "src"])
    assert known.returncode == 0, known.stderr
    broken, names = json.loads(known.stdout)
    assert broken == {}
    assert "new-tide" in names
    tests = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", paths=[folder / "src"])
    assert tests.returncode == 0, tests.stdout[-4000:]
    assert " passed" in tests.stdout


@pytest.mark.parametrize("kind", skeleton.KINDS)
def test_a_skeleton_is_clean(tmp_path, kind):
    skeleton.render("tide", kind, tmp_path)
    checked = run(tmp_path, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,B,UP", "tide")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["", "Tide", "../x", "a b", "tide_1", "1tide", "-x", "x" * 41])
def test_names_that_cannot_be_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="no name for a plugin"):
        skeleton.render(name, "gate", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_suggests_the_nearest(tmp_path):
    with pytest.raises(ConfigError) as caught:
        skeleton.render("tide", "layuot", tmp_path)
    assert caught.value.hint == "did you mean 'layout'?"


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "tide").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        skeleton.render("tide", "gate", tmp_path)
    assert not list((tmp_path / "tide").iterdir())


def test_the_distribution_prefix_may_be_given(tmp_path):
    written = skeleton.render("pacsferry-tide", "anonymization profile", tmp_path)
    assert (tmp_path / "tide" / "src" / "pacsferry_tide" / "profile.py") in written
