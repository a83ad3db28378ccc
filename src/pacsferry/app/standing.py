"""``status``: where a project stands; and ``waive``, which accepts a gap. Neither asks an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pacsferry.core.errors import ConfigError
from pacsferry.core.ledger_model import StudyState
from pacsferry.core.model import Status
from pacsferry.core.status import Case, Outliers, Problem, cases, counts, outliers, problems

from .opening import existing_project, ledger_of


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
