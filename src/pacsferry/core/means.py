"""What a run gives each study to work with, and what it gets back; nothing is done here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .arrivals import ArrivalStore
from .ladder import Unfit
from .ledger import Ledger
from .ledger_model import StudyState
from .model import Keys, Status
from .pacing import Pacing
from .plan import Order
from .ports import Transport
from .progress import Told
from .publish import Publisher
from .query import Asked
from .survey import Found
from .worker_pool import WorkerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A transport, the name the profile chose it by, and how to hold what it needs of this host."""

    name: str
    transport: Transport
    hold: Callable[[], None]


class Surveying(Protocol):
    """Says what there is: ``survey.Surveyor`` asks an archive."""

    def studies(self, asked: Asked) -> list[Found]: ...
    def order(self, found: Found, *, case_id: str) -> Order: ...
    def grown(self, found: Found, order: Order) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every study of a run shares. ``how`` is a digest of all that decides whether something is held.

    ``concluded`` gets each study's result while the study is still leased (of an objection nothing is leased);
    ``unfit`` are the rungs that need not be asked again.
    """

    run: str
    ledger: Ledger
    keys: Keys
    surveyor: Surveying
    rungs: tuple[Rung, ...]
    budget: Pacing
    arrivals: ArrivalStore
    pool: WorkerPool
    publisher: Publisher
    images: Path
    told: Told
    stop: threading.Event
    wait: bool = True
    how: str = ""
    concluded: Callable[[Result], Result] = lambda result: result
    unfit: Unfit = field(default_factory=Unfit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one study ended. ``state`` is the ledger's, after the verdict; ``error`` is a sentence without values."""

    found: Found
    status: Status
    case_id: str
    state: StudyState | None = None
    received: int = 0
    transports: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0
    duration_s: float = 0.0
