"""``pacsferry doctor``: what an archive really does, in words, as a letter, and as a profile that works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import durations, stopping, tables
from . import options as o
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app.doctor import Diagnosed

_ARCHIVE = "Archive"
_COLUMNS = ("status", "probe", "text", "advice")
_MARKS = {"ok": "ok", "warning": "warning", "failed": "failed", "unknown": "?"}
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "unknown": "dim"}
_AREAS = {
    "versions": "This machine",
    "dimse": "DIMSE",
    "dicomweb": "DICOMweb",
    "vendor": "Product",
}

DimseOption = Annotated[
    str | None,
    o.option(
        "--dimse",
        metavar="AE@HOST:PORT",
        help="The archive's DIMSE service, without a profile or instead of the profile's.",
        panel=_ARCHIVE,
    ),
]
DicomwebOption = Annotated[
    str | None,
    o.option("--dicomweb", metavar="URL", help="The root of the archive's DICOMweb service, likewise.", panel=_ARCHIVE),
]
ReceiverOption = Annotated[
    str | None,
    o.option(
        "--receiver",
        metavar="AE@HOST:PORT",
        help="Our own receiver, for C-MOVE: an address of this machine that the archive knows.",
        panel=_ARCHIVE,
    ),
]
CallingOption = Annotated[
    str | None, o.option("--calling-ae-title", metavar="AE", help="Our AE title when we ask.", panel=_ARCHIVE)
]
WriteOption = Annotated[Path | None, o.option("--write", metavar="FILE.toml", help="Write a site profile that works.")]
LetterOption = Annotated[
    Path | None, o.option("--letter", metavar="FILE", help="Write the letter to the archive's administrator.")
]
BehaviourOption = Annotated[
    Path | None,
    o.option("--save-behaviour", metavar="FILE.json", help="Write how the archive behaves, for simulate --like."),
]
RetrieveOption = Annotated[
    bool, typer.Option("--retrieve/--no-retrieve", help="Retrieve something small over each transport.")
]
TimeOption = Annotated[
    str, typer.Option("--max-time", metavar="DURATION", help="End after so long; what was learnt by then is shown.")
]


def doctor(
    ctx: typer.Context,
    site: o.Site = None,
    sets: o.Sets = None,
    dimse: DimseOption = None,
    dicomweb: DicomwebOption = None,
    receiver: ReceiverOption = None,
    calling: CallingOption = None,
    write: WriteOption = None,
    letter: LetterOption = None,
    save_behaviour: BehaviourOption = None,
    retrieve: RetrieveOption = True,
    max_time: TimeOption = "10m",
    yes: o.Yes = False,
    no_wait: o.NoWait = False,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Probe what the archive really does; write a letter to its administrator, and a profile that works."""
    from pacsferry.app.doctor import Asked, Limits
    from pacsferry.app.doctor import doctor as examine
    from pacsferry.app.doctor.writing import Outputs

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    outputs = Outputs(profile=write, letter=letter, behaviour=save_behaviour, overwrite=yes)
    outputs.check()
    asked = Asked(
        site=None if (dimse or dicomweb) and not _typed(ctx) else site,
        sets=tuple(sets or ()),
        dimse=dimse,
        dicomweb=dicomweb,
        receiver=receiver,
        calling_ae_title=calling,
    )
    limits = Limits(seconds=durations.seconds("--max-time", max_time, days=1), retrieve=retrieve, wait=not no_wait)
    with stopping.concluding(screen.say) as stop:
        found = examine(asked, limits, target=write, told=screen.say, stop=stop)
    written = outputs.write(found)
    told = document(found, written)
    screen.result(
        told,
        table=lambda out: _draw(out, found, told, verbose=verbose),
        rows=(_COLUMNS, told["findings"]),
    )
    return code(found, wanted=write is not None)


def _typed(ctx: typer.Context) -> bool:
    """Whether --site was typed; the environment's default does not count where an address is given."""
    source = ctx.get_parameter_source("site")
    return source is not None and source.name == "COMMANDLINE"


def code(found: Diagnosed, *, wanted: bool) -> int:
    """0 where the archive could be examined, whatever was found; 4 where nobody answers; 5 where a part is lacking."""
    if found.ended == "interrupted":
        return 130
    if not found.reachable:
        return 4
    return 5 if found.ended or (wanted and found.profile is None) else 0


def document(found: Diagnosed, written: Mapping[str, str]) -> dict[str, Any]:
    """The ``pacsferry.doctor`` document. There is no identifier of a patient in it."""
    from pacsferry.core.documents import document as made

    findings = [
        {"probe": one.probe, "status": str(one.status), "text": one.text, "advice": one.advice or None}
        for one in found.findings
    ]
    hint = _hint(found, written)
    return made(
        "doctor",
        found.status,
        archive=_archive(found),
        findings=findings,
        transports=list(found.transports),
        vendor=found.vendor,
        quirks={name: list(value) if isinstance(value, tuple) else value for name, value in found.quirks.items()},
        behaviour=found.behaviour.document(),
        letter=found.letter,
        profile=found.profile,
        written=dict(written),
        **({"hint": hint} if hint else {}),
    )


def _archive(found: Diagnosed) -> dict[str, Any]:
    dimse, web = found.archive.dimse, found.archive.dicomweb
    receiver = dimse.receiver if dimse else None
    return {
        "name": found.archive.name,
        "dimse": f"{dimse.ae_title}@{dimse.host}:{dimse.port}" if dimse else None,
        "calling_ae_title": dimse.calling_ae_title if dimse else None,
        "receiver": f"{receiver.ae_title}@{receiver.host}:{receiver.port}" if receiver else None,
        "dicomweb": (web.url or web.qido or web.wado) if web else None,
    }


def _hint(found: Diagnosed, written: Mapping[str, str]) -> str | None:
    """How to go on."""
    if found.ended == "interrupted":
        return "what was learnt so far is shown; run the same command again for the rest"
    if found.ended == "time":
        return "the time was over; give more with --max-time"
    if not found.reachable:
        return "the letter lists what the archive's administrator can do"
    if found.profile is None:
        return "nothing could be retrieved, so there is no profile that would work; the letter lists what is in the way"
    if "profile" in written:
        return f"`pacsferry check --site {written['profile']}`, then `pacsferry load PROJECT ACCESSION --site …`"
    return "--write FILE.toml writes a site profile that works with this archive"


# --- for people


def _draw(out: Console, found: Diagnosed, told: Mapping[str, Any], *, verbose: bool) -> None:
    """A list by area, then what it comes to, and the letter where something is in the way."""
    for area in dict.fromkeys(_area(one["probe"]) for one in told["findings"]):
        tables.say(out, f"\n{area}", "bold")
        for one in told["findings"]:
            if _area(one["probe"]) == area:
                _line(out, one)
    tables.say(out, "")
    transports = ", ".join(found.transports) or "none"
    tables.lines(out, {"transports that work": transports, "product": found.vendor, **_written(told)})
    if verbose or found.status in {"incomplete", "failed"}:
        tables.say(out, "\nLetter to the archive's administrator\n", "bold")
        tables.say(out, found.letter.rstrip())
    if told.get("hint"):
        tables.say(out, f"\nhint: {told['hint']}")


def _area(probe: str) -> str:
    return _AREAS.get(probe.partition(".")[0], "Other")


def _line(out: Console, one: Mapping[str, Any]) -> None:
    from rich.text import Text

    from .screen import shown

    line = Text(f"  {_MARKS[one['status']]:<8}", style=_STYLES[one["status"]])
    line.append(shown(one["text"]), style="")
    out.print(line, soft_wrap=True)
    if one["advice"] and one["status"] != "ok":
        tables.say(out, f"          -> {one['advice']}")


def _written(told: Mapping[str, Any]) -> dict[str, str]:
    return {f"{name} written": path for name, path in told["written"].items()}
