"""Known vulnerabilities of the libraries and tools that touch an archive's data, as a table; nothing is looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .ports import Finding, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """``fixed`` is the first version without it; None where none is known beyond ``last``, the last one with it."""

    product: str
    fixed: str | None
    last: str | None = None
    identifier: str
    what: str
    advice: str


ADVISORIES: Final[tuple[Advisory, ...]] = (
    Advisory(
        product="pydicom",
        fixed="3.0.2",
        identifier="CVE-2026-32711",
        what="a DICOMDIR can name files outside its folder",
        advice="pip install 'pydicom>=3.0.2'",
    ),
    Advisory(
        product="pynetdicom",
        fixed="3.0.4",
        identifier="CVE-2026-56445",
        what="its qrscp application writes where a peer says",
        advice="pip install 'pynetdicom>=3.0.4'",
    ),
    Advisory(
        product="requests",
        fixed="2.32.4",
        identifier="CVE-2024-47081",
        what="credentials of .netrc go to another host (pacsferry reads no .netrc)",
        advice="pip install 'requests>=2.32.4'",
    ),
    Advisory(
        product="urllib3",
        fixed="2.6.3",
        identifier="CVE-2026-21441",
        what="the body of a redirect is decompressed without a limit (pacsferry takes no compressed answers)",
        advice="pip install 'urllib3>=2.7.0'",
    ),
    Advisory(
        product="urllib3",
        fixed="2.7.0",
        identifier="CVE-2026-44431",
        what="credentials stay in a request that is redirected through a proxy (pacsferry follows redirects itself)",
        advice="pip install 'urllib3>=2.7.0'",
    ),
    Advisory(
        product="dcmtk",
        fixed=None,
        last="3.7.0",
        identifier="CVE-2026-50003",
        what="getscu with +B lets a server write outside the output folder",
        advice="never run getscu with +B; pacsferry does not",
    ),
)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4])


def affected(product: str, version: str) -> Iterator[Advisory]:
    """What is known of this version."""
    mine = numbers(version)
    for one in ADVISORIES:
        if one.product == product and (
            mine < numbers(one.fixed) if one.fixed is not None else mine <= numbers(one.last or "0")
        ):
            yield one


def findings(product: str, version: str) -> Iterator[Finding]:
    """One finding per product: that nothing is known of it, or each thing that is."""
    found = list(affected(product, version))
    if not found:
        text = f"{product} {version}: no vulnerability is known here"
        yield Finding(probe=f"versions.{product}", status=Standing.OK, text=text)
    for one in found:
        until = f"before {one.fixed}" if one.fixed else f"up to {one.last}"
        text = f"{product} {version} is one of the versions ({until}) with {one.identifier}: {one.what}"
        yield Finding(probe=f"versions.{product}", status=Standing.WARNING, text=text, advice=one.advice)
