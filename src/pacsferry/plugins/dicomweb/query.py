"""The finder ``qido-rs``: asks page by page until nothing new comes; no failure ever looks like "no studies"."""

from __future__ import annotations

import enum
import itertools
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import requests
from pydicom.datadict import tag_for_keyword

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, FerryError, TransferError
from pacsferry.core.model import Level, Match, Ping, Query, Wanted
from pacsferry.core.ports import Finding
from pacsferry.core.quirks import Quirks

from . import QidoSettings
from .answers import identity, match, rows
from .library import DICOMwebClient
from .matching import fits, narrows, widened
from .origins import checked, root_of
from .patience import RefusedRequest
from .session import WebSession, ping

PATIENT_KEYS = ("PatientID", "IssuerOfPatientID", "PatientSex", "PatientBirthDate")
#: What to ask to have returned. An archive gives many of them anyway (PS3.18 10.6.3.3), and none knows them all.
RETURNED: Mapping[Level, tuple[str, ...]] = {
    Level.PATIENT: ("StudyInstanceUID", *PATIENT_KEYS),
    Level.STUDY: (
        "StudyInstanceUID",
        *PATIENT_KEYS,
        "PatientAge",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "InstanceAvailability",
    ),
    Level.SERIES: (
        "SeriesInstanceUID",
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "BodyPartExamined",
        "InstanceAvailability",
    ),
    Level.IMAGE: ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "AvailableTransferSyntaxUID"),
}
#: The UIDs of the levels above, from the top.
ABOVE: Mapping[Level, tuple[str, ...]] = {
    Level.SERIES: ("StudyInstanceUID",),
    Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID"),
}
#: Keys of which QIDO-RS takes one value only, or which archives read differently: asked for one by one.
SPLIT = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ModalitiesInStudy", "Modality")
#: Some archives take no more at once, and answer 400 to a higher limit.
SMALL_PAGE = 200
ANY_DATE = "19000101-"
#: A warning that answers were cut off; other warnings share its number (299).
_MORE = re.compile(r"additional results|more results|remaining|exceed|truncat|incomplete", re.IGNORECASE)
#: What not every archive knows to return; one that does not know a field may refuse the whole query.
RARE = frozenset(
    {"AvailableTransferSyntaxUID", "BodyPartExamined", "InstanceAvailability", "IssuerOfPatientID", "PatientAge"}
)


class _Fields(enum.Enum):
    """Which fields to ask for by ``includefield``, the most first."""

    ALL = "all"
    USUAL = "without those that not every archive knows"
    NONE = "none; it returns what it likes"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What an archive was found to take: pages of that many answers, with so many fields."""

    limit: int
    fields: _Fields


class Qido:
    """QIDO-RS (PS3.18 10.6). Thread-safe."""

    protocol = "dicomweb"

    def __init__(self, archive: Archive, settings: QidoSettings) -> None:
        self._archive, self._settings = archive, settings
        root = root_of(archive, "qido")
        self._session = WebSession(root, archive, settings, max_whole=settings.max_page)
        self._client = DICOMwebClient(
            root.url,
            session=self._session,
            timeout=self._session.limits,
            callback=self._note,
            permissive_uid=True,
        )
        self._client.set_http_retry_params(retry=False)
        self._here = threading.local()
        self._probing: WebSession | None = None
        self._styles = _styles(archive.quirks, settings)
        self._taken: dict[Level, _Style] = {}

    def find(self, query: Query) -> Iterator[Match]:
        """All answers, each once. Raises ``TransferError``, also in the middle."""
        for keyword in (*query.keys, *query.wants):
            if tag_for_keyword(keyword) is None:
                # An archive would ignore it, and answer with everything.
                raise ConfigError(
                    f"{keyword!r} is no keyword of DICOM", hint="write it as in PS3.6, for example StudyDate"
                )
        if query.level is Level.IMAGE and self._archive.quirks.image_level_find is False:
            raise TransferError("the archive answers no query for instances", code="not-supported", retryable=False)
        seen: set[tuple[str, ...]] = set()
        for found in itertools.chain.from_iterable(map(self._answers, _single_valued(self._dated(query)))):
            one = _patient(found, query) if query.level is Level.PATIENT else found
            if identity(one) not in seen:
                seen.add(identity(one))
                yield one
            if len(seen) > self._settings.max_answers:
                raise TransferError("the archive has too many answers", code="bad-answer", retryable=False)

    def ping(self) -> Ping:
        """Ask for at most one study. Raises ``TransferError``."""
        return ping(self._archive, self._settings)

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:  # noqa: ARG002 - it finds them
        """See ``ports.Prober``: levels, keys, fields, limits and pages."""
        from .probe import QidoProbe

        probing = QidoProbe(self._archive, self._settings)
        self._probing = probing.session
        try:
            yield from probing.findings()
        finally:
            probing.session.cut()

    def close(self) -> None:
        """End what is under way. May be called twice."""
        self._session.cut()
        if self._probing is not None:
            self._probing.cut()

    def _dated(self, query: Query) -> Query:
        """With a date where the archive answers nothing without one (quirk ``requires_study_date``)."""
        needs = self._archive.quirks.requires_study_date and "StudyInstanceUID" not in _path(query)
        if not needs or query.keys.get("StudyDate"):
            return query
        return replace(query, keys={**query.keys, "StudyDate": ANY_DATE})

    def _answers(self, query: Query) -> Iterator[Match]:
        """All answers; a query that found nothing is asked again in plainer words, where it can be."""
        nothing = True
        for found in self._pages(query):
            nothing = False
            yield found
        wide = widened(query) if nothing else None
        if wide is not None:
            yield from (found for found in self._unless_refused(wide) if fits(found, query))

    def _unless_refused(self, wide: Query) -> Iterator[Match]:
        """An archive that takes no wildcards in this key has understood the first question."""
        try:
            yield from self._pages(wide)
        except RefusedRequest as err:
            if err.status != 400:
                raise

    def _pages(self, query: Query) -> Iterator[Match]:
        """Page after page until one brings nothing new: many archives cap a page without saying so."""
        above = {keyword: checked(uid) for keyword, uid in _path(query).items()}
        keep = frozenset(_fields(query, {}))
        seen: set[tuple[str, ...]] = set()
        offset, more = 0, False
        while True:
            style, answer = self._page(query, above, offset)
            page = {identity(found): found for found in (match(row, _level(query), above, keep) for row in answer)}
            fresh = [found for key, found in page.items() if key not in seen]
            if not fresh:
                # Something that was here before: the offset is ignored, and this may be all that is ever given.
                _check_end(more=more or (bool(page) and (offset == style.limit or _round(offset, query))))
                return
            yield from fresh
            seen.update(page)
            offset, more = offset + len(answer), self._here.more
            if len(seen) == query.expected and len(answer) < style.limit and not more:
                return  # a page more would bring nothing, and costs some archives as much as the first
            if offset > (self._archive.quirks.max_offset or offset):
                _check_end(more=more or len(answer) >= style.limit)
                return

    def _page(self, query: Query, above: Mapping[str, str], offset: int) -> tuple[_Style, list[Mapping[str, Any]]]:
        """One page, in the first style that the archive takes."""
        taken = self._taken.get(query.level)
        styles = self._styles[self._styles.index(taken) :] if taken else self._styles
        for style in styles:
            try:
                answer = self._search(query, above, offset, style)
            except RefusedRequest as err:
                if err.status != 400 or style is styles[-1]:
                    raise
            else:
                self._taken.setdefault(query.level, style)
                return style, answer
        raise AssertionError  # pragma: no cover - the last style returns or raises

    def _search(self, query: Query, above: Mapping[str, str], offset: int, style: _Style) -> list[Mapping[str, Any]]:
        """One request through dicomweb-client. Raises ``TransferError``."""
        arguments: dict[str, Any] = {
            "limit": style.limit,
            "offset": offset or None,
            "search_filters": {key: text for key, text in query.keys.items() if key not in above and narrows(text)},
            "fields": self._asked(_fields(query, above), style.fields, query),
        }
        self._here.more = False
        try:
            if _level(query) is Level.STUDY:
                return rows(self._client.search_for_studies(**arguments))
            arguments["study_instance_uid"] = above.get("StudyInstanceUID")
            if query.level is Level.SERIES:
                return rows(self._client.search_for_series(**arguments))
            return rows(
                self._client.search_for_instances(series_instance_uid=above.get("SeriesInstanceUID"), **arguments)
            )
        except FerryError:
            raise
        except Exception:
            raise TransferError("the archive's answer to the query is no JSON", code="bad-answer") from None

    def _asked(self, fields: list[str], which: _Fields, query: Query) -> list[str] | None:
        """The fields to ask for, without what the archive is better not asked for."""
        if which is _Fields.NONE:
            return None
        leave = RARE - {*query.keys} if which is _Fields.USUAL else frozenset()
        return [word for word in fields if word not in leave and not self._archive.quirks.leaves_out(word)]

    def _note(self, response: requests.Response, *_: object, **__: object) -> None:
        """Keep whether the answer says that there is more (PS3.18 8.3.4.4), for the thread that asked."""
        self._here.more = bool(_MORE.search(response.headers.get("Warning", "")))


def _styles(quirks: Quirks, settings: QidoSettings) -> list[_Style]:
    """The ways to ask, best first, as far as nothing is known against them."""
    page = min(settings.page_size, quirks.page_size or settings.page_size)
    fields = [_Fields.NONE] if quirks.includefield is False else list(_Fields)
    return [_Style(limit=limit, fields=one) for limit in dict.fromkeys((page, min(page, SMALL_PAGE))) for one in fields]


def _level(query: Query) -> Level:
    """There are no patients in QIDO-RS: they are what the studies say."""
    return Level.STUDY if query.level is Level.PATIENT else query.level


def _patient(study: Match, query: Query) -> Match:
    """What a study's answer says of its patient."""
    keep = (*PATIENT_KEYS, *query.wants)
    return Match(level=Level.PATIENT, keys={key: text for key, text in study.keys.items() if key in keep})


def _path(query: Query) -> dict[str, str]:
    """The UIDs of the levels above that go into the path, from the top and without a gap."""
    given = itertools.takewhile(lambda keyword: narrows(query.keys.get(keyword, "")), ABOVE.get(query.level, ()))
    return {keyword: query.keys[keyword] for keyword in given}


def _fields(query: Query, above: Mapping[str, str]) -> list[str]:
    """What to have returned: the usual, what the caller wants, and the UIDs above that the path does not say."""
    further = (keyword for keyword in ABOVE.get(query.level, ()) if keyword not in above)
    return list(dict.fromkeys([*RETURNED[query.level], *further, *query.keys, *query.wants]))


def _single_valued(query: Query) -> Iterator[Query]:
    """The query once for each combination of values of the keys that take one value."""
    lists = {key: query.keys[key].split("\\") for key in SPLIT if "\\" in query.keys.get(key, "")}
    for values in itertools.product(*lists.values()):
        yield replace(query, keys={**query.keys, **dict(zip(lists, values, strict=True))})


def _round(count: int, query: Query) -> bool:
    """Whether a number of answers looks like somebody's limit, and is not what the archive counts itself."""
    return count != query.expected and count >= 100 and (count % 50 == 0 or count & (count - 1) == 0)


def _check_end(*, more: bool) -> None:
    """Refuse to take an end for the end where the archive has more."""
    if more:
        raise TransferError(
            "the archive has more answers than it gives: it cuts them off and ignores the offset",
            code="capped",
            retryable=False,
            hint="ask for less at once, for instance fewer days",
        )
