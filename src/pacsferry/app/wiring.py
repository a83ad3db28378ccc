"""The composition root: site profile and registry to objects; the only place where names become objects."""

from __future__ import annotations

import grp
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pacsferry import clearer
from pacsferry.core import registry
from pacsferry.core.archive import Archive
from pacsferry.core.asking import WholeFinder
from pacsferry.core.clearing import ALWAYS
from pacsferry.core.considerate import considerate
from pacsferry.core.errors import ConfigError, UnknownName
from pacsferry.core.fitting import fit
from pacsferry.core.guarded import GuardedAuthenticator, GuardedFinder
from pacsferry.core.ports import Authenticator, Finder, PseudonymSource, Report, Transport, Vendor
from pacsferry.core.registry import Registry
from pacsferry.core.strict import Choice
from pacsferry.profiles import presets
from pacsferry.profiles.read import Resolved

_RULES = "anonymization profile"
AUTH = "archive.dicomweb.auth"
#: The finder that fits a transport's protocol, where [find] does not say.
FINDERS: Mapping[str, str] = {"dimse": "c-find", "dicomweb": "qido-rs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A chosen offer with its checked settings: what ``build`` needs."""

    name: str
    offer: Any
    settings: Any
    where: str

    def build(self, *before: object) -> Any:
        """Make the object."""
        return registry.resolve(self.offer.build)(*before, self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Every name of a profile resolved and every setting checked. Nothing has been contacted."""

    resolved: Resolved
    plugins: Registry
    archive: Archive
    vendor: Vendor
    chosen: clearer.Chosen
    choices: Mapping[str, Any]
    transport_parts: tuple[Part, ...]
    finder_part: Part | None
    pseudonyms: PseudonymSource
    reports: tuple[tuple[str, Report], ...]
    observer_parts: tuple[Part, ...] = ()
    group: int | None = field(default=None)

    def transports(self) -> list[tuple[str, Transport]]:
        """Built anew, in the profile's order."""
        return [(part.name, self._wrapped_transport(part.build(self.archive))) for part in self.transport_parts]

    def finder(self) -> Finder:
        """The finder that the profile names, or that fits its first transport. Raises ``ConfigError``."""
        part = self.finder_part or self._fitting_finder()
        finder: Finder = part.build(self.archive)
        if self.vendor.wrap_finder is not None:
            finder = self.vendor.wrap_finder(self.archive, finder)
        return WholeFinder(GuardedFinder(part.name, finder), self.archive.quirks)

    def _wrapped_transport(self, transport: Transport) -> Transport:
        if self.vendor.wrap_transport is not None:
            transport = self.vendor.wrap_transport(self.archive, transport)
        return considerate(transport, self.archive.quirks)

    def _fitting_finder(self) -> Part:
        protocol = self.transport_parts[0].build(self.archive).traits.protocol
        if protocol not in FINDERS:
            raise ConfigError(
                f"find: missing, and no finder is known for transport {self.transport_parts[0].name!r}",
                hint="add [find] use = …; `pacsferry plugins` lists the finders",
            )
        return part(self.plugins, "finder", Choice(use=FINDERS[protocol]), "find")

    @property
    def how(self) -> str:
        """A digest of all that decides what becomes of an object."""
        from pacsferry import __version__

        said = {
            "version": __version__,
            "rules": self.chosen.deidentifier.digest,
            "choices": self.choices,
            "select": self.resolved.tables.get("select"),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def part(plugins: Registry, kind: str, choice: Choice, where: str) -> Part:
    """Resolve one choice. Raises ``ConfigError`` with the address of what is wrong."""
    try:
        offer = plugins.named(kind, choice.use)
    except ConfigError as err:
        err = _with_presets(plugins, kind, choice.use, err)
        raise ConfigError(f"{where}.use: {err}", hint=err.hint) from None
    return Part(name=choice.use, offer=offer, settings=fit(offer.settings, choice.settings, where), where=where)


def known(archive: Archive, plugins: Registry) -> Archive:
    """The archive with who we are to it. Secrets are read when that is first asked for. Raises ``ConfigError``."""
    if archive.dicomweb is None:
        return archive
    chosen = part(plugins, "web auth", archive.dicomweb.auth, AUTH)
    lock, made = threading.Lock(), list[Authenticator]()

    def authenticator() -> Authenticator:
        with lock:
            if not made:
                made.append(GuardedAuthenticator(chosen.name, lambda: chosen.build(archive)))
            return made[0]

    return archive.known_by(authenticator)


def _with_presets(plugins: Registry, kind: str, name: str, err: ConfigError) -> ConfigError:
    """A preset can stand where an anonymization profile does, so it may be what was meant."""
    if kind != _RULES or not isinstance(err, UnknownName):
        return err
    return UnknownName(
        "anonymization profile or preset", name, (*plugins.names(kind), *presets.names()), plugins.broken
    )


def wire(resolved: Resolved, plugins: Registry) -> Wiring:
    """Resolve every name and setting of a profile. Raises ``ConfigError``; contacts nobody."""
    profile = resolved.profile
    try:
        vendor: Vendor = plugins.named("vendor", profile.archive.vendor)
    except ConfigError as err:
        raise ConfigError(f"archive.vendor: {err}", hint=err.hint) from None
    # Workers build these by name too; here an error has its address.
    part(plugins, _RULES, profile.deidentify, "deidentify")
    part(plugins, "layout", profile.layout, "layout")
    for number, choice in enumerate(profile.gate):
        part(plugins, "gate", choice, f"gate.{number}")
    archive = known(profile.archive.at(resolved.base).with_quirks(vendor.quirks), plugins)
    choices = _choices(resolved)
    transports = tuple(
        part(plugins, "transport", choice, f"transport.{number}") for number, choice in enumerate(profile.transport)
    )
    return Wiring(
        resolved=resolved,
        plugins=plugins,
        archive=archive,
        vendor=vendor,
        chosen=clearer.build(plugins, choices),
        choices=choices,
        transport_parts=transports,
        finder_part=part(plugins, "finder", profile.find, "find") if profile.find else None,
        pseudonyms=part(plugins, "pseudonym source", _plain(profile.pseudonyms), "pseudonyms").build(),
        reports=tuple(
            (choice.use, part(plugins, "report", choice, f"report.{number}").build())
            for number, choice in enumerate(profile.report)
        ),
        observer_parts=observers(resolved, plugins),
        group=_group(profile.output.group),
    )


def observers(resolved: Resolved, plugins: Registry) -> tuple[Part, ...]:
    """Who is told of each audit line, with checked settings. Raises ``ConfigError``."""
    chosen = enumerate(resolved.profile.observer)
    return tuple(part(plugins, "observer", choice, f"observer.{number}") for number, choice in chosen)


def _plain(choice: Choice) -> Choice:
    """Only what is the plugin's own of a table that has keys of ours too."""
    return Choice.model_validate({"use": choice.use, **choice.settings})


def _choices(resolved: Resolved) -> dict[str, Any]:
    """What workers rebuild by name, as JSON can carry it."""
    profile = resolved.profile
    added = [choice for choice in profile.gate if choice.use not in ALWAYS]
    own = {choice.use: choice.settings for choice in profile.gate}
    return {
        "deidentify": [profile.deidentify.use, dict(profile.deidentify.settings)],
        "gates": [
            *([name, dict(own.get(name, {}))] for name in ALWAYS),
            *([choice.use, dict(choice.settings)] for choice in added),
        ],
        "layout": [profile.layout.use, dict(profile.layout.settings)],
    }


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"output.group: there is no group {name!r} on this host") from None


def problems(resolved: Resolved, plugins: Registry) -> Sequence[tuple[str, bool, str]]:
    """One line per thing that a profile names: (address, whether it is right, what it is or what is wrong)."""
    profile = resolved.profile
    asked: list[tuple[str, str, Choice]] = [
        *(("transport", f"transport.{n}", one) for n, one in enumerate(profile.transport)),
        *((("finder", "find", profile.find),) if profile.find else ()),
        (_RULES, "deidentify", profile.deidentify),
        ("pseudonym source", "pseudonyms", _plain(profile.pseudonyms)),
        *(("gate", f"gate.{n}", one) for n, one in enumerate(profile.gate)),
        ("layout", "layout", profile.layout),
        *(("report", f"report.{n}", one) for n, one in enumerate(profile.report)),
        *(("observer", f"observer.{n}", one) for n, one in enumerate(profile.observer)),
        ("vendor", "archive.vendor", Choice(use=profile.archive.vendor)),
        *((("web auth", AUTH, profile.archive.dicomweb.auth),) if profile.archive.dicomweb else ()),
    ]
    return [_tried(plugins, kind, where, choice, profile.archive.at(resolved.base)) for kind, where, choice in asked]


def _tried(plugins: Registry, kind: str, where: str, choice: Choice, archive: Archive) -> tuple[str, bool, str]:
    try:
        if kind == "vendor":
            return where, True, plugins.named(kind, choice.use).summary
        found = part(plugins, kind, choice, where)
        found.build(*([archive] if kind in {"transport", "finder", "web auth"} else []))
    except ConfigError as err:
        return where, False, str(err)
    except Exception as err:
        return where, False, f"{choice.use!r} cannot be built ({type(err).__name__})"
    return where, True, f"{choice.use}: {found.offer.summary}"
