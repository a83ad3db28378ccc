"""``plan``: what a load would do, without doing it; saved, so that ``load --plan ID`` does exactly that."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from pacsferry.core.budget import Budget
from pacsferry.core.errors import ConfigError, TransferError, strictest
from pacsferry.core.estimate import Estimate, Work, estimate, work
from pacsferry.core.model import Level, Query, Row, Status
from pacsferry.core.pacing import asking, together
from pacsferry.core.plan import Order, requests
from pacsferry.core.progress import Progress, Told, silent
from pacsferry.core.project import Project
from pacsferry.core.query import Asked
from pacsferry.core.redact import quiet
from pacsferry.core.survey import Found, Surveyor

from .opening import Opened, made, opened
from .pacing import budget_of, saying

T = TypeVar("T")
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStudy:
    """One study of a plan: what is expected, what is done already, and how many requests the first transport gets.

    ``availability`` are the values of InstanceAvailability that the archive gives for its parts, best first.
    """

    row: Row
    series: int
    done: int
    requests: int
    transport: str
    availability: tuple[str, ...] = ()
    work: Work = field(default_factory=Work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a load would do, and how long that takes under the budget, as far as can be estimated."""

    project: str
    plan_id: str
    studies: tuple[PlannedStudy, ...]
    rows: tuple[Row, ...]
    transports: tuple[str, ...]
    estimate: Estimate
    exit_code: int
    status: str


def plan(
    project: str,
    asked: Sequence[Asked],
    *,
    max_studies: int | None = None,
    max_images: int | None = None,
    site: str | None = None,
    sets: Sequence[str] = (),
    wait: bool = True,
    told: Told = silent,
    stop: threading.Event | None = None,
) -> Planned:
    """Ask the archive and settle what would be fetched. Nothing is fetched, numbered or expected.

    It may ask at any hour. Raises ``BusyError`` where it may not ``wait`` for an association.
    """
    if not asked:
        raise ConfigError(
            "nothing was asked for", hint="name accession numbers, or use --file, --match or --study-date"
        )
    there, resolved = made(project, site, sets)
    quiet()
    with opened(there, resolved) as work:
        return _Planning(work, told, stop or threading.Event(), wait=wait).go(asked, max_studies, max_images)


class _Polite:
    """A surveyor that asks within the archive's budget."""

    def __init__(self, surveyor: Surveyor, budget: Budget, told: Callable[[str], None], *, wait: bool) -> None:
        self._surveyor, self._budget, self._told, self._wait = surveyor, budget, told, wait

    def together(self) -> AbstractContextManager[None]:
        """All queries within may share an association."""
        return together(self._budget, told=self._told, wait=self._wait)

    def studies(self, asked: Asked) -> list[Found]:
        """See ``Surveyor``."""
        return self._ask(partial(self._surveyor.studies, asked))

    def order(self, found: Found, *, case_id: str) -> Order:
        """See ``Surveyor``."""
        return self._ask(partial(self._surveyor.order, found, case_id=case_id))

    def _ask(self, ask: Callable[[], T]) -> T:
        return asking(self._budget, ask, told=self._told, wait=self._wait)


class _Planning:
    def __init__(self, work: Opened, told: Told, stop: threading.Event, *, wait: bool) -> None:
        self._work, self._told, self._stop, self._wait = work, told, stop, wait
        self._rows: list[Row] = []
        self._studies: list[PlannedStudy] = []
        self._codes: list[int] = []

    def go(self, asked: Sequence[Asked], max_studies: int | None, max_images: int | None) -> Planned:
        run = self._work.ledger.start_run("plan", details={"requests": len(asked)})
        wiring, profile = self._work.wiring, self._work.wiring.resolved.profile
        finder = wiring.finder()
        budget = budget_of(wiring, self._work.hosts, finder, stop=self._stop)
        transports = wiring.transports()
        try:
            surveyor = Surveyor(
                finder=finder,
                keys=self._work.project.keys,
                selection=profile.select.selection(),
                quirks=wiring.archive.quirks,
                per_accession=profile.pseudonyms.per == "accession",
            )
            polite = _Polite(surveyor, budget, saying(self._told), wait=self._wait)
            with polite.together():
                found = self._found(polite, asked)
                kept = self._limited(polite, found, transports[0], max_studies, max_images)
        finally:
            finder.close()
            for _, transport in transports:
                transport.close()
        series = sum(study.series for study in self._studies)
        rows = sorted([*self._rows, *(study.row for study in self._studies)], key=lambda one: one.request)
        code = _overall(self._codes)
        status = "ok" if code == 0 else "failed" if not self._studies else "incomplete"
        self._work.ledger.end_run(run, status, {"studies": len(self._studies), "series": series})
        return Planned(
            project=self._work.project.name,
            plan_id=_save(self._work.project, kept),
            studies=tuple(self._studies),
            rows=tuple(rows),
            transports=tuple(name for name, _ in transports),
            estimate=self._estimate(budget),
            exit_code=code,
            status=status,
        )

    def _estimate(self, budget: Budget) -> Estimate:
        terms = self._work.wiring.resolved.profile.budget.terms()
        todo = [study.work for study in self._studies]
        return estimate(todo, terms, budget.history.bytes_per_image(), datetime.now(UTC))

    def _found(self, surveyor: _Polite, asked: Sequence[Asked]) -> list[Found]:
        by_key: dict[str, Found] = {}
        for done, one in enumerate(asked):
            self._told(Progress(kind="query", done=done, total=len(asked)))
            try:
                answers = surveyor.studies(one)
            except TransferError as err:
                self._codes.append(err.exit_code)
                self._rows.append(
                    Row(
                        request=one.ordinal,
                        accession=one.typed,
                        status=Status.FAILED,
                        reasons={err.code: 1},
                        error=str(err),
                    )
                )
                continue
            if not answers:
                self._codes.append(3)
                self._rows.append(Row(request=one.ordinal, accession=one.typed, status=Status.NOT_FOUND))
            for found in answers:
                by_key.setdefault(found.key, found)
        return list(by_key.values())

    def _limited(
        self,
        surveyor: _Polite,
        found: list[Found],
        first: tuple[str, object],
        max_studies: int | None,
        max_images: int | None,
    ) -> list[Found]:
        kept: list[Found] = []
        images = 0
        for one in found:
            if len(kept) == max_studies:
                break
            study = self._planned(surveyor, one, first)
            images += study.row.expected or 0
            if max_images is not None and images > max_images:
                break
            kept.append(one)
            self._studies.append(study)
            self._codes.append(0)
            self._told(Progress(kind="planned", done=len(kept), total=len(found)))
        return kept

    def _planned(self, surveyor: _Polite, found: Found, first: tuple[str, object]) -> PlannedStudy:
        name, transport = first
        state = self._work.ledger.study(found.key)
        settled = self._work.ledger.settled(found.key)
        order = surveyor.order(found, case_id=state.case_id if state else "")
        wanted = requests(order, settled, transport.traits.takes)  # type: ignore[attr-defined]
        listed = order.listed
        excluded = sum(1 for one in order.plan.instances if one.excluded)
        done = len(settled) if listed is None else len(listed.keys() & settled.keys())
        expected = order.plan.expected
        row = Row(
            request=found.asked.ordinal,
            accession=found.asked.typed,
            case_id=state.case_id if state else None,
            study_uid=(state.study_uid or None) if state else None,
            status=Status.DRY_RUN,
            modality=",".join(found.match.many("ModalitiesInStudy")) or None,
            series_count=len(order.series),
            image_count=0 if expected is None else expected,
            expected=expected,
            stored=state.stored if state else 0,
            held=state.held if state else 0,
            missing=max(0, (expected or 0) - done - excluded),
            excluded=excluded,
            evidence=order.plan.evidence,
            transports=(name,),
        )
        return PlannedStudy(
            row=row,
            series=len(order.series),
            done=done,
            requests=0 if order.offline else len(wanted),
            transport=name,
            availability=order.availability,
            work=work(order, settled, wanted, found.match.many("ModalitiesInStudy")),
        )


def _overall(codes: Sequence[int]) -> int:
    """As for a load: 3 and 4 only where nothing else is to be said."""
    kinds = set(codes)
    if len(kinds) > 1:
        kinds = {5 if code in {3, 4} else code for code in kinds}
    return strictest(kinds)


# --- saving


def _save(project: Project, found: Sequence[Found]) -> str:
    """Keep the plan in the private folder: it holds original UIDs."""
    plan_id = secrets.token_hex(6)
    studies = [
        {
            "typed": one.asked.typed,
            "study_uid": one.study_uid,
            "series": one.asked.series,
            "images": one.asked.images,
        }
        for one in found
    ]
    path = _path(project, plan_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({"schema": "pacsferry.saved-plan", "version": 1, "studies": studies}, indent=1))
    return plan_id


def _path(project: Project, plan_id: str) -> Path:
    return project.private / "reports" / f"plan-{plan_id}.json"


def saved_plan(project: Project, plan_id: str) -> list[Asked]:
    """The requests of a saved plan: its studies, by UID. Raises ``ConfigError``."""
    if not _ID.fullmatch(plan_id) or not _path(project, plan_id).is_file():
        raise ConfigError("--plan: this project has no such plan", hint=f"`pacsferry plan {project.name} …` makes one")
    said = json.loads(_path(project, plan_id).read_text())
    return [
        Asked(
            ordinal=number,
            typed=study["typed"],
            query=Query(level=Level.STUDY, keys={"StudyInstanceUID": study["study_uid"]}),
            series=study["series"],
            images=study["images"],
        )
        for number, study in enumerate(said["studies"], start=1)
    ]
