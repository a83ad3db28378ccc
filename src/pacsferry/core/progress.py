"""What a run tells while it works: safe to show and to log, for it holds released values and counts only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["query", "planned", "study-started", "instance", "study-done", "waiting", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step. ``done`` of ``total`` counts requests ("query"), studies ("planned", "study-done") or instances.

    ``case_id`` is the pseudonym; ``text`` says what is waited for or noted; ``size`` is in bytes.
    """

    kind: Kind
    case_id: str = ""
    text: str = ""
    done: int = 0
    total: int | None = None
    size: int = 0


Told = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tell nobody."""
