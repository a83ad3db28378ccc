"""Read the products' files: quirks with the evidence for each; a quirk without evidence is refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pacsferry.core.fitting import fit
from pacsferry.core.ports import Vendor
from pacsferry.core.quirks import Quirks
from pacsferry.core.strict import Strict

HERE = Path(__file__).parent


class Evidence(Strict):
    """Why a quirk is believed: what was seen, and where."""

    seen: str = Field(min_length=1)
    source: str = Field(min_length=1)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        msg = "write a regular expression"
        raise ValueError(msg) from None
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]


class Product(Strict):
    """One file."""

    summary: str = Field(min_length=1)
    quirks: Quirks = Quirks()
    personality: tuple[str, ...] = ()
    signs: Mapping[Literal["implementation", "version", "server", "url", "refusal"], Pattern] = {}
    registering: str = ""
    evidence: Mapping[str, Evidence] = {}

    @model_validator(mode="after")
    def _proven(self) -> Self:
        odd = self.quirks.model_dump(exclude_none=True).keys() ^ self.evidence.keys()
        if odd:
            msg = f"each quirk needs its evidence, and nothing else has one: {', '.join(sorted(odd))}"
            raise ValueError(msg)
        return self


def vendor(name: str, text: str) -> Vendor:
    """The vendor that a file describes. Raises ``ConfigError`` with every problem."""
    product = fit(Product, tomllib.loads(text), name)
    return Vendor(
        name=name,
        summary=product.summary,
        quirks=product.quirks,
        personality=product.personality,
        signs={str(sign): pattern for sign, pattern in product.signs.items()},
        registering=product.registering,
        evidence={quirk: f"{one.seen} ({one.source})" for quirk, one in product.evidence.items()},
    )


def vendors(folder: Path = HERE) -> list[Vendor]:
    """Every product that has a file here, by name."""
    return [vendor(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.toml"))]
