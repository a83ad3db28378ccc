"""Every example of the page on profiles works as it stands there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacsferry.core import registry
from pacsferry.core.projectfile import ProjectFile, fit_file
from pacsferry.profiles.files import SHIPPED, is_path
from pacsferry.profiles.fit import fit
from pacsferry.profiles.model import SiteProfile
from pacsferry.profiles.read import resolve
from pacsferry.profiles.requires import missing

PAGE = Path(__file__).parents[2] / "docs/profiles.md"
TEXT = PAGE.read_text(encoding="utf-8")
KINDS = {"transport": "transport", "gate": "gate", "report": "report", "observer": "observer"}


def blocks(info: str) -> list[str]:
    return re.findall(rf"^```{info}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def named(profile: SiteProfile) -> Iterator[tuple[str, str, dict]]:
    """Kind, name and settings of each plugin that a profile chooses."""
    yield "anonymization profile", profile.deidentify.use, dict(profile.deidentify.settings)
    yield "pseudonym source", profile.pseudonyms.use, dict(profile.pseudonyms.settings)
    yield "layout", profile.layout.use, dict(profile.layout.settings)
    yield "vendor", profile.archive.vendor, {}
    if profile.find:
        yield "finder", profile.find.use, dict(profile.find.settings)
    for key, kind in KINDS.items():
        for choice in getattr(profile, key):
            yield kind, choice.use, dict(choice.settings)


@pytest.mark.parametrize("text", blocks("toml"), ids=range(len(blocks("toml"))))
def test_each_profile_resolves_to_plugins_that_exist(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(text)
    profile = resolve("./site.toml", cwd=tmp_path).profile
    assert missing(profile.requires) == []
    known = registry.load(external=False)
    for kind, name, settings in named(profile):
        offer = known.named(kind, name)
        if kind != "vendor":
            fit(offer.settings, settings, name)


def test_the_whole_example_shows_every_key_that_is_built() -> None:
    whole = next(tomllib.loads(text) for text in blocks("toml") if "[policy]" in text)
    assert set(SiteProfile.model_fields) - set(whole) == {"extends", "gate"}
    profile = SiteProfile.model_validate(whole)
    for table in ("budget", "select", "exclude", "policy"):
        assert set(whole[table]) == set(type(getattr(profile, table)).model_fields), table
    assert set(whole["archive"]) == {*type(profile.archive).model_fields}
    assert set(whole["archive"]["timeouts"]) == {*type(profile.archive.timeouts).model_fields}


def test_the_project_file_is_one() -> None:
    (text,) = blocks("toml project")
    table = tomllib.loads(text)
    assert isinstance(fit_file(table, "page"), ProjectFile)
    assert set(ProjectFile.model_fields) - set(table) == {"rules_digest", "changed"}


def test_the_commands_can_be_typed(tmp_path: Path) -> None:
    (text,) = blocks("console")
    for line in text.splitlines():
        words = shlex.split(line.removeprefix("$ "))
        assert words[:2] == ["pacsferry", "check"]
        options = dict.fromkeys(words[2::2])
        assert set(options) <= {"--site", "--set"}
        sets = [value for option, value in zip(words[2::2], words[3::2], strict=True) if option == "--set"]
        assert resolve(words[words.index("--site") + 1], sets, cwd=tmp_path).profile.has_archive


def test_the_shipped_profiles_are_named() -> None:
    for path in SHIPPED.glob("*.toml"):
        assert f"`{path.stem}`" in TEXT
        assert not is_path(path.stem)
