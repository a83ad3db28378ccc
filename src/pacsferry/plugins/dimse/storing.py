"""What a C-STORE brings goes to the sink as it came; nothing is decoded, kept or written here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from pacsferry.core.errors import StoreError
from pacsferry.core.model import Buffer, Framing, Head, Receipt, Wanted
from pacsferry.core.ports import Sink

from .commands import CutError, StoreRequest
from .statuses import STORE_FAILED, STORE_NO_SPACE


class Intake:
    """One request's way into the sink. Remembers which instances came, and when; any thread may call ``store``.

    ``error`` is what the sink raised, ``full`` that it has no space: either ends the request. ``originators`` are the
    Move Originator Message IDs that came (PS3.7 9.1.1.1.8).
    """

    def __init__(self, wanted: Wanted, sink: Sink) -> None:
        self.wanted = wanted
        self._sink = sink
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._delivered: set[tuple[str, str]] = set()
        self.error: BaseException | None = None
        self.full = False
        self.arrived = time.monotonic()
        self.originators: set[int | None] = set()

    @property
    def broken(self) -> bool:
        """Whether nothing more can be taken."""
        return self.full or self.error is not None

    @property
    def count(self) -> int:
        """How many different instances came."""
        return len(self._seen)

    @property
    def complete(self) -> bool:
        """Whether all came that was expected, where that is known."""
        return self.wanted.expected is not None and self.count >= self.wanted.expected

    @property
    def delivered(self) -> frozenset[tuple[str, str]]:
        """The pairs of SOP class and transfer syntax that came, also of objects that were refused."""
        with self._lock:
            return frozenset(self._delivered)

    def missing(self, uids: tuple[str, ...]) -> tuple[str, ...]:
        """Those of ``uids`` that did not come."""
        with self._lock:
            return tuple(uid for uid in uids if uid not in self._seen)

    def store(self, request: StoreRequest, pieces: Iterable[Buffer]) -> int:
        """Hand one object on; the status for the C-STORE response. Raises ``CutError`` only."""
        self.originators.add(request.originator_id)
        if self.broken:
            return STORE_NO_SPACE if self.full else STORE_FAILED
        try:
            return self._store(request, pieces)
        except CutError:
            raise
        except BaseException as err:
            self.error = err
            return STORE_FAILED

    def _store(self, request: StoreRequest, pieces: Iterable[Buffer]) -> int:
        head = Head(
            framing=Framing.DATA_SET,
            transfer_syntax=request.transfer_syntax,
            sop_class=request.sop_class,
            sop_instance=request.sop_instance,
            wanted=self.wanted,
        )
        receipt = self._sink.accept(head, pieces)
        self._note(receipt, head)
        return receipt.dimse_status

    def _note(self, receipt: Receipt, head: Head) -> None:
        with self._lock:
            self.arrived = time.monotonic()
            if receipt is Receipt.NO_SPACE:
                self.full = True
                return
            self._delivered.add((head.sop_class or "", head.transfer_syntax or ""))
            if receipt in (Receipt.KEPT, Receipt.DUPLICATE):
                self._seen.add(head.sop_instance or "")

    def check(self) -> None:
        """Raise what broke it, if anything."""
        if self.error is not None:
            raise self.error
        if self.full:
            raise StoreError("no space left for what the archive sends", hint="free space; then run `pacsferry resume`")
