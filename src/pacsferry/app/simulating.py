"""An archive on this machine that behaves, or misbehaves, to order; it serves what it is given and keeps nothing."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacsferry.core import registry
from pacsferry.core.errors import ConfigError, UnknownName
from pacsferry.core.fitting import checked
from pacsferry.core.registry import Registry
from pacsferry.core.strict import AeTitle, Host

if TYPE_CHECKING:
    from pacsferry.core.ports import Vendor
    from pacsferry.testing.simulator import Asked, Fault, FaultKind, Security, Simulator

#: Requests that are remembered: it may run for days.
_KEEP = 1000
#: Where C-MOVE goes unless told otherwise: what a profile's receiver is called by default.
RECEIVER = "PACSFERRY@127.0.0.1:11112"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """What to serve, where, and how badly. Port 0 is any free one."""

    misbehave: Sequence[str] = ()
    like: Path | None = None
    personality: str | None = None
    data: Path | None = None
    host: str = "127.0.0.1"
    dimse_port: int = 0
    http_port: int = 0
    ae_title: str = "SIM"
    destinations: Sequence[str] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Whom C-MOVE can send to."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A simulator that runs, and what there is to say of it. ``accessions`` are of the built-in studies only."""

    simulator: Simulator
    faults: tuple[str, ...]
    personality: str | None
    destinations: tuple[Destination, ...]
    studies: int
    instances: int
    skipped: int
    accessions: tuple[str, ...] = field(default=())
    security: Security | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.simulator.host == "localhost" or self.simulator.host.startswith("127.")

    @property
    def profile(self) -> str:
        """A site profile for it, to be copied."""
        sim, to = self.simulator, self.destinations[0]
        vendor = f'vendor = "{self.personality}"\n' if self.personality else ""
        return _PROFILE.format(
            vendor=vendor,
            tls=_table(self.security),
            host=sim.host,
            port=sim.dimse_port,
            ae_title=sim.ae_title,
            receiver=to.ae_title,
            to_host=to.host,
            to_port=to.port,
            url=sim.dicomweb_url,
        )


_PROFILE = """extends = "research-base"

[archive]
name = "simulator"
{vendor}
[archive.dimse]
host = "{host}"
port = {port}
ae_title = "{ae_title}"
{tls}
[archive.dimse.receiver]
host = "{to_host}"
port = {to_port}
ae_title = "{receiver}"
{tls}
[archive.dicomweb]
url = "{url}"

[[transport]]
use = "wado-rs"
[[transport]]
use = "c-get"
[[transport]]
use = "c-move"
"""


def _table(security: Security | None) -> str:
    """What a profile on this machine says to get on with it: the same certificate serves both sides."""
    if security is None:
        return ""
    paths = {"ca": security.ca or security.cert, "cert": security.cert, "key": security.key}
    files = ", ".join(f"{key} = {json.dumps(str(path))}" for key, path in paths.items())
    return f'tls = {{ mode = "required", {files} }}\n'


def _security(options: SimulateOptions) -> Security | None:
    """TLS of the DIMSE side, where it is asked for. Raises ``ConfigError``."""
    from pacsferry.testing.simulator import Security

    if options.tls_cert is None:
        if options.tls_key or options.tls_ca:
            raise ConfigError("--tls-cert: missing; a server shows a certificate")
        return None
    cert, key = options.tls_cert.absolute(), (options.tls_key or options.tls_cert).absolute()
    security = Security(cert=cert, key=key, ca=options.tls_ca.absolute() if options.tls_ca else None)
    try:
        _ = security.server, security.client  # made here, so that an error has the option's name
    except OSError:
        raise ConfigError(
            "--tls-cert, --tls-key, --tls-ca: must be PEM files of a certificate, its key, others"
        ) from None
    return security


@contextmanager
def simulating(options: SimulateOptions, plugins: Registry | None = None, *, told: Any = None) -> Iterator[Simulated]:
    """Start the archive and stop it at the end. ``told`` is called with each request that was answered.

    Raises ``ConfigError`` for an unknown fault or personality, a file that is none of ours, a port that is taken.
    """
    plugins = plugins or registry.load()
    faults = ordered(options, plugins)
    destinations = tuple(_destination(text) for text in options.destinations or (RECEIVER,))
    checked(AeTitle, options.ae_title, "--ae-title")
    checked(Host, options.host, "--host")
    from pacsferry.testing.simulator import Simulator

    security = _security(options)
    objects, skipped = _objects(options.data)
    try:
        simulator = Simulator(
            objects,
            faults=faults,
            ae_title=options.ae_title,
            host=options.host,
            dimse_port=options.dimse_port,
            http_port=options.http_port,
            security=security,
            told=told,
            keep=_KEEP,
        )
    except OSError as err:
        raise ConfigError(
            f"cannot listen on {err.filename or options.host}: {_why(err)}",
            hint="choose --host, --dimse-port and --http-port; 0 is any free port",
        ) from None
    with simulator:
        for one in destinations:
            simulator.register(one.ae_title, one.host, one.port, tls=security is not None)
        yield replace(_described(simulator, options, faults, destinations, skipped), security=security)


def _described(
    simulator: Simulator,
    options: SimulateOptions,
    faults: Sequence[Fault],
    destinations: tuple[Destination, ...],
    skipped: int,
) -> Simulated:
    held = simulator.holdings.all()
    # Of a folder the numbers would be somebody's; of the built-in studies they are of nobody.
    own = {str(one.header.get("AccessionNumber", "")) for one in held} if options.data is None else set()
    return Simulated(
        simulator=simulator,
        faults=tuple(fault.text for fault in faults),
        personality=options.personality,
        destinations=destinations,
        studies=len({one.study for one in held}),
        instances=len(held),
        skipped=skipped,
        accessions=tuple(sorted(own - {""})),
    )


def _why(err: OSError) -> str:
    return os.strerror(err.errno) if err.errno and err.errno > 0 else "there is no such address"


# --- faults


def known_faults(plugins: Registry) -> Mapping[str, FaultKind]:
    """Every fault that can be ordered, of the simulator and of plugins, by name."""
    from pacsferry.testing.simulator import FAULTS

    return {**FAULTS, **{name: _of_plugin(plugins, name) for name in plugins.names("fault") if name not in FAULTS}}


def _of_plugin(plugins: Registry, name: str) -> FaultKind:
    """A plugin's fault as the table has them: its settings are the parameters."""
    from pacsferry.core.fitting import fit
    from pacsferry.testing.simulator.kinds import QUERY, RETRIEVE, FaultKind

    offer = plugins.offers["fault"][name][0].offer

    def build(parameters: Mapping[str, Any]) -> Any:
        chosen = plugins.named("fault", name)
        return registry.resolve(chosen.build)(fit(chosen.settings, parameters, name))

    defaults = offer.settings().model_dump()
    return FaultKind(name=name, summary=offer.summary, verbs=(*QUERY, *RETRIEVE), parameters=defaults, build=build)


def personalities(plugins: Registry) -> list[Vendor]:
    """The vendors that have one, by name."""
    every = [plugins.offers["vendor"][name][0].offer for name in plugins.names("vendor")]
    return [one for one in every if one.personality]


def ordered(options: SimulateOptions, plugins: Registry) -> list[Fault]:
    """All faults of the options, each once: those of ``--like``, of the personality, and those named."""
    known = known_faults(plugins)
    texts: list[tuple[str, str]] = []
    if options.like is not None:
        texts += [(f"--like {options.like}", text) for text in _like(options.like)]
    if options.personality is not None:
        texts += [(f"--personality {options.personality}", text) for text in _personality(options.personality, plugins)]
    texts += [("--misbehave", text) for text in options.misbehave]
    return list(
        {fault.text: fault for where, text in texts for fault in [_parsed(where, text, known, plugins)]}.values()
    )


def _parsed(where: str, text: str, known: Mapping[str, FaultKind], plugins: Registry) -> Fault:
    from pacsferry.testing.simulator import Fault

    name = text.partition(":")[0].strip()
    if name not in known:
        unknown = UnknownName("fault", name, known, plugins.broken)
        raise ConfigError(f"{where}: {unknown}", hint="`pacsferry simulate --list` shows all")
    try:
        return Fault.parse(text, known)
    except ValueError as err:
        raise ConfigError(f"{where}: {err}", hint="`pacsferry simulate --list` shows the parameters") from None


def _personality(name: str, plugins: Registry) -> Sequence[str]:
    try:
        vendor: Vendor = plugins.named("vendor", name)
    except UnknownName:
        known = [one.name for one in personalities(plugins)]
        near = difflib.get_close_matches(name, plugins.names("vendor"), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known) or 'none'}"
        raise ConfigError(
            f"--personality: no vendor named {name!r}{meant}", hint="`pacsferry simulate --list` shows all"
        ) from None
    return vendor.personality


def _like(path: Path) -> Sequence[str]:
    from pacsferry.core import behaviour
    from pacsferry.testing.simulator.like import faults_like

    where = f"--like {path}"
    if not path.is_file():
        why = "is no file" if path.exists() else "does not exist"
        raise ConfigError(f"{where}: {why}", hint="`pacsferry doctor --json` writes such a document")
    try:
        with path.open("rb") as file:
            data = file.read(behaviour.LONGEST + 1)
    except OSError as err:
        raise ConfigError(f"{where}: {os.strerror(err.errno or 0)}") from None
    return faults_like(behaviour.parse(data, where))


# --- what is served


def _objects(folder: Path | None) -> tuple[list[Any], int]:
    """The built-in studies, or the DICOM files below a folder and how many files there were none."""
    if folder is None:
        from pacsferry.testing.samples import demo_studies

        return list(demo_studies()), 0
    if not folder.is_dir():
        why = "is no folder" if folder.exists() else "does not exist"
        raise ConfigError(f"--data {folder}: {why}")
    from pacsferry.testing.simulator.holdings import store

    taken, skipped = [], 0
    for path in sorted(_files(folder)):
        try:
            taken.append(store(path))
        except Exception:  # not DICOM, damaged, or not for us to read: served is what can be
            skipped += 1
    if not taken:
        raise ConfigError(f"--data {folder}: holds no DICOM file that can be read")
    return taken, skipped


def _files(folder: Path) -> Iterable[Path]:
    for root, _, names in os.walk(folder):
        yield from (path for name in names for path in [Path(root) / name] if path.is_file())


def _destination(text: str) -> Destination:
    """From ``AE@HOST:PORT``; an IPv6 address stands in brackets."""
    title, at, address = text.rpartition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError("--destination: write AE@HOST:PORT, for example PACSFERRY@127.0.0.1:11112")
    checked(AeTitle, title, "--destination")
    checked(Host, host, "--destination")
    return Destination(ae_title=title, host=host.strip("[]"), port=int(port))


def told_of(asked: Asked) -> dict[str, Any]:
    """One request as an event: verbs, levels, counts and names; no value of a key, and no UID of an object."""
    from pacsferry.testing.simulator.holdings import LEVELS

    return {
        "event": "asked",
        "verb": asked.verb,
        "level": asked.level if asked.level in LEVELS else None,
        "keys": sorted(asked.keys),
        "instances": len(asked.instances),
        "status": asked.status,
        "matches": asked.matches,
        "sent": len(asked.sent),
        "odd": list(asked.odd),
    }
