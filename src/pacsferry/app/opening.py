"""Open what a command works on: the site, the project, its ledger; every refusal comes before any contact."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pacsferry.core import drafts, registry
from pacsferry.core.audience import Audience
from pacsferry.core.errors import ConfigError, StoreError
from pacsferry.core.host import state_folder
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.ledger import Ledger
from pacsferry.core.ports import Observer
from pacsferry.core.project import (
    Project,
    allow_release,
    find_project,
    init_project,
    open_project,
    pin_rules,
    refuse_lost_ledger,
)
from pacsferry.core.registry import Registry
from pacsferry.profiles import presets
from pacsferry.profiles.read import Resolved, resolve

from .observing import audience, observed
from .shifts import mapped, settled
from .wiring import Wiring, observers, wire

VARIABLE = "PACSFERRY_SITE"
#: How a project that was made from a preset names its site; no archive has such a name.
PRESET = "preset:"
#: The shipped profile, which names no archive, that presets are set in.
BASE = "research-base"


@lru_cache(maxsize=1)
def plugins() -> Registry:
    """The installed plugins, looked up once per process."""
    return registry.load()


def site(name: str | None, sets: Sequence[str] = (), *, need_archive: bool = True) -> Resolved:
    """The site profile of ``name``, else of PACSFERRY_SITE. Raises ``ConfigError``."""
    chosen = name or os.environ.get(VARIABLE)
    if not chosen:
        raise ConfigError("no site profile was named", hint=f"say which with --site, or set {VARIABLE}")
    if chosen.startswith(PRESET):
        if need_archive:
            raise ConfigError("this project is of a folder, and has no archive", hint="use `pacsferry deidentify`")
        chosen, more = preset_profile(chosen.removeprefix(PRESET))
        sets = (*more, *sets)
    return resolve(chosen, sets, need_archive=need_archive)


def preset_profile(name: str) -> tuple[str, tuple[str, ...]]:
    """The profile, and what to set in it, that a preset stands for. Raises ``ConfigError``."""
    return BASE, (set_preset(name),)


def set_preset(name: str) -> str:
    """A ``--set`` that puts a preset in the place of all that a profile says of de-identification."""
    presets.preset(name)
    return f'deidentify={{ use = "{name}" }}'


def rules_site(name: str | None, sets: Sequence[str] = (), preset: str | None = None) -> Resolved:
    """The profile whose rules are asked for: of a preset, of a site, else the Basic profile. Raises ``ConfigError``."""
    usual = os.environ.get(VARIABLE)
    if preset is None:
        return site(name or usual or BASE, sets, need_archive=False)
    if name and name != usual:
        raise ConfigError("--preset and --site exclude each other", hint="give one of them")
    return site(BASE, (set_preset(preset), *sets), need_archive=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A project that may be worked on, and the wiring of its site."""

    project: Project
    wiring: Wiring
    ledger: Ledger
    told: Audience
    shifts: Mapping[str, int] | None = field(default=None, repr=False)

    @property
    def how(self) -> str:
        """A digest of all that decides what becomes of an object; of what a table says of patients, a keyed one."""
        if self.shifts is None:
            return self.wiring.how
        table = f"{self.project.keys.draw('shifts', json.dumps(sorted(self.shifts.items()))):064x}"
        return hashlib.sha256(f"{self.wiring.how} {table}".encode()).hexdigest()

    @property
    def hosts(self) -> HostLeases:
        """The leases of this host."""
        return HostLeases(state_folder() / "archives", project=self.project.name)


def existing(
    name: str, site_name: str | None, sets: Sequence[str] = (), *, need_archive: bool = True
) -> tuple[Project, Resolved]:
    """A project that is there, and its site: the one named, else the one the project was made with."""
    chosen = site_name or os.environ.get(VARIABLE)
    if chosen:
        resolved = site(chosen, sets, need_archive=need_archive)
        project = open_project(
            find_project(name, private=resolved.folders.private), images=resolved.folders.images / name
        )
        return project, resolved
    project = open_project(find_project(name))
    return project, site(project.settings.site, sets, need_archive=need_archive)


def existing_project(name: str, site_name: str | None, sets: Sequence[str] = ()) -> Project:
    """A project that is there, for commands that need no archive."""
    chosen = site_name or os.environ.get(VARIABLE)
    private = site(chosen, sets, need_archive=False).folders.private if chosen else None
    return open_project(find_project(name, private=private))


def made(name: str, site_name: str | None, sets: Sequence[str], **fields: object) -> tuple[Project, Resolved]:
    """A project that is there, or a new one of the site that is named."""
    chosen = site_name or os.environ.get(VARIABLE)
    if not chosen:
        return existing(name, None, sets)
    resolved = site(chosen, sets)
    project = init_project(
        resolved.folders,
        name,
        site=resolved.reference,
        require=resolved.profile.policy.require,
        exist_ok=True,
        **fields,  # type: ignore[arg-type]
    )
    return project, resolved


def wired(resolved: Resolved) -> Wiring:
    """The wiring of a site; errors name the file that says so."""
    try:
        return wire(resolved, plugins())
    except ConfigError as err:
        raise resolved.located(err) from None


@contextmanager
def opened(project: Project, resolved: Resolved, *, accept_changed: str | None = None) -> Iterator[Opened]:
    """Wire the site, check policy and rules, open the ledger. Raises before anything is contacted."""
    wiring = wired(resolved)
    refuse_lost_ledger(project)
    drafts.sweep(project.private)
    allow_release(project, resolved.profile.policy.require)
    shifts = mapped(wiring.chosen.deidentifier, resolved, project.keys)
    pin_rules(project, wiring.chosen.deidentifier.digest, accept_changed)
    told = audience(project.name, wiring.observer_parts)
    with Ledger.open(project.ledger_path) as ledger, observed(ledger, told):
        if shifts is not None:
            settled(shifts, ledger, project.keys)
        yield Opened(project=project, wiring=wiring, ledger=ledger, shifts=shifts, told=told)


@contextmanager
def ledger_of(project: Project) -> Iterator[Ledger]:
    """The ledger of a project that has done something already. Raises ``StoreError``."""
    if not project.ledger_path.exists():
        raise StoreError("this project has no ledger yet", hint=f"run `pacsferry load {project.name} …` first")
    told = Audience(project.name, lambda: _observers_of(project))
    with Ledger.open(project.ledger_path, create=False) as ledger, observed(ledger, told):
        yield ledger


def _observers_of(project: Project) -> list[tuple[str, Callable[[], Observer]]]:
    """The observers that the project's own site names; asked only when there is something to tell."""
    resolved = site(project.settings.site, need_archive=False)
    return [(one.name, one.build) for one in observers(resolved, plugins())]
