"""Test the plugin distributions that a profile requires against what is installed; nothing is imported or fetched."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def missing(requires: Iterable[str]) -> list[str]:
    """A sentence for each requirement that is not met."""
    return [text for requirement in requires if (text := _problem(requirement))]


def _problem(text: str) -> str | None:
    from packaging.requirements import Requirement  # few profiles require anything

    wanted = Requirement(text)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return None
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return f"requires: {text} is not installed; pip install '{text}'"
    if wanted.specifier.contains(installed, prereleases=True):
        return None
    return f"requires: {text}, and {installed} is installed; pip install --upgrade '{text}'"
