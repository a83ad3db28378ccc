"""The audit trail of what belongs to no project (echo, find, doctor): the same chain as a ledger's, one per host.

It never takes an identifier: see ``ledger_chain.DETAILS`` for what an event may say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from . import ledger_chain as chain
from . import processes
from .host import state_folder
from .ledger_chain import ChainReport, Event, plain
from .ledger_schema import TRAIL
from .ledger_store import Store
from .shared import make_folder, shared_mode

__all__ = ["ChainReport", "Event", "HostAudit", "plain"]

_NOTHING: Mapping[str, object] = MappingProxyType({})


class HostAudit:
    """The host's trail, ``audit.db`` in its state folder. Several processes and users may append."""

    def __init__(self, folder: Path | None = None, *, told: Callable[[Event], None] | None = None) -> None:
        """``told`` gets each event that is appended here; it must not raise or wait."""
        self._folder = state_folder() if folder is None else folder
        self._actor = processes.user()
        self._told = told
        self._opened: Store | None = None

    @property
    def path(self) -> Path:
        """Where the trail is; it need not exist yet."""
        return self._folder / "audit.db"

    def append(
        self,
        action: str,
        object: str = "",  # noqa: A002  the name of the column
        outcome: str = "ok",
        details: Mapping[str, object] = _NOTHING,
    ) -> Event:
        """Add an event. Raises ``StoreError``, and ``ValueError`` for details that an event may not have."""
        with self._store().write() as conn:
            return chain.append(
                conn, run="", actor=self._actor, action=action, object=object, outcome=outcome, details=details
            )

    def events(self, *, last: int | None = None) -> Iterator[Event]:
        """The events in order; none where nothing was ever done."""
        return chain.events(self._store(), last=last) if self.path.exists() else iter(())

    def check_chain(self) -> ChainReport:
        """Whether the trail is whole."""
        if not self.path.exists():
            return ChainReport(ok=True, count=0, head=chain.GENESIS)
        return chain.check(self._store())

    def close(self) -> None:
        """Give back the file; may be called twice."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _store(self) -> Store:
        if self._opened is None:
            make_folder(self._folder)
            self._opened = Store(self.path, TRAIL, create=True, mode=shared_mode(self._folder))
            if self._told is not None:
                self._opened.told = self._told
        return self._opened
