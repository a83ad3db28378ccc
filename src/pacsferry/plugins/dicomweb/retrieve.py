"""The transport ``wado-rs``: objects as the archive has them stored, streamed part by part into the sink.

It believes no answer that does not end properly, and asks for another form only when the archive says that it cannot
give this one (``statuses``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Framing, Head, Level, Ping, Receipt, Tally, Traits, Wanted
from pacsferry.core.ports import Finding, Sink
from pacsferry.core.quirks import Quirks

from . import WadoSettings
from .library import URI
from .multipart import Multipart, Part, alone, boundary_of, media_type
from .origins import checked, root_of
from .patience import RefusedRequest
from .session import WebSession, ping
from .statuses import Then, those

_RELATED = 'multipart/related; type="application/dicom"'
#: Forms to ask for, best first. Without a transfer-syntax parameter archives transcode (PS3.18 8.7.3.5.2).
AS_STORED = f"{_RELATED}; transfer-syntax=*"
FORMS = (AS_STORED, f"{_RELATED}; transfer-syntax=1.2.840.10008.1.2.1", _RELATED)
#: One instance may also come as it is, without an envelope.
SINGLE = ("application/dicom; transfer-syntax=*", "application/dicom")
#: "Not in that form", in several dialects: Orthanc says 400 where the standard says 406.
NOT_IN_THAT_FORM = those(Then.FORM)
OBJECT_TYPES = frozenset({"application/dicom", "application/octet-stream"})
#: So many refusals of a form, and no answer in it yet, show that the archive does not know it.
REFUSALS = 2
#: So many broken answers in a row end a request for several instances.
PATIENCE = 3
#: What every further instance would meet as well.
HOPELESS = frozenset(
    {"http-401", "http-403", "interrupted", "nearline", "no-space", "no-token", "stalled", "unreachable"}
)
#: Levels as quirks and as ``Wanted`` name them.
LEVELS = {"study": Level.STUDY, "series": Level.SERIES, "instance": Level.IMAGE}
EVERY_LEVEL = frozenset(LEVELS.values())


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

    def __init__(self, archive: Archive, settings: WadoSettings) -> None:
        self._archive, self._settings = archive, settings
        self.traits = _traits(archive.quirks)
        self._root = root_of(archive, "wado")
        self._session = WebSession(self._root, archive, settings)
        self._probing: WebSession | None = None
        self._many = _Forms(_accepted(FORMS, archive.quirks))
        self._single = _Forms(_accepted(FORMS + SINGLE, archive.quirks))

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Ask for a study, a series, or instances one by one. Raises ``TransferError``."""
        count = _Count()
        if wanted.level not in self.traits.takes:
            raise TransferError("the archive serves other levels only", code="not-supported", retryable=False)
        if wanted.instances:
            self._each(wanted, sink, count)
        else:
            self._one(self._address(wanted.study, wanted.series), self._many, wanted, sink, count)
        return Tally(completed=count.completed, failed=count.failed or None, code=count.code)

    def ping(self) -> Ping:
        """A QIDO-RS request for one study. Raises ``TransferError``."""
        return ping(self._archive, self._settings)

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:
        """See ``ports.Prober``: levels and forms of something small."""
        from .probe_wado import probe, session_of

        self._probing = session_of(self._archive, self._settings)
        try:
            yield from probe(self, self._probing, samples)
        finally:
            self._probing.cut()

    def close(self) -> None:
        """End what is under way. May be called twice."""
        self._session.cut()
        if self._probing is not None:
            self._probing.cut()

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
        response = self._ask(address, forms, slow=wanted.nearline)
        try:
            self._take(response, wanted, sink, count)
        finally:
            response.close()

    def _ask(self, address: str, forms: _Forms, *, slow: bool) -> requests.Response:
        order = forms.order()
        for form in order:
            try:
                response = self._session.open(address, form, slow=slow)
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


def _traits(quirks: Quirks) -> Traits:
    """What it takes: every level that the archive serves."""
    served = frozenset(LEVELS[name] for name in quirks.retrieve_levels) if quirks.retrieve_levels else EVERY_LEVEL
    alone = frozenset() if _accepted(FORMS, quirks) else EVERY_LEVEL - {Level.IMAGE}
    return Traits(takes=served - alone, protocol="dicomweb")


def _accepted(forms: tuple[str, ...], quirks: Quirks) -> tuple[str, ...]:
    """The forms to ask for, best first: those that the archive is known to take, else those it is not known to refuse.

    Of several objects there is no form but multipart/related.
    """
    if quirks.accept:
        return tuple(form for form in quirks.accept if SINGLE[1] in forms or form.startswith("multipart/"))
    return tuple(form for form in forms if quirks.any_transfer_syntax is not False or not form.endswith("=*"))


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
