"""Runs the examination: addresses first, then finders, then transports; one thing at a time, within the budget."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pacsferry.app.loading import ended_by
from pacsferry.app.observing import host_audit
from pacsferry.app.opening import plugins, site, wired
from pacsferry.app.wiring import FINDERS, Part, Wiring, part
from pacsferry.core.archive import Archive, Timeouts
from pacsferry.core.behaviour import Behaviour
from pacsferry.core.doctor import Candidate, Round, learnt, quirks_of, settings_of, signs_of
from pacsferry.core.errors import ConfigError, InterruptedRun
from pacsferry.core.ports import Finding, Standing, Vendor
from pacsferry.core.quirks import STANDARD
from pacsferry.core.redact import quiet
from pacsferry.core.strict import Choice
from pacsferry.profiles.read import Resolved

from .addresses import Asked
from .letter import letter, registering
from .profile import profile_text
from .reach import Address, reach, speaks_tls
from .recognising import recognised
from .turn import association, await_hours
from .turn import receiver as taken
from .versions import versions

#: What a profile may say for loads is too patient for a look.
PATIENCE = Timeouts(connect=10.0, stall=30.0, quiet=15.0, nearline=60.0)
#: Transports by protocol, the best first.
TRANSPORTS: Mapping[str, tuple[str, ...]] = {"dicomweb": ("wado-rs",), "dimse": ("c-get", "c-move")}
#: Of a finding: the information model that queries and retrieval over DIMSE have to use, where it is another one.
MODEL = "find.model"
#: The base of a profile that is made of addresses.
BASE = "research-base"

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how hard. ``pause`` is between two questions; without ``retrieve`` nothing is retrieved."""

    seconds: float = 600.0
    pause: float = 0.1
    retrieve: bool = True
    wait: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed:
    """What was found. ``profile`` is None where nothing could be retrieved with one; ``ended`` why it ended early."""

    archive: Archive
    findings: tuple[Finding, ...]
    transports: tuple[str, ...]
    vendor: str
    quirks: Mapping[str, Any]
    behaviour: Behaviour
    letter: str
    profile: str | None
    reachable: bool
    ended: str = ""
    samples: int = field(default=0, repr=False)

    @property
    def status(self) -> str:
        """Of the document: ok, incomplete where something is in the way, failed where nobody answers, interrupted."""
        if self.ended == "interrupted":
            return "interrupted"
        if not self.reachable:
            return "failed"
        wrong = any(one.status is Standing.FAILED for one in self.findings)
        return "incomplete" if wrong or self.ended else "ok"


def doctor(
    asked: Asked,
    limits: Limits | None = None,
    *,
    target: Path | None = None,
    told: Told = lambda _: None,
    stop: threading.Event | None = None,
) -> Diagnosed:
    """Examine an archive. ``target`` is where the profile will be written.

    Raises ``ConfigError``, and ``OutsideHours`` where it may not wait for the archive's hours, before any contact.
    """
    quiet()
    limits, stop = limits or Limits(), stop or threading.Event()
    resolved = resolve(asked)
    wiring = wired(resolved)
    await_hours(wiring, wait=limits.wait, stop=stop)
    begun = time.monotonic()
    round_ = Round(pause=limits.pause, stop=stop, deadline=begun + limits.seconds)
    examined = _Examination(wiring=wiring, limits=limits, round=round_, told=told)
    with host_audit(wiring) as audit:
        try:
            examined.go()
        except InterruptedRun:
            stop.set()
        finally:
            audit.append("doctor", wiring.archive.name, outcome=examined.outcome, details=examined.counts(begun))
    return _diagnosed(asked, resolved, examined, target)


def resolve(asked: Asked) -> Resolved:
    """The profile to examine: the one that is named, with the addresses over it, or one made of addresses alone.

    Raises ``ConfigError``.
    """
    settings = asked.settings()
    if asked.site is not None:
        return site(asked.site, settings)
    if not asked.addressed:
        raise ConfigError("no archive was named", hint="give --site, or --dimse AE@HOST:PORT, or --dicomweb URL")
    chosen = asked.transports(dimse=bool(asked.dimse), dicomweb=bool(asked.dicomweb), receiver=bool(asked.receiver))
    return site(BASE, (chosen, *settings))


# --- the examination


@dataclass(kw_only=True)
class _Examination:
    """One run: what is asked, in which order."""

    wiring: Wiring
    limits: Limits
    round: Round
    told: Told
    reachable: bool = False
    heard: set[str] = field(default_factory=set)
    unreliable: set[str] = field(default_factory=set)

    @property
    def archive(self) -> Archive:
        """The archive as it is examined: patient enough for a look, and with no quirk taken for granted."""
        given = self.wiring.archive
        bounded = {name: min(getattr(given.timeouts, name), getattr(PATIENCE, name)) for name in Timeouts.model_fields}
        return given.model_copy(update={"timeouts": Timeouts(**bounded), "quirks": STANDARD})

    @property
    def outcome(self) -> str:
        """For the audit trail."""
        if self.round.stop.is_set():
            return "interrupted"
        return "ok" if self.reachable else "failed"

    def counts(self, begun: float) -> dict[str, object]:
        """For the audit trail."""
        statuses = [one.status for one in self.round.findings]
        return {
            "found": len(statuses),
            "warnings": statuses.count(Standing.WARNING),
            "failed": statuses.count(Standing.FAILED),
            "transports": self.round.transports() if self.reachable else [],
            "duration_s": round(time.monotonic() - begun, 1),
        }

    def go(self) -> None:
        """Everything, in the order in which it can build on what came before."""
        for finding in versions():
            self.round.add(finding)
        with association(self.wiring, wait=self.limits.wait, told=self.told, stop=self.round.stop):
            there = [service for service in ("dimse", "dicomweb") if self._reached(service)]
            for service in there:
                self._examine(FINDERS[service], "finder", service)
            self.reachable = bool(self.heard)
            if not self.limits.retrieve:
                return
            for service in ("dicomweb", "dimse"):
                if service in there and (service in self.heard or (service == "dicomweb" and self.round.samples)):
                    for name in TRANSPORTS[service]:
                        self._retrieve(name, service)
            self.reachable = self.reachable or any(self.round.serving.values())

    def transports(self) -> tuple[str, ...]:
        """Those to name, the best first; untried ones only where queries say what there is to retrieve."""
        if not self.reachable:
            return ()
        proven = any(self.round.serving.values())
        blind = {name for service in self.unreliable for name in TRANSPORTS[service]}
        return tuple(name for name in self.round.transports() if proven or name not in blind)

    # --- addresses

    def _reached(self, service: str) -> bool:
        """Whether a service is there to be asked; what is found on the way is kept."""
        address = _address(self.archive, service)
        if address is None or self.round.over:
            return False
        self.told(f"connecting to {address.text}")
        found = reach(address)
        for finding in found:
            self.round.add(finding)
        return found[-1].status is not Standing.FAILED

    def _examine(self, name: str, kind: str, service: str) -> None:
        """Ask one finder; whether the service really answers shows in what it finds."""
        before = len(self.round.findings)
        self._ask(name, kind, service)
        found = self.round.findings[before:]
        if any(
            one.status in {Standing.OK, Standing.WARNING} or f"{service}.services" in one.behaviour for one in found
        ):
            self.heard.add(service)
            self.unreliable |= {service} if any(one.serves is False for one in found) else set()
        elif service == "dimse" and not any("TLS" in one.text for one in found):
            self._secretly()

    def _secretly(self) -> None:
        """Whether a service that does not answer our association speaks TLS."""
        dimse = self.archive.dimse
        if dimse is None or dimse.tls.required or self.round.over:
            return
        host, port = dimse.host, dimse.port
        if not speaks_tls(host, port, self.archive.timeouts.connect):
            return
        self.round.add(
            Finding(
                probe="dimse.tls",
                status=Standing.FAILED,
                text=f"{host}:{port} speaks TLS, and archive.dimse.tls is off",
                advice='set archive.dimse.tls = { mode = "required", ca = "…" }',
            )
        )

    # --- finders and transports

    def _retrieve(self, name: str, service: str) -> None:
        receiver = self.archive.dimse.receiver if self.archive.dimse else None
        if name != "c-move":
            self._ask(name, "transport", service)
        elif receiver is None:
            self.round.add(_no_receiver())
        else:
            address = f"{receiver.host}:{receiver.port}"
            with taken(address, wait=self.limits.wait, told=self.told, stop=self.round.stop):
                self._ask(name, "transport", service)

    def _ask(self, name: str, kind: str, service: str) -> None:
        """Let one of them probe; it ends at once when the user, or the clock, wants it to."""
        built: list[Any] = []

        def build() -> Any:
            built.append(self._part(name, kind).build(self.archive))
            return built[-1]

        def end() -> None:
            for one in built:
                one.close()

        clock = threading.Timer(max(0.0, self.round.deadline - time.monotonic()), end)
        clock.daemon = True
        clock.start()
        try:
            with ended_by(self.round.stop, end):
                self.round.examine(
                    Candidate(name=name, service=service, build=build, retrieves=kind == "transport"), self.told
                )
        finally:
            clock.cancel()

    def _part(self, name: str, kind: str) -> Part:
        """The offer of that name, with the profile's settings where it has some."""
        profile = self.wiring.resolved.profile
        given = [*profile.transport, *([profile.find] if profile.find else [])]
        choice = next((one for one in given if one.use == name), Choice(use=name))
        if name in TRANSPORTS["dimse"] and (model := settings_of(self.round.findings).get(MODEL)):
            choice = Choice.model_validate({"use": name, **choice.settings, "model": model})
        return part(plugins(), kind, choice, kind)


def _no_receiver() -> Finding:
    return Finding(
        probe="dimse.move",
        status=Standing.UNKNOWN,
        text="C-MOVE was not tried: no receiver of ours is given",
        advice="give --receiver AE@HOST:PORT, an address of this machine that the archive knows",
    )


def _address(archive: Archive, service: str) -> Address | None:
    """Where to connect first; a proxy stands before DICOMweb."""
    seconds = archive.timeouts.connect
    if service == "dimse" and archive.dimse is not None:
        secured = None
        if archive.dimse.tls.required:
            from pacsferry.plugins.dimse.tls import client

            tls = client(archive)
            secured = tls.context if tls is not None else None
        name = archive.dimse.tls.server_name or archive.dimse.host
        return Address(
            host=archive.dimse.host,
            port=archive.dimse.port,
            probe="dimse",
            seconds=seconds,
            tls=secured,
            server_name=name,
        )
    if service == "dicomweb" and archive.dicomweb is not None:
        return _web_address(archive, seconds)
    return None


def _web_address(archive: Archive, seconds: float) -> Address:
    web = archive.dicomweb
    assert web is not None  # noqa: S101 - the caller looked
    parts = urlsplit(web.proxy or str(web.qido or web.url or web.wado))
    secured = None
    if parts.scheme == "https" and not web.proxy:
        from pacsferry.plugins.dicomweb.tls import context_of

        secured = context_of(archive, archive.authenticator)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return Address(host=parts.hostname or "", port=port, probe="dicomweb", seconds=seconds, tls=secured)


# --- what it comes to


def _diagnosed(asked: Asked, resolved: Resolved, examined: _Examination, target: Path | None) -> Diagnosed:
    round_, archive = examined.round, examined.wiring.archive
    findings = tuple(round_.findings)
    quirks, settings = quirks_of(findings), settings_of(findings)
    vendor, notes = recognised(plugins(), archive.vendor, signs_of(findings))
    findings = (*(_registered(one, archive, vendor) for one in findings), *notes)
    transports = examined.transports()
    text = None
    if transports:
        text = profile_text(
            asked,
            resolved,
            target,
            transports=transports,
            finder=_finder(examined, transports),
            vendor=vendor.name,
            quirks=_departures(quirks, vendor.quirks.over(STANDARD).model_dump()),
            settings=settings,
            model=settings.get(MODEL),
            notes=_notes(round_),
        )
    ended = "interrupted" if round_.stop.is_set() else "time" if time.monotonic() > round_.deadline else ""
    return Diagnosed(
        archive=archive,
        findings=findings,
        transports=transports,
        vendor=vendor.name,
        quirks=quirks,
        behaviour=learnt(findings),
        letter=letter(archive, findings, vendor, host=socket.gethostname(), today=f"{date.today():%Y-%m-%d}"),  # noqa: DTZ011
        profile=text,
        reachable=examined.reachable,
        ended=ended,
        samples=len(round_.samples),
    )


def _registered(finding: Finding, archive: Archive, vendor: Vendor) -> Finding:
    """Where a product is known, how its administrator registers us."""
    if finding.probe != "dimse.move.destination" or not (how := registering(archive, vendor)):
        return finding
    return replace(finding, advice=f"{finding.advice}; {how}")


def _departures(found: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the vendor, or the standard, does not say already."""
    return {name: value for name, value in found.items() if _plain(usual.get(name)) != _plain(value)}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple) else value


def _finder(examined: _Examination, transports: tuple[str, ...]) -> str | None:
    """The finder to name: where the one that fits the first transport cannot be relied on, and another one can."""
    first = "dicomweb" if transports[0] in TRANSPORTS["dicomweb"] else "dimse"
    good = sorted(examined.heard - examined.unreliable)
    return None if first in good or not good else FINDERS[good[0]]


def _notes(round_: Round) -> list[str]:
    """What a reader of the profile should know."""
    if any(round_.serving.values()):
        return [f"{name} brought nothing, and is left out" for name, good in round_.serving.items() if good is False]
    return ["no retrieval could be tried: the transports below were only not refused"]
