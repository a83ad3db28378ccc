"""Commands that look: check, echo, find, status, audit, verify-files; and waive, which accepts a gap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacsferry.core.availability import summed
from pacsferry.core.errors import ConfigError, TransferError, strictest
from pacsferry.core.events import Event, HostAudit
from pacsferry.core.host import state_folder
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.ledger_chain import ChainReport
from pacsferry.core.ledger_model import StudyState
from pacsferry.core.model import Match, Ping, Status
from pacsferry.core.pacing import asking, together
from pacsferry.core.progress import Progress, Told, silent
from pacsferry.core.query import Asked
from pacsferry.core.redact import quiet
from pacsferry.core.status import Case, Outliers, Problem, cases, counts, outliers, problems
from pacsferry.core.strict import Choice
from pacsferry.core.survey import matching
from pacsferry.core.verify import VerifyReport
from pacsferry.core.verify import verify_files as compare

from .observing import host_audit
from .opening import existing_project, ledger_of, plugins, site, wired
from .pacing import budget_of, saying
from .wiring import FINDERS, part
from .wiring import problems as profile_problems

# --- check


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One thing that a profile says, and whether it holds."""

    where: str
    ok: bool
    text: str


def check(name: str | None, sets: Sequence[str] = ()) -> list[CheckLine]:
    """Resolve every name and setting of a profile, and where it writes. Contacts nobody."""
    from pacsferry.core.project import check_folders
    from pacsferry.profiles.requires import missing as unmet

    resolved = site(name, sets, need_archive=False)
    lines = [CheckLine(where="profile", ok=True, text=" -> ".join(path.name for path in resolved.chain))]
    lines += [CheckLine(where="requires", ok=False, text=text) for text in unmet(resolved.profile.requires)]
    lines += [CheckLine(where=w, ok=ok, text=text) for w, ok, text in profile_problems(resolved, plugins())]
    if resolved.profile.has_archive and all(line.ok for line in lines):
        lines += _whole(resolved)
    lines += _shifts(resolved) if all(line.ok for line in lines) else []
    try:
        check_folders(resolved.folders)
    except ConfigError as err:
        lines.append(CheckLine(where="output", ok=False, text=str(err)))
    folders = resolved.folders
    lines += [_writable("output.images", folders.images), _writable("output.private", folders.private)]
    return lines


def _whole(resolved: Any) -> Iterator[CheckLine]:
    """What only shows when everything is wired: the finder that fits, the exclude list that can be read."""
    from pacsferry.profiles.secrets import lines

    try:
        wiring = wired(resolved)
        finder = wiring.finder()
        yield CheckLine(where="find", ok=True, text=f"asks over {finder.protocol}")
        finder.close()
        for _, transport in wiring.transports():
            transport.close()
        if (web := wiring.archive.dicomweb) is not None and web.credentials_over_http:
            where = "archive.dicomweb.credentials_over_http"
            yield CheckLine(where=where, ok=True, text="WARNING: over http anybody on the way can read who we are")
        if (patients := resolved.profile.exclude.patients) is not None:
            listed = lines(patients, resolved.base, "exclude.patients")
            yield CheckLine(where="exclude.patients", ok=True, text=f"{len(listed)} patients are never retrieved")
    except ConfigError as err:
        yield CheckLine(where="wiring", ok=False, text=str(err))


def _shifts(resolved: Any) -> Iterator[CheckLine]:
    """The table of shifts, where one is asked for."""
    from pacsferry.core.pseudonyms import ProjectKeys

    from .shifts import WHERE, mapped

    try:
        found = mapped(wired(resolved).chosen.deidentifier, resolved, ProjectKeys(b""))
    except ConfigError as err:
        yield CheckLine(where=WHERE, ok=False, text=str(err))
    else:
        if found is not None:
            yield CheckLine(where=WHERE, ok=True, text=f"{len(found)} patients have a shift")


def _writable(where: str, folder: Path) -> CheckLine:
    """Whether the folder, or the nearest one above it that exists, lets us write."""
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    ok = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    return CheckLine(where=where, ok=ok, text=str(folder) if ok else f"{folder}: {above} cannot be written")


# --- echo


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResult:
    """How one service answered. ``error`` and ``hint`` where it did not."""

    service: str
    address: str
    ok: bool
    seconds: float | None = None
    error: str | None = None
    hint: str | None = None


def echo(name: str | None, sets: Sequence[str] = ()) -> list[PingResult]:
    """A C-ECHO and a QIDO-RS ping of whatever the profile names. Audited."""
    quiet()
    wiring = wired(site(name, sets))
    services = {"dimse": wiring.archive.dimse, "dicomweb": wiring.archive.dicomweb}
    results = []
    with host_audit(wiring) as audit:
        for protocol, there in services.items():
            if there is None:
                continue
            finder = part(wiring.plugins, "finder", Choice(use=FINDERS[protocol]), "find").build(wiring.archive)
            try:
                results.append(_answered(finder.ping()))
            except TransferError as err:
                results.append(_silent(protocol, there, err))
            finally:
                finder.close()
        audit.append(
            "echo",
            wiring.archive.name,
            outcome="ok" if all(result.ok for result in results) else "failed",
            details={"services": len(results)},
        )
    return results


_SERVICES = {"dimse": "C-ECHO", "dicomweb": "QIDO-RS"}


def _answered(ping: Ping) -> PingResult:
    return PingResult(service=ping.service, address=ping.address, ok=True, seconds=ping.seconds)


def _silent(protocol: str, there: Any, err: TransferError) -> PingResult:
    if protocol == "dimse":
        address = f"{there.ae_title}@{there.host}:{there.port}"
    else:
        address = str(there.qido or there.url or "")
    return PingResult(service=_SERVICES[protocol], address=address, ok=False, error=str(err), hint=err.hint)


# --- find


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow:
    """A study that matches, cut down to what identifies nobody.

    ``identified`` holds all that the archive answered; only ``--identified`` shows it.
    """

    request: int
    accession: str | None
    modalities: tuple[str, ...]
    series_count: int | None
    image_count: int | None
    availability: str
    sex: str
    age: str
    year: str
    identified: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """All answers, and what went wrong for single requests; ``hint`` is what the first error suggests."""

    rows: tuple[FoundRow, ...]
    errors: tuple[tuple[int, str], ...]
    not_found: tuple[int, ...]
    exit_code: int
    hint: str | None = None


def find(
    name: str | None,
    asked: Sequence[Asked],
    *,
    sets: Sequence[str] = (),
    max_studies: int | None = None,
    max_images: int | None = None,
    identified: bool = False,
    wait: bool = True,
    told: Told = silent,
) -> FoundRows:
    """What matches; without a query the last 30 days. Audited.

    It may ask at any hour, over one of the associations that the archive allows. Raises ``BusyError`` where it may not
    ``wait`` for one.
    """
    from pacsferry.core.query import gather

    quiet()
    asked = asked or gather(date_from="-30d")
    wiring = wired(site(name, sets))
    finder = wiring.finder()
    budget, say = budget_of(wiring, HostLeases(state_folder() / "archives"), finder), saying(told)
    rows: list[FoundRow] = []
    errors: list[tuple[int, str]] = []
    empty: list[int] = []
    codes: list[int] = []
    hints: list[str] = []
    with closing(finder), together(budget, told=say, wait=wait):
        for done, one in enumerate(asked):
            told(Progress(kind="query", done=done, total=len(asked)))
            try:
                matches = asking(budget, lambda one=one: list(matching(finder, one)), told=say, wait=wait)  # type: ignore[misc]
            except TransferError as err:
                errors.append((one.ordinal, str(err)))
                hints += [err.hint] if err.hint else []
                codes.append(err.exit_code)
                continue
            rows += [_found(one, match) for match in matches]
            empty += [] if matches else [one.ordinal]
            codes.append(0 if matches else 3)
    with host_audit(wiring) as audit:
        details = {"requests": len(asked), "matches": len(rows), "kind": "identified" if identified else "plain"}
        audit.append("find", wiring.archive.name, outcome="failed" if errors else "ok", details=details)
    if len(set(codes)) > 1:
        codes = [5 if code in {3, 4} else code for code in codes]
    return FoundRows(
        rows=tuple(_limited(rows, max_studies, max_images)),
        errors=tuple(errors),
        not_found=tuple(empty),
        exit_code=strictest(codes),
        hint=next(iter(hints), None),
    )


def _limited(rows: Sequence[FoundRow], max_studies: int | None, max_images: int | None) -> Iterator[FoundRow]:
    """The first rows, up to the one that would exceed a limit."""
    images = 0
    for row in rows[:max_studies]:
        images += row.image_count or 0
        if max_images is not None and images > max_images:
            return
        yield row


def _found(asked: Asked, match: Match) -> FoundRow:
    return FoundRow(
        request=asked.ordinal,
        accession=asked.typed,
        modalities=match.many("ModalitiesInStudy"),
        series_count=match.number("NumberOfStudyRelatedSeries"),
        image_count=match.number("NumberOfStudyRelatedInstances"),
        availability=", ".join(summed([match.many("InstanceAvailability")])),
        sex=match.text("PatientSex") if match.text("PatientSex") in {"M", "F", "O"} else "",
        age=capped_age(match),
        year=match.text("StudyDate")[:4],
        identified=dict(match.keys),
    )


def capped_age(match: Match) -> str:
    """Years at the study, from PatientAge or the birth date; "90+" for all over 89 (45 CFR 164.514(b)(2)(i)(C))."""
    text, born, done = match.text("PatientAge"), match.text("PatientBirthDate"), match.text("StudyDate")
    years: int | None = None
    if len(text) == 4 and text[:3].isdecimal():
        years = int(text[:3]) if text[3] == "Y" else 0
    elif len(born) == 8 and len(done) == 8 and (born + done).isdecimal():
        years = int(done[:4]) - int(born[:4]) - (done[4:] < born[4:])
    if years is None or years < 0:
        return ""
    return "90+" if years > 89 else str(years)


# --- status, waive


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStatus:
    """Where a project stands."""

    project: str
    studies: tuple[StudyState, ...]
    cases: tuple[Case, ...]
    counts: dict[str, int]
    outliers: Outliers
    problems: tuple[Problem, ...]
    unfinished: int
    not_found: int
    images: Path
    exit_code: int


def status(
    project: str, accession: str | None = None, *, site_name: str | None = None, sets: Sequence[str] = ()
) -> ProjectStatus:
    """What is there, what is incomplete or held, why, and what to do. An unknown accession is an error."""
    from .remembered import unfinished_statuses

    there = existing_project(project, site_name, sets)
    with ledger_of(there) as ledger:
        states = list(ledger.studies() if accession is None else ledger.studies_of_accession(accession))
        if accession is not None and not states:
            raise ConfigError("the project has no study of this accession number", hint=f"`pacsferry status {project}`")
        found = problems(states)
        left = unfinished_statuses(ledger) if accession is None else []
    return ProjectStatus(
        project=project,
        studies=tuple(states),
        cases=tuple(cases(states)),
        counts=counts(states),
        outliers=outliers(states),
        problems=tuple(found),
        unfinished=len(left),
        not_found=left.count(Status.NOT_FOUND),
        images=there.images,
        exit_code=5 if found or left else 0,
    )


def waive(
    project: str, accessions: Sequence[str], reason: str, *, site_name: str | None = None, sets: Sequence[str] = ()
) -> tuple[StudyState, ...]:
    """Accept the gaps of these accessions, for ever shown. Raises ``ConfigError`` before anything is accepted."""
    if not reason.strip():
        raise ConfigError("a waiver needs a reason", hint="say why with --reason TEXT")
    there = existing_project(project, site_name, sets)
    with ledger_of(there) as ledger:
        states = {number: ledger.studies_of_accession(number.strip()) for number in accessions}
        unknown = sum(1 for found in states.values() if not found)
        if unknown:
            raise ConfigError(
                f"{unknown} of the accession numbers have no study in this project",
                hint=f"`pacsferry status {project}`",
            )
        run = ledger.start_run("waive", details={"requests": len(accessions)})
        keys = [state.key for found in states.values() for state in found]
        waived = [key for key in keys if ledger.waive(run, key, reason)]
        ledger.end_run(run, "ok", {"waived": len(waived)})
        return tuple(state for key in waived if (state := ledger.study(key)) is not None)


# --- audit, verify-files, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The last events of a chain, and whether the chain is whole (None: it was not asked)."""

    events: tuple[Event, ...]
    report: ChainReport | None
    exit_code: int


def audit(
    project: str | None,
    *,
    last: int | None = 20,
    checked: bool = False,
    site_name: str | None = None,
    sets: Sequence[str] = (),
) -> Trail:
    """The trail of a project, or of this host where none is named."""
    if project is None:
        with HostAudit() as trail:
            return _trail(tuple(trail.events(last=last)), trail.check_chain() if checked else None)
    with ledger_of(existing_project(project, site_name, sets)) as ledger:
        return _trail(tuple(ledger.events(last=last)), ledger.check_chain() if checked else None)


def _trail(events: tuple[Event, ...], report: ChainReport | None) -> Trail:
    return Trail(events=events, report=report, exit_code=0 if report is None or report.ok else 6)


def verify_files(
    project: str,
    *,
    quick: bool = False,
    site_name: str | None = None,
    sets: Sequence[str] = (),
    told: Told = silent,
) -> VerifyReport:
    """Compare what is released with the ledger. Raises ``FerryError``."""
    there = existing_project(project, site_name, sets)
    with ledger_of(there) as ledger:
        run = ledger.start_run("verify-files")

        def progress(done: int) -> None:
            told(Progress(kind="instance", done=done))

        report = compare(there.images, ledger, quick=quick, progress=progress)
        found = {"checked": report.checked, "lost": len(report.missing), "foreign": len(report.foreign)}
        ledger.end_run(run, "ok" if report.ok else "failed", {**found, "changed": len(report.changed)})
        return report
