"""Find plugins, collect what they offer, and answer "who is called that?"; a broken plugin stops nobody else.

The registry is a value, not a global.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, UnknownName

API = 1
GROUP = "pacsferry"

#: kind of plugin -> hook
KINDS: Mapping[str, str] = {
    "finder": "pacsferry_finders",
    "transport": "pacsferry_transports",
    "anonymization profile": "pacsferry_anonymization_profiles",
    "pseudonym source": "pacsferry_pseudonym_sources",
    "gate": "pacsferry_gates",
    "layout": "pacsferry_storage_layouts",
    "report": "pacsferry_reports",
    "vendor": "pacsferry_vendors",
    "fault": "pacsferry_simulator_faults",
    "web auth": "pacsferry_web_auths",
    "observer": "pacsferry_observers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An offer (or vendor) and the plugin it came from."""

    offer: Any
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What the installed plugins offer, by kind and name; ``broken`` maps a plugin to why it did not load."""

    offers: Mapping[str, Mapping[str, tuple[Offered, ...]]]
    broken: Mapping[str, str] = field(default_factory=dict)

    def named(self, kind: str, name: str) -> Any:
        """The one offer of that name. Raises ``UnknownName``, or ``PluginError`` when two plugins claim it."""
        found = self.offers[kind].get(name, ())
        if not found:
            raise UnknownName(kind, name, self.offers[kind], self.broken)
        if len(found) > 1:
            owners = " and ".join(sorted(one.owner for one in found))
            raise PluginError(
                f"{kind} {name!r} is offered by {owners}", hint="uninstall one of them, or ask its author to rename it"
            )
        return found[0].offer

    def names(self, kind: str) -> list[str]:
        """All names of a kind, sorted."""
        return sorted(self.offers[kind])


def load(*, external: bool = True, extra: Iterable[object] = ()) -> Registry:
    """Build a registry from the entry-point group ``pacsferry`` and ``extra`` plugin objects."""
    manager = pluggy.PluginManager("pacsferry")
    manager.add_hookspecs(hookspecs)
    broken: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        if external or _builtin(entry):
            _register(manager, f"{_distribution(entry)}:{entry.name}", entry.load, broken)
    for plugin in extra:
        _register(manager, getattr(plugin, "__name__", type(plugin).__name__), lambda it=plugin: it, broken)
    offers = {kind: _collect(manager, hook, broken) for kind, hook in KINDS.items()}
    return Registry(offers=offers, broken=broken)


def resolve(build: Any) -> Any:
    """What ``Offer.build`` names: itself, or the attribute of ``"module:attribute"``."""
    if not isinstance(build, str):
        return build
    module, _, attribute = build.partition(":")
    return getattr(import_module(module), attribute)


def _distribution(entry: EntryPoint) -> str:
    return _name(entry.dist) if entry.dist else "unknown"


@cache
def _name(installed: Distribution) -> str:
    """Once each: to say its name, a distribution reads all that is known of it."""
    return installed.name


def _builtin(entry: EntryPoint) -> bool:
    return _distribution(entry) == "pacsferry"


def _register(manager: pluggy.PluginManager, name: str, load_it: Any, broken: dict[str, str]) -> None:
    """Register one plugin; pluggy notices a misspelled hook only when asked (``check_pending``)."""
    try:
        manager.register(load_it(), name)
        manager.check_pending()
    except Exception as err:
        broken[name] = f"{type(err).__name__}: {err}".replace("\n", " ")
        if manager.has_plugin(name):
            manager.unregister(name=name)


def _collect(manager: pluggy.PluginManager, hook: str, broken: dict[str, str]) -> dict[str, tuple[Offered, ...]]:
    """Walk the implementations one by one: a broadcast would lose all answers to one that raises."""
    found: dict[str, tuple[Offered, ...]] = {}
    for impl in getattr(manager.hook, hook).get_hookimpls():
        try:
            answers = list(impl.function())
        except Exception as err:
            broken[impl.plugin_name] = f"{hook}: {type(err).__name__}: {err}".replace("\n", " ")
            continue
        for offer in answers:
            if getattr(offer, "api", API) != API:
                broken[impl.plugin_name] = f"{offer.name!r} wants plugin API {offer.api}; this is {API}"
            else:
                found[offer.name] = (*found.get(offer.name, ()), Offered(offer=offer, owner=impl.plugin_name))
    return found
