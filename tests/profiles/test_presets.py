"""Presets: names for [deidentify] tables, alone, in a site profile, and with what the site adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacsferry import app
from pacsferry.core.errors import ConfigError
from pacsferry.core.fitting import fit
from pacsferry.core.registry import load
from pacsferry.core.registry import resolve as built
from pacsferry.profiles import presets
from pacsferry.profiles.read import resolve
from support.commands import call


def deidentify(tmp_path: Path, text: str, *sets: str) -> dict[str, object]:
    path = tmp_path / "site.toml"
    path.write_text(f'extends = "orthanc"\n{text}')
    chosen = resolve(str(path), sets).profile.deidentify
    return {"use": chosen.use, **chosen.settings}


def test_there_are_those_that_the_command_line_names() -> None:
    assert presets.names() == ("basic", "rad-loader", "research", "strict", "tcia")


@pytest.mark.parametrize("name", presets.names())
def test_each_preset_chooses_a_profile_that_exists_with_settings_that_it_takes(name: str) -> None:
    table = dict(presets.preset(name))
    offer = load().named("anonymization profile", str(table.pop("use")))
    made = built(offer.build)(fit(offer.settings, table, "deidentify"))
    assert len(list(made.describe())) > 5


def test_presets_differ_in_their_digests() -> None:
    digests = [list(app.describe(None, preset=name))[0] for name in presets.names()]
    assert len(set(digests)) == len(digests)


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'research'"):
        presets.preset("reserch")
    with pytest.raises(ConfigError, match="did you mean 'tcia'"):
        app.describe(None, preset="tcai")


def test_a_site_profile_may_use_a_preset_by_name(tmp_path: Path) -> None:
    assert deidentify(tmp_path, '[deidentify]\nuse = "research"') == presets.preset("research")


def test_what_a_site_adds_lies_over_the_preset(tmp_path: Path) -> None:
    text = """[deidentify]
use     = "research"
dates   = { shift_days = [-30, 30], unit = "days" }
[[deidentify.rule]]
element = "StationName"
action  = "keep"
"""
    found = deidentify(tmp_path, text)
    assert found["use"] == "ps3.15"
    assert found["options"] == presets.preset("research")["options"]
    assert found["dates"] == {"shift_days": [-30, 30], "unit": "days"}
    assert found["rule"] == [{"element": "StationName", "action": "keep"}]


def test_a_list_of_the_site_replaces_the_presets(tmp_path: Path) -> None:
    found = deidentify(tmp_path, '[deidentify]\nuse = "tcia"\noptions = ["retain-uids"]')
    assert found == {"use": "ps3.15", "options": ["retain-uids"]}


def test_a_preset_can_be_set_for_one_run(tmp_path: Path) -> None:
    found = deidentify(tmp_path, '[deidentify]\nuse = "ps3.15"', "deidentify.use=strict")
    assert found["unlisted"] == presets.preset("strict")["unlisted"]


def test_describe_takes_a_preset_or_a_site_and_not_both() -> None:
    assert "Modified Dates" in " ".join(app.describe(None, preset="research"))
    with pytest.raises(ConfigError, match="exclude each other"):
        app.describe("orthanc", preset="research")


def test_a_preset_stands_for_all_that_a_profile_says_of_de_identification() -> None:
    told = app.describe(None, ["deidentify.unlisted.text=keep"], preset="research")
    assert any("unlisted text" in sentence for sentence in told)
    rows = app.describe_table(None, preset="research")
    assert ("(0008,0020)", "StudyDate", "DA", "S", "PS3.15 E.1-1, retain-longitudinal-modified-dates") in rows


@pytest.mark.parametrize(
    ("typed", "meant"), [("reserch", "research"), ("ps3.51", "ps3.15"), ("rad_loader", "rad-loader")]
)
def test_an_unknown_name_suggests_presets_as_well_as_plugins(typed: str, meant: str) -> None:
    told = call("describe", "--json", "--set", f'deidentify={{ use = "{typed}" }}')
    assert told.code == 2
    assert told.document["error"].startswith("deidentify.use: no anonymization profile or preset named")
    assert f"did you mean '{meant}'?" in told.document["error"]
    nothing = call("describe", "--json", "--set", 'deidentify={ use = "zzzz" }').document["error"]
    assert all(name in nothing for name in ("ps3.15", "allowlist", *presets.names()))


def test_a_run_says_where_the_unknown_name_stands(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('extends = "research-base"\n[output]\nimages = "o"\n[deidentify]\nuse = "strickt"\n')
    (tmp_path / "in").mkdir()
    told = call(
        "deidentify",
        tmp_path / "in",
        tmp_path / "out",
        "--project",
        "p",
        "--site",
        site,
        "--private",
        tmp_path / "private",
    )
    assert told.code == 2
    assert "deidentify.use" in told.document["error"]
    assert "did you mean 'strict'?" in told.document["error"]
