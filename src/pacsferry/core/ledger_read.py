"""Answers about a project from what the ledger keeps; nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from . import ledger_leases as leases
from .ledger_model import Asked, InstanceState, Original, Run, StudyResult, StudyState
from .ledger_schema import instance, linkage, reference, request, request_study, result, run, study
from .ledger_steps import SETTLED, missing
from .ledger_store import Store
from .model import Evidence, Status, StoredInstance

_PAGE = 5000
_CHUNK = 500


def row_of(conn: sa.Connection, key: str) -> sa.Row[Any] | None:
    """The row of a study."""
    return conn.execute(sa.select(study).where(study.c.key == key)).one_or_none()


def state(row: sa.Row[Any]) -> StudyState:
    """A study as people and programs see it."""
    return StudyState(
        key=row.key,
        subject=row.subject,
        case_id=row.case_id,
        study_uid=row.study_uid,
        status=Status(row.status) if row.status else None,
        evidence=Evidence(row.evidence or Evidence.NONE),
        announced=row.announced,
        expected=row.expected,
        stored=row.stored,
        held=row.held,
        excluded=row.excluded,
        missing=lacking(row),
        series_count=row.series_count,
        study_date=row.study_date,
        modality=row.modality,
        description=row.description,
        path=row.path,
        transports=tuple(json.loads(row.transports or "[]")),
        reasons=json.loads(row.reasons or "{}"),
        waived=row.waived,
        updated=moment(row.updated) or datetime.fromtimestamp(0, UTC),
        duration_s=row.duration_s,
        leased_by=leases.told(row),
    )


def lacking(row: sa.Row[Any]) -> int:
    """How many instances of a study are missing."""
    return missing(
        expected=row.expected,
        pending=row.pending,
        stored=row.stored,
        held=row.held,
        excluded=row.excluded,
        short=row.short,
    )


def moment(text: str) -> datetime | None:
    """The time of an ISO text; None where there is none yet."""
    return datetime.fromisoformat(text) if text else None


def studies(store: Store, *, problems: bool) -> Iterator[StudyState]:
    """All studies by case, or those that are nobody's solved problem."""
    asked = sa.select(study).order_by(study.c.case_id, study.c.id)
    if problems:
        asked = asked.where(study.c.status.not_in([one.value for one in SETTLED]))
    with store.read() as conn:
        rows = conn.execute(asked).all()
    return map(state, rows)


def verdicts(conn: sa.Connection) -> dict[str, Status | None]:
    """Study to verdict, for all."""
    rows = conn.execute(sa.select(study.c.key, study.c.status))
    return {row.key: Status(row.status) if row.status else None for row in rows}


def studies_of_accession(conn: sa.Connection, accession: str) -> list[StudyState]:
    """The studies that the archive keeps under an accession number."""
    same = (linkage.c.kind == "study") & (linkage.c.accession == accession) & (linkage.c.key == study.c.key)
    return [state(row) for row in conn.execute(sa.select(study).where(same).order_by(study.c.id))]


def originals(store: Store) -> Iterator[tuple[str, Original]]:
    """Study key and what the archive calls the study."""
    asked = sa.select(linkage).where(linkage.c.kind == "study").order_by(linkage.c.key)
    with store.read() as conn:
        rows = conn.execute(asked).all()
    return ((row.key, original(row)) for row in rows)


def original_of(conn: sa.Connection, key: str) -> Original | None:
    """What the archive calls one study."""
    row = conn.execute(sa.select(linkage).where((linkage.c.kind == "study") & (linkage.c.key == key))).one_or_none()
    return original(row) if row is not None else None


def original(row: sa.Row[Any]) -> Original:
    """A row of the linkage table."""
    return Original(study_uid=row.study_uid, accession=row.accession, patient_id=row.patient_id, issuer=row.issuer)


def instance_states(conn: sa.Connection, key: str) -> dict[str, InstanceState]:
    """Instance to state, for one study; empty where it is not known."""
    asked = sa.select(instance.c.key, instance.c.state).join(study).where(study.c.key == key)
    return {row.key: InstanceState(row.state) for row in conn.execute(asked)}


def settled(conn: sa.Connection, key: str) -> dict[str, str]:
    """Instance to series, of what is stored, held or excluded: it need not come."""
    asked = sa.select(instance.c.key, instance.c.series).join(study)
    rows = conn.execute(asked.where(study.c.key == key, instance.c.state != InstanceState.EXPECTED.value))
    return {row.key: row.series for row in rows}


def codes(conn: sa.Connection, key: str) -> dict[str, int]:
    """How many instances of a study are held or excluded, by reason code."""
    mine = (study.c.key == key) & (instance.c.code != "")
    asked = sa.select(instance.c.code, sa.func.count().label("n")).join(study).where(mine).group_by(instance.c.code)
    return {row.code: row.n for row in conn.execute(asked)}


def reasons(conn: sa.Connection, key: str) -> dict[str, str]:
    """Instance to reason code, of those of a study that are held or excluded."""
    asked = sa.select(instance.c.key, instance.c.code).join(study)
    return {row.key: row.code for row in conn.execute(asked.where(study.c.key == key, instance.c.code != ""))}


def unresolved(conn: sa.Connection) -> dict[str, int]:
    """Released study UID to the number of instances that it refers to and the project has not stored.

    RT objects name studies where others name instances (PS3.3 C.8.8.5, RT Referenced Study Sequence).
    """
    found = sa.exists().where(instance.c.instance_uid == reference.c.uid, instance.c.path.is_not(None))
    named = study.alias()
    known = sa.exists().where(named.c.study_uid == reference.c.uid)
    asked = sa.select(study.c.study_uid, sa.func.count()).join_from(reference, study).where(~found, ~known)
    return {uid: count for uid, count in conn.execute(asked.group_by(study.c.id)) if uid}


def stored(store: Store, key: str | None) -> Iterator[StoredInstance]:
    """What is stored of a study (None: of all) by path, read in pages."""
    asked = sa.select(instance).where(instance.c.path.is_not(None)).order_by(instance.c.path)
    if key is not None:
        asked = asked.join(study).where(study.c.key == key)
    last = ""
    while True:
        with store.read() as conn:
            rows = conn.execute(asked.where(instance.c.path > last).limit(_PAGE)).all()
        yield from map(_stored, rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].path


def _stored(row: sa.Row[Any]) -> StoredInstance:
    return StoredInstance(
        series_uid=row.series_uid,
        instance_uid=row.instance_uid,
        sop_class=row.sop_class,
        path=row.path,
        size=row.size,
        sha256=row.sha256,
    )


def path_owner(conn: sa.Connection, path: str) -> str | None:
    """The instance that is stored at a path."""
    return conn.execute(sa.select(instance.c.key).where(instance.c.path == path)).scalar()


def known_paths(conn: sa.Connection, paths: Iterable[str]) -> set[str]:
    """Those of the paths where an instance is stored; asked in chunks, as a statement takes only so many values."""
    wanted, found = list(paths), set[str]()
    for at in range(0, len(wanted), _CHUNK):
        asked = sa.select(instance.c.path).where(instance.c.path.in_(wanted[at : at + _CHUNK]))
        found |= {path for path in conn.execute(asked).scalars() if path}
    return found


def runs(conn: sa.Connection, only: str | None = None) -> list[Run]:
    """The runs of the project, oldest first."""
    asked = sa.select(run).order_by(run.c.id)
    if only is not None:
        asked = asked.where(run.c.id == only)
    return [_run(row) for row in conn.execute(asked)]


def _run(row: sa.Row[Any]) -> Run:
    return Run(
        id=row.id,
        command=row.command,
        actor=row.actor,
        started=datetime.fromisoformat(row.started),
        ended=moment(row.ended),
        status=row.status,
        counts=json.loads(row.counts or "{}"),
        details=json.loads(row.details or "{}"),
    )


def asked(conn: sa.Connection, of_run: str | None) -> list[Asked]:
    """The requests of a run (None: of all runs, oldest first)."""
    same_text = (linkage.c.kind == "request") & (
        linkage.c.key == request.c.run + "/" + sa.cast(request.c.ordinal, sa.Text)
    )
    rows = sa.select(request, linkage.c.typed).join(linkage, same_text, isouter=True)
    found = sa.select(request_study.c.run, request_study.c.ordinal, study.c.key).join(study)
    if of_run is not None:
        rows, found = rows.where(request.c.run == of_run), found.where(request_study.c.run == of_run)
    keys: dict[tuple[str, int], list[str]] = {}
    for row in conn.execute(found.order_by(request_study.c.study_id)):
        keys.setdefault((row.run, row.ordinal), []).append(row.key)
    return [
        Asked(
            run=row.run,
            ordinal=row.ordinal,
            text=row.typed or "",
            status=Status(row.status) if row.status else None,
            studies=tuple(keys.get((row.run, row.ordinal), ())),
        )
        for row in conn.execute(rows.order_by(request.c.run, request.c.ordinal))
    ]


def results(conn: sa.Connection, of_run: str) -> list[StudyResult]:
    """How a run left the studies that it worked on."""
    rows = sa.select(result, study.c.key).join(study).where(result.c.run == of_run).order_by(result.c.study_id)
    return [
        StudyResult(
            study=row.key,
            status=Status(row.status),
            stored=row.stored,
            held=row.held,
            excluded=row.excluded,
            missing=row.missing,
            expected=row.expected,
            transports=tuple(json.loads(row.transports)),
            reasons=json.loads(row.reasons),
            duration_s=row.duration_s,
        )
        for row in conn.execute(rows)
    ]
