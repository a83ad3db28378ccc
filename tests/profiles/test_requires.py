"""Plugin distributions that a profile requires."""

from __future__ import annotations

import pytest

from pacsferry.profiles.requires import missing


@pytest.mark.parametrize(
    "fine", ["pydantic", "pydantic>=2", "Pydantic >=2, <99", 'nowhere-to-be-found; sys_platform == "win95"']
)
def test_what_is_installed_is_no_problem(fine: str) -> None:
    assert missing([fine]) == []


def test_what_is_missing_or_too_old_is_said_with_what_to_do() -> None:
    said = missing(["pydantic>=99", "pacsferry-nowhere>=1.2", "pluggy"])
    assert len(said) == 2
    assert "pydantic>=99" in said[0]
    assert "is installed" in said[0]
    assert said[1] == "requires: pacsferry-nowhere>=1.2 is not installed; pip install 'pacsferry-nowhere>=1.2'"
