"""One run: ask the archive, number the patients, work on each study, tell how each request ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from .errors import (
    BusyError,
    FerryError,
    HeldError,
    InterruptedRun,
    OutsideHours,
    RefusedError,
    StoreError,
    TransferError,
    strictest,
)
from .hostlocks import HostLeases
from .ledger_model import Lease, LeaseLost
from .means import Means, Result, Rung
from .model import Row, Status, Subject
from .pacing import asking, together
from .ports import PseudonymSource, Transport
from .progress import Progress
from .query import Asked
from .rows import of_request, of_result
from .study import LEASE, StudyRun
from .survey import Found

#: Seconds between two looks whether another process has let go of a study.
_LOOK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where a run stops by itself. ``policy`` is what the profile allows without ``--yes`` (None: no bound)."""

    studies: int | None = None
    images: int | None = None
    policy: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How patients get their case ids, and who must not be fetched at all. ``objections`` are patient ids."""

    source: PseudonymSource
    shuffled: bool = True
    cases: int | None = None
    objections: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that a run did: one row per study found or request without one, in the order asked."""

    run: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    exit_code: int
    error: FerryError | None = None


class Ladder:
    """The transports of a run, in the profile's order, and what they hold of this host. Thread-safe."""

    def __init__(
        self,
        build: Callable[[], Sequence[tuple[str, Transport]]],
        hosts: HostLeases,
        *,
        told: Callable[[str], None],
        stop: threading.Event,
        wait: bool,
    ) -> None:
        self._build, self._hosts, self._told, self._stop, self._wait = build, hosts, told, stop, wait
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._names: set[str] = set()
        self._transports: Sequence[tuple[str, Transport]] = build()

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """One per transport."""
        return tuple(
            Rung(name=name, transport=transport, hold=lambda it=transport: self._hold(it))  # type: ignore[misc]
            for name, transport in self._transports
        )

    def _hold(self, transport: Transport) -> None:
        """A port on this host is for one process at a time: lease it before the transport opens it."""
        address = getattr(transport, "listens", None)
        if address is None:
            return
        name = f"receiver {address[0]}:{address[1]}"
        with self._lock:
            if name not in self._names:
                self._held.enter_context(self._hosts.hold(name, wait=self._wait, told=self._told, stop=self._stop))
                self._names.add(name)

    def let_go(self) -> None:
        """Give ports and their leases to others; the next use builds the transports anew."""
        self.close()
        self._transports = self._build()

    def close(self) -> None:
        """End what is under way and give everything back; may be called twice."""
        for _, transport in self._transports:
            transport.close()
        with self._lock:
            self._held.close()
            self._names.clear()


class Run:
    """One run of ``load`` or ``resume``."""

    def __init__(self, means: Means, ladder: Ladder, naming: Naming, limits: Limits) -> None:
        self._means, self._ladder, self._naming, self._limits = means, ladder, naming, limits
        self._warnings: list[str] = []
        self._fatal: FerryError | None = None
        self._by_itself = False
        self._requests: dict[int, Row] = {}
        self._codes: dict[int, int] = {}
        self._results: dict[str, Result] = {}
        self._later: list[tuple[Found, str]] = []

    def go(self, asked: Sequence[Asked]) -> Outcome:
        """Do all that was asked for. Errors of a study or request stay with it; the ledger's or the disk's end all.

        Raises ``OutsideHours`` where it may not wait for the archive's hours: then nothing was asked.
        """
        with suppress(InterruptedRun):  # then no request is tried, and each says so
            self._means.budget.enter(told=self._waiting, wait=self._means.wait)
        found = self._limited(self._ask(asked))
        if found:
            self._means.pool.begin()
        allowed = self._without_objections(found)
        cases = self._numbered(allowed)
        self._work_on(allowed, cases)
        for one in found:
            self._results.setdefault(one.key, self._not_reached(one, cases.get(one.subject.token, "")))
        rows = self._rows()
        self._warnings += self._means.budget.warnings()
        self._remember(asked, rows, found)
        return Outcome(
            run=self._means.run,
            rows=tuple(rows),
            warnings=tuple(self._warnings),
            exit_code=self._exit_code(),
            error=self._fatal,
        )

    # --- the archive's answers

    def _ask(self, asked: Sequence[Asked]) -> list[Found]:
        """Each study once, under the first request that found it; a failed query is a row, never "not found"."""
        by_key: dict[str, Found] = {}
        with together(self._means.budget, told=self._waiting, wait=self._means.wait):
            self._ask_each(asked, by_key)
        self._means.told(Progress(kind="planned", done=len(asked), total=len(by_key)))
        return list(by_key.values())

    def _ask_each(self, asked: Sequence[Asked], by_key: dict[str, Found]) -> None:
        for done, one in enumerate(asked):
            self._means.told(Progress(kind="query", done=done, total=len(asked)))
            if self._means.stop.is_set():
                self._no_study(one, Status.INTERRUPTED, InterruptedRun.exit_code, code="not-tried")
                continue
            try:
                answers = self._studies(one)
            except TransferError as err:
                status = Status.INTERRUPTED if self._means.stop.is_set() else Status.FAILED
                self._no_study(one, status, err.exit_code, code=err.code, error=str(err))
                continue
            if not answers:
                self._no_study(one, Status.NOT_FOUND, 3)
            for found in answers:
                earlier = by_key.setdefault(found.key, found)
                if earlier is not found:
                    by_key[found.key] = replace(earlier, mixed=earlier.mixed or found.mixed)

    def _studies(self, one: Asked) -> list[Found]:
        """The studies of one request, asked for within the budget. Raises ``TransferError``."""
        ask = partial(self._means.surveyor.studies, one)
        return asking(self._means.budget, ask, told=self._waiting, wait=self._means.wait)

    def _waiting(self, text: str) -> None:
        self._means.told(Progress(kind="waiting", text=text))

    def _no_study(
        self, asked: Asked, status: Status, exit_code: int, *, code: str = "", error: str | None = None
    ) -> None:
        self._requests[asked.ordinal] = of_request(asked, status, code=code, error=error)
        self._codes[asked.ordinal] = exit_code

    def _limited(self, found: list[Found]) -> list[Found]:
        limits = self._limits
        if limits.policy is not None and len(found) > limits.policy:
            raise RefusedError(
                f"{len(found)} studies were found and budget.max_studies allows {limits.policy}",
                hint="narrow the query, limit it with --max-studies, or confirm with --yes",
            )
        kept: list[Found] = []
        images = 0
        for one in found:
            images += self._counted(one) if limits.images is not None else 0
            if len(kept) == limits.studies or (limits.images is not None and images > limits.images):
                self._warnings.append(f"limit reached: {len(kept)} of {len(found)} studies are loaded")
                break
            kept.append(one)
        return kept

    def _counted(self, found: Found) -> int:
        """How many images a study has: what the archive counts, else what it lists."""
        count = found.match.number("NumberOfStudyRelatedInstances")
        if count is not None:
            return count
        ask = partial(self._means.surveyor.order, found, case_id="")
        try:
            return asking(self._means.budget, ask, told=self._waiting, wait=self._means.wait).plan.expected or 0
        except TransferError:
            return 0  # its own turn will say what is wrong

    def _without_objections(self, found: list[Found]) -> list[Found]:
        """Patients who object are not asked for at all."""
        allowed = []
        for one in found:
            if one.subject.patient_id.strip() and one.subject.patient_id.strip() in self._naming.objections:
                count = one.match.number("NumberOfStudyRelatedInstances") or 0
                result = Result(found=one, status=Status.OK, case_id="", reasons={"objection": max(count, 1)})
                self._results[one.key] = self._means.concluded(result)
            else:
                allowed.append(one)
        return allowed

    def _numbered(self, found: list[Found]) -> Mapping[str, str]:
        """Case ids of all patients of the run, in one transaction, before any transfer."""
        subjects = {one.subject.token: one.subject for one in found}
        order: Iterable[Subject] = subjects.values()
        if self._naming.shuffled:
            order = sorted(order, key=lambda subject: self._means.keys.draw("order", subject.token))

        def name(new: Sequence[Subject], first: int) -> Sequence[str]:
            return self._naming.source.name(new, first, self._means.keys)

        return self._means.ledger.number_subjects(list(order), name, limit=self._naming.cases)

    # --- the studies

    def _work_on(self, found: list[Found], cases: Mapping[str, str]) -> None:
        with (
            self._means.budget.guard(self._ladder.let_go),
            ThreadPoolExecutor(self._means.budget.associations, thread_name_prefix="study") as threads,
        ):
            list(threads.map(lambda one: self._one(one, cases[one.subject.token]), found))
        if self._later and not self._means.stop.is_set():
            self._ladder.let_go()
        for one, case_id in self._later:
            self._when_free(one, case_id)

    def _one(self, found: Found, case_id: str) -> None:
        if not self._means.stop.is_set() and not self._attempt(found, case_id):
            self._later.append((found, case_id))

    def _attempt(self, found: Found, case_id: str) -> bool:
        """Work on a study unless another process does; errors of a study stay with it, errors of the run end it."""
        lease: Lease | None = None
        try:
            self._means.budget.enter(told=self._waiting, wait=self._means.wait)
            self._means.ledger.introduce(self._means.run, found.key, found.subject.token, case_id, found.original)
            lease = self._means.ledger.lease(found.key, seconds=LEASE)
            if lease is None:
                return False
            means = replace(self._means, rungs=self._ladder.rungs)
            self._results[found.key] = means.concluded(StudyRun(means, found, case_id, lease).go())
        except FerryError as err:
            self._results[found.key] = self._failed(found, case_id, err)
        finally:
            if lease is not None:
                self._release(lease)
        return True

    def _failed(self, found: Found, case_id: str, error: FerryError) -> Result:
        stopped = self._means.stop.is_set() and isinstance(error, TransferError | InterruptedRun)
        code = "interrupted" if stopped else _code_of(error)
        if not isinstance(error, _OF_ONE_STUDY):
            self._stop_all(error)
        return Result(
            found=found,
            status=Status.INTERRUPTED if stopped else Status.FAILED,
            case_id=case_id,
            state=self._means.ledger.study(found.key) if not isinstance(error, StoreError) else None,
            reasons={code: 1},
            error=None if stopped else str(error),
            exit_code=InterruptedRun.exit_code if stopped else error.exit_code,
        )

    def _release(self, lease: Lease) -> None:
        try:
            self._means.ledger.release(lease)
        except FerryError as err:
            if not isinstance(err, LeaseLost):
                self._stop_all(err)

    def _stop_all(self, error: FerryError) -> None:
        """What hits every study: no space, no ledger, a broken plugin. Stop asking, keep what is done."""
        self._by_itself = self._by_itself or not self._means.stop.is_set()
        self._fatal = self._fatal or error
        self._means.stop.set()

    def _when_free(self, found: Found, case_id: str) -> None:
        """Another process works on the study: wait until it lets go, then see what is left to do."""
        if not self._means.wait:
            self._results[found.key] = self._failed(found, case_id, BusyError("another process works on this study"))
            return
        told = ""
        while not self._means.stop.is_set():
            holder = self._means.ledger.holder(found.key)
            if not holder and self._attempt(found, case_id):
                return
            if holder != told:
                self._means.told(Progress(kind="waiting", case_id=case_id, text=f"{holder} works on this study"))
                told = holder
            self._means.stop.wait(_LOOK)

    # --- the end

    def _not_reached(self, found: Found, case_id: str) -> Result:
        state = self._means.ledger.study(found.key) if self._fatal is None else None
        status = Status.INTERRUPTED if self._fatal is None else Status.FAILED
        code = InterruptedRun.exit_code if self._fatal is None else self._fatal.exit_code
        return Result(
            found=found, status=status, case_id=case_id, state=state, reasons={"not-tried": 1}, exit_code=code
        )

    def _rows(self) -> list[Row]:
        rows = [*self._requests.values(), *(of_result(result) for result in self._results.values())]
        return sorted(rows, key=lambda row: (row.request, row.case_id or "", row.study_uid or ""))

    def _remember(self, asked: Sequence[Asked], rows: list[Row], found: list[Found]) -> None:
        studies: dict[int, list[str]] = {one.ordinal: [] for one in asked}
        for one in found:
            if self._means.ledger.study(one.key) is not None:
                studies[one.asked.ordinal].append(one.key)
        for request in asked:
            mine = [row.status for row in rows if row.request == request.ordinal]
            status = max(mine, key=_WORST.index) if mine else Status.SKIPPED
            self._means.ledger.link_request(self._means.run, request.ordinal, studies[request.ordinal], status)

    def _exit_code(self) -> int:
        """The archive's failure counts as such (4) only when nothing could be done because of it."""
        codes = [result.exit_code for result in self._results.values()] + list(self._codes.values())
        if self._fatal is not None:
            # A run that ended by itself was not interrupted, whatever its other studies felt.
            codes = [code for code in codes if not (self._by_itself and code == InterruptedRun.exit_code)]
            codes.append(self._fatal.exit_code)
        elif self._means.stop.is_set():
            codes.append(InterruptedRun.exit_code)
        failed = TransferError.exit_code
        if failed in codes and not all(code == failed for code in codes):
            codes = [HeldError.exit_code if code == failed else code for code in codes]
        not_found = 3
        if not_found in codes and not all(code == not_found for code in codes):
            codes = [HeldError.exit_code if code == not_found else code for code in codes]
        return strictest(codes)


#: Statuses from harmless to bad.
_WORST = (
    Status.DRY_RUN,
    Status.OK,
    Status.SKIPPED,
    Status.WAIVED,
    Status.NOT_FOUND,
    Status.CHANGED,
    Status.UNVERIFIED,
    Status.OFFLINE,
    Status.HELD,
    Status.INCOMPLETE,
    Status.FAILED,
    Status.INTERRUPTED,
)


#: Errors that concern one study only; all others end the run.
_OF_ONE_STUDY = (TransferError, BusyError, InterruptedRun, LeaseLost, HeldError)


def _code_of(error: FerryError) -> str:
    if isinstance(error, TransferError | HeldError):
        return error.code
    if isinstance(error, LeaseLost | BusyError):
        return "outside-hours" if isinstance(error, OutsideHours) else "busy"
    return "no-space" if isinstance(error, StoreError) else "not-tried"
