"""Reports of a run, or of any past one: built from the ledger, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pacsferry import __version__
from pacsferry.core import drafts
from pacsferry.core.errors import ConfigError, StoreError
from pacsferry.core.ledger import Ledger
from pacsferry.core.model import Row, Status, Summary
from pacsferry.core.places import within
from pacsferry.core.publish import make_folders, sync_folder
from pacsferry.core.status import row, verification

from .opening import Opened

if TYPE_CHECKING:
    from .loading import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files of a report run, by whether they are released, relative to the project's own folders."""

    run: str
    released: tuple[str, ...]
    private: tuple[str, ...]
    warnings: tuple[str, ...]


def write_reports(work: Opened, loaded: Loaded, *, command: str) -> tuple[str, ...]:
    """Write every chosen report of a run that has just ended; what a report could not do, as warnings."""
    return _write(work, _summary(work, loaded.run, command, loaded.status, loaded.rows, loaded.verification)).warnings


def report_again(work: Opened) -> Written:
    """Write every chosen report for the whole project, as it stands."""
    rows = project_rows(work.ledger)
    runs = work.ledger.runs()
    if not runs:
        raise ConfigError("there is nothing to report yet", hint=f"run `pacsferry load {work.project.name} …` first")
    last = runs[-1]
    status = "ok" if all(one.status in {Status.OK, Status.SKIPPED, Status.WAIVED} for one in rows) else "incomplete"
    return _write(work, _summary(work, last.id, "report", status, rows, verification(rows)))


def project_rows(ledger: Ledger) -> list[Row]:
    """One row per study of the project, with its accession as the archive has it. Identified."""
    numbers = {key: original.accession for key, original in ledger.originals()}
    return [
        row(state, request=number, accession=numbers.get(state.key) or None)
        for number, state in enumerate(ledger.studies(), start=1)
    ]


def _summary(
    work: Opened, run: str, command: str, status: str, rows: Sequence[Row], verified: Mapping[str, Any]
) -> Summary:
    noted = work.ledger.run(run)
    return Summary(
        project=work.project.name,
        run=run,
        command=command,
        started=noted.started if noted else datetime.now(UTC),
        status=status,
        rows=tuple(rows),
        verification=verified,
        manifests=_manifests(work.ledger, rows),
        project_rows=tuple(project_rows(work.ledger)),
        version=__version__,
        rules_digest=work.wiring.chosen.deidentifier.digest,
        described=tuple(work.wiring.chosen.deidentifier.describe()),
        audit_head=work.ledger.head(),
        unresolved=work.ledger.unresolved(),
        identified=True,
    )


def _manifests(ledger: Ledger, rows: Sequence[Row]) -> dict[str, Any]:
    """What is stored of the studies that the rows name, by released study UID."""
    named = {one.study_uid for one in rows if one.study_uid}
    return {state.study_uid: tuple(ledger.stored(state.key)) for state in ledger.studies() if state.study_uid in named}


def released(summary: Summary) -> Summary:
    """The summary without what links to the archive: no accession, no order of the request, no unfound request."""
    rows = sorted(
        (replace(one, accession=None, request=0) for one in summary.rows if one.case_id),
        key=lambda one: (one.case_id or "", one.study_uid or ""),
    )
    return replace(
        summary,
        rows=tuple(replace(one, request=number) for number, one in enumerate(rows, start=1)),
        project_rows=(),
        identified=False,
    )


def _write(work: Opened, summary: Summary) -> Written:
    warnings: list[str] = []
    files: dict[bool, list[str]] = {True: [], False: []}
    for identified, root, told in (
        (False, work.project.images, released(summary)),
        (True, work.project.private, summary),
    ):
        for name, report in work.wiring.reports:
            try:
                for relative, content in report.write(told).items():
                    put(root, relative, content, mode=0o600 if identified else work.wiring.resolved.folders.mode)
                    files[identified].append(relative)
            except StoreError:
                raise
            except Exception as err:
                warnings.append(f"report {name} failed ({type(err).__name__}); the ledger has everything")
    return Written(run=summary.run, released=tuple(files[False]), private=tuple(files[True]), warnings=tuple(warnings))


def put(root: Path, relative: str, content: bytes, *, mode: int) -> None:
    """A new file takes the old one's place in one step. Raises ``StoreError``."""
    target = within(root, PurePosixPath(relative))
    fresh = drafts.draft(target)
    try:
        make_folders(root, target.parent, mode=0o750 if mode & 0o077 else 0o700)
        drafts.sweep(target.parent)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(content)
            file.flush()
            os.fsync(fd)
        fresh.replace(target)
        sync_folder(target.parent)
    except OSError as err:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"{target}: cannot be written ({err.strerror})") from None
