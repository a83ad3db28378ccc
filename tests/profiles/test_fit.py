"""A plugin's settings are checked by its own model, and errors carry the table's full address."""

from __future__ import annotations

from typing import ClassVar

import hypothesis
import pytest
from hypothesis import strategies as st
from pydantic import Field

from pacsferry.core.errors import ConfigError
from pacsferry.core.fitting import attempt
from pacsferry.core.strict import NoSettings, Strict
from pacsferry.core.units import Duration, octets, seconds
from pacsferry.profiles.fit import fit
from pacsferry.profiles.model import SiteProfile


class Inner(Strict):
    depth: int = Field(default=1, ge=1)


class Settings(Strict):
    not_yet: ClassVar = {"options": "options", "mode=fast": "the fast mode"}
    mode: str = "slow"
    wait: Duration = 1.0
    inner: tuple[Inner, ...] = ()


def refused(table: dict) -> str:
    with pytest.raises(ConfigError) as caught:
        fit(Settings, table, "transport.1")
    return str(caught.value)


def test_a_table_becomes_its_model() -> None:
    assert fit(Settings, {"wait": "2m", "inner": [{"depth": 3}]}, "x") == Settings(wait=120, inner=(Inner(depth=3),))


def test_every_problem_has_its_whole_address() -> None:
    said = refused({"wait": "soon", "inner": [{"depth": 1}, {"depth": 0, "dept": 1}], "options": [], "mode": "fast"})
    assert said.splitlines() == [
        "transport.1.options: not yet supported (options); leave it out",
        "transport.1.mode: 'fast' is not yet supported (the fast mode)",
        "transport.1.wait: write a number and a unit of ms, s, m, h, d, for example '90s'",
        "transport.1.inner.1.depth: must be greater than or equal to 1",
        "transport.1.inner.1.dept: unknown key; did you mean 'depth'?",
    ]


def test_a_plugin_without_settings_says_so() -> None:
    with pytest.raises(ConfigError, match=r"gate\.0\.colour: unknown key; there is nothing to set here"):
        fit(NoSettings, {"colour": "red"}, "gate.0")


def test_a_value_is_never_repeated() -> None:
    assert "planted" not in refused({"wait": "planted", "inner": "planted", "mode": ["planted"]})


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172800), ("250 ms", 0.25), (7, 7)]
)
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "10", "10 parsecs", "-1s", "1s2m", True, None, [1]])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="for example '90s'"):
        seconds(text)


def test_sizes() -> None:
    assert (octets("2GB"), octets("2GiB"), octets("10 kB")) == (2 * 10**9, 2 * 2**30, 10_000)


KEYS = st.sampled_from(
    [
        "archive",
        "dimse",
        "receiver",
        "dicomweb",
        "timeouts",
        "tls",
        "auth",
        "host",
        "port",
        "url",
        "mode",
        "use",
        "name",
        "quirks",
        "transport",
        "deidentify",
        "select",
        "modality",
        "only",
        "not",
        "budget",
        "hours",
        "exclude",
        "patients",
        "output",
        "images",
        "policy",
        "require",
        "report",
        "export",
        "settings",
        "x",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["none", "required"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_table_gives_a_profile_or_problems_with_addresses(table: dict) -> None:
    profile, problems = attempt(SiteProfile, table)
    assert (profile is None) == bool(problems)
    for one in problems:
        assert one.text
        assert one.line().startswith(one.address)
