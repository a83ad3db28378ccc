"""DIMSE: C-FIND as a finder, C-GET and C-MOVE as transports; this module imports no network library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Finder, Offer, Transport

from .settings import FindSettings, GetSettings, MoveSettings


@hookimpl
def pacsferry_finders() -> Iterable[Offer[Finder]]:
    """C-FIND (PS3.4 C.4.1)."""
    offer: Offer[Any] = Offer(
        name="c-find",
        summary="C-FIND, at every level of the Study Root or Patient Root model",
        build="pacsferry.plugins.dimse.find:CFind",
        settings=FindSettings,
    )
    return (offer,)


@hookimpl
def pacsferry_transports() -> Iterable[Offer[Transport]]:
    """C-GET (PS3.4 C.4.3) and C-MOVE (PS3.4 C.4.2)."""
    get: Offer[Any] = Offer(
        name="c-get",
        summary="C-GET: the archive sends on the association that asks; no port is opened here",
        build="pacsferry.plugins.dimse.get:CGet",
        settings=GetSettings,
    )
    move: Offer[Any] = Offer(
        name="c-move",
        summary="C-MOVE: the archive sends to our own receiver, which must be registered there",
        build="pacsferry.plugins.dimse.move:CMove",
        settings=MoveSettings,
    )
    return (get, move)
