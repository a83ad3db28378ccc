"""The conformance statement says everything that the rules do, and claims nothing else (PS3.15 E.1.1)."""

from __future__ import annotations

import pytest

from pacsferry.plugins.deid.allowlist_profile import Allowlist
from pacsferry.plugins.deid.allowlist_settings import AllowlistSettings
from pacsferry.plugins.deid.profile import Ps315
from pacsferry.plugins.deid.settings import Ps315Settings
from pacsferry.profiles import presets


def built(table):
    settings = {key: value for key, value in table.items() if key != "use"}
    if table["use"] == "allowlist":
        return Allowlist(AllowlistSettings.model_validate(settings))
    return Ps315(Ps315Settings.model_validate(settings))


PRESETS = {name: built(presets.preset(name)) for name in presets.names()}


def tag(number):
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


@pytest.mark.parametrize("name", PRESETS)
def test_every_element_that_is_changed_is_listed(name):
    made = PRESETS[name]
    text = made.conformance(name)
    for rule in made.rules.rules:
        if rule.action not in {"K", "H"} and rule.source != "not on the list":
            assert f"{rule.keyword or 'no keyword'} {tag(rule.tag)}" in text, rule


@pytest.mark.parametrize("name", PRESETS)
def test_codes_are_those_that_are_written(name):
    made = PRESETS[name]
    head = made.conformance(name).partition("## Referential")[0]
    for code in ("113100", "113105", "113106", "113107", "113108", "113109", "113111"):
        assert (code in head) == (code in made.rules.codes), code
    assert made.digest in head
    assert made.rules.temporal in head


def test_kept_by_an_option_is_told_apart():
    text = PRESETS["research"].conformance("research")
    kept = text.partition("## Kept because of an option")[2].partition("## Kept\n")[0]
    assert "PatientWeight (0010,1030)" in kept
    assert "ConvolutionKernel" not in kept


def test_every_safe_private_attribute_is_listed():
    text = PRESETS["research"].conformance("research").partition("## Private attributes")[2]
    safe = PRESETS["research"].rules.private
    assert len(safe) > 450
    for one in safe:
        line = next(line for line in text.splitlines() if line.startswith(f"- {one.creator}: "))
        assert f"({one.group:04X},xx{one.number:02X})" in line
    assert "All are removed" in PRESETS["basic"].conformance("basic")


def test_shifts_are_told():
    assert "from -365 to -30 in steps of 7 days" in PRESETS["research"].conformance("research")
    assert "Dates are not moved" in PRESETS["basic"].conformance("basic")


def test_a_list_tells_its_paths():
    text = Allowlist().conformance("extended")
    assert "SharedFunctionalGroupsSequence/PixelMeasuresSequence: SliceThickness (K)" in text
    assert "No code of CID 7050 is written" in text


def test_own_rules_are_told():
    rules = [{"element": "StationName", "action": "keep", "when": {"Modality": "US"}}]
    text = Ps315(Ps315Settings.model_validate({"rule": rules})).conformance("own")
    assert "- StationName: keep (conditional)" in text


@pytest.mark.parametrize("name", PRESETS)
def test_it_is_sound_markdown(name):
    lines = PRESETS[name].conformance(name).splitlines()
    assert lines[0] == f"# Conformance: {name}"
    for before, line in zip(lines, lines[1:], strict=False):
        if line.startswith("## "):
            assert before == "", line
    assert not any("{" in line for line in lines)
