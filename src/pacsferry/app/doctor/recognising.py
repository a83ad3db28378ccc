"""Which product an archive is, by what it says of itself; without evidence it stays what the profile says."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pacsferry.core.ports import Finding, Standing, Vendor
from pacsferry.core.registry import Registry


def recognised(plugins: Registry, given: str, signs: Mapping[str, str]) -> tuple[Vendor, list[Finding]]:
    """The product whose signs are all there, and what to say of it. A profile that names one is believed."""
    usual: Vendor = plugins.named("vendor", given)
    if given != "generic" or not signs:
        return usual, []
    fitting = [one for name in plugins.names("vendor") if _fits(one := plugins.named("vendor", name), signs)]
    if len(fitting) != 1:
        return usual, []
    (found,) = fitting
    by = ", ".join(sorted(found.signs))
    text = f"it looks like {found.summary} (by its {by})"
    return found, [Finding(probe="vendor", status=Standing.OK, text=text, advice=f"the profile says {found.name!r}")]


def _fits(vendor: Vendor, signs: Mapping[str, str]) -> bool:
    """Whether the product has signs, and every one of them is seen."""
    return bool(vendor.signs) and all(
        re.search(pattern, signs.get(name, ""), re.IGNORECASE) for name, pattern in vendor.signs.items()
    )
