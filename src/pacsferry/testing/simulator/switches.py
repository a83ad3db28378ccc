"""From quirks to the faults that show them: the simulator's switch of every quirk, as a table; nothing acts here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pacsferry.core.quirks import Quirks

#: WADO-RS's names of levels, and ours.
_LEVELS: Final = {"study": "STUDY", "series": "SERIES", "instance": "IMAGE"}
#: A simulator in a hurry: what takes a product minutes takes it a part of a second.
_SHORT: Final = 0.3


def _when(wanted: bool, *faults: str) -> Callable[[Any], Iterator[str]]:
    """``faults`` where the quirk has that value."""

    def texts(value: Any) -> Iterator[str]:
        yield from faults if value is wanted else ()

    return texts


def _number(form: str) -> Callable[[Any], Iterator[str]]:
    """One fault with the number in it, unless that is zero."""

    def texts(value: Any) -> Iterator[str]:
        if value:
            yield form.format(value)

    return texts


def _seconds(form: str) -> Callable[[Any], Iterator[str]]:
    """One fault with a time in it, shortened."""

    def texts(value: Any) -> Iterator[str]:
        if value:
            yield form.format(min(float(value), _SHORT))

    return texts


def _each(form: str) -> Callable[[Any], Iterator[str]]:
    """One fault per word."""

    def texts(value: Any) -> Iterator[str]:
        yield from (form.format(one) for one in value)

    return texts


def _missing_levels(value: Any) -> Iterator[str]:
    for name, level in _LEVELS.items():
        if name not in value:
            yield f"http-404:verb=wado-rs,level={level}"


def _media(value: Any) -> Iterator[str]:
    yield f"accept-only:media={'|'.join(value)}"


#: Quirk -> the faults that an archive with that value shows; none where it does what everybody does.
SWITCHES: Final[Mapping[str, Callable[[Any], Iterator[str]]]] = {
    "requires_study_date": _when(True, "find-needs-date"),
    "study_root_only": _when(True, "study-root-only"),
    "image_level_find": _when(False, "find-fails:level=IMAGE,status=0xA900,code=400"),
    "any_transfer_syntax": _when(False, "no-star"),
    "available_transfer_syntax": _when(False, "find-refuses:keyword=AvailableTransferSyntaxUID,asked=yes"),
    "includefield": _when(False, "no-includefield"),
    "page_size": _number("find-page:default={0},most={0}"),
    "max_offset": _number("max-offset:most={}"),
    "retrieve_levels": _missing_levels,
    "accept": _media,
    "modality_matching": _when(False, "find-ignores:keyword=ModalitiesInStudy,level=STUDY"),
    "time_matching": _when(False, "find-refuses:keyword=StudyTime"),
    "wildcards": _when(False, "find-literal"),
    "unmatched": _each("find-refuses:keyword={}"),
    "unasked": _each("find-refuses:keyword={},asked=yes"),
    "counts": _when(False, "find-counts:by=3"),
    "availability": _when(False, "find-refuses:keyword=InstanceAvailability,asked=yes"),
    "result_limit": _number("find-cap:limit={}"),
    "universal_star": _when(True, "find-needs-values"),
    "wildcards_in_dates": _when(False, "find-no-star:dates=yes"),
    "uncompressed_only": _when(True, "prefers-compressed"),
    "image_level_retrieve": _when(False, "identifier-mismatch:level=IMAGE"),
    "one_move_at_a_time": _when(True, "one-at-a-time"),
    "settle": _seconds("overwhelmed:within={}"),
    "reprobe": _seconds("overwhelmed:within={}"),
    "late_images": _seconds("late:seconds={}"),
}


def faults_of(quirks: Quirks) -> list[str]:
    """The faults, as text, that an archive with these quirks shows; those it has no opinion on are left out."""
    said = quirks.model_dump(exclude_none=True)
    texts = (text for name, value in said.items() for text in SWITCHES[name](value))
    return list(dict.fromkeys(texts))
