"""Durations and sizes as people write them in a profile ("90s", "30m", "2GB"), checked and turned into numbers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def _scaled(value: object, scale: dict[str, float] | dict[str, int], example: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _PARTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in scale:
        msg = f"write a number and a unit of {', '.join(scale)}, for example {example!r}"
        raise ValueError(msg)
    return float(match[1]) * scale[match[2]]


def seconds(value: object) -> float:
    """Seconds from "90s", "30m", "2h"; a bare number is seconds already. Raises ValueError."""
    return _scaled(value, _SECONDS, "90s")


def octets(value: object) -> int:
    """Bytes from "2GB" (10^9) or "2GiB" (2^30); a bare number is bytes already. Raises ValueError."""
    return int(_scaled(value, _BYTES, "2GB"))


Duration = Annotated[
    float, BeforeValidator(seconds), WithJsonSchema({"type": ["string", "number"], "examples": ["90s", "30m"]})
]
Size = Annotated[int, BeforeValidator(octets), WithJsonSchema({"type": ["string", "number"], "examples": ["2GB"]})]
