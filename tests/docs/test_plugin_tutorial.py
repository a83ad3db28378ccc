"""Everything in the tutorial for plugin authors runs, and its transport is the one that the tests install."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pacsferry.core.registry import KINDS
from pacsferry.testing.contracts import CONTRACTS
from pacsferry.testing.skeleton import KINDS as SKELETONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "plugin-tutorial.md").read_text(encoding="utf-8")
ACME = ROOT / "tests" / "support" / "acme"
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL)
FILES = {title: body for _, title, body in BLOCKS if title}
SCRIPTS = [body for language, title, body in BLOCKS if language == "python" and not title]


@pytest.mark.parametrize("name", ["pacsferry_acme.py", "pyproject.toml"])
def test_the_transport_is_the_one_that_is_installed_in_a_test(name):
    assert FILES[name] == (ACME / name).read_text(encoding="utf-8")


def test_every_block_has_a_language_that_is_checked():
    assert {language for language, _, _ in BLOCKS} == {"python", "toml", "console"}
    assert len(SCRIPTS) >= 3


def test_the_scripts_run_one_after_the_other(capsys):
    names = {}
    for script in SCRIPTS:
        exec(compile(script, "plugin-tutorial.md", "exec"), names)
    assert "127.0.0.1" in capsys.readouterr().out


@pytest.mark.parametrize("test", [name for name in FILES if name.startswith("test_") and name != "test_acme.py"])
def test_the_small_plugins_pass_their_contracts(tmp_path, test):
    for name, body in FILES.items():
        if name.endswith(".py"):
            (tmp_path / name).write_text(body, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", test],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-3000:]
    assert " passed" in told.stdout


def test_the_transports_test_is_the_one_that_is_run_elsewhere():
    """``tests/testing/test_third_party.py`` installs the distribution and runs this very file."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("third_party", ROOT / "tests" / "testing" / "test_third_party.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert FILES["test_acme.py"].strip() == module.KIT.strip()


def test_the_profile_is_toml_that_the_model_takes():
    from pacsferry.core.archive import Archive

    site = tomllib.loads(FILES["site.toml"])
    assert site["transport"] == [{"use": "acme-fetch"}]
    assert Archive(**site["archive"]).dicomweb.url.startswith("http://")


def test_no_kind_is_forgotten():
    for kind, contract in CONTRACTS.items():
        assert f"| {kind} | `{contract.__name__}` |" in TEXT
    assert all(f"`{kind}`" in TEXT for kind in SKELETONS)
    assert set(CONTRACTS) == set(KINDS)
