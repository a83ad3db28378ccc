"""The budget of a site's archive, for every command that asks it for much: one way to make it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pacsferry.core.budget import Budget
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.ports import Finder
from pacsferry.core.progress import Progress, Told

from .wiring import Wiring


def saying(told: Told) -> Callable[[str], None]:
    """Tell a wait as progress."""
    return lambda text: told(Progress(kind="waiting", text=text))


def budget_of(
    wiring: Wiring,
    hosts: HostLeases,
    finder: Finder,
    *,
    stop: threading.Event | None = None,
    noted: Callable[[str, float], None] = lambda _code, _seconds: None,
) -> Budget:
    """The budget of the archive, shared by its address. ``finder`` gives back what it keeps open before others go."""
    return Budget(
        hosts,
        wiring.archive.address,
        wiring.resolved.profile.budget.terms(),
        stop=stop,
        idle=getattr(finder, "rest", lambda: None),
        noted=noted,
    )
