"""What ``doctor`` finds out over QIDO-RS: who answers, how queries, fields, limits and pages are understood."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import requests

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level
from pacsferry.core.ports import Finding, Standing
from pacsferry.core.probing import Inquiry, Reply

from . import WebSettings
from .answers import match, rows
from .origins import checked, root_of
from .patience import RefusedRequest
from .query import ABOVE, RETURNED, SMALL_PAGE
from .session import JSON, WebSession

_AT = "dicomweb.qido"
#: An answer of ``doctor`` is never longer.
LONGEST = 16 * 1024 * 1024
_DATED = "&StudyDate=19000101-"
_PATHS: Mapping[Level, str] = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}
#: What to do about a service that does not answer a plain query, by reason code.
ADVICE: Mapping[str, str] = {
    "http-401": "set archive.dicomweb.auth: the archive wants to know who asks",
    "http-403": "ask the archive's administrator to allow this account, and this machine, to query",
    "http-404": "there is no QIDO-RS at this address: archive.dicomweb.url must be the root, without /studies",
    "not-supported": "there is no QIDO-RS at this address: archive.dicomweb.url must be the root of DICOMweb",
    "bad-answer": "a web page, or something else, answers there: archive.dicomweb.url must be the root of DICOMweb",
    "http-406": "something else than DICOMweb answers there: archive.dicomweb.url must be its root",
    "http-redirect": "set archive.dicomweb.url to the address that it redirects to",
    "http-429": "the archive asks to slow down: try again later, with a smaller [budget]",
    "http-503": "the archive is overloaded or down: try again later, or ask its administrator",
    "http-error": "look into the log of the archive's web server",
    "aborted": "look into the log of the archive's web server; it may want https",
    "stalled": "something accepts connections there and does not answer: check the port, or restart the service",
}
#: A warning that answers were cut off; other warnings share its number (299).
_TRUNCATED = re.compile(r"additional results|more results|remaining|exceed|truncat|limit", re.IGNORECASE)
_PLAIN = re.compile(r"[^ -~]")


def brief(settings: WebSettings) -> WebSettings:
    """Settings for one try more, soon: who is asked by ``doctor`` is not waited for."""
    return settings.model_copy(update={"max_tries": min(2, settings.max_tries), "max_wait": 5.0})


class CuriousSession(WebSession):
    """Also reads the first bytes of a refusal: some products say there who they are. They are shown to nobody."""

    refusal = ""

    def _judge(self, response: requests.Response) -> None:
        if response.status_code >= 400:
            with contextlib.suppress(Exception):
                self.refusal = response.raw.read1(2048, decode_content=False).decode("latin-1")
        super()._judge(response)


class QidoProbe:
    """One run over QIDO-RS."""

    usual = RETURNED

    def __init__(self, archive: Archive, settings: WebSettings) -> None:
        self._root = root_of(archive, "qido")
        self.session = CuriousSession(self._root, archive, brief(settings), max_whole=LONGEST)
        self._fields = True
        self._page = 0
        self._inquiry = Inquiry(self, _AT)

    def findings(self) -> Iterator[Finding]:
        """Everything. What is raised is a connection that was lost for good."""
        try:
            first = self._there()
        except TransferError as err:
            advice = ADVICE.get(err.code, err.hint or "")
            yield Finding(probe=_AT, status=Standing.FAILED, text=str(err), advice=advice)
            return
        yield first
        yield from self._includefield()
        for one in self._inquiry.findings():
            yield self._paged(one) if one.probe == f"{_AT}.cap" and one.quirks else one
        if self._inquiry.dated_below:
            text = "queries for series need a date, too, which pacsferry does not send there over QIDO-RS"
            advice = 'use C-FIND: [find] use = "c-find"'
            yield Finding(probe=f"{_AT}.dated", status=Standing.FAILED, text=text, advice=advice, serves=False)
        if self._inquiry.learnt.study:
            yield from self._pages()

    def _there(self) -> Finding:
        """A plain query for one study. Raises ``TransferError``."""
        response = self._plain()
        _rows(response)
        server = _PLAIN.sub("", response.headers.get("Server", ""))[:64]
        with contextlib.suppress(TransferError):
            self._get(f"{self._root.url}/")
        signs = {"url": self._root.url, "server": server, "refusal": self.session.refusal}
        return Finding(
            probe=_AT,
            status=Standing.OK,
            text="QIDO-RS answers" + (f"; the server calls itself {server}" if server else ""),
            behaviour={"dicomweb.services": ["qido-rs"]},
            signs={name: said for name, said in signs.items() if said},
        )

    def _plain(self, field: str = "") -> requests.Response:
        """A query for one study, with a date where it is refused without. Raises ``TransferError``."""
        url = f"{self._root.url}/studies?limit=1{field}"
        try:
            return self._get(url + (_DATED if self._inquiry.dated else ""))
        except RefusedRequest as err:
            if err.status != 400 or self._inquiry.dated:
                raise
            response = self._get(url + _DATED)
            self._inquiry.dated = True
            return response

    def _includefield(self) -> Iterator[Finding]:
        try:
            self._plain("&includefield=NumberOfStudyRelatedInstances")
        except RefusedRequest as err:
            self._fields = False
            yield Finding(
                probe=f"{_AT}.includefield",
                status=Standing.WARNING,
                text=f"a query with includefield is refused (HTTP status {err.status})",
                advice="the profile leaves it out: only what the archive returns by itself is known",
                behaviour={f"{_AT}.includefield": False},
                quirks={"includefield": False},
            )
            return
        yield Finding(
            probe=f"{_AT}.includefield",
            status=Standing.OK,
            text="includefield is taken",
            behaviour={f"{_AT}.includefield": True},
            quirks={"includefield": True},
        )

    def ask(self, level: Level, keys: Mapping[str, str], *, limit: int) -> Reply:
        """See ``core.probing.Asker``."""
        return self._asked(level, keys, limit=limit)

    def _asked(self, level: Level, keys: Mapping[str, str], *, limit: int | None, offset: int = 0) -> Reply:
        above = _above(level, keys)
        size = min(limit, self._page) if limit and self._page else limit
        try:
            response = self._get(self._address(level, keys, above, size, offset))
        except RefusedRequest as err:
            if err.status == 400 and size and size > SMALL_PAGE:
                self._page = SMALL_PAGE
                return self._asked(level, keys, limit=limit, offset=offset)
            if err.code in {"http-401", "http-403"} or err.status >= 500:
                raise
            return Reply(refused=str(err))
        keep = frozenset(keys)
        found = [match(row, level, above, keep) for row in _rows(response)]
        cut = limit is not None and len(found) >= limit
        return Reply(
            answers=tuple(dict(one.keys) for one in found[:limit]),
            cut=cut,
            announced=bool(_TRUNCATED.search(response.headers.get("Warning", ""))),
        )

    def _address(
        self, level: Level, keys: Mapping[str, str], above: Mapping[str, str], limit: int | None, offset: int
    ) -> str:
        path = "/".join(f"{_PATHS[upper]}/{checked(above[uid])}" for uid, upper in _UPPER.items() if uid in above)
        filters = {key: text for key, text in keys.items() if text and key not in above}
        wanted = [key for key, text in keys.items() if not text and key not in above] if self._fields else []
        numbers = {"limit": limit, "offset": offset or None}
        asked = {**filters, **{key: str(number) for key, number in numbers.items() if number is not None}}
        if wanted:
            asked["includefield"] = ",".join(wanted)
        where = "/".join(filter(None, (self._root.url, path, _PATHS[level])))
        return f"{where}?{urlencode(asked, safe='*,-')}"

    def _get(self, url: str) -> requests.Response:
        return self.session.get(url, headers={"Accept": JSON})

    # --- pages

    def _paged(self, cap: Finding) -> Finding:
        """A cap that the next page goes beyond is the size of a page."""
        learnt = self._inquiry.learnt
        count = len(learnt.studies)
        reply = self._asked(Level.STUDY, {"StudyInstanceUID": "", "StudyDate": learnt.window}, limit=1, offset=count)
        known = {one.get("StudyInstanceUID") for one in learnt.studies}
        if not any(one.get("StudyInstanceUID") not in known for one in reply.answers):
            return cap
        text = f"pages end at {count} answers; the next page goes on"
        return replace(cap, status=Standing.OK, text=text, quirks={"page_size": count})

    def _pages(self) -> Iterator[Finding]:
        """Whether ``limit`` and ``offset`` are honoured, and how many answers come without a limit."""
        learnt = self._inquiry.learnt
        count = len(learnt.studies)
        if count < 2:
            return
        keys = {"StudyInstanceUID": "", "StudyDate": learnt.window}
        one = self._asked(Level.STUDY, keys, limit=1)
        two = self._asked(Level.STUDY, keys, limit=1, offset=1)
        offset = bool(two.answers) and one.answers[:1] != two.answers[:1]
        yield Finding(
            probe=f"{_AT}.offset",
            status=Standing.OK if offset else Standing.WARNING,
            text="offset is honoured" if offset else "offset is ignored or refused: only the first page can be had",
            behaviour={f"{_AT}.offset": offset},
            quirks={} if offset else {"result_limit": self._page} if self._page else {},
        )
        if not learnt.cut:
            bare = self._asked(Level.STUDY, keys, limit=None)
            if 0 < len(bare.answers) < count:
                yield Finding(
                    probe=f"{_AT}.page",
                    status=Standing.OK,
                    text=f"without a limit {len(bare.answers)} answers come; pacsferry always gives a limit",
                    behaviour={f"{_AT}.page": len(bare.answers)},
                )


_UPPER: Mapping[str, Level] = {"StudyInstanceUID": Level.STUDY, "SeriesInstanceUID": Level.SERIES}


def _above(level: Level, keys: Mapping[str, str]) -> dict[str, str]:
    """The UIDs that go into the path, from the top and without a gap."""
    found: dict[str, str] = {}
    for uid in ABOVE.get(level, ()):
        if not keys.get(uid):
            break
        found[uid] = keys[uid]
    return found


def _rows(response: requests.Response) -> list[Mapping[str, Any]]:
    """The data sets of an answer; none for 204. Raises ``TransferError``."""
    if response.status_code == 204:
        return []
    try:
        return rows(response.json())
    except TransferError:
        raise
    except Exception:
        raise TransferError("the archive's answer to the query is no JSON", code="bad-answer") from None
