"""What a simulator was asked and what it sent, so that a test can say "asked only for what was missing"."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request. ``sent`` fills with SOP Instance UIDs while it is served; ``status`` is that of the answer."""

    verb: str
    level: str = ""
    study: str = ""
    series: str = ""
    instances: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    peer: str = ""
    matches: int = 0
    status: int | None = None
    sent: list[str] = field(default_factory=list, repr=False)


class Journal:
    """Requests in the order they came. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        #: What went wrong in the simulator itself; empty unless it has a bug.
        self.errors: list[BaseException] = []

    def add(self, asked: Asked) -> Asked:
        """Write a request down."""
        with self._lock:
            self._asked.append(asked)
        return asked

    def of(self, *verbs: str) -> list[Asked]:
        """The requests with one of ``verbs``; all of them without."""
        with self._lock:
            return [one for one in self._asked if not verbs or one.verb in verbs]

    def sent(self, *verbs: str) -> list[str]:
        """The SOP Instance UIDs sent, in order, with repetitions."""
        return [uid for one in self.of(*verbs) for uid in list(one.sent)]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._asked.clear()
