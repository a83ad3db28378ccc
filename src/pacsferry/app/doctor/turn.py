"""When ``doctor`` may ask, and how much at once: by the budget of the archive, as everybody else; it asks nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from pacsferry.app.wiring import Wiring
from pacsferry.core.budget import Budget
from pacsferry.core.errors import OutsideHours
from pacsferry.core.host import state_folder
from pacsferry.core.hostlocks import HostLeases
from pacsferry.core.warn import warn_once

#: What asks at once, where the archive's administrator is known to agree.
NOW = "--set budget.hours=[]"

Told = Callable[[str], None]


def await_hours(wiring: Wiring, *, wait: bool, stop: threading.Event) -> None:
    """Return within the archive's hours. Raises ``OutsideHours`` without ``wait``, ``InterruptedRun`` when stopped.

    That it waits is a warning, for a script's log too: it may be for a weekend.
    """
    terms = wiring.resolved.profile.budget.terms()
    budget = Budget(_leases(), wiring.archive.address, terms, stop=stop)
    try:
        budget.enter(told=lambda text: warn_once(f"{text}; {NOW} asks now"), wait=wait)
    except OutsideHours as err:
        hint = f"run it again then, or let it wait: leave --no-wait out; {NOW} asks now"
        raise OutsideHours(str(err), hint=hint) from None


def association(wiring: Wiring, *, wait: bool, told: Told, stop: threading.Event) -> AbstractContextManager[object]:
    """One association of the archive's budget, for all that is asked: one thing at a time."""
    name = f"an association with {wiring.archive.address}"
    slots = wiring.resolved.profile.budget.associations
    return _leases().hold(name, slots=slots, wait=wait, told=told, stop=stop)


def receiver(address: str, *, wait: bool, told: Told, stop: threading.Event) -> AbstractContextManager[object]:
    """Our receiver's address, which one process of the host has at a time."""
    return _leases().hold(f"receiver {address}", wait=wait, told=told, stop=stop)


def _leases() -> HostLeases:
    return HostLeases(state_folder() / "archives")
