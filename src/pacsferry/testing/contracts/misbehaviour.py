"""The contract of the simulator's faults: parameters with defaults, answers of the right kind, and something amiss."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

import pytest
from pydicom.dataset import Dataset

from pacsferry.core.model import Requested
from pacsferry.core.ports import Misbehaviour, Offer
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import part10

from .kit import Contract, build, contract_study

_QUERIES: Final = ("c-find", "qido-rs")
_RETRIEVALS: Final = ("c-get", "c-move", "wado-rs")


class MisbehaviourContract(Contract):
    """Override ``offer``; ``settings`` too where the fault shows only with parameters of its own."""

    @pytest.fixture
    def fault(self, offer: Offer[Any], settings: Strict) -> Misbehaviour:
        """The fault under test."""
        made: Misbehaviour = build(offer, settings)
        return made

    def test_every_parameter_can_be_written_and_has_a_default(self, offer: Offer[Any]) -> None:
        for name, value in offer.settings().model_dump().items():
            assert isinstance(value, int | float | str | bool), f"{name}: write NAME:{name}=value must be possible"

    def test_a_refusal_is_a_status(self, fault: Misbehaviour) -> None:
        for request in _requests():
            status = fault.refuse(request)
            assert status is None or 0 < status <= 0xFFFF, "None, or the status of DIMSE or HTTP"

    def test_answers_are_data_sets_and_the_archives_own_stay_as_they_are(self, fault: Misbehaviour) -> None:
        own = [_answer(ds) for ds in contract_study()]
        before = deepcopy(own)
        for request in _requests():
            assert all(isinstance(one, Dataset) for one in fault.answers(request, own))
        assert own == before, "copy an answer before you change it: it is the archive's"

    def test_objects_are_bytes(self, fault: Misbehaviour) -> None:
        objects = [part10(ds) for ds in contract_study()]
        for request in _requests():
            assert all(isinstance(one, bytes) for one in fault.objects(request, objects))

    def test_something_is_amiss(self, fault: Misbehaviour) -> None:
        """Of two requests of each kind, one right after the other, at least one is not served as it should be."""
        assert any(amiss for _ in range(2) for request in _requests() for amiss in _amiss(fault, request))


def _amiss(fault: Misbehaviour, request: Requested) -> Iterator[bool]:
    answers = [_answer(ds) for ds in contract_study()]
    objects = [part10(ds) for ds in contract_study()]
    yield fault.refuse(request) is not None
    yield request.verb in _QUERIES and list(fault.answers(request, answers)) != answers
    yield request.verb in _RETRIEVALS and list(fault.objects(request, objects)) != objects


def _requests() -> list[Requested]:
    """One of each kind and level."""
    first = contract_study()[0]
    study, series, instance = first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID
    return [
        *(
            Requested(verb=verb, level=level, study=study, keys={"StudyInstanceUID": study})
            for verb in _QUERIES
            for level in ("STUDY", "SERIES", "IMAGE")
        ),
        *(Requested(verb=verb, level="STUDY", study=study) for verb in _RETRIEVALS),
        *(Requested(verb=verb, level="SERIES", study=study, series=series) for verb in _RETRIEVALS),
        *(
            Requested(verb=verb, level="IMAGE", study=study, series=series, instances=(instance,))
            for verb in _RETRIEVALS
        ),
    ]


def _answer(ds: Dataset) -> Dataset:
    answer = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "AccessionNumber", "StudyDate"):
        setattr(answer, keyword, ds[keyword].value)
    return answer
