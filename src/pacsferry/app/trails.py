"""``audit`` and ``verify-files``: whether the trail, and what is released, are as they were written; no repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pacsferry.core.events import Event, HostAudit
from pacsferry.core.ledger_chain import ChainReport
from pacsferry.core.progress import Progress, Told, silent
from pacsferry.core.verify import VerifyReport
from pacsferry.core.verify import verify_files as compare

from .opening import existing_project, ledger_of


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
