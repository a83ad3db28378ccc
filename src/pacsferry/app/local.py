"""A worker without a process of its own: for tests and for debugging, never for speed; it has no limits."""

from __future__ import annotations

import itertools
import mmap
from typing import Any

from pacsferry import clearer
from pacsferry.core.errors import StoreError
from pacsferry.core.model import Outcome
from pacsferry.core.workers import Answer, Task

_NUMBERS = itertools.count()


class LocalWorker:
    """Clears in the calling thread."""

    def __init__(self, desk: clearer.Desk) -> None:
        self._desk = desk

    def clear(self, task: Task) -> Answer:
        """See ``core.workers.Worker``."""
        arrival = task.received.arrival
        if not arrival.size:
            return Answer(outcome=Outcome.HOLD, code="malformed")
        mapped = mmap.mmap(arrival.fd, arrival.size, prot=mmap.PROT_READ)
        told: dict[str, Any] = clearer.handle(self._desk, task.message, memoryview(mapped), f"local-{next(_NUMBERS)}")
        if told.get("error"):
            raise StoreError("the images could not be written", hint="free space, then run `pacsferry resume`")
        return Answer(**{**told, "outcome": Outcome(told["outcome"])})

    def close(self) -> None:
        """Nothing to give back."""
