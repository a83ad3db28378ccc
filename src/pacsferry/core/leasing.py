"""Keeps a study's lease while the work on it goes on; it takes none and gives none back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import FerryError
from .ledger import Ledger
from .ledger_model import Lease


@contextmanager
def renewed(ledger: Ledger, lease: Lease, *, every: float, fail: Callable[[FerryError], None]) -> Iterator[None]:
    """Renew the lease while nothing comes; whether it is lost is found out when something is recorded."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(every):
            try:
                ledger.renew(lease)
            except FerryError as err:
                fail(err)
                return

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
