"""Offers the pseudonym sources ``cases`` and ``keyed-hash``; neither is ever told an identity."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Offer, PseudonymSource


@hookimpl
def pacsferry_pseudonym_sources() -> Iterable[Offer[PseudonymSource]]:
    """What patients are called."""
    yield Offer(
        name="cases",
        summary="case0001, case0002 … in the order of numbering",
        build="pacsferry.plugins.pseudonyms.names:Cases",
    )
    yield Offer(
        name="keyed-hash",
        summary="a name derived from the project's secret, the same in every run and on every machine",
        build="pacsferry.plugins.pseudonyms.names:KeyedHash",
    )
