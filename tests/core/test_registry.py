"""Plugins are found, named and kept apart; one that is broken stops nobody else."""

from __future__ import annotations

import types

import pytest

from pacsferry import hookimpl
from pacsferry.core import registry
from pacsferry.core.errors import PluginError, UnknownName
from pacsferry.core.ports import Offer


def plugin(name="extra", **hooks):
    module = types.ModuleType(name)
    for hook, function in hooks.items():
        function.__name__ = hook
        setattr(module, hook, hookimpl(function))
    return module


def load(*extra):
    return registry.load(external=False, extra=extra)


def offer(name="acme-get", **more):
    return Offer(name=name, summary="a test", build=object, **more)


def test_built_ins_are_plugins_like_any_other():
    offers = load().offers
    assert {"wado-rs", "c-get", "c-move"} <= set(offers["transport"])
    assert {one.owner for found in offers["transport"].values() for one in found} <= {
        "pacsferry:dcmtk",
        "pacsferry:dimse",
        "pacsferry:dicomweb",
    }


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownName, match="no transport named 'c-gett'; did you mean 'c-get'") as err:
        load().named("transport", "c-gett")
    assert err.value.exit_code == 2


def test_a_misspelled_hook_is_remembered_and_stops_nobody():
    found = load(plugin("typo", pacsferry_transport=lambda: iter(())))
    assert "unknown hook 'pacsferry_transport'" in found.broken["typo"]
    assert found.named("transport", "c-get")


def test_a_plugin_that_raises_is_mentioned_where_its_name_is_missed():
    def boom():
        raise RuntimeError("no licence")

    found = load(plugin("sick", pacsferry_transports=boom))
    with pytest.raises(UnknownName, match="plugin 'sick' did not load: .*no licence"):
        found.named("transport", "sick-get")


def test_two_owners_of_a_name_are_both_named_once_it_is_chosen():
    twins = [plugin(name, pacsferry_transports=lambda: [offer()]) for name in ("one", "two")]
    found = load(*twins)
    assert found.named("transport", "wado-rs")
    with pytest.raises(PluginError, match="'acme-get' is offered by one and two"):
        found.named("transport", "acme-get")


def test_another_api_number_is_listed_as_broken_and_never_guessed():
    found = load(plugin("future", pacsferry_transports=lambda: [offer(api=2)]))
    assert "wants plugin API 2" in found.broken["future"]
    assert "acme-get" not in found.offers["transport"]


def test_a_build_by_name_is_imported_when_it_is_chosen():
    assert registry.resolve("pathlib:Path").__name__ == "Path"
    assert registry.resolve(dict) is dict
