"""One run of ``deidentify`` over one folder: what it finds, what becomes of it, and how that is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pacsferry.core.arrivals import ArrivalStore
from pacsferry.core.errors import FerryError, HeldError, InterruptedRun, strictest
from pacsferry.core.flow import Ladder, Limits, Outcome, Run
from pacsferry.core.folder_copies import CONFLICT, reconciled
from pacsferry.core.folder_keep import HELD, InPlace, Journal
from pacsferry.core.folder_rehearsal import Rehearsal, Watch
from pacsferry.core.folder_scan import Contents, File, scan
from pacsferry.core.folder_source import AT_ONCE, FolderSurvey, FolderTransport
from pacsferry.core.means import Means
from pacsferry.core.model import Level, Query, Row, Status
from pacsferry.core.pacing import NoPace
from pacsferry.core.progress import Progress, Told
from pacsferry.core.publish import Publisher
from pacsferry.core.query import Asked
from pacsferry.core.redact import quiet
from pacsferry.core.status import row as row_of
from pacsferry.core.worker_pool import WorkerPool
from pacsferry.core.workers import Waitings, worker_count

from .folder_files import FileList, counts, rows_of, warnings
from .loading import STAGING, Loaded, concluded, naming_of, staging_of, starter
from .opening import Opened
from .pacing import saying
from .reporting import put

#: Files that are no input of a run in place: our own.
_REPORTS = (".json", ".html", ".csv")
_LIST = "reports/files.csv"
#: Where the ledger keeps what `resume` needs: the folder and what was set. It is private like the linkage table.
NOTE = "folder"
#: Whom files are cleared for that are only compared.
_NOBODY = "nobody"
_NOT_FOUND = 3
_FINE = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED, Status.DRY_RUN})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """How a run goes. ``preset`` or ``site``, not both. ``sync`` False: a power failure may lose what was written.

    ``waiting`` are workers that were started before anything else, so that they need not be waited for.
    """

    preset: str | None = None
    site: str | None = None
    sets: tuple[str, ...] = ()
    private: Path | None = None
    workers: int | None = None
    wait: bool = True
    sync: bool = True
    accept_changed: str | None = None
    waiting: Waitings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """What a run did. ``counts`` are of files: files, dicom, not_dicom, dicomdir, unreadable, duplicates, held."""

    loaded: Loaded
    counts: Mapping[str, int] = field(default_factory=dict)
    in_place: bool = False
    listed: Path | None = None


class Job:
    """One run over one folder."""

    def __init__(self, work: Opened, source: Path, options: FolderOptions, told: Told, stop: threading.Event) -> None:
        self._work, self._source, self._options, self._told, self._stop = work, source, options, told, stop
        self._in_place = source == work.project.images.resolve()
        self._contents = Contents()
        self._changed: set[File] = set()

    def go(self) -> Deidentified:
        quiet()
        ledger = self._work.ledger
        ledger.set_meta(NOTE, json.dumps({"source": str(self._source), "sets": self._options.sets}))
        run = ledger.start_run("deidentify", details={"mode": "in-place" if self._in_place else "copy"})
        asked = Asked(ordinal=1, typed=None, query=Query(level=Level.STUDY))
        try:
            outcome = self._run(run, asked)
        except InterruptedRun as err:
            row = Row(request=1, accession=None, status=Status.INTERRUPTED, reasons={"not-tried": 1}, retryable=True)
            outcome = Outcome(run=run, rows=(row,), warnings=(), exit_code=err.exit_code)
        except FerryError:
            ledger.end_run(run, "failed", {})
            raise
        listed = self._write_list() if outcome.error is None else None
        loaded = concluded("deidentify", self._work, outcome)
        return Deidentified(loaded=loaded, counts=counts(self._contents), in_place=self._in_place, listed=listed)

    def _run(self, run: str, asked: Asked) -> Outcome:
        project = self._work.project
        staging = staging_of(project.images)
        with ExitStack() as stack:
            journal = Journal(project.private, project.images, self._work.ledger) if self._in_place else None
            arrivals = ArrivalStore(project.private)
            # Workers start while the folder is looked through.
            pool = WorkerPool(
                worker_count(self._options.workers),
                starter(
                    self._work,
                    staging,
                    self._options.workers,
                    sync=self._options.sync,
                    waiting=self._options.waiting,
                ),
            )
            pool.begin()
            stack.callback(pool.close)
            stack.callback(arrivals.close)
            if journal is not None:
                journal.sweep()
                stack.callback(journal.close)
            self._contents = self._scanned()
            rehearsal = Rehearsal(keys=project.keys, pool=pool, arrivals=arrivals, staging=staging)
            self._contents.counts["duplicates"] += self._reconciled(rehearsal)
            return self._worked(run, asked, rehearsal, journal)

    def _scanned(self) -> Contents:
        roots: list[Path] = [self._source]
        ours: Callable[[Path, str], bool] = _nothing
        if self._in_place:
            roots = [root for root in (self._source, self._work.project.private / HELD) if root.is_dir()]
            ours = _own(self._source, {one.path for one in self._work.ledger.all_stored()})
        return scan(
            roots,
            ours=ours,
            told=lambda count: self._told(Progress(kind="note", text=f"{count} files looked at")),
            stop=self._stop,
        )

    def _reconciled(self, rehearsal: Rehearsal) -> int:
        """How many files that differ would be released alike, and so are copies."""

        def released(files: Sequence[File]) -> list[str | None]:
            return [one.sha256 if one else None for one in rehearsal.of(files, _NOBODY)]

        groups = [files for study in self._contents.studies.values() for files in study.files.values()]
        return sum(reconciled(files, released(files)) for files in groups if files[0].code == CONFLICT)

    def _worked(self, run: str, asked: Asked, rehearsal: Rehearsal, journal: Journal | None) -> Outcome:
        work, project = self._work, self._work.project
        profile = work.wiring.resolved.profile
        transport = FolderTransport(self._contents, project.keys, rehearsal.arrivals)
        keeper = InPlace(
            self._contents,
            project.private,
            ledger=work.ledger,
            keys=project.keys,
            rehearsal=rehearsal,
            handed=transport.handed,
        )
        watch = Watch(
            self._contents,
            project.images,
            ledger=work.ledger,
            keys=project.keys,
            rehearsal=rehearsal,
            handed=transport.handed,
        )
        publisher = Publisher(
            work.ledger,
            run,
            project.images,
            rehearsal.staging,
            self._told,
            sync=self._options.sync,
            usher=journal.usher if journal else None,
        )
        ladder = Ladder(
            lambda: [("folder", transport)],
            work.hosts,
            told=saying(self._told),
            stop=self._stop,
            wait=self._options.wait,
        )
        means = Means(
            run=run,
            ledger=work.ledger,
            keys=project.keys,
            surveyor=FolderSurvey(
                self._contents,
                project.keys,
                work.ledger,
                per_accession=profile.pseudonyms.per == "accession",
                keep=self._in_place,
            ),
            rungs=(),
            budget=NoPace(AT_ONCE),
            arrivals=rehearsal.arrivals,
            pool=rehearsal.pool,
            publisher=publisher,
            images=project.images,
            told=self._told,
            stop=self._stop,
            wait=self._options.wait,
            how=work.how,
            concluded=keeper.concluded if self._in_place else watch.concluded,
        )
        try:
            outcome = Run(means, ladder, naming_of(work), Limits()).go([asked])
        finally:
            publisher.close()
            ladder.close()
        if self._in_place and outcome.error is None and not self._stop.is_set():
            keeper.left_over()
        self._changed = watch.changed
        return self._with_files(outcome)

    # --- the end

    def _with_files(self, outcome: Outcome) -> Outcome:
        """The run's rows, one for each kind of file that belongs to no study, and what was complete before."""
        rows = [row for row in outcome.rows if row.status is not Status.NOT_FOUND]
        rows += self._complete_before(rows)
        rows.sort(key=lambda row: (row.case_id or "", row.study_uid or ""))
        rows += rows_of(self._contents)
        codes = [outcome.exit_code if outcome.exit_code != _NOT_FOUND else 0]
        codes += [HeldError.exit_code for row in rows if row.status not in _FINE]
        if not rows:
            rows, codes = [row for row in outcome.rows if row.status is Status.NOT_FOUND], [_NOT_FOUND]
        return replace(
            outcome,
            rows=tuple(replace(row, request=number) for number, row in enumerate(rows, start=1)),
            warnings=(*outcome.warnings, *warnings(self._contents, self._changed, in_place=self._in_place)),
            exit_code=strictest(codes),
        )

    def _complete_before(self, rows: Sequence[Row]) -> list[Row]:
        """In place, studies whose originals are gone are known to the ledger alone."""
        if not self._in_place:
            return []
        told = {row.study_uid for row in rows}
        known = [row_of(state) for state in self._work.ledger.studies()]
        return [
            replace(row, status=Status.SKIPPED if row.status is Status.OK else row.status)
            for row in known
            if row.study_uid not in told
        ]

    def _write_list(self) -> Path:
        """Which file became what: for the private folder only."""
        project = self._work.project
        listed = FileList(
            contents=self._contents,
            source=self._source,
            ledger=self._work.ledger,
            keys=project.keys,
            changed=self._changed,
        )
        put(project.private, _LIST, listed.csv(), mode=0o600)
        return project.private / _LIST


def _nothing(_root: Path, _path: str) -> bool:
    return False


def _own(source: Path, stored: Collection[str]) -> Callable[[Path, str], bool]:
    """What a project put into the folder of its originals: no input."""

    def ours(root: Path, path: str) -> bool:
        if root != source:
            return False
        first = path.partition("/")[0]
        return path in stored or first == STAGING or (first == "reports" and path.endswith(_REPORTS))

    return ours
