"""Offers the layouts ``cases`` and ``flat``; imports nothing that touches a file."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Layout, Offer


@hookimpl
def pacsferry_storage_layouts() -> Iterable[Offer[Layout]]:
    """Where files go."""
    yield Offer(
        name="cases",
        summary="one folder per case, study and series",
        build="pacsferry.plugins.layouts.tree:Cases",
    )
    yield Offer(
        name="flat",
        summary="all files in one folder, sorted by their names",
        build="pacsferry.plugins.layouts.tree:Flat",
    )
