"""De-identification by the rules of PS3.15 annex E; what it cannot make safe it holds."""

from __future__ import annotations

from collections.abc import Iterable

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Deidentifier, Offer

from .allowlist_settings import AllowlistSettings
from .settings import Ps315Settings


@hookimpl
def pacsferry_anonymization_profiles() -> Iterable[Offer[Deidentifier]]:
    """The rules of PS3.15, and lists of what survives."""
    return [
        Offer(
            name="ps3.15",
            summary="DICOM PS3.15 annex E, Basic Application Level Confidentiality Profile",
            build="pacsferry.plugins.deid.profile:Ps315",
            settings=Ps315Settings,
        ),
        Offer(
            name="allowlist",
            summary="only what a list names survives: rad-loader's list, an extended one, or your own",
            build="pacsferry.plugins.deid.allowlist_profile:Allowlist",
            settings=AllowlistSettings,
        ),
    ]
