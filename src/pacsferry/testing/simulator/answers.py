"""Answers of a query as the orders want them, for both protocols; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

from pacsferry.testing.samples import uid

from .faults import Spoiled
from .holdings import UNIQUE


def spoilt_answers(spoiled: Spoiled, answers: Iterable[Dataset]) -> Iterator[Dataset]:
    """Answers of a query as the orders want them; for both protocols."""
    lacks, cap = spoiled.take("find-lacks"), spoiled.take("find-cap")
    found = [] if spoiled.take("find-empty") else list(answers)
    found = [one for one in found for _ in "12"] if spoiled.take("find-twice") else found
    if found and spoiled.take("find-stranger"):
        found.append(_stranger(found[0]))
    for answer in found[: int(cap["limit"]) if cap else None]:
        if lacks and lacks["keyword"] in answer:
            del answer[lacks["keyword"]]
        yield answer


def _stranger(answer: Dataset) -> Dataset:
    """An answer like ``answer`` that nobody asked for."""
    other = Dataset()
    other.update(answer)
    for keyword in UNIQUE.values():
        if keyword in other and keyword != "PatientID":
            setattr(other, keyword, uid("stranger", other[keyword].value))
    if "AccessionNumber" in other:
        other.AccessionNumber = "OTHER99"
    return other
