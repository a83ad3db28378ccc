"""The contract of gates: a clear verdict, the same again, and not a word of the patient's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pacsferry.core.model import Draft, Outcome, Verdict
from pacsferry.core.ports import Gate, Offer
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import BASIC_TEXT_SR, ENHANCED_MR, SECONDARY_CAPTURE

from . import drafts
from .kit import Contract, build, without_canaries


class GateContract(Contract):
    """Override ``offer``, and say with ``allowed`` and ``stopped`` what the gate is for."""

    @pytest.fixture
    def gate(self, offer: Offer[Any], settings: Strict) -> Gate:
        """The gate under test."""
        made: Gate = build(offer, settings)
        return made

    @pytest.fixture
    def allowed(self) -> Sequence[Draft]:
        """Drafts that must pass; a clean CT slice unless overridden."""
        return [drafts.clean()]

    @pytest.fixture
    def stopped(self) -> Sequence[Draft]:
        """Drafts that must be held or excluded; none unless overridden."""
        return []

    def test_what_is_clean_passes(self, gate: Gate, allowed: Sequence[Draft]) -> None:
        for draft in allowed:
            verdict = gate.judge(draft)
            assert verdict.outcome is Outcome.ALLOW, f"stopped without cause: {verdict.code}"

    def test_what_it_is_for_is_stopped(self, gate: Gate, stopped: Sequence[Draft]) -> None:
        for draft in stopped:
            assert gate.judge(draft).outcome is not Outcome.ALLOW

    def test_every_verdict_has_its_reason(self, gate: Gate, allowed: Sequence[Draft], stopped: Sequence[Draft]) -> None:
        for draft in (*allowed, *stopped, *_odd()):
            verdict = gate.judge(draft)
            assert isinstance(verdict, Verdict)
            if verdict.outcome is not Outcome.ALLOW:
                assert verdict.code, "a verdict that stops an instance has a reason code"
            without_canaries(verdict.code, verdict.detail, repr(verdict))

    def test_the_same_draft_gets_the_same_verdict(
        self, offer: Offer[Any], settings: Strict, gate: Gate, allowed: Sequence[Draft], stopped: Sequence[Draft]
    ) -> None:
        every = (*allowed, *stopped, *_odd())
        first = [gate.judge(draft) for draft in every]
        assert [gate.judge(draft) for draft in reversed(every)] == first[::-1], "a gate does not remember"
        another: Gate = build(offer, settings)
        assert [another.judge(draft) for draft in every] == first

    def test_it_changes_nothing(self, gate: Gate, allowed: Sequence[Draft]) -> None:
        for draft in allowed:
            parts = [bytearray(bytes(part)) for part in draft.parts]
            before = [bytes(part) for part in parts]
            gate.judge(drafts.clean(parts=parts))
            assert [bytes(part) for part in parts] == before


def _odd() -> list[Draft]:
    """Drafts at the edges; any verdict will do."""
    return [
        drafts.leaking(),
        drafts.clean(parts=[b""], text_spans=[], needles=[]),
        drafts.clean(charset=(), text_spans=[]),
        drafts.of_class(SECONDARY_CAPTURE, "OT", burned_in_annotation="YES"),
        drafts.of_class(BASIC_TEXT_SR, "SR"),
        drafts.of_class(ENHANCED_MR, "MR", image_type=()),
        drafts.of_class("1.2.3.4.5", ""),
    ]
