"""``deidentify``: a folder in the place of an archive; same engine, ledger, layouts, gates and reports as ``load``."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from pacsferry.core.arrivals import ArrivalStore
from pacsferry.core.errors import (
    ConfigError,
    FerryError,
    HeldError,
    InterruptedRun,
    RefusedError,
    strictest,
)
from pacsferry.core.flow import Ladder, Limits, Outcome, Run
from pacsferry.core.folder_keep import HELD, InPlace, Journal
from pacsferry.core.folder_scan import Contents, scan
from pacsferry.core.folder_source import AT_ONCE, FolderSurvey, FolderTransport
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import InstanceState
from pacsferry.core.model import Level, Query, Row, Status
from pacsferry.core.pacing import NoPace
from pacsferry.core.progress import Progress, Told, silent
from pacsferry.core.project import Folders, Project, find_project, init_project, open_project
from pacsferry.core.publish import Publisher
from pacsferry.core.query import Asked
from pacsferry.core.redact import guard_cell, quiet
from pacsferry.core.status import row as row_of
from pacsferry.core.study import Means, Result
from pacsferry.core.workers import Waitings, WorkerPool, worker_count
from pacsferry.profiles.read import Resolved

from .loading import STAGING, Loaded, LoadOptions, concluded, naming_of, staging_of, starter
from .opening import PRESET, Opened, opened, site
from .pacing import saying
from .reporting import put

#: Files that are no input of a run in place: our own.
_REPORTS = (".json", ".html", ".csv")
_LIST = "reports/files.csv"
#: Where the ledger keeps what `resume` needs: the folder and what was set. It is private like the linkage table.
_NOTE = "folder"


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


def deidentify(
    source: Path,
    target: Path,
    project: str,
    options: FolderOptions | None = None,
    *,
    told: Told = silent,
    stop: threading.Event | None = None,
) -> Deidentified:
    """De-identify the objects of a folder into another one, or in place. Raises ``FerryError`` before it begins."""
    options = options or FolderOptions()
    resolved = _resolved(options)
    private = (options.private or private_folder()).absolute()
    source, target = _folders(source, target, private, sync=options.sync)
    there = _project(project, source, target, private, options, resolved)
    with opened(there, resolved, accept_changed=options.accept_changed) as work:
        return _Job(work, source, options, told, stop or threading.Event()).go()


def resumed(project: str, options: LoadOptions, told: Told, stop: threading.Event) -> Loaded | None:
    """Go on with a project that is of a folder; None for any other."""
    try:
        there = open_project(find_project(project))
    except ConfigError:
        return None
    if not there.ledger_path.exists():
        return None
    with Ledger.open(there.ledger_path, create=False) as ledger:
        noted = ledger.get_meta(_NOTE)
    if noted is None:
        return None
    said = json.loads(noted)
    again = FolderOptions(
        site=there.settings.site,
        sets=tuple(said["sets"]),
        private=there.private.parent,
        workers=options.workers,
        wait=options.wait,
        accept_changed=options.accept_changed,
    )
    return deidentify(Path(said["source"]), there.images, project, again, told=told, stop=stop).loaded


def private_folder() -> Path:
    """Where private folders of projects lie unless the user says otherwise."""
    return platformdirs.user_data_path("pacsferry", appauthor=False) / "projects"


# --- before anything is done


def _resolved(options: FolderOptions) -> Resolved:
    if options.preset and options.site:
        raise ConfigError("--preset and --site exclude each other", hint="give one of them")
    return site(_reference(options), options.sets, need_archive=False)


def _reference(options: FolderOptions) -> str:
    return options.site or f"{PRESET}{options.preset or 'basic'}"


def _folders(source: Path, target: Path, private: Path, *, sync: bool) -> tuple[Path, Path]:
    """Absolute, and not within each other. Raises ``ConfigError``."""
    if not source.is_dir():
        raise ConfigError(f"{source} is no folder", hint="name the folder with the files to de-identify")
    source, target, private = source.resolve(), target.resolve(), private.resolve()
    for one, other in ((source, target), (target, source), (source, private)):
        if one in other.parents:
            raise ConfigError(f"{other} lies inside {one}", hint="choose folders side by side, or the same twice")
    if source == private:
        raise ConfigError(f"{source} is where private folders of projects lie", hint="say --private DIR")
    if source == target and not sync:
        raise ConfigError("in place nothing may be left to chance", hint="leave out --no-sync")
    return source, target


def _project(
    name: str, source: Path, target: Path, private: Path, options: FolderOptions, resolved: Resolved
) -> Project:
    """The project of that name, or a new one. Raises ``ConfigError``, ``RefusedError``."""
    if not (private / name / "project.toml").exists():
        _check_target(target, in_place=source == target)
    folders = Folders(images=target, private=private)
    return init_project(
        folders,
        name,
        site=resolved.reference if options.site else _reference(options),
        require=resolved.profile.policy.require,
        exist_ok=True,
        images=target,
        furnish=lambda fresh: Ledger.open(fresh / "ledger.db").close(),
    )


def _check_target(target: Path, *, in_place: bool) -> None:
    """A new project begins in an empty folder, or in the folder of originals; never in another project's."""
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is no folder", hint="name a folder that is empty or does not exist")
    inside = sorted(one.name for one in target.iterdir()) if target.is_dir() else []
    if STAGING in inside or (target / "reports" / "summary.json").exists():
        raise RefusedError(
            f"{target} holds the images of a project whose private folder is not there",
            hint="name that project, with --private where it was made; or restore its private folder from a backup",
        )
    if inside and not in_place:
        raise ConfigError(f"{target} is not empty", hint="name a folder that is empty or does not exist")


# --- the run


class _Job:
    """One run over one folder."""

    def __init__(self, work: Opened, source: Path, options: FolderOptions, told: Told, stop: threading.Event) -> None:
        self._work, self._source, self._options, self._told, self._stop = work, source, options, told, stop
        self._in_place = source == work.project.images.resolve()
        self._contents = Contents()

    def go(self) -> Deidentified:
        quiet()
        ledger = self._work.ledger
        ledger.set_meta(_NOTE, json.dumps({"source": str(self._source), "sets": self._options.sets}))
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
        return Deidentified(loaded=loaded, counts=self._counts(), in_place=self._in_place, listed=listed)

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
            stack.callback(pool.close)
            stack.callback(arrivals.close)
            if journal is not None:
                journal.sweep()
                stack.callback(journal.close)
            self._contents = self._scanned()
            return self._worked(run, asked, arrivals, pool, staging, journal)

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

    def _worked(
        self, run: str, asked: Asked, arrivals: ArrivalStore, pool: WorkerPool, staging: Path, journal: Journal | None
    ) -> Outcome:
        work, project = self._work, self._work.project
        profile = work.wiring.resolved.profile
        transport = FolderTransport(self._contents, project.keys, arrivals)
        keeper = InPlace(
            self._contents,
            project.private,
            ledger=work.ledger,
            keys=project.keys,
            pool=pool,
            arrivals=arrivals,
            staging=staging,
            handed=transport.handed,
        )
        publisher = Publisher(
            work.ledger,
            run,
            project.images,
            staging,
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
        results: list[Result] = []

        def ended(result: Result) -> Result:
            results.append(result)
            return keeper.concluded(result) if self._in_place else result

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
            arrivals=arrivals,
            pool=pool,
            publisher=publisher,
            images=project.images,
            told=self._told,
            stop=self._stop,
            wait=self._options.wait,
            how=work.how,
            concluded=ended,
        )
        try:
            outcome = Run(means, ladder, naming_of(work), Limits()).go([asked])
        finally:
            publisher.close()
            ladder.close()
        if self._in_place and outcome.error is None and not self._stop.is_set():
            keeper.left_over()
        return self._with_files(outcome)

    # --- the end

    def _with_files(self, outcome: Outcome) -> Outcome:
        """The run's rows, one for each kind of file that belongs to no study, and what was complete before."""
        rows = [row for row in outcome.rows if row.status is not Status.NOT_FOUND]
        rows += self._complete_before(rows)
        rows.sort(key=lambda row: (row.case_id or "", row.study_uid or ""))
        rows += _of_files(self._contents)
        codes = [outcome.exit_code if outcome.exit_code != _NOT_FOUND else 0]
        codes += [HeldError.exit_code for row in rows if row.status not in _FINE]
        if not rows:
            rows, codes = [row for row in outcome.rows if row.status is Status.NOT_FOUND], [_NOT_FOUND]
        return replace(
            outcome,
            rows=tuple(replace(row, request=number) for number, row in enumerate(rows, start=1)),
            warnings=(*outcome.warnings, *self._warnings()),
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

    def _warnings(self) -> Iterator[str]:
        counts = self._contents.counts
        left = counts["not-dicom"] + counts["link"] + counts["special"]
        if left and self._in_place:
            yield f"{left} files that are not DICOM were left where they are; names and contents may identify patients"
        elif left:
            yield f"{left} files that are not DICOM were left out"
        if counts["dicomdir"]:
            yield f"{counts['dicomdir']} media directories (DICOMDIR) were left out"

    def _counts(self) -> dict[str, int]:
        counts = self._contents.counts
        return {
            "files": counts["files"],
            "dicom": counts["dicom"] + counts["malformed"],
            "not_dicom": counts["not-dicom"] + counts["link"] + counts["special"],
            "dicomdir": counts["dicomdir"],
            "unreadable": counts["unreadable"],
            "duplicates": counts["duplicates"],
        }

    def _write_list(self) -> Path | None:
        """Which file became what, where that is more than "stored": for the private folder only."""
        lines = [*self._listed()]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("file", "kind", "reason", "case_id"))
        writer.writerows([guard_cell(cell) for cell in line] for line in lines)
        put(self._work.project.private, _LIST, text.getvalue().encode("utf-8", "surrogateescape"), mode=0o600)
        return self._work.project.private / _LIST

    def _listed(self) -> Iterator[tuple[str, str, str, str]]:
        for one in self._contents.others:
            yield self._shown(one.root, one.path), one.kind, one.code, ""
        ledger, keys = self._work.ledger, self._work.project.keys
        for uid, study in self._contents.studies.items():
            state = ledger.study(keys.uid(uid))
            states, codes = ledger.instance_states(keys.uid(uid)), ledger.reasons(keys.uid(uid))
            for name, files in study.files.items():
                now, code = states.get(keys.uid(name)), codes.get(keys.uid(name), "")
                for number, file in enumerate(files):
                    kind = "duplicate" if number and not file.code else str(now or InstanceState.EXPECTED)
                    if kind != InstanceState.STORED or file.code:
                        kind = "held" if file.code else kind
                        yield (
                            self._shown(file.root, file.path),
                            kind,
                            file.code or code,
                            state.case_id if state else "",
                        )

    def _shown(self, root: Path, path: str) -> str:
        return path if root == self._source else f"{HELD}/{path}"


_NOT_FOUND = 3
_FINE = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED, Status.DRY_RUN})


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


def _of_files(contents: Contents) -> list[Row]:
    """Files that are DICOM and could not be assigned to a study, and such as could not be read."""
    rows = []
    codes: dict[str, int] = {}
    for one in contents.others:
        if one.kind == "malformed":
            codes[one.code] = codes.get(one.code, 0) + 1
    if codes:
        count = sum(codes.values())
        rows.append(Row(request=0, accession=None, status=Status.HELD, received=count, held=count, reasons=codes))
    if unread := contents.counts["unreadable"]:
        rows.append(
            Row(
                request=0,
                accession=None,
                status=Status.FAILED,
                missing=unread,
                reasons={"unreadable": unread},
                retryable=True,
            )
        )
    return rows
