"""The contract of pseudonym sources: plain names, one per patient, nothing of the patient in them."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from pacsferry.core.model import Keys, Subject
from pacsferry.core.ports import Offer, PseudonymSource
from pacsferry.core.strict import Strict

from .kit import Contract, build

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _subjects(keys: Keys, count: int) -> list[Subject]:
    return [
        Subject(
            token=keys.subject(f"CANARY{n}", "QUAYSIDE", f"1.2.{n}"),
            patient_id=f"CANARY{n}",
            issuer="QUAYSIDE",
            accession=f"CANARYACC{n}",
        )
        for n in range(1, count + 1)
    ]


class PseudonymSourceContract(Contract):
    """Override ``offer``."""

    @pytest.fixture
    def pseudonyms(self, offer: Offer[Any], settings: Strict) -> PseudonymSource:
        """The source under test."""
        made: PseudonymSource = build(offer, settings)
        return made

    def test_one_plain_name_per_subject(self, pseudonyms: PseudonymSource, keys: Keys) -> None:
        names = list(pseudonyms.name(_subjects(keys, 200), 1, keys))
        assert len(names) == 200
        assert all(_NAME.fullmatch(name) for name in names), "names are [A-Za-z0-9_-]{1,64}"
        assert len({name.lower() for name in names}) == 200, "two patients never share a name"

    def test_later_patients_get_other_names(self, pseudonyms: PseudonymSource, keys: Keys) -> None:
        subjects = _subjects(keys, 20)
        names = [*pseudonyms.name(subjects[:10], 1, keys), *pseudonyms.name(subjects[10:], 11, keys)]
        assert len({name.lower() for name in names}) == 20

    def test_the_same_again(self, offer: Offer[Any], settings: Strict, pseudonyms: PseudonymSource, keys: Keys) -> None:
        subjects = _subjects(keys, 5)
        names = list(pseudonyms.name(subjects, 7, keys))
        assert list(pseudonyms.name(subjects, 7, keys)) == names, "the same question, the same answer"
        assert list(build(offer, settings).name(subjects, 7, keys)) == names

    def test_nothing_of_the_patient_is_in_a_name(self, pseudonyms: PseudonymSource, keys: Keys) -> None:
        subjects = _subjects(keys, 20)
        for subject, name in zip(subjects, pseudonyms.name(subjects, 1, keys), strict=True):
            assert "CANARY" not in name.upper()
            assert subject.patient_id not in name
            assert subject.accession not in name

    def test_nobody_to_name(self, pseudonyms: PseudonymSource, keys: Keys) -> None:
        assert list(pseudonyms.name([], 1, keys)) == []
