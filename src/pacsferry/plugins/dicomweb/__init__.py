"""Finds over QIDO-RS and retrieves over WADO-RS; this module only says so and imports no HTTP library."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from pacsferry import hookimpl
from pacsferry.core.ports import Finder, Offer, Transport
from pacsferry.core.strict import Strict
from pacsferry.core.units import Duration, Size


class WebSettings(Strict):
    """How patient to be with an archive that asks to slow down, or stumbles."""

    max_tries: Annotated[int, Field(ge=1, le=20, description="how often one request is sent")] = 4
    max_wait: Annotated[Duration, Field(description="the longest pause before another try; also for Retry-After")] = (
        60.0
    )


class QidoSettings(WebSettings):
    """Settings of the finder ``qido-rs``."""

    page_size: Annotated[int, Field(ge=1, le=50_000, description="answers asked for at once")] = 1000
    max_answers: Annotated[int, Field(ge=1, description="more answers to one query are an error")] = 1_000_000
    max_page: Annotated[Size, Field(description="a longer page is an error")] = 268_435_456


class WadoSettings(WebSettings):
    """Settings of the transport ``wado-rs``."""


@hookimpl
def pacsferry_finders() -> Iterable[Offer[Finder]]:
    """Offer ``qido-rs``."""
    return [
        Offer(
            name="qido-rs",
            summary="asks over DICOMweb (QIDO-RS, PS3.18 10.6)",
            build="pacsferry.plugins.dicomweb.query:Qido",
            settings=QidoSettings,
        )
    ]


@hookimpl
def pacsferry_transports() -> Iterable[Offer[Transport]]:
    """Offer ``wado-rs``."""
    return [
        Offer(
            name="wado-rs",
            summary="retrieves over DICOMweb (WADO-RS, PS3.18 10.4): as stored, and no port of ours is needed",
            build="pacsferry.plugins.dicomweb.retrieve:Wado",
            settings=WadoSettings,
        )
    ]
