"""What changes a study's instances, with all counters, inside the caller's transaction; it touches no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from . import ledger_chain as chain
from .ledger_model import InstanceOutcome, InstancePlan, InstanceState, Original, PathTaken, SeriesPlan, StudyPlan
from .ledger_schema import instance, linkage, reference, series, study
from .ledger_steps import FIELDS, Tally, missing, step
from .ledger_store import upsert
from .model import Evidence, Status

_EXPECTED, _STORED = InstanceState.EXPECTED, InstanceState.STORED
_HELD, _EXCLUDED = InstanceState.HELD, InstanceState.EXCLUDED
_KEY = ["study_id", "key"]
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Element names only: keywords, (gggg,eeee), paths of them, separated by commas or blanks.
_DETAIL = re.compile(r"[A-Za-z0-9_(),/.\[\] -]{0,400}")
_CHUNK = 500

Rows = Mapping[str, sa.Row[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One instance before and after; ``after`` None removes it."""

    key: str
    before: sa.Row[Any] | None
    after: dict[str, Any] | None


def code(text: str) -> str:
    """A reason code as it may be written; what does not look like one could be anything."""
    return text if _CODE.fullmatch(text) else "unnamed"


def expect(
    conn: sa.Connection, plan: StudyPlan, *, busy: bool, again: bool, anew: frozenset[str] = frozenset()
) -> None:
    """Lay the plan over what is known.

    ``busy``: another live process works on the study, so nothing of its work is set back. ``again``: what was held,
    and what a gate excluded, is expected again (the rules have changed); of what is held for a reason in ``anew`` that
    holds always.
    """
    row = introduce(conn, plan.key, plan.subject, plan.case_id, plan.original)
    have = {one.key: one for one in conn.execute(sa.select(instance).where(instance.c.study_id == row.id))}
    barred = {one.key: one.excluded for one in plan.series if one.excluded}
    listed = {one.key: one for one in plan.instances}
    fresh = {key for key, one in have.items() if again or (one.state == _HELD and one.code in anew)}
    changes = [
        _planned(row.id, one, have.get(key), barred.get(one.series, ""), key in fresh) for key, one in listed.items()
    ]
    changes += [_unlisted(one, plan.evidence, key in fresh) for key, one in have.items() if key not in listed]
    made = [one for one in changes if one is not None and not (busy and one.before is not None)]
    _write(conn, row.id, made)
    _rewrite_series(conn, row.id, plan.series)
    _settle(conn, row, evidence=plan.evidence.value, announced=plan.announced, expected=plan.expected)


def introduce(conn: sa.Connection, key: str, subject: str, case_id: str, original: Original) -> sa.Row[Any]:
    """The row of a study, made where there is none; what it is called in the archive goes to the linkage table."""
    upsert(conn, study, [{"key": key, "subject": subject, "case_id": case_id}], ["key"])
    link = {"kind": "study", "key": key, "case_id": case_id, **asdict(original)}
    upsert(conn, linkage, [link], ["kind", "key"])
    return conn.execute(sa.select(study).where(study.c.key == key)).one()


def _planned(study_id: int, plan: InstancePlan, old: sa.Row[Any] | None, barred: str, again: bool) -> Change | None:
    excluded = plan.excluded or barred
    before = InstanceState(old.state) if old is not None else None
    settled = old is not None and (before is _HELD or (before is _EXCLUDED and not old.planned))
    if before is _STORED or (settled and not excluded and not again):
        return None
    after = step("expect", before, _EXCLUDED if excluded else _EXPECTED)
    row = _blank(study_id, plan.key, plan.series, after)
    row |= {"sop_class": plan.sop_class, "code": code(excluded) if excluded else "", "planned": int(bool(excluded))}
    return Change(key=plan.key, before=old, after=row)


def _unlisted(old: sa.Row[Any], evidence: Evidence, again: bool) -> Change | None:
    """Drop what the archive does not list any more; without a list, what was held or excluded is still done with."""
    settled = old.state == _HELD or (old.state == _EXCLUDED and not old.planned)
    kept = settled and evidence is not Evidence.INSTANCE_UIDS and not again
    return None if old.state == _STORED or kept else Change(key=old.key, before=old, after=None)


def _blank(study_id: int, key: str, in_series: str, state: InstanceState) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "key": key,
        "series": in_series,
        "sop_class": "",
        "state": state.value,
        "code": "",
        "detail": "",
        "planned": 0,
        "path": None,
        "size": 0,
        "sha256": "",
        "instance_uid": "",
        "series_uid": "",
    }


def record(conn: sa.Connection, row: sa.Row[Any], outcomes: Sequence[InstanceOutcome]) -> None:
    """Write what became of instances of one study. Raises ``PathTaken``, ``UndefinedStep``."""
    latest = {one.key: one for one in outcomes}
    old = _some(conn, row.id, latest)
    late = taken(conn, row.id, {one.key: one.path for one in latest.values() if one.path})
    if late:
        raise PathTaken(tuple(sorted(late)))
    adjust(conn, row, [_recorded(row.id, one, old.get(key)) for key, one in latest.items()])
    named = {uid for one in latest.values() if one.state is _STORED for uid in one.references}
    upsert(conn, reference, [{"study_id": row.id, "uid": uid} for uid in sorted(named)], ["study_id", "uid"])


def _recorded(study_id: int, one: InstanceOutcome, old: sa.Row[Any] | None) -> Change:
    after = step("record", InstanceState(old.state) if old is not None else None, one.state)
    if (after is _STORED) != bool(one.path):
        raise ValueError("an instance has a path if, and only if, it is stored")
    row = _blank(study_id, one.key, one.series, after) | {
        "sop_class": one.sop_class or (old.sop_class if old is not None else ""),
        "code": code(one.code) if one.code else "",
        "detail": one.detail if _DETAIL.fullmatch(one.detail) else "",
        "path": one.path or None,
        "size": one.size,
        "sha256": one.sha256,
        "instance_uid": one.instance_uid,
        "series_uid": one.series_uid,
    }
    return Change(key=one.key, before=old, after=row)


def withdraw(conn: sa.Connection, row: sa.Row[Any], why: str) -> list[str]:
    """Hold everything that is stored of the study; the paths to remove."""
    conn.execute(reference.delete().where(reference.c.study_id == row.id))
    return _take_back(conn, row, sa.true(), action="withdraw", to=_HELD, why=code(why))


def lose(conn: sa.Connection, row: sa.Row[Any], paths: Iterable[str]) -> list[str]:
    """Expect again what is not at its path any more; the paths that were known."""
    wanted = list(paths)
    chunks = [wanted[at : at + _CHUNK] for at in range(0, len(wanted), _CHUNK)]
    return [
        path
        for chunk in chunks
        for path in _take_back(conn, row, instance.c.path.in_(chunk), action="lose", to=_EXPECTED, why="")
    ]


def _take_back(
    conn: sa.Connection,
    row: sa.Row[Any],
    which: sa.ColumnElement[bool],
    *,
    action: str,
    to: InstanceState,
    why: str,
) -> list[str]:
    mine = (instance.c.study_id == row.id) & (instance.c.state == _STORED.value) & which
    old = conn.execute(sa.select(instance).where(mine).order_by(instance.c.path)).all()
    after = {"state": step(action, _STORED, to).value, "code": why, "path": None, "size": 0, "sha256": ""}
    now = conn.execute(sa.select(study).where(study.c.id == row.id)).one()
    adjust(conn, now, [Change(key=one.key, before=one, after={**one._asdict(), **after}) for one in old])
    return [one.path for one in old]


def taken(conn: sa.Connection, study_id: int | None, paths: Mapping[str, str]) -> set[str]:
    """Those keys (instance of the study -> path) whose path is another instance's, or comes twice among them."""
    late, first = set(), dict[str, str]()
    for key, path in paths.items():
        if first.setdefault(path, key) != key:
            late.add(key)
    for at in range(0, len(first), _CHUNK):
        chunk = list(first)[at : at + _CHUNK]
        asked = sa.select(instance.c.study_id, instance.c.key, instance.c.path).where(instance.c.path.in_(chunk))
        late |= {
            first[one.path] for one in conn.execute(asked) if (one.study_id, one.key) != (study_id, first[one.path])
        }
    return late


def adjust(conn: sa.Connection, row: sa.Row[Any], changes: Sequence[Change]) -> None:
    """Write changes and move the counters by what changed: the cost does not depend on the size of the study."""
    _write(conn, row.id, changes)
    names = {one.before.series for one in changes if one.before is not None}
    names |= {one.after["series"] for one in changes if one.after is not None}
    asked = sa.select(series).where((series.c.study_id == row.id) & series.c.key.in_(names))
    before = dict.fromkeys(names, Tally()) | {one.key: _tally(one) for one in conn.execute(asked)}
    after = dict(before)
    for one in changes:
        if one.before is not None:
            after[one.before.series] = after[one.before.series].moved(InstanceState(one.before.state), None)
        if one.after is not None:
            after[one.after["series"]] = after[one.after["series"]].moved(None, InstanceState(one.after["state"]))
    _write_series(conn, row.id, after)
    moved = {name: getattr(row, name) + _sum(after, name) - _sum(before, name) for name in Tally().sums}
    conn.execute(study.update().where(study.c.id == row.id).values(**moved, updated=chain.now()))


def _sum(tallies: Mapping[str, Tally], name: str) -> int:
    return sum(one.sums[name] for one in tallies.values())


def _some(conn: sa.Connection, study_id: int, keys: Iterable[str]) -> Rows:
    wanted = list(keys)
    found: dict[str, sa.Row[Any]] = {}
    for at in range(0, len(wanted), _CHUNK):
        mine = (instance.c.study_id == study_id) & instance.c.key.in_(wanted[at : at + _CHUNK])
        found |= {one.key: one for one in conn.execute(sa.select(instance).where(mine))}
    return found


def _write(conn: sa.Connection, study_id: int, changes: Sequence[Change]) -> None:
    upsert(conn, instance, [one.after for one in changes if one.after is not None], _KEY)
    gone = [{"gone": one.key} for one in changes if one.after is None]
    if gone:
        this = (instance.c.study_id == study_id) & (instance.c.key == sa.bindparam("gone"))
        conn.execute(instance.delete().where(this), gone)


def _tally(row: sa.Row[Any]) -> Tally:
    return Tally(
        expected=row.expected,
        barred=bool(row.barred),
        pending=row.pending,
        stored=row.stored,
        held=row.held,
        excluded=row.excluded,
    )


def _write_series(conn: sa.Connection, study_id: int, tallies: Mapping[str, Tally]) -> None:
    rows = [
        {"study_id": study_id, "key": key}
        | {name: getattr(one, name) for name in ("pending", "stored", "held", "excluded")}
        for key, one in tallies.items()
    ]
    upsert(conn, series, rows, _KEY)


def _rewrite_series(conn: sa.Connection, study_id: int, plans: Sequence[SeriesPlan]) -> None:
    """Count a study's instances anew, series by series."""
    states = sa.select(instance.c.series, instance.c.state, sa.func.count().label("n"))
    counted: dict[str, Tally] = {one.key: Tally() for one in plans}
    for one in conn.execute(
        states.where(instance.c.study_id == study_id).group_by(instance.c.series, instance.c.state)
    ):
        counted[one.series] = replace(counted.get(one.series, Tally()), **{FIELDS[InstanceState(one.state)]: one.n})
    conn.execute(series.delete().where(series.c.study_id == study_id))
    upsert(conn, series, [_series_plan(study_id, one) for one in plans], _KEY)
    _write_series(conn, study_id, counted)


def _series_plan(study_id: int, one: SeriesPlan) -> dict[str, Any]:
    barred = code(one.excluded) if one.excluded else ""
    return {"study_id": study_id, "key": one.key, "modality": one.modality, "expected": one.expected, "barred": barred}


def _settle(conn: sa.Connection, row: sa.Row[Any], **values: Any) -> None:
    """Set the study's counters from its series, and take its verdict back where there is something to do again."""
    tallies = {one.key: _tally(one) for one in conn.execute(sa.select(series).where(series.c.study_id == row.id))}
    sums = {name: _sum(tallies, name) for name in Tally().sums}
    now = {name: value for name, value in sums.items() if name != "series_count"}
    lacks = missing(expected=values["expected"], **now)
    covered = row.status == Status.WAIVED and lacks + sums["held"] <= row.waived_gap
    status = row.status if covered or not lacks else ""
    conn.execute(
        study.update().where(study.c.id == row.id).values(**values, **sums, status=status, updated=chain.now())
    )
