"""One query as it was asked, and as the orders let it be understood; for both protocols, pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from pacsferry.core.model import Requested
from pacsferry.core.ports import Misbehaviour

from .answers import spoilt_answers
from .faults import Fault, Spoiled
from .holdings import LEVELS, UNIQUE, Holdings
from .matching import literal

#: Keys that are no text: nobody writes * in them.
_NOT_TEXT: Final = ("UI", "SQ", "DA", "TM", "DT", "IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "OB", "OW", "UN")


class Refused(Exception):
    """The query fails: as DIMSE status, and as HTTP code."""

    def __init__(self, status: int, code: int) -> None:
        super().__init__(f"0x{status:04X}")
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Keys with a value to match, keywords to return, and remarks on how it was asked: names, never values.

    ``fields`` are those of ``wants`` that were asked for by name: QIDO-RS returns others by itself.
    """

    verb: str
    level: str
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    wants: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()

    @property
    def requested(self) -> Requested:
        """As plugins see it."""
        study, series = self.keys.get("StudyInstanceUID", ""), self.keys.get("SeriesInstanceUID", "")
        return Requested(verb=self.verb, level=self.level, study=study, series=series, keys=self.keys)


def answer(question: Question, spoiled: Spoiled, holdings: Holdings) -> list[Dataset]:
    """The answers that the archive gives. Raises ``Refused``."""
    actors = spoiled.actors()
    _refuse(question, spoiled, actors)
    understood = _understood(question, spoiled)
    found: Iterable[Dataset] = holdings.find(question.level, understood.keys, question.wants)
    found = spoilt_answers(spoiled, found, question.level)
    if spoiled.take("nearline"):
        found = [_nearline(one, holdings) for one in found]
    for actor in actors:
        found = actor.answers(question.requested, list(found))
    return list(found)


def _nearline(answer: Dataset, holdings: Holdings) -> Dataset:
    if "InstanceAvailability" in answer and str(answer.get("StudyInstanceUID", "")) not in holdings.recalled:
        answer.InstanceAvailability = "NEARLINE"
    return answer


# --- refused


def _refuse(question: Question, spoiled: Spoiled, actors: Iterable[Misbehaviour]) -> None:
    for name, applies in _REFUSALS.items():
        for fault in spoiled.each(name):
            if applies(question, fault):
                raise Refused(int(fault["status"]), int(fault["code"]))
    for actor in actors:
        status = actor.refuse(question.requested)
        if status is not None:
            raise Refused(status, status if status < 600 else 400)


def _has(question: Question, fault: Fault) -> bool:
    named = question.keys if not fault["asked"] else {*question.keys, *question.fields}
    return bool(fault["keyword"]) and fault["keyword"] in named


def _no_date(question: Question, _: Fault) -> bool:
    return not question.keys.get("StudyDate")


def _empty(question: Question, _: Fault) -> bool:
    """A text key without a value. QIDO-RS says what it wants by includefield, which is no key."""
    return question.verb == "c-find" and any(_is_text(word) for word in question.wants if word not in question.keys)


def _star(question: Question, fault: Fault) -> bool:
    if fault["dates"]:
        return any("*" in value for word, value in question.keys.items() if dictionary_VR(word) in ("DA", "TM", "DT"))
    return any(value == "*" for word, value in question.keys.items() if _is_text(word))


def _no_parents(question: Question, _: Fault) -> bool:
    above = [UNIQUE[one] for one in LEVELS[1 : LEVELS.index(question.level)]]
    return any(not question.keys.get(keyword) for keyword in above)


def _several_modalities(question: Question, _: Fault) -> bool:
    value = question.keys.get("ModalitiesInStudy", "")
    return "\\" in value or "," in value


_REFUSALS: Final[Mapping[str, Callable[[Question, Fault], bool]]] = {
    "find-refuses": _has,
    "find-needs-date": _no_date,
    "find-needs-values": _empty,
    "find-no-star": _star,
    "find-needs-parents": _no_parents,
    "find-one-modality": _several_modalities,
}


def _is_text(keyword: str) -> bool:
    return tag_for_keyword(keyword) is not None and dictionary_VR(keyword) not in _NOT_TEXT


# --- understood otherwise


def _understood(question: Question, spoiled: Spoiled) -> Question:
    """What is left of the keys. UIDs above the level are no filters: without them the answer would be another."""
    keys = dict(question.keys)
    for fault in spoiled.each("find-ignores"):
        keys = {word: value for word, value in keys.items() if not _ignored(word, str(fault["keyword"]))}
    for fault in spoiled.each("find-contains"):
        keys = {word: f"*{value}*" if word == fault["keyword"] else value for word, value in keys.items()}
    if spoiled.take("find-needs-values"):  # whoever wants a star wants it in UIDs, too
        keys = {word: value for word, value in keys.items() if value != "*"}
    if spoiled.take("find-literal"):
        keys = {word: literal(value) for word, value in keys.items()}
    return replace(question, keys=keys)


def _ignored(word: str, ignored: str) -> bool:
    return word in ignored.split("+") if ignored else word not in UNIQUE.values() or word == "PatientID"


# --- remarks on how it was asked


def remarks(keys: Mapping[str, str], wants: Sequence[str], level: str, others: Iterable[str]) -> tuple[str, ...]:
    """What a strict archive could take offence at, by name: ``others`` are elements or parameters that it knows not."""
    said = [f"unknown: {name}" for name in others]
    said += [f"{word}: wildcard in a {dictionary_VR(word)}" for word, value in keys.items() if _wild(word, value)]
    said += [f"{word}: more than 64 characters" for word, value in keys.items() if _long_uid(word, value)]
    said += [f"{word}: not at {level} level" for word in wants if _lower(word, level)]
    if level in LEVELS:
        above = [UNIQUE[one] for one in LEVELS[1 : LEVELS.index(level)]]
        said += [f"{word}: missing above {level} level" for word in above if not keys.get(word)]
    return tuple(said)


def _wild(word: str, value: str) -> bool:
    return bool(re.search(r"[*?]", value)) and dictionary_VR(word) in _NOT_TEXT


def _long_uid(word: str, value: str) -> bool:
    return dictionary_VR(word) == "UI" and any(len(one) > 64 for one in value.split("\\"))


def _lower(word: str, level: str) -> bool:
    """A UID of a level below the one that is asked."""
    return level in LEVELS and word in [UNIQUE[one] for one in LEVELS[LEVELS.index(level) + 1 :]]
