"""A fault that products show under load: success with nothing, where requests come too fast; it slows nobody down."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from pacsferry.core.model import Requested
from pacsferry.core.strict import Strict


class Settings(Strict):
    """Its parameters."""

    within: float = Field(default=0.5, ge=0, description="a request so many seconds after the last one is too fast")


class Overwhelmed:
    """Fault ``overwhelmed``: a retrieval that follows too fast is answered with success and zero sub-operations."""

    def __init__(self, settings: Settings) -> None:
        self._within = settings.within
        self._lock = threading.Lock()
        self._last = -float("inf")

    def refuse(self, request: Requested) -> int | None:  # noqa: ARG002 - that is the point: it refuses nothing
        """Nothing is refused."""
        return None

    def answers(self, request: Requested, answers: Sequence[Any]) -> Iterable[Any]:  # noqa: ARG002 - queries are cheap
        """Queries are answered."""
        return answers

    def objects(self, request: Requested, objects: Sequence[bytes]) -> Iterable[bytes]:  # noqa: ARG002 - any will do
        """Nothing where the last retrieval was only just asked for."""
        now = time.monotonic()
        with self._lock:
            fast, self._last = now - self._last < self._within, now
        return () if fast else objects
