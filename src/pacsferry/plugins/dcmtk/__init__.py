"""DCMTK's own tools as transports, for archives that they get on with better; this module starts none of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Offer, Transport

from .settings import DcmtkSettings


@hookimpl
def pacsferry_transports() -> Iterable[Offer[Transport]]:
    """C-GET and C-MOVE (PS3.4 C.4.3, C.4.2) by getscu and movescu."""
    get: Offer[Any] = Offer(
        name="dcmtk-getscu",
        summary="C-GET by DCMTK's getscu, through a private folder in memory",
        build="pacsferry.plugins.dcmtk.transport:getscu",
        settings=DcmtkSettings,
    )
    move: Offer[Any] = Offer(
        name="dcmtk-movescu",
        summary="C-MOVE by DCMTK's movescu, which listens on every address of this host meanwhile",
        build="pacsferry.plugins.dcmtk.transport:movescu",
        settings=DcmtkSettings,
    )
    return (get, move)
