"""Offers the reports ``json``, ``csv``, ``key`` and ``html``; each is a pure function from a summary to files."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Offer, Report


@hookimpl
def pacsferry_reports() -> Iterable[Offer[Report]]:
    """Stories of a run."""
    yield Offer(
        name="json",
        summary="summary.json and a manifest per study; load.json in the private folder",
        build="pacsferry.plugins.reports.documents:Json",
    )
    yield Offer(
        name="csv",
        summary="one line per study, for spreadsheets",
        build="pacsferry.plugins.reports.tables:Csv",
    )
    yield Offer(
        name="key",
        summary="key.csv in the private folder: which case is which accession",
        build="pacsferry.plugins.reports.tables:Key",
    )
    yield Offer(
        name="html",
        summary="one self-contained page: what was asked for, what came, what is missing and why",
        build="pacsferry.plugins.reports.page:Html",
    )
