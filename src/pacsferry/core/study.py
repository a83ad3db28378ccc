"""One study, start to end: lease, survey, rungs of the ladder, and a verdict that no peer can talk into "ok"."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath

from . import verdict
from .clearing import Patient
from .distress import NOTHING
from .errors import BusyError, FerryError, InterruptedRun, StoreError, TransferError
from .guarded import failed
from .intake import Received, StudySink
from .ladder import Climb, Fall, remedy, short
from .leasing import renewed
from .ledger_model import InstanceOutcome, InstanceState, Lease, StudyFacts, StudyState
from .means import Means, Result, Rung
from .model import Level, Outcome, Status, Tally, Wanted
from .pacing import OnceMore, asking, ended_by_hours, fetch
from .places import within
from .plan import Order, lacking, offline, requests
from .progress import Progress
from .publish import Work, prune_folders
from .reasons import PUT_RIGHT_THERE
from .survey import Found
from .workers import CHANGED, Answer, Task

#: Seconds; a lease is renewed with every batch and every third of this.
LEASE = 120.0
#: A transport is asked again, for what is still missing, as long as that brings something, and so often at most.
ROUNDS = 100
#: So many requests in a row that bring nothing end a round: what is wrong is not about one series.
VAIN = 3


class StudyRun:
    """The work on one leased study."""

    def __init__(self, means: Means, found: Found, case_id: str, lease: Lease) -> None:
        self._means, self._found, self._lease = means, found, lease
        self._work = Work(lease, case_id)
        self._used: list[str] = []
        self._done: dict[str, str] = {}
        self._last_code = ""
        self._error: FerryError | None = None
        self._began = time.monotonic()
        self._odd: Counter[str] = Counter()
        self._unlisted = 0
        self._listed: Mapping[str, str] | None = None
        self._noted: set[tuple[str, str]] = set()
        self._once_more = OnceMore(means.budget)

    # --- the flow

    def go(self) -> Result:
        """Work on the study until it is complete or no rung is left. Raises what must stop the whole run."""
        means = self._means
        before = means.ledger.study(self._found.key)
        remembered = self._remembered(before)
        self._miss_files(before)
        try:
            order = self._survey()
        except TransferError as err:
            return self._not_surveyed(before, err)
        self._expect(order, again=remembered.get("how") != means.how)
        means.told(Progress(kind="study-started", case_id=self._work.case_id, total=order.plan.expected))
        with renewed(self._means.ledger, self._lease, every=LEASE / 3, fail=self._work.fail):
            if self._found.mixed:
                self._hold_mixed(order)
            elif order.offline:
                self._last_code = "offline"
            else:
                self._climb(order)
        result = self._conclude(order, before)
        self._remember(remembered)
        return result

    def _survey(self) -> Order:
        """Ask what the study has, within the budget. Raises ``TransferError``."""
        means = self._means
        ask = partial(means.surveyor.order, self._found, case_id=self._work.case_id)
        return asking(means.budget, ask, told=self._waiting, wait=means.wait)

    def _miss_files(self, before: StudyState | None) -> None:
        """What somebody took away from the released folder is expected again: the ledger must not vouch for it."""
        if before is None or not before.stored:
            return
        ledger, images = self._means.ledger, self._means.images
        gone = [one.path for one in ledger.stored(self._found.key) if not (images / one.path).is_file()]
        if gone:
            ledger.lose(self._means.run, self._lease, gone)

    def _remembered(self, before: StudyState | None) -> dict[str, str]:
        """What earlier runs noted: under which rules they looked, and the keyed token of the patient they stored."""
        noted: dict[str, str] = json.loads(self._means.ledger.get_meta(f"seen:{self._found.key}") or "{}")
        if before is not None and before.stored and noted.get("subject"):
            self._work.subjects.add(noted["subject"])
        return noted

    def _remember(self, noted: Mapping[str, str]) -> None:
        subject = next(iter(self._work.subjects), noted.get("subject", ""))
        now = {"how": self._means.how, "subject": subject if len(self._work.subjects) < 2 else ""}
        if now != noted:
            self._means.ledger.set_meta(f"seen:{self._found.key}", json.dumps(now))

    def _expect(self, order: Order, *, again: bool) -> None:
        """What is held deserves another look once rules, gates, selection or version are others than they were."""
        self._means.ledger.expect(self._means.run, order.plan, again=again, anew=PUT_RIGHT_THERE)
        self._done = self._means.ledger.settled(self._found.key)

    def _not_surveyed(self, before: StudyState | None, error: TransferError) -> Result:
        """The archive would not say what the study has; a verdict that was given before stays."""
        self._error = error
        status = Status.INTERRUPTED if self._means.stop.is_set() else Status.FAILED
        reasons = {"interrupted" if self._means.stop.is_set() else error.code: 1}
        if before is None or before.status is None:
            self._settle(status, reasons, None)
        return self._result(status, reasons)

    def _climb(self, order: Order) -> None:
        """Each transport in turn, and within it level by level; always only for what is still missing."""
        self._listed = order.listed
        for place, rung in enumerate(self._means.rungs):
            if (why := self._means.unfit.why(place)) is not None:
                if requests(order, self._done, rung.transport.traits.takes):
                    self._last_code, self._error = why.code, why
                continue
            climb = Climb(rung.transport.traits.takes, partial(self._once_more.worth, rung.name))
            for _ in range(ROUNDS):
                wanted = requests(order, self._done, climb.takes)
                if self._means.stop.is_set() or self._closing():
                    return
                if not wanted:
                    break
                before = len(self._done)
                fall = self._ask(rung, order, wanted, climb)
                if not climb.goes_on(fall, gained=len(self._done) > before):
                    break

    def _ask(self, rung: Rung, order: Order, wanted: list[Wanted], climb: Climb) -> Fall:
        """Fetch each request over one rung, and say where it fell short."""
        fell: Fall | None = None
        vain, self._last_code, self._error = 0, "", None
        rung.hold()
        for one in wanted:
            sink = self._sink(order)
            fall = self._try(rung, order, one, sink)
            if sink.no_space.is_set():
                raise StoreError("there is no space for what arrives", hint="free space, then run `pacsferry resume`")
            if sink.counts["received"]:
                climb.came(one.level)
                self._means.unfit.serves(self._means.rungs.index(rung))
            vain = vain + 1 if fall is not None and remedy(fall.code).more and not sink.offered else 0
            fell = fall if fall is not None and not fall.retryable else fell or fall
            hopeless = vain == VAIN or (fell is not None and not fell.retryable)
            if hopeless or self._means.stop.is_set() or self._means.budget.over():
                break
        fell = fell or Fall(level=wanted[-1].level, code=self._last_code)
        self._last_code = self._last_code if fell.code in {"", NOTHING} else fell.code
        return fell

    def _try(self, rung: Rung, order: Order, one: Wanted, sink: StudySink) -> Fall | None:
        """One request; None where it brought all that was asked for, or the run is being stopped."""
        try:
            tally = self._fetch(rung, order, one, sink)
            return short(one, tally, offered=sink.offered, received=sink.counts["received"])
        except TransferError as err:
            self._error = err
            if self._means.unfit.learn(self._means.rungs.index(rung), err):
                self._note(f"{rung.name} is not asked again in this run: {err}")
            return Fall(level=one.level, code=err.code, retryable=err.retryable, tries=err.tries)
        except InterruptedRun:
            return None
        except FerryError:
            raise
        except Exception as err:
            self._error = failed("transport", rung.name, err)
            return Fall(level=one.level, code="transport-failed", retryable=False)
        finally:
            self._means.budget.spend(len(order.series) if one.level is Level.STUDY else 1)
            self._collect(rung, sink, order)

    def _fetch(self, rung: Rung, order: Order, one: Wanted, sink: StudySink) -> Tally:
        means, timed = self._means, not order.nearline
        return fetch(means.budget, rung.transport, one, sink, told=self._waiting, wait=means.wait, timed=timed)

    def _closing(self) -> bool:
        """Whether the archive's hours ended meanwhile; then that is why the rest is missing."""
        if not self._means.budget.over():
            return False
        self._error = ended_by_hours()
        self._last_code = self._error.code
        return True

    def _sink(self, order: Order) -> StudySink:
        return StudySink(
            order.study_uid,
            self._means.keys,
            self._means.arrivals,
            self._deliver,
            done=self._done,
            listed=self._listed,
            unwanted=order.unwanted,
            stop=self._means.stop,
            pace=self._means.budget.received,
            another=self._means.budget.another,
            noted=self._noted,
        )

    def _deliver(self, received: Received) -> None:
        self._work.handed_over()
        if received.code:
            received.arrival.close()
            self._cleared(received, Answer(outcome=Outcome.HOLD, code=received.code))
            return
        subject = self._found.subject
        task = Task(
            received=received,
            pseudonym=self._work.case_id,
            patient=Patient(patient_id=subject.patient_id, issuer=subject.issuer),
            told=self._cleared,
        )
        self._means.pool.submit(task)

    def _cleared(self, received: Received, answer: Answer | FerryError) -> None:
        if isinstance(answer, Answer) and answer.code == CHANGED:
            self._last_code = CHANGED  # not settled, so that it is asked for again
            self._work.finished(1)
            return
        self._means.publisher.put(self._work, received, answer)

    def _collect(self, rung: Rung, sink: StudySink, order: Order) -> None:
        """Wait until all that came is stored or held, and remember what need not come again."""
        modalities = {series.key: series.modality for series in order.series}
        for key, (images, size) in sink.sizes.items():
            self._means.budget.learn(modalities.get(key, ""), images, size)
        self._work.drain()
        self._done |= {key: outcome.series for key, outcome in self._work.settled.items()}
        self._unlisted += sink.unlisted
        self._odd += Counter({code: count for code, count in sink.counts.items() if code != "received"})
        if sink.counts["received"] and rung.name not in self._used:
            self._used.append(rung.name)

    def _waiting(self, text: str) -> None:
        self._means.told(Progress(kind="waiting", case_id=self._work.case_id, text=text))

    def _note(self, text: str) -> None:
        self._means.told(Progress(kind="note", text=text))

    # --- the verdict

    def _hold_mixed(self, order: Order) -> None:
        """The archive itself answers with several patients: nothing is fetched, all of it is held."""
        self._withdraw()
        settled = self._means.ledger.settled(self._found.key)
        outcomes = [
            InstanceOutcome(key=target.key, series=series.key, state=InstanceState.HELD, code="mixed-patients")
            for series in order.series
            for target in series.wanted
            if target.key not in settled
        ]
        self._means.ledger.record(self._means.run, self._lease, outcomes)

    def _withdraw(self) -> None:
        """A second patient turned up: what was stored of the study is taken back, the row first."""
        paths = self._means.ledger.withdraw(self._means.run, self._lease, "mixed-patients")
        for path in paths:
            within(self._means.images, PurePosixPath(path)).unlink(missing_ok=True)
        prune_folders(self._means.images, paths)

    def _conclude(self, order: Order, before: StudyState | None) -> Result:
        if len(self._work.subjects) > 1:
            self._withdraw()
        means, key = self._means, self._found.key
        now = means.ledger.study(key)
        if now is None:
            raise StoreError("the ledger lost a study", hint="run `pacsferry audit --check`")
        signs = self._signs(order)
        reasons = verdict.reasons(now, signs, means.ledger.codes(key))
        said = self._settle(verdict.status(now, signs), reasons, verdict.facts(self._work.facts, now))
        untouched = not self._work.settled and not self._used
        if said is Status.OK and untouched and before is not None and before.status in verdict.FINE:
            said = Status.SKIPPED
        return self._result(said, reasons)

    def _signs(self, order: Order) -> verdict.Signs:
        return verdict.Signs(
            counted=order.counted,
            listed=len(order.listed or ()),
            lacking=lacking(order, self._means.ledger.settled(self._found.key)) if order.counted is not None else 0,
            code=self._last_code,
            error=self._error,
            stopped=self._means.stop.is_set(),
            unlisted=max(self._unlisted, self._grown(order)),
            offline=offline(order, self._done),
            odd=self._odd,
        )

    def _grown(self, order: Order) -> int:
        """How much the study has grown since it was listed; an archive that does not say is not doubted for that."""
        if not self._used or self._means.stop.is_set():
            return 0
        means, ask = self._means, partial(self._means.surveyor.grown, self._found, order)
        try:
            return asking(means.budget, ask, told=self._waiting, wait=means.wait)
        except (TransferError, BusyError):
            return 0

    def _settle(self, status: Status, reasons: Mapping[str, int], facts: StudyFacts | None) -> Status:
        """Give the verdict; the ledger's own, which knows what was waived."""
        ledger = self._means.ledger
        ledger.conclude(
            self._means.run,
            self._lease,
            status=status,
            reasons=reasons,
            transports=self._used,
            facts=facts,
            duration_s=time.monotonic() - self._began,
        )
        state = ledger.study(self._found.key)
        return state.status if state is not None and state.status is not None else status

    def _result(self, status: Status, reasons: Mapping[str, int]) -> Result:
        state = self._means.ledger.study(self._found.key)
        self._means.told(Progress(kind="study-done", case_id=self._work.case_id, text=status.value))
        error = self._error if status in {Status.FAILED, Status.INCOMPLETE} else None
        return Result(
            found=self._found,
            status=status,
            case_id=self._work.case_id,
            state=state,
            received=len(self._work.settled),
            transports=tuple(self._used),
            reasons=reasons,
            error=str(error) if error else None,
            exit_code=verdict.exit_code(status, error),
            duration_s=time.monotonic() - self._began,
        )
