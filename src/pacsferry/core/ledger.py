"""The project's memory: what was expected, what came, who works on it, and what was done; it holds no pixel.

State is keyed by keyed UIDs and case ids; originals stand in the linkage table only. Every change is one transaction
with its event, so the state is never ahead of the audit trail. Files are published before they are recorded: a row
without a file is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import sqlalchemy as sa

from . import ledger_cases as cases
from . import ledger_chain as chain
from . import ledger_changes as changes
from . import ledger_leases as leases
from . import ledger_read as look
from . import ledger_runs as runs
from . import ledger_schema as tables
from . import processes
from .errors import ConfigError
from .ledger_chain import ChainReport, Event
from .ledger_model import (
    Asked,
    InstanceOutcome,
    InstanceState,
    Lease,
    LeaseLost,
    Original,
    Owner,
    PathTaken,
    Run,
    StudyFacts,
    StudyPlan,
    StudyResult,
    StudyState,
    UndefinedStep,
)
from .ledger_store import Store, upsert
from .model import Status, StoredInstance, Subject

__all__ = ["LeaseLost", "Ledger", "PathTaken", "UndefinedStep"]

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Ledger:
    """One project's ledger. Safe to use from several threads; several processes may have it open."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._me = owner
        self._actor = processes.user()

    @classmethod
    def open(cls, path: Path | str, *, create: bool = True, owner: Owner | None = None) -> Ledger:
        """Open the ledger at ``path``, or make it. Raises ``StoreError`` when it is absent, damaged or too new."""
        return cls(Store(Path(path), list(tables.ledger.sorted_tables), create=create), owner or Owner.me())

    def observe(self, told: Callable[[Event], None]) -> None:
        """Tell every event that is written from here on, once it is on record. ``told`` must not raise or wait."""
        self._store.told = told

    def close(self) -> None:
        """Give back the file; may be called twice."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # Runs and what was asked for

    def start_run(self, command: str, *, details: Mapping[str, object] = _NOTHING) -> str:
        """Note that a command starts; its id, which sorts by time."""
        name = runs.name()
        with self._store.write() as conn:
            runs.start(conn, name, command, self._actor, details)
            self._event(conn, name, "run-started", object=command, details=details)
        return name

    def end_run(self, run: str, status: str, counts: Mapping[str, int]) -> None:
        """Note how a command ended. A run without an end was killed."""
        with self._store.write() as conn:
            runs.end(conn, run, status, counts)
            self._event(conn, run, "run-ended", outcome=status, details={"counts": counts})

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._store.read() as conn:
            return look.runs(conn)

    def run(self, run: str) -> Run | None:
        """One run."""
        with self._store.read() as conn:
            return next(iter(look.runs(conn, run)), None)

    def results(self, run: str) -> list[StudyResult]:
        """How a run left each study that it worked on."""
        with self._store.read() as conn:
            return look.results(conn, run)

    def note(
        self,
        run: str,
        action: str,
        *,
        object: str = "",  # noqa: A002  the name of the column
        outcome: str = "ok",
        details: Mapping[str, object] = _NOTHING,
    ) -> None:
        """Add an event of its own: for what changes nothing here and must be told."""
        with self._store.write() as conn:
            self._event(conn, run, action, object=object, outcome=outcome, details=details)

    def typed(self, run: str, entries: Sequence[tuple[int, str]]) -> None:
        """Remember what the user typed, by request number; the text goes to the linkage table."""
        with self._store.write() as conn:
            runs.typed(conn, run, entries)
            self._event(conn, run, "asked", details={"requests": len(entries)})

    def link_request(self, run: str, ordinal: int, studies: Sequence[str], status: Status | str) -> None:
        """Note which studies a request found, and how it ended."""
        with self._store.write(durable=False) as conn:
            runs.link(conn, run, ordinal, studies, str(status))

    def request_rows(self, run: str | None = None) -> list[Asked]:
        """The requests of a run, or of all runs, oldest first. Identified: ``text`` is what the user typed."""
        with self._store.read() as conn:
            return look.asked(conn, run)

    # Cases

    def number_subjects(
        self, subjects: Sequence[Subject], name: cases.Namer, *, limit: int | None = None
    ) -> dict[str, str]:
        """Token to case id. Known subjects keep theirs; the new ones are named in one transaction, in this order.

        ``name`` gets the new subjects and the first number that was never given. Raises ``RefusedError`` when the
        project would have more than ``limit`` cases, ``PluginError`` for names that are not plain or taken already.
        """
        with self._store.write() as conn:
            known, new = cases.number(conn, subjects, name, limit)
            if new:
                self._event(conn, "", "cases-numbered", details={"new": new, "asked": len(known)})
            return known

    # Studies

    def introduce(self, run: str, key: str, subject: str, case_id: str, original: Original) -> None:
        """Make a study known before anything is planned, so that it can be leased. Known ones stay as they are."""
        if self.study(key) is None:
            with self._store.write(durable=False) as conn:
                changes.introduce(conn, key, subject, case_id, original)
                self._event(conn, run, "introduced", object=key)

    def expect(self, run: str, plan: StudyPlan, *, again: bool = False, anew: frozenset[str] = frozenset()) -> None:
        """Lay what the archive lists over what is known.

        What is stored stays; what is not listed any more and not stored is dropped. While another live process works
        on the study, nothing is set back. ``again``: what was held, and what a gate excluded, is expected again
        (without it, such an instance is done with, or each load would fetch it anew). ``anew`` are reason codes of what
        is held and expected again in any case.
        """
        told = {"evidence": plan.evidence.value, "expected": plan.expected, "announced": plan.announced}
        told |= {"series": len(plan.series), "instances": len(plan.instances)}
        with self._store.write(durable=False) as conn:
            row = conn.execute(
                sa.select(tables.study).where(tables.study.c.key == plan.key).with_for_update()
            ).one_or_none()
            busy = row is not None and leases.holder(row, but=self._me) is not None
            changes.expect(conn, plan, busy=busy, again=again, anew=anew)
            self._event(conn, run, "expected", object=plan.key, details=told)

    def lease(self, study: str, *, seconds: float = leases.SECONDS) -> Lease | None:
        """The right to work on a study; None while another live process has it."""
        with self._store.write(durable=False) as conn:
            lease, before = leases.take(conn, study, self._me, seconds)
            if before is not None:
                self._event(conn, "", "lease-taken-over", object=study, details={"process": before.pid})
            return lease

    def holder(self, study: str) -> str:
        """Who works on a study ("process 1234 since 10:31"); "" for nobody."""
        with self._store.read() as conn:
            row = look.row_of(conn, study)
            return leases.told(row) if row is not None else ""

    def renew(self, lease: Lease, *, seconds: float = leases.SECONDS) -> None:
        """Let a lease last longer. Raises ``LeaseLost``."""
        with self._store.write(durable=False) as conn:
            leases.fenced(conn, lease)
            leases.renew(conn, lease, seconds)

    def release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens when it is lost already."""
        with self._store.write(durable=False) as conn:
            leases.release(conn, lease)

    def check(self, lease: Lease) -> None:
        """Whether a lease still is what it was, without writing. Raises ``LeaseLost``."""
        with self._store.read() as conn:
            leases.fenced(conn, lease)

    def record(self, run: str, lease: Lease, outcomes: Sequence[InstanceOutcome]) -> None:
        """Write what became of a batch of instances, after their files are published; renews the lease.

        Raises ``LeaseLost``, ``PathTaken`` or ``UndefinedStep``; then nothing is written.
        """
        with self._store.write() as conn:
            changes.record(conn, leases.fenced(conn, lease), outcomes)
            leases.renew(conn, lease, leases.SECONDS)
            count = {state.value: sum(one.state is state for one in outcomes) for state in InstanceState}
            some = {name: number for name, number in count.items() if number}
            self._event(conn, run, "recorded", object=lease.study, details=some)
            for one in outcomes:
                if one.state is InstanceState.HELD:
                    self._event(conn, run, "held", object=one.key, outcome=changes.code(one.code))

    def conclude(
        self,
        run: str,
        lease: Lease,
        *,
        status: Status,
        reasons: Mapping[str, int],
        transports: Sequence[str],
        facts: StudyFacts | None = None,
        duration_s: float = 0.0,
    ) -> None:
        """Give the verdict on a study. A gap no larger than the one that was waived stays waived."""
        with self._store.write(durable=False) as conn:
            verdict, told = runs.conclude(
                conn,
                leases.fenced(conn, lease),
                run,
                status=status,
                reasons=reasons,
                transports=transports,
                facts=facts,
                duration_s=float(duration_s),
            )
            self._event(conn, run, "concluded", object=lease.study, outcome=verdict.value, details=told)

    def withdraw(self, run: str, lease: Lease, code: str) -> list[str]:
        """Hold everything that is stored of a study; the relative paths, for the caller to unlink."""
        with self._store.write() as conn:
            paths = changes.withdraw(conn, leases.fenced(conn, lease), code)
            told = {"instances": len(paths)}
            self._event(conn, run, "withdrawn", object=lease.study, outcome=changes.code(code), details=told)
            return paths

    def lose(self, run: str, lease: Lease, paths: Iterable[str]) -> list[str]:
        """Expect again what is not at its path any more; those of the paths that were known."""
        with self._store.write() as conn:
            row = leases.fenced(conn, lease)
            known = changes.lose(conn, row, paths)
            conn.execute(
                tables.study.update().where(tables.study.c.id == row.id).values(status="" if known else row.status)
            )
            self._event(conn, run, "lost", object=lease.study, details={"instances": len(known)})
            return known

    def waive(self, run: str, study: str, reason: str) -> bool:
        """Accept a gap as it is now; False when there is nothing to accept. Raises ``ConfigError`` without a reason."""
        if not reason.strip():
            raise ConfigError("a waiver needs a reason", hint="--reason TEXT")
        with self._store.write() as conn:
            told = runs.waive(conn, study, reason.strip())
            if told is not None:
                self._event(conn, run, "waived", object=study, outcome=Status.WAIVED.value, details=told)
            return told is not None

    # Looking

    def study(self, key: str) -> StudyState | None:
        """Where one study stands."""
        with self._store.read() as conn:
            row = look.row_of(conn, key)
        return look.state(row) if row is not None else None

    def studies(self, *, problems: bool = False) -> Iterator[StudyState]:
        """All studies by case, or those that are not ``ok`` or waived."""
        return look.studies(self._store, problems=problems)

    def verdicts(self) -> dict[str, Status | None]:
        """Study key to verdict (None: not concluded), for all, at the price of one question."""
        with self._store.read() as conn:
            return look.verdicts(conn)

    def studies_of_accession(self, accession: str) -> list[StudyState]:
        """The studies that the archive keeps under an accession number."""
        with self._store.read() as conn:
            return look.studies_of_accession(conn, accession)

    def instance_states(self, study: str) -> dict[str, InstanceState]:
        """Instance to state, for one study."""
        with self._store.read() as conn:
            return look.instance_states(conn, study)

    def settled(self, study: str) -> dict[str, str]:
        """Instance to series, of what need not come: stored, held or excluded."""
        with self._store.read() as conn:
            return look.settled(conn, study)

    def codes(self, study: str) -> dict[str, int]:
        """How many instances of a study are held or excluded, by reason code."""
        with self._store.read() as conn:
            return look.codes(conn, study)

    def reasons(self, study: str) -> dict[str, str]:
        """Instance to reason code, of those that are held or excluded."""
        with self._store.read() as conn:
            return look.reasons(conn, study)

    def unresolved(self) -> dict[str, int]:
        """Released study UID to how many instances it refers to that the project has not stored."""
        with self._store.read() as conn:
            return look.unresolved(conn)

    def stored(self, study: str) -> Iterator[StoredInstance]:
        """What is stored of a study, by path."""
        return look.stored(self._store, study)

    def all_stored(self) -> Iterator[StoredInstance]:
        """What is stored of the project, by path."""
        return look.stored(self._store, None)

    def taken(self, study: str, paths: Mapping[str, str]) -> set[str]:
        """Of a study's instances (key to path), those whose path is another instance's: they must not be published."""
        with self._store.read() as conn:
            number = conn.execute(sa.select(tables.study.c.id).where(tables.study.c.key == study)).scalar()
            return changes.taken(conn, number, paths)

    def path_owner(self, path: str) -> str | None:
        """The instance that is stored at a path."""
        with self._store.read() as conn:
            return look.path_owner(conn, path)

    def known_paths(self, paths: Iterable[str]) -> set[str]:
        """Those of the paths where an instance is stored."""
        with self._store.read() as conn:
            return look.known_paths(conn, paths)

    def original(self, study: str) -> Original | None:
        """What the archive calls a study. Identified."""
        with self._store.read() as conn:
            return look.original_of(conn, study)

    def originals(self) -> Iterator[tuple[str, Original]]:
        """Study key and what the archive calls the study, for all. Identified."""
        return look.originals(self._store)

    # Small things

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small string, such as a digest."""
        with self._store.write(durable=False) as conn:
            upsert(conn, tables.meta, [{"key": f"set:{key}", "value": value}], ["key"])

    def get_meta(self, key: str) -> str | None:
        """What was kept."""
        with self._store.read() as conn:
            return conn.execute(sa.select(tables.meta.c.value).where(tables.meta.c.key == f"set:{key}")).scalar()

    def events(self, *, run: str | None = None, last: int | None = None) -> Iterator[Event]:
        """The audit trail in order: all of it, a run's, or the last so many."""
        return chain.events(self._store, run=run, last=last)

    def check_chain(self) -> ChainReport:
        """Whether the audit trail is whole."""
        return chain.check(self._store)

    def head(self) -> str:
        """The hash of the last event: printed in reports, it anchors the trail outside of this file."""
        with self._store.read() as conn:
            return chain.head(conn)

    def _event(
        self,
        conn: sa.Connection,
        run: str,
        action: str,
        *,
        object: str = "",  # noqa: A002
        outcome: str = "ok",
        details: Mapping[str, object] = _NOTHING,
    ) -> None:
        chain.append(conn, run=run, actor=self._actor, action=action, object=object, outcome=outcome, details=details)
