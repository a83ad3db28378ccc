"""Who is told of audit lines: the observers that a site's profile names, for every trail that a command writes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pacsferry.core.audience import Audience
from pacsferry.core.events import HostAudit
from pacsferry.core.ledger import Ledger

from .wiring import Part, Wiring


def audience(trail: str, parts: Sequence[Part]) -> Audience:
    """Those who are told; they are built when the first line comes."""
    return Audience(trail, lambda: [(one.name, one.build) for one in parts])


@contextmanager
def observed(ledger: Ledger, told: Audience) -> Iterator[Audience]:
    """Tell the events of a ledger."""
    ledger.observe(told)
    try:
        yield told
    finally:
        told.close()


@contextmanager
def host_audit(wiring: Wiring) -> Iterator[HostAudit]:
    """The host's trail, with the observers of a site."""
    told = audience("", wiring.observer_parts)
    try:
        with HostAudit(told=told) as trail:
            yield trail
    finally:
        told.close()
