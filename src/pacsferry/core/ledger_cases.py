"""Case numbers: given in one transaction, in the order asked for, and never twice; it makes up no names itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from .errors import PluginError, RefusedError
from .ledger_schema import linkage, meta, subject
from .ledger_store import upsert
from .model import Subject

Namer = Callable[[Sequence[Subject], int], Sequence[str]]

_LAST = "_last_number"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Folders of the released tree that are no case's.
_RESERVED = frozenset({"reports"})


def number(
    conn: sa.Connection, subjects: Sequence[Subject], name: Namer, limit: int | None
) -> tuple[dict[str, str], int]:
    """Token to case id for all ``subjects``, and how many of them are new. Raises ``PluginError``, ``RefusedError``."""
    known = {row.token: row.case_id for row in conn.execute(sa.select(subject.c.token, subject.c.case_id))}
    asked = {one.token: one for one in subjects}
    fresh = [one for one in asked.values() if one.token not in known]
    if fresh:
        _check_limit(len(known), len(fresh), limit)
        known |= _give(conn, fresh, name, taken=set(known.values()))
    return {token: known[token] for token in asked}, len(fresh)


def _check_limit(known: int, new: int, limit: int | None) -> None:
    if limit is not None and known + new > limit:
        raise RefusedError(
            f"the project has {known} case(s), and {new} more would exceed its limit of {limit}",
            hint="raise max_cases in project.toml, if the approval covers it; or ask for less",
        )


def _give(conn: sa.Connection, fresh: list[Subject], name: Namer, taken: set[str]) -> dict[str, str]:
    last = conn.execute(sa.select(meta.c.value).where(meta.c.key == _LAST).with_for_update()).scalar()
    first = int(last or 0) + 1
    names = [str(one) for one in name(tuple(fresh), first)]
    _check_names(names, len(fresh), taken)
    given = {one.token: case for one, case in zip(fresh, names, strict=True)}
    numbered = enumerate(given.items(), start=first)
    conn.execute(subject.insert(), [{"token": token, "number": n, "case_id": case} for n, (token, case) in numbered])
    upsert(conn, meta, [{"key": _LAST, "value": str(first + len(fresh) - 1)}], ["key"])
    upsert(conn, linkage, [_link(one, given[one.token]) for one in fresh], ["kind", "key"])
    return given


def _check_names(names: list[str], wanted: int, taken: set[str]) -> None:
    """Names become folders, also on file systems that do not tell upper case from lower."""
    if len(names) != wanted:
        raise PluginError(f"the pseudonym source gave {len(names)} name(s) for {wanted} subject(s)")
    if not all(_NAME.fullmatch(one) and one.casefold() not in _RESERVED for one in names):
        raise PluginError("the pseudonym source gave a name that is not plain ([A-Za-z0-9_-], 1 to 64) or is reserved")
    folded = {one.casefold() for one in names}
    if len(folded) != wanted or folded & {one.casefold() for one in taken}:
        raise PluginError("the pseudonym source gave a name that another subject has")


def _link(one: Subject, case_id: str) -> dict[str, str]:
    return {
        "kind": "accession" if one.accession and not one.patient_id else "patient",
        "key": one.token,
        "case_id": case_id,
        "patient_id": one.patient_id,
        "issuer": one.issuer,
        "accession": one.accession,
    }
