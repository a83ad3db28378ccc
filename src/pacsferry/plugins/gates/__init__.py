"""The gates that always run: what kind of object it is, and whether an identifier is left; neither changes a byte."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Gate, Offer


@hookimpl
def pacsferry_gates() -> Iterable[Offer[Gate]]:
    """``sop-class`` and ``residual-identifiers``."""
    return [
        Offer(
            name="sop-class",
            summary="holds kinds of object that the rules cannot handle yet, and pixels that may carry text",
            build="pacsferry.plugins.gates.sop_class:SopClass",
        ),
        Offer(
            name="residual-identifiers",
            summary="holds what still has an identifier of the patient in the header to be written",
            build="pacsferry.plugins.gates.residual:ResidualIdentifiers",
        ),
    ]
