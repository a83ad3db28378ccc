"""Commands on a project, what their users asked for, and how they left each study; it starts and stops nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex

import sqlalchemy as sa

from . import ledger_chain as chain
from . import ledger_leases as leases
from .ledger_changes import code
from .ledger_model import StudyFacts
from .ledger_read import lacking
from .ledger_schema import linkage, request, request_study, result, run, study
from .ledger_steps import WAIVABLE
from .ledger_store import upsert
from .model import Status

_RUN_AND_NUMBER = ["run", "ordinal"]


def name() -> str:
    """A new run's id: sorts by time, plain ASCII."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{token_hex(4)}"


def start(conn: sa.Connection, of_run: str, command: str, actor: str, details: Mapping[str, object]) -> None:
    """Note that a run starts."""
    row = {"id": of_run, "command": chain.plain(command), "actor": actor, "started": datetime.now(UTC).isoformat()}
    conn.execute(run.insert(), {**row, "details": chain.canonical(chain.checked(details))})


def end(conn: sa.Connection, of_run: str, status: str, counts: Mapping[str, int]) -> None:
    """Note how a run ended."""
    values = {"ended": datetime.now(UTC).isoformat(), "status": status, "counts": chain.canonical(dict(counts))}
    conn.execute(run.update().where(run.c.id == of_run).values(values))


def typed(conn: sa.Connection, of_run: str, entries: Sequence[tuple[int, str]]) -> None:
    """Remember what the user typed."""
    upsert(conn, request, [{"run": of_run, "ordinal": ordinal} for ordinal, _ in entries], _RUN_AND_NUMBER)
    links = [{"kind": "request", "key": f"{of_run}/{ordinal}", "typed": text} for ordinal, text in entries]
    upsert(conn, linkage, links, ["kind", "key"])


def link(conn: sa.Connection, of_run: str, ordinal: int, studies: Sequence[str], status: str) -> None:
    """Note which studies a request found, and how it ended."""
    upsert(conn, request, [{"run": of_run, "ordinal": ordinal, "status": status}], _RUN_AND_NUMBER)
    found = [{"run": of_run, "ordinal": ordinal, "study_id": leases.find(conn, key).id} for key in studies]
    upsert(conn, request_study, found, [*_RUN_AND_NUMBER, "study_id"])


def conclude(
    conn: sa.Connection,
    row: sa.Row[tuple[object, ...]],
    of_run: str,
    *,
    status: Status,
    reasons: Mapping[str, int],
    transports: Sequence[str],
    facts: StudyFacts | None,
    duration_s: float,
) -> tuple[Status, dict[str, object]]:
    """Give the verdict on a study; what it is with a waiver, and what to tell the audit trail."""
    waived = row.waived and status in WAIVABLE and lacking(row) + row.held <= row.waived_gap
    verdict = Status.WAIVED if waived else status
    why = {code(one): int(count) for one, count in reasons.items()}
    names = [chain.plain(one) for one in transports]
    values: dict[str, object] = {"status": verdict.value, "reasons": chain.canonical(why), "duration_s": duration_s}
    used = list(dict.fromkeys([*json.loads(row.transports or "[]"), *names]))
    changed = {**values, **_released(facts), "transports": json.dumps(used), "updated": chain.now()}
    conn.execute(study.update().where(study.c.id == row.id).values(changed))
    counted = {one: getattr(row, one) for one in ("expected", "stored", "held", "excluded")}
    counted |= {"missing": lacking(row)}
    left = {"run": of_run, "study_id": row.id, **counted, **values, "transports": json.dumps(names)}
    upsert(conn, result, [left], ["run", "study_id"])
    return verdict, {**counted, "reasons": why, "transports": names}


def _released(facts: StudyFacts | None) -> dict[str, object]:
    """The columns that facts fill; the series are the ledger's to count unless the facts know better."""
    if facts is None:
        return {}
    names = ("study_uid", "study_date", "modality", "description", "path")
    values: dict[str, object] = {one: getattr(facts, one) for one in names}
    return values | ({"series_count": facts.series_count} if facts.series_count else {})


def waive(conn: sa.Connection, key: str, reason: str) -> dict[str, int] | None:
    """Accept a study's gap as it is now; what it lacks, or None when there is nothing to accept."""
    row = leases.find(conn, key)
    gap = lacking(row) + row.held
    if not gap and row.status not in WAIVABLE:
        return None
    values = {"waived": reason, "waived_gap": gap, "status": Status.WAIVED.value, "updated": chain.now()}
    conn.execute(study.update().where(study.c.id == row.id).values(values))
    return {"missing": lacking(row), "held": row.held}
