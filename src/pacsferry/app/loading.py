"""``load`` and ``resume``: set the machinery up, let one run go, write its reports, take the machinery down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pacsferry import clearer
from pacsferry.core import startup
from pacsferry.core.arrivals import ArrivalStore
from pacsferry.core.errors import ConfigError, FerryError, HeldError, StoreError
from pacsferry.core.flow import Ladder, Limits, Naming, Outcome, Run
from pacsferry.core.ledger_model import Owner
from pacsferry.core.means import Means
from pacsferry.core.model import Row, Status
from pacsferry.core.progress import Told, silent
from pacsferry.core.publish import Publisher
from pacsferry.core.query import Asked
from pacsferry.core.redact import quiet
from pacsferry.core.survey import Surveyor
from pacsferry.core.verify import sweep_staging
from pacsferry.core.worker_pool import WorkerPool
from pacsferry.core.workers import ProcessWorker, Setup, Waitings, Worker, worker_count
from pacsferry.profiles.secrets import lines

from .opening import Opened, existing, made, opened
from .pacing import budget_of, saying
from .remembered import frozen, told_of, unfinished

STAGING = ".staging"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a run goes. ``workers`` None: as many as the host has processors, four at most; 0: none, in this process."""

    max_studies: int | None = None
    max_images: int | None = None
    wait: bool = True
    yes: bool = False
    workers: int | None = None
    plan_id: str | None = None
    accept_changed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a run did, for people and programs."""

    project: str
    run: str
    status: str
    rows: tuple[Row, ...]
    verification: Mapping[str, Any]
    exit_code: int
    error: str | None = None
    hint: str | None = None
    images: Path
    private: Path
    report: Path | None = None


def load(
    project: str,
    asked: Sequence[Asked],
    options: LoadOptions | None = None,
    *,
    site: str | None = None,
    sets: Sequence[str] = (),
    told: Told = silent,
    stop: threading.Event | None = None,
) -> Loaded:
    """Retrieve, de-identify, store and account for what is asked for. Raises ``FerryError`` before any contact."""
    options = options or LoadOptions()
    if not asked and options.plan_id is None:
        raise ConfigError(
            "nothing was asked for", hint="name accession numbers, or use --file, --match or --study-date"
        )
    there, resolved = made(project, site, sets)
    with opened(there, resolved, accept_changed=options.accept_changed) as work:
        if options.plan_id is not None:
            from .plans import saved_plan

            asked = saved_plan(work.project, options.plan_id)
        return _run("load", work, asked, options, told, stop or threading.Event())


def resume(
    project: str,
    options: LoadOptions | None = None,
    *,
    again: bool = False,
    site: str | None = None,
    sets: Sequence[str] = (),
    told: Told = silent,
    stop: threading.Event | None = None,
) -> Loaded:
    """Go on with every request of the project that is not complete; ``again`` also with what was not found."""
    from .folders import resumed

    options, stop = options or LoadOptions(), stop or threading.Event()
    if site is None and (done := resumed(project, options, told, stop)) is not None:
        return done
    there, resolved = existing(project, site, sets)
    with opened(there, resolved, accept_changed=options.accept_changed) as work:
        left = unfinished(work, again=again)
        loaded = _run("resume", work, left.here, options, told, stop)
        warnings = [*loaded.verification["warnings"], *told_of(left.elsewhere)]
        # Who names no profile asks for all of the project.
        code = loaded.exit_code or (HeldError.exit_code if left.elsewhere and site is None else 0)
        return replace(loaded, verification={**loaded.verification, "warnings": warnings}, exit_code=code)


# --- one run


def _run(
    command: str, work: Opened, asked: Sequence[Asked], options: LoadOptions, told: Told, stop: threading.Event
) -> Loaded:
    quiet()
    run = work.ledger.start_run(command, details={"requests": len(asked)})
    work.ledger.typed(run, [(one.ordinal, frozen(one, work)) for one in asked])
    try:
        outcome = _go(work, run, asked, options, told, stop)
    except FerryError:
        work.ledger.end_run(run, "failed", {})
        raise
    return concluded(command, work, outcome)


def _go(
    work: Opened, run: str, asked: Sequence[Asked], options: LoadOptions, told: Told, stop: threading.Event
) -> Outcome:
    if not asked:
        return Outcome(run=run, rows=(), warnings=(), exit_code=0)
    with _machinery(work, run, options, told, stop) as (means, ladder):
        profile = work.wiring.resolved.profile
        limits = Limits(
            studies=options.max_studies,
            images=options.max_images,
            policy=None if options.yes else profile.budget.max_studies,
        )
        startup.over()
        return Run(means, ladder, naming_of(work), limits).go(asked)


def naming_of(work: Opened) -> Naming:
    """How the profile wants patients named, and whom it never wants."""
    profile = work.wiring.resolved.profile
    patients = profile.exclude.patients
    listed = lines(patients, work.wiring.resolved.base, "exclude.patients") if patients else ()
    return Naming(
        source=work.wiring.pseudonyms,
        shuffled=profile.pseudonyms.order == "shuffled",
        cases=work.project.settings.max_cases,
        objections=frozenset(text.strip() for text in listed),
    )


@contextmanager
def _machinery(
    work: Opened, run: str, options: LoadOptions, told: Told, stop: threading.Event
) -> Iterator[tuple[Means, Ladder]]:
    """Everything that must be taken down again, in the order of need."""
    wiring, project = work.wiring, work.project
    profile = wiring.resolved.profile
    naming_of(work)  # a list that cannot be read stops the run before anything is contacted
    staging = staging_of(project.images)
    with ExitStack() as stack:
        finder = wiring.finder()
        stack.callback(finder.close)
        budget = budget_of(wiring, work.hosts, finder, stop=stop, noted=_noting(work, run))
        ladder = Ladder(wiring.transports, work.hosts, told=saying(told), stop=stop, wait=options.wait)
        stack.callback(ladder.close)
        publisher = Publisher(work.ledger, run, project.images, staging, told)
        stack.callback(publisher.close)
        arrivals = ArrivalStore(project.private)
        pool = WorkerPool(worker_count(options.workers), starter(work, staging, options.workers))
        stack.callback(pool.close)
        stack.callback(arrivals.close)
        stack.enter_context(ended_by(stop, ladder.close, finder.close))
        means = Means(
            run=run,
            ledger=work.ledger,
            keys=project.keys,
            surveyor=Surveyor(
                finder=finder,
                keys=project.keys,
                selection=profile.select.selection(),
                quirks=wiring.archive.quirks,
                per_accession=profile.pseudonyms.per == "accession",
            ),
            rungs=(),
            budget=budget,
            arrivals=arrivals,
            pool=pool,
            publisher=publisher,
            images=project.images,
            told=told,
            stop=stop,
            wait=options.wait,
            how=work.how,
        )
        yield means, ladder


def _noting(work: Opened, run: str) -> Callable[[str, float], None]:
    """Put a sign of distress, and the pause that follows, on record."""

    def noted(code: str, seconds: float) -> None:
        work.ledger.note(run, "distress", outcome=code, details={"seconds": round(seconds, 1)})

    return noted


@contextmanager
def ended_by(stop: threading.Event, *ends: Callable[[], None]) -> Iterator[None]:
    """What is under way ends as soon as somebody wants to stop: a fetch does not look at events by itself."""
    lock, finished = threading.Lock(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            if finished.is_set():
                return
        with lock:
            if not finished.is_set():
                for end in ends:
                    end()

    threading.Thread(target=watch, name="stopper", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            finished.set()  # its thread ends by itself: nobody waits for its next look


def staging_of(images: Path) -> Path:
    """The folder for what has no name yet; what dead processes left there is swept."""
    staging = images / STAGING
    try:
        images.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        images.mkdir(mode=0o750, exist_ok=True)
        staging.mkdir(mode=0o700, exist_ok=True)
        sweep_staging(images)
    except OSError as err:
        raise StoreError(f"{images}: cannot be written ({err.strerror})") from None
    return staging


def starter(
    work: Opened, staging: Path, workers: int | None, *, sync: bool = True, waiting: Waitings | None = None
) -> Callable[[], Worker]:
    """How to start a worker for this project; those of ``waiting`` first."""
    wiring = work.wiring
    rules = wiring.resolved.profile.select.selection().rules
    message = {
        "choices": wiring.choices,
        "secret": work.project.secret.hex(),
        "staging": str(staging),
        "prefix": Owner.me().tag,
        "mode": wiring.resolved.folders.mode,
        "group": wiring.group,
        "sync": sync,
        "select": {key: [rule.only, rule.never] for key, rule in rules.items()},
        "shifts": work.shifts,
    }
    if workers == 0:
        from .local import LocalWorker

        return lambda: LocalWorker(clearer.desk(message, wiring.plugins))
    setup = Setup(message=message, digest=wiring.chosen.deidentifier.digest)
    return lambda: ProcessWorker(setup, waiting.take() if waiting is not None else None)


# --- its end


def concluded(command: str, work: Opened, outcome: Outcome) -> Loaded:
    """Note how the run ended, and write its reports."""
    from pacsferry.core.status import verification

    from .reporting import write_reports

    verified: dict[str, Any] = dict(verification(outcome.rows))
    verified["warnings"] = [*verified["warnings"], *outcome.warnings]
    status = _status(outcome)
    counts = {key: value for key, value in verified.items() if isinstance(value, int) and not isinstance(value, bool)}
    work.ledger.end_run(outcome.run, status, counts)
    verified["warnings"] += work.told.flush()
    loaded = Loaded(
        project=work.project.name,
        run=outcome.run,
        status=status,
        rows=outcome.rows,
        verification=verified,
        exit_code=outcome.exit_code,
        error=str(outcome.error) if outcome.error else None,
        hint=outcome.error.hint if outcome.error else None,
        images=work.project.images,
        private=work.project.private,
    )
    if outcome.error is not None:
        return loaded
    warnings = write_reports(work, loaded, command=command)
    verified = {**verified, "warnings": [*verified["warnings"], *warnings]}
    report = work.project.images / "reports" / "report.html"
    return replace(loaded, verification=verified, report=report if report.exists() else None)


def _status(outcome: Outcome) -> str:
    if outcome.exit_code == 0:
        return "ok"
    failed = all(row.status in {Status.FAILED, Status.NOT_FOUND} for row in outcome.rows)
    return "failed" if failed else "incomplete"
