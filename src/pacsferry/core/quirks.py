"""How an archive departs from the standard, as data; no product is named here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt

from .query import KEYS
from .strict import Count, MediaRange, Shape, Strict
from .units import Duration

#: Keywords of what an archive counts (PS3.4 C.3.4).
COUNTS = r"NumberOf(Patient|Study|Series)Related(Studies|Series|Instances)"
#: What is often asked to be returned and cannot be matched: known without the dictionary, which takes long to load.
_RETURNED = frozenset({"AvailableTransferSyntaxUID", "ImageType", "InstanceAvailability", "PatientAge"})
_KEYWORD = "write a keyword of PS3.6, for example StudyTime"


def _did_you_mean(word: str, known: Iterable[str], right: str) -> ValueError:
    near = difflib.get_close_matches(word, known, n=1)
    return ValueError(f"did you mean {near[0]!r}?" if near else right)


def _known(word: str) -> str:
    if word in KEYS or word in _RETURNED or re.fullmatch(COUNTS, word):
        return word
    from pydicom.datadict import keyword_dict

    if word not in keyword_dict:
        raise _did_you_mean(word, (*KEYS, *_RETURNED, *keyword_dict), _KEYWORD)
    return word


def _matchable(word: str) -> str:
    if word not in KEYS:
        raise _did_you_mean(word, KEYS, f"write one that can be matched: {', '.join(KEYS)}")
    return word


_Word = Annotated[str, Shape(r"[A-Z][A-Za-z0-9]*", _KEYWORD, 64)]
Keyword = Annotated[_Word, AfterValidator(_known)]
Matchable = Annotated[_Word, AfterValidator(_matchable)]
Seconds = Annotated[Duration, Field(ge=0, le=3600, allow_inf_nan=False)]


class Quirks(Strict):
    """How an archive departs from the standard; ``None`` means no opinion."""

    requires_study_date: StrictBool | None = Field(
        default=None, description="every query needs a StudyDate; an open range is added where none was asked for"
    )
    study_root_only: StrictBool | None = Field(
        default=None, description="the Patient Root model is refused; patient queries go out as study queries"
    )
    image_level_find: StrictBool | None = Field(
        default=None,
        description="the archive answers C-FIND or QIDO-RS at instance level; without it counts are believed",
    )
    any_transfer_syntax: StrictBool | None = Field(
        default=None, description="WADO-RS understands transfer-syntax=*; if not, it is not asked for"
    )
    available_transfer_syntax: StrictBool | None = Field(
        default=None, description="AvailableTransferSyntaxUID may be asked for; if not, it would make a query fail"
    )
    includefield: StrictBool | None = Field(
        default=None, description="QIDO-RS takes includefield; if not, only what it returns by itself is known"
    )
    page_size: Count | None = Field(default=None, description="QIDO-RS gives at most so many answers at once")
    max_offset: Count | None = Field(
        default=None, description="QIDO-RS refuses or ignores a higher offset; what lies behind it needs other queries"
    )
    retrieve_levels: tuple[Literal["study", "series", "instance"], ...] | None = Field(
        default=None, min_length=1, description="the levels that WADO-RS serves; others are not asked for"
    )
    accept: tuple[MediaRange, ...] | None = Field(
        default=None, min_length=1, description="the Accept fields that WADO-RS understands, best first; no others"
    )
    modality_matching: StrictBool | None = Field(
        default=None, description="ModalitiesInStudy is matched at STUDY level; if not, it is filtered here only"
    )
    time_matching: StrictBool | None = Field(
        default=None, description="a range of StudyTime may be asked for; if not, it is filtered here only"
    )
    wildcards: StrictBool | None = Field(
        default=None, description="* and ? are matched; if not, a key with one is filtered here only"
    )
    unmatched: tuple[Matchable, ...] | None = Field(
        default=None, description="keys that the archive refuses to match; they are filtered here only"
    )
    unasked: tuple[Keyword, ...] | None = Field(
        default=None,
        description="keywords never asked to be returned: they fail, or cost the archive too much",
    )
    counts: StrictBool | None = Field(
        default=None, description="NumberOf…Related… are asked for and believed; if not, neither"
    )
    availability: StrictBool | None = Field(
        default=None, description="InstanceAvailability may be asked for, and means something"
    )
    result_limit: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="a query gets at most so many answers, and is split where it gets them; 0: not known"
    )
    universal_star: StrictBool | None = Field(
        default=None, description="C-FIND wants * and not an empty value in keys that are to be returned only"
    )
    wildcards_in_dates: StrictBool | None = Field(default=None, description="that * may also stand in dates and times")
    uncompressed_only: StrictBool | None = Field(
        default=None,
        description="C-GET: compressed transfer syntaxes are accepted and then fail to be sent, so none is proposed",
    )
    image_level_retrieve: StrictBool | None = Field(
        default=None, description="C-GET and C-MOVE take single instances; if not, their series is asked for"
    )
    one_move_at_a_time: StrictBool | None = Field(
        default=None, description="a C-MOVE is asked for when the one before has ended"
    )
    settle: Seconds | None = Field(
        default=None, description="the archive wants a pause of so many seconds before each retrieval"
    )
    reprobe: Seconds | None = Field(
        default=None, description="success with nothing sent means overwhelmed: ask once more after so many seconds"
    )
    late_images: Seconds | None = Field(
        default=None,
        description="after the final C-MOVE response images come for so long; where archive.timeouts.quiet is not set",
    )

    def leaves_out(self, keyword: str) -> bool:
        """Whether a keyword is not to be asked for."""
        return (
            keyword in (self.unasked or ())
            or (self.counts is False and bool(re.fullmatch(COUNTS, keyword)))
            or (self.availability is False and keyword == "InstanceAvailability")
            or (self.available_transfer_syntax is False and keyword == "AvailableTransferSyntaxUID")
        )

    def over(self, base: Quirks) -> Quirks:
        """These quirks where they have an opinion, else those of ``base``."""
        mine = {name: getattr(self, name) for name in type(self).model_fields}
        return Quirks(**{name: getattr(base, name) if value is None else value for name, value in mine.items()})


#: What PS3.4 and PS3.18 promise.
STANDARD = Quirks(
    requires_study_date=False,
    study_root_only=False,
    image_level_find=True,
    modality_matching=True,
    time_matching=True,
    wildcards=True,
    unmatched=(),
    unasked=(),
    counts=True,
    availability=True,
    result_limit=0,
    universal_star=False,
    wildcards_in_dates=False,
    uncompressed_only=False,
    image_level_retrieve=True,
    one_move_at_a_time=False,
    settle=0.0,
    reprobe=0.0,
    late_images=0.0,
    any_transfer_syntax=True,
    available_transfer_syntax=True,
    includefield=True,
    retrieve_levels=("study", "series", "instance"),
)
