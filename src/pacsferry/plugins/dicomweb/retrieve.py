"""The transport ``wado-rs``: objects as the archive has them stored, streamed part by part into the sink.

It believes no answer that does not end properly, and asks for another form only when the archive says 406 (or 400 or
415, which some say instead).
"""

from __future__ import annotations

from dataclasses import dataclass

import requests
from dicomweb_client.uri import URI

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Framing, Head, Level, Ping, Receipt, Tally, Traits, Wanted
from pacsferry.core.ports import Sink

from . import WadoSettings
from .multipart import Multipart, Part, alone, boundary_of, media_type
from .session import RefusedRequest, WebSession, checked, ping, root_of

_RELATED = 'multipart/related; type="application/dicom"'
#: Forms to ask for, best first. Without a transfer-syntax parameter archives transcode (PS3.18 8.7.3.5.2).
AS_STORED = f"{_RELATED}; transfer-syntax=*"
FORMS = (AS_STORED, f"{_RELATED}; transfer-syntax=1.2.840.10008.1.2.1", _RELATED)
#: One instance may also come as it is, without an envelope.
SINGLE = ("application/dicom; transfer-syntax=*", "application/dicom")
#: "Not in that form", in several dialects: Orthanc says 400 where the standard says 406.
NOT_IN_THAT_FORM = frozenset({400, 406, 415})
OBJECT_TYPES = frozenset({"application/dicom", "application/octet-stream"})
#: So many refusals of a form, and no answer in it yet, show that the archive does not know it.
REFUSALS = 2
#: So many broken answers in a row end a request for several instances.
PATIENCE = 3
#: What every further instance would meet as well.
HOPELESS = frozenset({"http-401", "http-403", "interrupted", "no-space", "stalled", "unreachable"})


@dataclass(slots=True)
class _Count:
    """What came of one fetch; ``code`` is that of the first thing missing."""

    completed: int = 0
    failed: int = 0
    code: str = ""
    in_a_row: int = 0

    def lacks(self, code: str) -> None:
        self.code = self.code or code


class Wado:
    """WADO-RS (PS3.18 10.4). Thread-safe; every object goes to the sink while it comes."""

    traits = Traits(takes=frozenset({Level.STUDY, Level.SERIES, Level.IMAGE}), protocol="dicomweb")

    def __init__(self, archive: Archive, settings: WadoSettings) -> None:
        self._archive, self._settings = archive, settings
        self._root = root_of(archive, "wado")
        self._session = WebSession(self._root, archive, settings)
        self._many = _Forms(FORMS)
        self._single = _Forms(FORMS + SINGLE)
        if archive.quirks.any_transfer_syntax is False:
            self._many, self._single = _Forms(FORMS[1:]), _Forms((*FORMS[1:], SINGLE[1]))

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Ask for a study, a series, or instances one by one. Raises ``TransferError``."""
        count = _Count()
        if wanted.instances:
            self._each(wanted, sink, count)
        else:
            self._one(self._address(wanted.study, wanted.series), self._many, wanted, sink, count)
        return Tally(completed=count.completed, failed=count.failed or None, code=count.code)

    def ping(self) -> Ping:
        """A QIDO-RS request for one study. Raises ``TransferError``."""
        return ping(self._archive, self._settings)

    def close(self) -> None:
        """End what is under way. May be called twice."""
        self._session.cut()

    def _address(self, study: str, series: str | None = None, instance: str | None = None) -> str:
        """The address of a resource; each UID is checked, as it came from the archive and goes into a path."""
        series, instance = (None if uid is None else checked(uid) for uid in (series, instance))
        return str(URI(self._root.url, checked(study), series, instance, permissive=True))

    def _each(self, wanted: Wanted, sink: Sink, count: _Count) -> None:
        """One request per instance; one that fails does not stop the others, unless it tells that they would fail."""
        if wanted.series is None:
            raise TransferError("instances without their series", code="not-supported", retryable=False)
        for number, instance in enumerate(wanted.instances, start=1):
            try:
                address = self._address(wanted.study, wanted.series, instance)
                self._one(address, self._single, wanted, sink, count)
                count.in_a_row = 0
            except TransferError as err:
                self._survive(err, count, last=number == len(wanted.instances))

    def _survive(self, err: TransferError, count: _Count, *, last: bool) -> None:
        """Count one instance that failed; raise where going on makes no sense, or where nothing came at all."""
        count.failed += 1
        count.lacks(err.code)
        of_this_one = isinstance(err, RefusedRequest) and err.status < 500
        count.in_a_row = 0 if of_this_one else count.in_a_row + 1
        hopeless = err.code in HOPELESS or err.retry_after is not None or count.in_a_row >= PATIENCE
        if hopeless or (last and not count.completed):
            raise err

    def _one(self, address: str, forms: _Forms, wanted: Wanted, sink: Sink, count: _Count) -> None:
        """One request, in the first form that the archive gives."""
        response = self._ask(address, forms)
        try:
            self._take(response, wanted, sink, count)
        finally:
            response.close()

    def _ask(self, address: str, forms: _Forms) -> requests.Response:
        order = forms.order()
        for form in order:
            try:
                response = self._session.get(address, headers={"Accept": form}, stream=True)
            except RefusedRequest as err:
                if err.status not in NOT_IN_THAT_FORM or form is order[-1]:
                    raise
                forms.refused(form)
            else:
                forms.given(form)
                return response
        raise AssertionError  # pragma: no cover - the last form returns or raises

    def _take(self, response: requests.Response, wanted: Wanted, sink: Sink, count: _Count) -> None:
        """Give the objects of one answer to the sink."""
        if response.status_code == 204:
            count.lacks("not-found")
            return
        if response.status_code == 206:
            count.lacks("partial-answer")
        chunks = self._session.chunks(response.raw)
        kind = media_type(response.headers.get("Content-Type", ""))
        if kind.name.startswith("multipart/"):
            answer = Multipart(lambda: next(chunks, b""), boundary_of(kind))
            for part in answer:
                _give(part, wanted, sink, count)
            if _delimited(response):
                answer.epilogue()
        elif kind.name in OBJECT_TYPES:
            _give(alone(chunks), wanted, sink, count)
        else:
            raise TransferError(
                f"the archive answered with something else than DICOM ({self._root.key})",
                code="bad-answer",
                hint="a log-in page, perhaps, or an address that is not the DICOMweb root",
            )


def _give(part: Part, wanted: Wanted, sink: Sink, count: _Count) -> None:
    """Give one object to the sink; it counts when its end was seen. Raises ``TransferError``."""
    if (part.media_type.name or "application/dicom") not in OBJECT_TYPES:
        raise TransferError("a part of the archive's answer is no DICOM", code="bad-answer")
    if sink.accept(Head(framing=Framing.PART_10, wanted=wanted), part.chunks) is Receipt.NO_SPACE:
        raise TransferError("there is no space for what comes", code="no-space")
    part.drain()
    count.completed += 1


def _delimited(response: requests.Response) -> bool:
    """Whether HTTP says where the body ends; else a read after the closing boundary could wait for ever."""
    return "Content-Length" in response.headers or "chunked" in response.headers.get("Transfer-Encoding", "").lower()


class _Forms:
    """Which forms to ask for, in which order. What an archive refused every time is asked for last.

    One refusal does not count: an archive may be unable to give one study as it is, and all others.
    """

    def __init__(self, forms: tuple[str, ...]) -> None:
        self._forms = forms
        self._refusals = dict.fromkeys(forms, 0)

    def order(self) -> tuple[str, ...]:
        """All forms, in the order to try them."""
        return tuple(sorted(self._forms, key=lambda form: self._refusals[form] >= REFUSALS))

    def refused(self, form: str) -> None:
        """The archive did not give it in this form."""
        self._refusals[form] += 1

    def given(self, form: str) -> None:
        """The archive gave it: it knows this form, whatever it refuses later."""
        self._refusals[form] = -(2**62)
