"""An append-only chain of events, each with the hash of the one before; it never takes a value from a data set.

``hash = SHA-256(prev + canonical JSON of the rest)``. The number of events and the last hash are kept beside the
chain, so a change, a deletion, a swap and a cut tail are all noticed. Somebody who can write the file can also write a
whole new chain: against that only a copy of the head elsewhere helps, which is why every report prints it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .ledger_schema import event, meta
from .ledger_store import Store, announce, upsert

GENESIS = "0" * 64
_HEAD, _COUNT = "_chain_head", "_chain_count"
_PAGE = 2000

_DETAILS = """
    accepted again announced approval archive asked association associations batch bytes cancelled cases cause
    changed checked code codes command complete count counts destination digest dry_run duplicates duration_s
    elements evidence excluded exit exit_code expected exports failed fence finder foreign format found from gate
    gates held hint host images instances kept kind layout level limit limits listed loaded lost matches max_cases
    max_images max_studies method missing mode name names new not_found numbered offline ok order outcome patients
    pending per plan planned port preset process profile project projects protocol pseudonyms queries query_keys
    reasons received refused released removed report reports requested requests resumed retried rows rules run saved
    seconds seq series service services signal site size skipped slots source state status stored studies subjects
    swept to total transport transports unexpected unverified vendor verdict version waived warnings workers
"""
#: What the details of an event may be called. None of them is the name of something identified.
DETAILS = frozenset(_DETAILS.split())
_UNPLAIN = re.compile(r"[^A-Za-z0-9._:;,/@+()\[\]-]")
_LONGEST = 200


def plain(text: str) -> str:
    """The text with every unusual character replaced by an underscore, cut to 200 characters."""
    return _UNPLAIN.sub("_", text)[:_LONGEST]


#: Numbers, plain words and collections of them.
Details = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was done: by whom, to what (as released), with which outcome. ``at`` is UTC with milliseconds."""

    seq: int
    at: str
    run: str
    actor: str
    action: str
    object: str
    outcome: str
    details: Details = field(default_factory=dict)
    prev: str = GENESIS
    hash: str = ""

    def digest(self) -> str:
        """What ``hash`` must be."""
        body = {name: getattr(self, name) for name in _HASHED}
        return hashlib.sha256((self.prev + canonical(body)).encode()).hexdigest()


_HASHED = ("seq", "at", "run", "actor", "action", "object", "outcome", "details")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """Whether a chain is whole; ``first_bad`` is the number of the first event that does not fit."""

    ok: bool
    count: int
    head: str
    first_bad: int | None = None


def canonical(value: object) -> str:
    """JSON with one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def now() -> str:
    """UTC with milliseconds, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked(details: Mapping[str, object]) -> dict[str, object]:
    """The details, if all their keys are allowed and all values are numbers, plain words or collections of such.

    Raises ``ValueError``, with the key and never the value.
    """
    return {key: _checked(key, value) for key, value in details.items() if _allowed(key)}


def _allowed(key: str) -> bool:
    if key not in DETAILS:
        raise ValueError(f"an event has no detail called {plain(key)!r}; see ledger_chain.DETAILS")
    return True


def _checked(key: str, value: object) -> object:
    match value:
        case bool() | int() | float() | None:
            return value
        case str() if value == plain(value):
            return str(value)
        case Mapping():
            return {str(_checked(key, str(name))): _checked(key, one) for name, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_checked(key, one) for one in (value if isinstance(value, list | tuple) else sorted(value))]
    raise ValueError(f"the detail {key!r} of an event must be numbers or plain words")


def append(
    conn: sa.Connection,
    *,
    run: str,
    actor: str,
    action: str,
    object: str = "",  # noqa: A002  the name of the column
    outcome: str = "ok",
    details: Mapping[str, object] | None = None,
) -> Event:
    """Add an event at the end, within the caller's transaction. Raises ``ValueError`` for details not allowed."""
    count, head = _end(conn)
    raw = Event(
        seq=count + 1,
        at=now(),
        run=plain(run),
        actor=plain(actor),
        action=plain(action),
        object=plain(object),
        outcome=plain(outcome),
        details=checked(details or {}),
        prev=head,
    )
    whole = replace(raw, hash=raw.digest())
    conn.execute(event.insert(), {**_plain_row(whole), "prev": whole.prev, "hash": whole.hash})
    ends = [{"key": _HEAD, "value": whole.hash}, {"key": _COUNT, "value": str(whole.seq)}]
    upsert(conn, meta, ends, ["key"])
    announce(conn, whole)
    return whole


def _plain_row(one: Event) -> dict[str, object]:
    return {name: getattr(one, name) for name in _HASHED} | {"details": canonical(one.details)}


def _end(conn: sa.Connection) -> tuple[int, str]:
    """Number and hash of the last event, locked until the transaction ends."""
    asked = sa.select(meta.c.key, meta.c.value).where(meta.c.key.in_([_HEAD, _COUNT])).with_for_update()
    found = {row.key: row.value for row in conn.execute(asked)}
    return int(found.get(_COUNT, 0)), found.get(_HEAD, GENESIS)


def head(conn: sa.Connection) -> str:
    """The hash of the last event."""
    return _end(conn)[1]


def events(store: Store, *, run: str | None = None, last: int | None = None) -> Iterator[Event]:
    """The events in order: all, those of a run, or the last so many. Read in pages, so writers are not kept waiting."""
    start = 0
    if last is not None:
        with store.read() as conn:
            newest = sa.select(event.c.seq).order_by(event.c.seq.desc()).limit(last)
            if run is not None:
                newest = newest.where(event.c.run == run)
            start = min(conn.execute(newest).scalars(), default=1) - 1
            if last <= 0:
                return
    while True:
        page = sa.select(event).where(event.c.seq > start).order_by(event.c.seq).limit(_PAGE)
        if run is not None:
            page = page.where(event.c.run == run)
        with store.read() as conn:
            rows = conn.execute(page).all()
        if not rows:
            return
        yield from map(_event, rows)
        start = rows[-1].seq


def _event(row: sa.Row[Any]) -> Event:
    return Event(**{**row._asdict(), "details": json.loads(row.details)})


def check(store: Store) -> ChainReport:
    """Walk the whole chain. An event that cannot be read counts as bad."""
    with store.read() as conn:
        # One view for the walk and its end: others may append meanwhile.
        count, head = _end(conn)
        seq, prev = 0, GENESIS
        for row in conn.execute(sa.select(event).order_by(event.c.seq).execution_options(yield_per=_PAGE)):
            seq += 1
            if not _fits(row, seq, prev):
                return ChainReport(ok=False, count=count, head=head, first_bad=seq)
            prev = row.hash
    whole = (seq, prev) == (count, head)
    return ChainReport(ok=whole, count=count, head=head, first_bad=None if whole else seq + (count > seq))


def _fits(row: sa.Row[Any], seq: int, prev: str) -> bool:
    try:
        one = _event(row)
        return (
            one.seq == seq and one.prev == prev and one.hash == one.digest() and row.details == canonical(one.details)
        )
    except ValueError:
        return False
