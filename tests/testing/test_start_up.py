"""The test kit costs nothing at start-up, and its layers know their place."""

import subprocess
import sys

import pytest


def loaded_by(code):
    """The modules in memory after ``code``."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, sep='\\n')"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(told.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import pacsferry",
        "import pacsferry.app",
        "from pacsferry.core import registry; registry.load()",
        "import pacsferry.cli.main",
    ],
)
def test_nothing_of_it_is_imported_at_start_up(code):
    assert not {name for name in loaded_by(code) if name.startswith("pacsferry.testing")}


@pytest.mark.parametrize("code", ["import pacsferry.testing", "import pacsferry.testing.skeleton"])
def test_the_package_itself_imports_nothing_heavy(code):
    assert not loaded_by(code) & {"pytest", "pydicom", "pynetdicom", "numpy"}


@pytest.mark.parametrize("code", ["import pacsferry.testing.samples", "import pacsferry.testing.simulator"])
def test_only_the_contracts_need_pytest(code):
    assert "pytest" not in loaded_by(code)
