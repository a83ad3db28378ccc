"""Offers what is known of products, one TOML file each; it says how they behave and never talks to one."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Vendor

from .catalogue import vendors


@hookimpl
def pacsferry_vendors() -> Iterable[Vendor]:
    """Products and how they depart from the standard."""
    return vendors()
