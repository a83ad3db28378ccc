"""``pacsferry simulate``: an archive that behaves, or misbehaves, to order, until it is stopped; contacts nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import durations
from . import options as o
from .screen import Screen, plain_json, shown, write

if TYPE_CHECKING:
    from pacsferry.app.simulating import Simulated
    from pacsferry.testing.simulator import Asked

_SERVE, _WHERE, _WRONG = "What it serves", "Where", "What it does wrong"


def simulate(
    misbehave: Annotated[
        list[str] | None,
        o.option(
            "--misbehave",
            metavar="FAULT",
            help="NAME, or NAME:key=value,key=value; repeatable. `help` lists all.",
            panel=_WRONG,
        ),
    ] = None,
    personality: Annotated[str | None, o.option(help="Behave like a vendor's product.", panel=_WRONG)] = None,
    like: Annotated[
        Path | None, o.option(metavar="FILE", help="Behave like the archive that `doctor` wrote this of.", panel=_WRONG)
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List all faults and personalities.", rich_help_panel=_WRONG)
    ] = False,
    data: Annotated[
        Path | None,
        o.option(metavar="FOLDER", help="DICOM files to serve, instead of the built-in studies.", panel=_SERVE),
    ] = None,
    destination: Annotated[
        list[str] | None,
        o.option(
            metavar="AE@HOST:PORT",
            help="Whom C-MOVE can send to; repeatable.  [default: PACSFERRY@127.0.0.1:11112]",
            panel=_WHERE,
        ),
    ] = None,
    dimse_port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.", rich_help_panel=_WHERE)] = 0,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.", rich_help_panel=_WHERE)] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.", rich_help_panel=_WHERE)] = "127.0.0.1",
    ae_title: Annotated[str, typer.Option(help="Its AE title.", rich_help_panel=_WHERE)] = "SIM",
    tls_cert: Annotated[Path | None, o.option(metavar="FILE", help="DIMSE over TLS, both ways.", panel=_WHERE)] = None,
    tls_key: Annotated[
        Path | None, o.option(metavar="FILE", help="Its key.  [default: in the same file]", panel=_WHERE)
    ] = None,
    tls_ca: Annotated[
        Path | None,
        o.option(metavar="FILE", help="Take only peers with a certificate of this authority.", panel=_WHERE),
    ] = None,
    for_: Annotated[str | None, o.option("--for", metavar="TIME", help="Stop after 90s, 10m, 2h.")] = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    events: o.Events = False,
) -> int:
    """Run an archive that behaves, or misbehaves to order, until Ctrl-C: for people without one.

    It listens on this machine only unless told otherwise, and never shows a value of what it is asked or sends.
    """
    from pacsferry.app import simulating

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events, text=True)
    if list_ or "help" in (misbehave or ()):
        return _list(screen)
    for_s = None if for_ is None else durations.seconds("--for", for_, days=366)
    wanted = simulating.SimulateOptions(
        misbehave=tuple(misbehave or ()),
        like=like,
        personality=personality,
        data=data,
        host=host,
        dimse_port=dimse_port,
        http_port=http_port,
        ae_title=ae_title,
        destinations=tuple(destination or ()),
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_ca=tls_ca,
    )
    return _run(screen, wanted, for_s)


def _run(screen: Screen, wanted: Any, seconds: float | None) -> int:
    """Serve until somebody or the time stops it. Being stopped is how it ends, so that is no failure."""
    from pacsferry.app import simulating

    from .stopping import concluding

    with concluding(lambda _: None) as stop, simulating.simulating(wanted, told=_teller(screen)) as running:
        _print(screen, running, seconds)
        if not running.local:
            screen.say("note: it answers everybody who reaches this address, without asking who it is")
        _wait(stop, seconds)
        stopped = stop.is_set()
    screen.say("stopped")
    return 130 if stopped and seconds is not None else 0


def _wait(stop: Event, seconds: float | None) -> None:
    """Until it is stopped; a second signal, while it stops, ends it at once."""
    with suppress(KeyboardInterrupt):
        stop.wait(seconds)


# --- what it says


def _print(screen: Screen, running: Simulated, seconds: float | None) -> None:
    """Not ``Screen.result``: that would let signals come too late, and here they are how it ends."""
    write(plain_json(_document(running, seconds)) + "\n" if screen.json else _text(running, seconds))


def _document(running: Simulated, seconds: float | None) -> dict[str, Any]:
    from pacsferry.core.documents import document

    sim = running.simulator
    return document(
        "simulate",
        "ok",
        host=sim.host,
        ae_title=sim.ae_title,
        dimse_port=sim.dimse_port,
        http_port=sim.http_port,
        dicomweb_url=sim.dicomweb_url,
        destinations=[{"ae_title": one.ae_title, "host": one.host, "port": one.port} for one in running.destinations],
        personality=running.personality,
        faults=list(running.faults),
        studies=running.studies,
        instances=running.instances,
        skipped=running.skipped,
        accessions=list(running.accessions),
        profile=running.profile,
        for_s=seconds,
    )


def _text(running: Simulated, seconds: float | None) -> str:
    sim = running.simulator
    until = f"for {seconds:g} s" if seconds is not None else "until Ctrl-C"
    lines = [
        f"# An archive on this machine, {until}: {running.studies} studies, {running.instances} instances.",
        f"#   DIMSE     {sim.ae_title}@{sim.host}:{sim.dimse_port}",
        f"#   DICOMweb  {sim.dicomweb_url}",
        *(f"#   C-MOVE to {one.ae_title}@{one.host}:{one.port}" for one in running.destinations),
        *(f"#   wrong     {text}" for text in running.faults),
        *([f"#   skipped   {running.skipped} files that are not DICOM"] if running.skipped else []),
        *([f"#   accession {' '.join(running.accessions)}"] if running.accessions else []),
        "# Save this as sim.toml, then: pacsferry load try --site ./sim.toml ACCESSION",
        "",
        running.profile,
    ]
    return "\n".join(shown(line) if line.startswith("#") else line for line in lines)


def _teller(screen: Screen) -> Callable[[Asked], None] | None:
    """What to do with each request: a line of NDJSON, a line for people, or nothing."""
    if screen.events:
        return _event
    return _line if screen.verbose and not screen.quiet else None


def _event(asked: Asked) -> None:
    from pacsferry.app.simulating import told_of

    head = {"schema": "pacsferry.asked", "version": 1, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    write(json.dumps({**head, **told_of(asked)}) + "\n", sys.stderr)


def _line(asked: Asked) -> None:
    from pacsferry.app.simulating import told_of

    told = told_of(asked)
    status = told["status"]
    parts = [
        told["verb"],
        told["level"] or "",
        f"keys {','.join(told['keys'])}" if told["keys"] else "",
        "no answer" if status is None else f"{status:#06x}" if _dimse(told["verb"]) else str(status),
        f"{told['matches']} matches" if told["verb"] in ("c-find", "qido-rs") else "",
        f"{told['sent']} sent" if told["verb"] in ("c-get", "c-move", "wado-rs") else "",
        f"odd: {'; '.join(told['odd'])}" if told["odd"] else "",
    ]
    write(shown("  ".join(part for part in parts if part)) + "\n", sys.stderr)


def _dimse(verb: str) -> bool:
    return verb.startswith("c-")


# --- the list


def _list(screen: Screen) -> int:
    """All faults with their parameters, and all personalities."""
    from pacsferry.app import simulating
    from pacsferry.core import registry
    from pacsferry.core.documents import document

    plugins = registry.load()
    faults = [
        {"name": one.name, "summary": one.summary, "parameters": dict(one.parameters), "verbs": list(one.verbs)}
        for one in simulating.known_faults(plugins).values()
    ]
    vendors = [
        {"name": one.name, "summary": one.summary, "faults": list(one.personality)}
        for one in simulating.personalities(plugins)
    ]
    common = {"times": 0, "verb": "", "study": "", "level": ""}
    if screen.json:
        write(plain_json(document("faults", "ok", common=common, faults=faults, personalities=vendors)) + "\n")
    else:
        write(_listing(faults, vendors))
    return 0


def _listing(faults: Sequence[Mapping[str, Any]], vendors: Sequence[Mapping[str, Any]]) -> str:
    lines = ["Faults: --misbehave NAME, or NAME:key=value,key=value. The archive …", ""]
    for one in faults:
        given = ", ".join(f"{key}={_plain(value)}" for key, value in one["parameters"].items())
        lines += [f"  {one['name']:<21} {one['summary']}", *([f"{'':24}{given}"] if given else [])]
    lines += [
        "",
        "Every fault also takes times=N (requests that it spoils; 0: all), verb=VERB, level=LEVEL and study=UID.",
        "",
        "Personalities: --personality NAME.",
        "",
        *(f"  {one['name']:<21} {one['summary']}" for one in vendors),
    ]
    return "\n".join(shown(line) for line in lines) + "\n"


def _plain(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
