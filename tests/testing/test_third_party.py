"""A transport of somebody else, in a distribution of its own: found, chosen by a profile, passing the kit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Simulator

ACME = Path(__file__).parents[1] / "support" / "acme"
CLI = ("-c", "from pacsferry.cli.main import run; run()")
KIT = """
import pytest
from pacsferry.core import registry
from pacsferry.testing.contracts import TransportContract


class TestAcme(TransportContract):
    @pytest.fixture
    def offer(self):
        return registry.load().named("transport", "acme-fetch")
"""
SITE = """
extends = "research-base"
requires = ["pacsferry-acme>=1.2"]

[archive]
name = "acme"
[archive.dicomweb]
url = "{url}"

[[transport]]
use = "acme-fetch"

[output]
images = "./research"
private = "./private"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the distribution is installed in, offline, from its own source."""
    source = tmp_path_factory.mktemp("source") / "acme"
    shutil.copytree(ACME, source, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("target")
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target


def run(installed, folder, *arguments):
    env = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=170, check=False
    )


def test_it_is_under_forty_lines():
    assert len((ACME / "pacsferry_acme.py").read_text().splitlines()) < 40


def test_the_registry_finds_it_with_its_owner(installed, tmp_path):
    probe = (
        "from pacsferry.core import registry; found = registry.load();"
        "print(found.offers['transport']['acme-fetch'][0].owner, found.broken)"
    )
    told = run(installed, tmp_path, "-c", probe)
    assert told.stdout == "pacsferry-acme:acme {}\n", told.stderr


def test_without_it_the_name_is_unknown(tmp_path):
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(url="http://127.0.0.1:9/dicom-web").replace("requires", "#"))
    told = run(tmp_path, tmp_path, *CLI, "check", "--site", str(site), "--json")
    assert told.returncode == 2
    assert "acme-fetch" in told.stdout


def test_a_profile_chooses_it_and_the_study_comes(installed, tmp_path):
    study = ct_study(slices=3, rows=32, columns=32, accession="ACME1")
    with Simulator(study) as sim:
        site = tmp_path / "site.toml"
        site.write_text(SITE.format(url=sim.dicomweb_url))
        told = run(installed, tmp_path, *CLI, "load", "reef", "ACME1", "--site", str(site), "--json")
        assert told.returncode == 0, told.stdout + told.stderr
        (row,) = json.loads(told.stdout)["results"]
        assert (row["status"], row["stored"], row["transports"]) == ("ok", 3, ["acme-fetch"])
        assert [one.level for one in sim.log.of("wado-rs")] == ["IMAGE"] * 3
    assert len(list((tmp_path / "research").rglob("*.dcm"))) == 3


def test_it_passes_the_kit(installed, tmp_path):
    (tmp_path / "test_acme.py").write_text(KIT)
    told = run(installed, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_acme.py")
    assert told.returncode == 0, told.stdout[-4000:]
