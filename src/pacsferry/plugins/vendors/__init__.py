"""Offers what is known of products, one TOML file each; it says how they behave and never talks to one."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Misbehaviour, Offer, Vendor

from .catalogue import vendors
from .overwhelmed import Settings


@hookimpl
def pacsferry_vendors() -> Iterable[Vendor]:
    """Products and how they depart from the standard."""
    return vendors()


@hookimpl
def pacsferry_simulator_faults() -> Iterable[Offer[Misbehaviour]]:
    """What products do wrong that is more than the simulator's own faults can say."""
    return (
        Offer(
            name="overwhelmed",
            summary="says success and sends nothing where retrievals come too fast one after the other",
            build="pacsferry.plugins.vendors.overwhelmed:Overwhelmed",
            settings=Settings,
        ),
    )
