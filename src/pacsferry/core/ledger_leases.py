"""Leases on studies: one process works on a study, a late one cannot write; waits for nobody."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .errors import StoreError
from .ledger_model import Lease, LeaseLost, Owner
from .ledger_schema import study

#: How long a lease lasts when its owner gives no sign of life.
SECONDS = 120.0

_FREE = {"lease_boot": "", "lease_pid": 0, "lease_started": 0, "lease_host": "", "lease_since": 0.0, "lease_until": 0.0}


def find(conn: sa.Connection, key: str) -> sa.Row[Any]:
    """The row of a study, locked. Raises ``StoreError``."""
    row = conn.execute(sa.select(study).where(study.c.key == key).with_for_update()).one_or_none()
    if row is None:
        raise StoreError(
            "the ledger does not know this study", hint="report it: a study is leased after it is expected"
        )
    return row


def owner(row: sa.Row[Any]) -> Owner | None:
    """Who leases the study, whether alive or not."""
    if not row.lease_pid:
        return None
    return Owner(boot_id=row.lease_boot, pid=row.lease_pid, started=row.lease_started, host=row.lease_host)


def holder(row: sa.Row[Any], *, but: Owner | None = None) -> Owner | None:
    """Whose lease still counts: neither expired, nor of a dead process, nor of ``but``."""
    found = owner(row)
    if found is None or found == but or row.lease_until < time.time() or found.dead():
        return None
    return found


def told(row: sa.Row[Any]) -> str:
    """Who works on it ("process 1234 since 10:31"), or "" for nobody."""
    found = holder(row)
    return said(found, row.lease_since) if found else ""


def said(who: Owner, since: float) -> str:
    """Who and since when, for people on this host."""
    place = "" if who.host == Owner.me().host else f" on {who.host}"
    return f"process {who.pid}{place} since {datetime.fromtimestamp(since).astimezone():%H:%M}"


def take(conn: sa.Connection, key: str, me: Owner, seconds: float) -> tuple[Lease | None, Owner | None]:
    """The lease, and from whom it was taken; no lease while another live process has it."""
    row = find(conn, key)
    if holder(row, but=me):
        return None, None
    now = time.time()
    conn.execute(
        study.update()
        .where(study.c.id == row.id)
        .values(
            fence=row.fence + 1,
            lease_boot=me.boot_id,
            lease_pid=me.pid,
            lease_started=me.started,
            lease_host=me.host,
            lease_since=now,
            lease_until=now + seconds,
        )
    )
    before = owner(row)
    return Lease(study=key, fence=row.fence + 1, owner=me), before if before != me else None


def fenced(conn: sa.Connection, lease: Lease) -> sa.Row[Any]:
    """The row of the leased study, locked. Raises ``LeaseLost`` when the lease is not this one any more."""
    row = find(conn, lease.study)
    if row.fence != lease.fence or owner(row) != lease.owner:
        raise LeaseLost("another process took the study over", hint="nothing to do: the other process goes on with it")
    return row


def renew(conn: sa.Connection, lease: Lease, seconds: float) -> None:
    """Let the lease last from now, unless somebody took the study over."""
    mine = (study.c.key == lease.study) & (study.c.fence == lease.fence)
    conn.execute(study.update().where(mine).values(lease_until=time.time() + seconds))


def release(conn: sa.Connection, lease: Lease) -> None:
    """Give the lease back; one that is lost already is nobody's concern."""
    mine = (study.c.key == lease.study) & (study.c.fence == lease.fence)
    conn.execute(study.update().where(mine).values(**_FREE))
