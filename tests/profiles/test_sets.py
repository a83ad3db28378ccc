"""``--set KEY=VALUE`` overrides any key for one run; what is typed is TOML, or text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.errors import ConfigError
from pacsferry.profiles import sets
from pacsferry.profiles.read import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4242", 4242),
        ("true", True),
        ('"4242"', "4242"),
        ("127.0.0.1", "127.0.0.1"),
        ("10s", "10s"),
        ('["CT", "MR"]', ["CT", "MR"]),
        ('{ only = ["CT"] }', {"only": ["CT"]}),
        ("", ""),
        ("a=b", "a=b"),
        ("1\ny = 2", "1\ny = 2"),
        ("[" * 3000, "[" * 3000),
    ],
)
def test_a_value_is_toml_or_else_text(text: str, value: Any) -> None:
    assert sets.parse(f"archive.x={text}").value == value


@pytest.mark.parametrize("text", ["", "archive", "=x", ".a=1", "a..b=1", "a b=1", "[a]=1", "a\nb=1", "a.=1", "ä=1"])
def test_what_is_no_key_is_refused_without_the_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sets.parse(text + "planted")
    assert "planted" not in str(caught.value)


def test_it_overrides_adds_and_reaches_into_lists() -> None:
    profile = resolve(
        "orthanc",
        [
            "archive.dimse.host=192.0.2.7",
            "archive.dimse.port=104",
            "archive.timeouts.stall=2m",
            "transport.0.use=c-move",
            "transport.3.use=c-get",
            'select.modality.only=["CT"]',
            "gate.0.use=burned-in",
            "output.images=/data/out",
        ],
    ).profile
    assert profile.archive.dimse is not None
    assert (profile.archive.dimse.host, profile.archive.dimse.port) == ("192.0.2.7", 104)
    assert profile.archive.timeouts.stall == 120
    assert [one.use for one in profile.transport] == ["c-move", "c-get", "c-move", "c-get"]
    assert profile.select.modality is not None
    assert profile.select.modality.only == ("CT",)
    assert [one.use for one in profile.gate] == ["burned-in"]
    assert profile.output.images == "/data/out"


def test_the_last_one_wins_and_a_whole_list_can_be_set() -> None:
    site = resolve("orthanc", ["archive.name=a", "archive.name=b", 'transport=[{use="c-get"}]'])
    assert site.profile.archive.name == "b"
    assert [one.use for one in site.profile.transport] == ["c-get"]


def test_a_number_is_text_where_text_is_wanted() -> None:
    profile = resolve("orthanc", ["archive.dimse.ae_title=1234", "output.mode=0600", "archive.name=7"]).profile
    assert profile.archive.dimse is not None
    assert profile.archive.dimse.ae_title == "1234"
    assert profile.output.bits == 0o600
    assert profile.archive.name == "7"


def test_settings_of_a_plugin_sit_in_its_table() -> None:
    profile = resolve("orthanc", ["transport.1.extra=5", "deidentify.more=true"]).profile
    assert profile.transport[1].settings == {"extra": 5}
    assert profile.deidentify.settings == {"more": True}


def test_another_base_can_be_tried_for_one_run() -> None:
    site = resolve("orthanc", ["extends=dcmqrscp"])
    assert [path.stem for path in site.chain] == ["orthanc", "dcmqrscp", "research-base"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("transport.7.use=c-get", "transport is a list; number: 0, 1, 2, 3"),
        ("transport.use=c-get", "transport is a list"),
        ("archive.name.x=1", "archive.name is no table"),
    ],
)
def test_a_way_that_is_blocked_says_where(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("orthanc", [text])
    assert says in str(caught.value)


def test_a_mistake_is_said_to_come_from_the_command_line() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("orthanc", ["archive.dimse.prot=1", "archive.dimse.port=secret-looking"])
    assert "archive.dimse.prot: unknown key; did you mean 'port'? (--set)" in str(caught.value)
    assert "archive.dimse.port: must be a whole number, without quotes (--set)" in str(caught.value)
    assert "secret-looking" not in str(caught.value)


KEYS = st.lists(st.from_regex(r"[A-Za-z_-][A-Za-z0-9_-]{0,5}", fullmatch=True), min_size=1, max_size=4)


@settings(deadline=None, max_examples=100)
@given(KEYS, st.text(max_size=20))
def test_any_key_and_value_can_be_set_and_nothing_else_changes(keys: list[str], text: str) -> None:
    setting = sets.parse(".".join(keys) + "=" + text)
    table = sets.applied({"unrelated!": {"x": 1}}, setting)
    assert table.pop("unrelated!") == {"x": 1}
    node: Any = table
    for key in keys:
        node = node[key]
    assert node == setting.value or node != node  # noqa: PLR0124 - nan


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=30))
def test_no_text_makes_the_parser_fail_otherwise_than_by_saying_so(text: str) -> None:
    try:
        setting = sets.parse(text)
        sets.applied({"transport": [{"use": "c-get"}], "archive": {"name": "x"}}, setting)
    except ConfigError as err:
        said = str(err)
    else:
        said = "--set"
    assert said.startswith("--set")
