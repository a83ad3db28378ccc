"""The contract of vendors: quirks with evidence, and wrappers that keep the shape of what they wrap."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from pacsferry.core.archive import Archive
from pacsferry.core.model import Level, Traits
from pacsferry.core.ports import Offer, Vendor
from pacsferry.core.quirks import Quirks
from pacsferry.core.strict import NoSettings, Strict

from .kit import Contract


def _asked() -> NoReturn:
    raise AssertionError("wrapping asks nothing of what it wraps: an archive may be out of reach")


class _Finder:
    protocol = "dimse"

    def find(self, query: Any) -> Any:  # noqa: ARG002
        _asked()

    def ping(self) -> Any:
        _asked()

    def close(self) -> None:
        """Nothing to give back."""


class _Transport:
    traits = Traits(takes=frozenset({Level.STUDY}), protocol="dimse")

    def fetch(self, wanted: Any, sink: Any) -> Any:  # noqa: ARG002
        _asked()

    def ping(self) -> Any:
        _asked()

    def close(self) -> None:
        """Nothing to give back."""


class VendorContract(Contract):
    """Override ``offer``: here it is the ``Vendor`` itself."""

    @pytest.fixture
    def settings(self, offer: Offer[Any]) -> Strict:  # noqa: ARG002 - a vendor has none
        """Nothing to set."""
        return NoSettings()

    def test_the_offer_says_what_it_is(self, offer: Any) -> None:
        assert isinstance(offer, Vendor)
        assert offer.name == offer.name.strip() != ""
        assert offer.summary.strip(), "a vendor needs a summary for `pacsferry plugins`"

    def test_settings_are_strict(self, offer: Any) -> None:
        assert isinstance(offer.quirks, Quirks), "quirks are core's Quirks, so that a new one has one place"

    def test_every_quirk_has_evidence(self, offer: Any) -> None:
        said = offer.quirks.model_dump(exclude_none=True)
        for quirk in said:
            assert offer.evidence.get(quirk, "").strip(), f"quirk {quirk!r} needs evidence: what was seen, where"

    def test_evidence_is_for_a_quirk(self, offer: Any) -> None:
        said = offer.quirks.model_dump(exclude_none=True)
        assert not set(offer.evidence) - set(said), "evidence for a quirk that is not set"

    def test_wrappers_keep_the_shape(self, offer: Any) -> None:
        archive = Archive(name="kit", vendor=offer.name)
        if offer.wrap_finder:
            wrapped = offer.wrap_finder(archive, _Finder())
            assert callable(wrapped.find)
            assert callable(wrapped.ping)
            assert wrapped.protocol == "dimse"
            wrapped.close()
        if offer.wrap_transport:
            carried = offer.wrap_transport(archive, _Transport())
            assert callable(carried.fetch)
            assert callable(carried.ping)
            assert isinstance(carried.traits, Traits)
            carried.close()
