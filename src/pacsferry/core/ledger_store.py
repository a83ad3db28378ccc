"""A database file with one writer at a time and no value in any error; it knows nothing of studies.

SQLite: WAL where the file system is local (WAL needs shared memory between processes), full synchronisation, foreign
keys, ``BEGIN IMMEDIATE`` for whatever writes. What is SQLite's own stands in this module only.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from . import drafts, processes
from .errors import StoreError
from .ledger_schema import VERSION, ledger, meta

_REMOTES = """
    9p afs beegfs ceph cifs fuse.beegfs fuse.ceph fuse.glusterfs fuse.s3fs fuse.sshfs gfs2 glusterfs gpfs lustre
    ncpfs nfs nfs4 ocfs2 orangefs pvfs2 smb2 smb3 smbfs vboxsf virtiofs
"""
#: File systems that other hosts may have mounted too.
_REMOTE = frozenset(_REMOTES.split())
_WRITES, _HASTY = "pacsferry_writes", "pacsferry_hasty"
_ANNOUNCED = "pacsferry_announced"
_BUSY_SECONDS = 30.0

#: SQLite's result codes that a user can do something about.
_MEANINGS = {
    "SQLITE_BUSY": ("it is busy: another process is writing", "try again in a moment"),
    "SQLITE_FULL": ("the disk is full", "free space; then go on with `pacsferry resume`"),
    "SQLITE_IOERR": ("the disk gave an error", "check the disk; the ledger is as it was before"),
    "SQLITE_READONLY": ("it is not writable", "check owner and mode of the file and of its folder"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "check owner and mode of the file and of its folder"),
    "SQLITE_NOTADB": ("it is not a ledger, or damaged", "restore it from a backup"),
    "SQLITE_CORRUPT": ("it is damaged", "restore it from a backup"),
}


def journal_mode(folder: Path) -> str:
    """WAL on a file system known to be local, DELETE elsewhere (sqlite.org/wal.html)."""
    kind = processes.file_system(folder)
    return "WAL" if kind and kind not in _REMOTE else "DELETE"


class Store:
    """One database file. Safe to use from several threads and several processes."""

    def __init__(self, path: Path, tables: Sequence[sa.Table], *, create: bool, mode: int = 0o600) -> None:
        self.path = path
        if create and not os.path.lexists(path):
            _create(path, tables, mode)
        _check_file(path, mode)
        self._engine = _engine(path, journal_mode(path.parent))
        self._writing = self._engine.execution_options(**{_WRITES: True})
        self._jotting = self._engine.execution_options(**{_WRITES: True, _HASTY: True})
        self._lock = threading.RLock()
        self._at_work = False
        #: Told what was announced in a transaction, once it is committed, in the order of commits.
        self.told: Callable[[Any], None] = _nobody
        self._check_version()

    def close(self) -> None:
        """Give back all connections; may be called twice."""
        self._engine.dispose()

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """One transaction: all of it or nothing. Raises ``StoreError``. Not to be nested: it would wait for itself.

        ``durable`` False does not wait for the disk: after a power failure, not after a crash, it may be as if it had
        not happened, unless a durable one came after it. For what the next run does again anyway.
        """
        with self._lock, _told(self.path):
            if self._at_work:
                raise RuntimeError("a transaction within a transaction")
            self._at_work = True
            try:
                with (self._writing if durable else self._jotting).begin() as conn:
                    announced = conn.info[_ANNOUNCED] = []
                    yield conn
                for one in announced:
                    self.told(one)
            finally:
                self._at_work = False

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view. Raises ``StoreError``."""
        with _told(self.path), self._engine.begin() as conn:
            yield conn

    def _check_version(self) -> None:
        try:
            with self.read() as conn:
                found = conn.execute(sa.select(meta.c.value).where(meta.c.key == "_version")).scalar()
        except StoreError:
            self.close()
            raise
        if found is None or not found.isdecimal() or int(found) > VERSION:
            self.close()
            raise StoreError(
                f"{self.path} has tables of version {found or 'unknown'}; this pacsferry knows up to {VERSION}",
                hint="install the newer pacsferry that wrote it",
            )


def _nobody(_: object) -> None:
    """Nobody wants to know."""


def announce(conn: sa.Connection, what: object) -> None:
    """Tell ``Store.told`` when the transaction is committed; never, if it is not."""
    conn.info.setdefault(_ANNOUNCED, []).append(what)


def upsert(conn: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Insert ``rows``, or update them where ``keys`` exist already."""
    if not rows:
        return
    statement = _insert(conn, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if changed:
        statement = statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    conn.execute(statement, list(rows))


def _insert(conn: sa.Connection, table: sa.Table) -> Any:
    if conn.dialect.name != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # a tenth of the time that a command takes to start

    return postgresql.insert(table)


def _create(path: Path, tables: Sequence[sa.Table], mode: int) -> None:
    """Build the whole database under another name first: a ledger is there and whole, or it is not there.

    An empty file would read as a new project, and a new project starts its case numbers again.
    """
    draft = drafts.draft(path)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        draft.chmod(mode)
        engine = _engine(draft, journal_mode(path.parent))
        try:
            with _told(path), engine.begin() as conn:
                ledger.create_all(conn, tables=list(tables))
                conn.execute(meta.insert().values(key="_version", value=str(VERSION)))
        finally:
            engine.dispose()
        _publish(draft, path)
    except OSError as err:
        raise StoreError(f"cannot create {path}: {err.strerror}") from None
    finally:
        for name in (draft, f"{draft}-wal", f"{draft}-shm", f"{draft}-journal"):
            with suppress(OSError):
                Path(name).unlink()
    processes.sync_folder(path.parent)


def _publish(draft: Path, path: Path) -> None:
    """Give the file its name unless another process was quicker."""
    try:
        os.link(draft, path, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        _publish_without_links(draft, path)


def _publish_without_links(draft: Path, path: Path) -> None:
    """The same on a file system without hard links: a lock on the folder keeps others from looking meanwhile."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not os.path.lexists(path):
            draft.rename(path)
    finally:
        os.close(folder)


def _check_file(path: Path, mode: int) -> None:
    """Refuse what is no ledger before SQLite would make it one; take rights away from others."""
    try:
        found = path.stat()
        if found.st_size == 0:
            raise StoreError(
                f"{path} is empty, so it is not a ledger any more", hint="restore it from a backup; do not delete it"
            )
        if found.st_mode & 0o777 & ~mode and found.st_uid == os.getuid():
            path.chmod(mode)
    except FileNotFoundError:
        raise StoreError(
            f"there is no ledger at {path}", hint="`pacsferry init` or `pacsferry load` makes one"
        ) from None
    except OSError as err:
        raise StoreError(f"cannot use {path}: {err.strerror}") from None


def _engine(path: Path, journal: str) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        hide_parameters=True,
        pool_size=4,
        max_overflow=-1,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(dbapi: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        dbapi.isolation_level = None  # the driver would begin deferred transactions of its own
        for pragma in ("foreign_keys=ON", f"journal_mode={journal}", "synchronous=FULL", "trusted_schema=OFF"):
            dbapi.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(conn: sa.Connection) -> None:
        options = conn.get_execution_options()
        # Without WAL, less than FULL could damage the file in a power failure (sqlite.org/pragma.html).
        wanted = "NORMAL" if options.get(_HASTY) and journal == "WAL" else "FULL"
        if options.get(_WRITES) and conn.info.setdefault("synchronous", "FULL") != wanted:
            conn.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            conn.info["synchronous"] = wanted
        # A deferred transaction that writes later can fail with BUSY at once, whatever the time-out.
        conn.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")

    return engine


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn a database error into a ``StoreError``; SQL and parameters may hold originals, so nothing of them stays."""
    trouble = None
    try:
        yield
    except SQLAlchemyError as err:
        trouble = _meaning(err)
    if trouble:  # raised here, outside of the handler, so that the original is not its context
        raise StoreError(f"{path}: {trouble[0]}", hint=trouble[1])


def _meaning(err: SQLAlchemyError) -> tuple[str, str]:
    name = str(getattr(getattr(err, "orig", None), "sqlite_errorname", ""))
    family = "_".join(name.split("_")[:2])
    return _MEANINGS.get(family, (f"{type(err).__name__} {name}".strip(), "report it"))
