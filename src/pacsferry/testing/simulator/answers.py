"""Answers of a query as the orders want them, for both protocols; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Final

from pydicom.dataset import Dataset

from pacsferry.testing.samples import uid

from .faults import Fault, Spoiled
from .holdings import UNIQUE

#: Climbs out of any folder, and out of the root of most.
CLIMBING: Final = "../../../../../../tmp/climbed"
_COUNTS: Final = tuple(f"NumberOf{level}RelatedInstances" for level in ("Patient", "Study", "Series"))


def spoilt_answers(spoiled: Spoiled, answers: Iterable[Dataset], level: str) -> list[Dataset]:
    """Answers of a query as the orders want them; for both protocols."""
    found = [] if spoiled.take("find-empty") else list(answers)
    found = [one for one in found for _ in "12"] if spoiled.take("find-twice") else found
    if found and spoiled.take("find-stranger"):
        found.append(_stranger(found[0]))
    for name, change in _CHANGES.items():
        for fault in spoiled.each(name):
            found = [_changed(one, change, fault, level) for one in found]
    return found


def _changed(answer: Dataset, change: Callable[[Dataset, Fault, str], None], fault: Fault, level: str) -> Dataset:
    """A changed copy: elements may be those of an object that the archive holds."""
    mine = deepcopy(answer)
    change(mine, fault, level)
    return mine


def _stranger(answer: Dataset) -> Dataset:
    """An answer like ``answer`` that nobody asked for."""
    other = deepcopy(answer)
    for keyword in UNIQUE.values():
        if keyword in other and keyword != "PatientID":
            setattr(other, keyword, uid("stranger", other[keyword].value))
    if "AccessionNumber" in other:
        other.AccessionNumber = "OTHER99"
    return other


def _lacks(answer: Dataset, fault: Fault, _: str) -> None:
    for keyword in str(fault["keyword"]).split("+"):
        if keyword in answer:
            del answer[keyword]


def _counts(answer: Dataset, fault: Fault, _: str) -> None:
    for keyword in _COUNTS:
        if answer.get(keyword) is not None:
            setattr(answer, keyword, max(0, int(answer[keyword].value) + int(fault["by"])))


def _odd_values(answer: Dataset, _: Fault, __: str) -> None:
    """Values that break PS3.5 6.2 and that people meet; written as they are, no writer may mend them."""
    for element in answer:
        if element.VR == "TM" and element.value:
            element._value = "1113.672"  # noqa: SLF001 - the setter would check it
        elif element.VR == "IS" and element.value is not None:
            element._value = f"+{int(element.value)}"  # noqa: SLF001


def _traversal(answer: Dataset, fault: Fault, level: str) -> None:
    """Only where the UID is that of the level: above it, it would be a question that we did not get."""
    if fault["keyword"] in answer and (fault["keyword"] == UNIQUE.get(level)):
        answer[str(fault["keyword"])]._value = CLIMBING  # noqa: SLF001 - the setter would check it


def _offline(answer: Dataset, _: Fault, __: str) -> None:
    if "InstanceAvailability" in answer:
        answer.InstanceAvailability = "OFFLINE"


_CHANGES: Final[Mapping[str, Callable[[Dataset, Fault, str], None]]] = {
    "find-lacks": _lacks,
    "find-counts": _counts,
    "find-odd-values": _odd_values,
    "find-traversal": _traversal,
    "offline": _offline,
}
