"""Paths and parameters of DICOMweb (PS3.18 8, 10) as the simulator reads them; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from .questions import Question, remarks

ROOT: Final = "/dicom-web"

QUERIES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    r"/studies": ("STUDY", ()),
    r"/series": ("SERIES", ()),
    r"/instances": ("IMAGE", ()),
    r"/studies/([^/]+)/series": ("SERIES", ("StudyInstanceUID",)),
    r"/studies/([^/]+)/instances": ("IMAGE", ("StudyInstanceUID",)),
    r"/studies/([^/]+)/series/([^/]+)/instances": ("IMAGE", ("StudyInstanceUID", "SeriesInstanceUID")),
}
RETRIEVALS: Final[Mapping[str, str]] = {
    r"/studies/([^/]+)(/metadata)?": "STUDY",
    r"/studies/([^/]+)/series/([^/]+)(/metadata)?": "SERIES",
    r"/studies/([^/]+)/series/([^/]+)/instances/([^/]+)(/metadata)?": "IMAGE",
}
#: Attributes of a QIDO-RS answer without includefield (PS3.18 table 10.6.3-3 to 5).
DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "STUDY": (
        "StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability", "ModalitiesInStudy",
        "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
        "StudyID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
    ),
    "SERIES": (
        "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "NumberOfSeriesRelatedInstances",
        "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "StudyInstanceUID",
    ),
    "IMAGE": (
        "SOPClassUID", "SOPInstanceUID", "InstanceAvailability", "InstanceNumber", "Rows", "Columns", "BitsAllocated",
        "NumberOfFrames", "StudyInstanceUID", "SeriesInstanceUID", "AvailableTransferSyntaxUID",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query as its URL says it: the question, and which page of the answers."""

    question: Question
    limit: int | None = None
    offset: int = 0


def parsed(target: str) -> tuple[str, list[tuple[str, str]]]:
    """The path below the root without its percent signs, and the query's pairs."""
    parts = urlsplit(target)
    return unquote(parts.path).removeprefix(ROOT).rstrip("/"), parse_qsl(parts.query, keep_blank_values=True)


def search(level: str, names: Sequence[str], uids: Sequence[str], given: Sequence[tuple[str, str]]) -> Search:
    """What is searched for (PS3.18 8.3.4, 10.6). Raises ``ValueError`` for a page that is no number."""
    keys, fields, page, others = _sorted(given)
    keys |= dict(zip(names, uids, strict=True))
    wants = (*DEFAULTS[level], *fields, *(() if names or level == "STUDY" else DEFAULTS["STUDY"]))
    values = {word: value for word, value in keys.items() if value}
    odd: Sequence[str] = [*others, *(f"{word}: empty" for word in keys if word not in values)]
    odd = _odd(values, fields, level, odd)
    question = Question(verb="qido-rs", level=level, keys=values, wants=wants, fields=tuple(fields), odd=tuple(odd))
    limit = int(page["limit"]) if "limit" in page else None
    return Search(question=question, limit=limit, offset=int(page.get("offset", 0)))


def _odd(keys: Mapping[str, str], fields: Sequence[str], level: str, others: Sequence[str]) -> tuple[str, ...]:
    """Remarks; a URL need not name what is above, so that is none."""
    return tuple(one for one in remarks(keys, fields, level, others) if " missing above " not in one)


def _sorted(given: Sequence[tuple[str, str]]) -> tuple[dict[str, str], list[str], dict[str, str], list[str]]:
    """Matching keys by keyword, fields to include, limit and offset, and the names of what we do not know."""
    keys: dict[str, str] = {}
    fields: list[str] = []
    page: dict[str, str] = {}
    others: list[str] = []
    for name, value in given:
        if name == "includefield":
            words = [keyword(part) for part in value.split(",") if part != "all"]
            fields += [word for word in words if word]
            others += ["includefield"] if "" in words else []
        elif name in ("limit", "offset"):
            page[name] = value
        elif word := keyword(name):
            keys[word] = value.replace(",", "\\") if word.endswith("UID") else value
        elif name != "fuzzymatching":
            others.append(re.sub(r"[^A-Za-z0-9_.-]", "?", name)[:64])
    return keys, fields, page, others


def keyword(name: str) -> str:
    """The keyword of a keyword or an eight-digit tag; empty for what we do not know."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return keyword_for_tag(int(name, 16))
    return name if tag_for_keyword(name) is not None else ""
