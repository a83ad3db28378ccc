"""What a simulator was asked and what it sent, so that a test can say "asked only for what was missing"."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pacsferry.core.model import Requested


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request. ``sent`` fills with SOP Instance UIDs while it is served; ``status`` is that of the answer.

    ``odd`` are remarks on how it was asked, by name and without values.
    """

    verb: str
    level: str = ""
    study: str = ""
    series: str = ""
    instances: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    peer: str = ""
    user: str = ""
    matches: int = 0
    status: int | None = None
    sent: list[str] = field(default_factory=list, repr=False)
    odd: tuple[str, ...] = ()

    @property
    def requested(self) -> Requested:
        """As plugins see it."""
        return Requested(
            verb=self.verb,
            level=self.level,
            study=self.study,
            series=self.series,
            instances=self.instances,
            keys=self.keys,
        )


class Journal:
    """Requests in the order they came, the last ``keep`` of them. Thread-safe.

    ``told`` is called with each one that has been answered.
    """

    def __init__(self, told: Callable[[Asked], None] | None = None, keep: int | None = None) -> None:
        self._lock = threading.Lock()
        self._told = told
        self._mine = threading.local()
        self._asked: deque[Asked] = deque(maxlen=keep)
        #: What went wrong in the simulator itself; empty unless it has a bug.
        self.errors: list[BaseException] = []

    def add(self, asked: Asked) -> Asked:
        """Write a request down."""
        with self._lock:
            self._asked.append(asked)
        self._open().append(asked)
        return asked

    def answered(self) -> None:
        """Say that this thread has answered what it added."""
        for asked in self._open():
            if self._told is not None:
                self._told(asked)
        self._open().clear()

    def _open(self) -> list[Asked]:
        mine: list[Asked] = self._mine.__dict__.setdefault("asked", [])
        return mine

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
