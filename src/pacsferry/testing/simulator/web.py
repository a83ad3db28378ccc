"""The simulator's DICOMweb side: QIDO-RS and WADO-RS (PS3.18 8, 10) on a threading HTTP server; logs nothing.

Objects go out as they are stored; only uncompressed ones are recoded, between Explicit and Implicit VR Little Endian.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from .accept import NotAcceptable, Wish, choose
from .answers import spoilt_answers
from .cargo import Piece, load
from .faults import Faults, Spoiled
from .holdings import Holdings, Stored
from .journal import Asked, Journal

ROOT: Final = "/dicom-web"
_BOUNDARY: Final = "ferry-boundary-7d1f"
_BLOCK: Final = 1 << 16

_QUERIES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    r"/studies": ("STUDY", ()),
    r"/series": ("SERIES", ()),
    r"/instances": ("IMAGE", ()),
    r"/studies/([^/]+)/series": ("SERIES", ("StudyInstanceUID",)),
    r"/studies/([^/]+)/instances": ("IMAGE", ("StudyInstanceUID",)),
    r"/studies/([^/]+)/series/([^/]+)/instances": ("IMAGE", ("StudyInstanceUID", "SeriesInstanceUID")),
}
_RETRIEVALS: Final[Mapping[str, str]] = {
    r"/studies/([^/]+)(/metadata)?": "STUDY",
    r"/studies/([^/]+)/series/([^/]+)(/metadata)?": "SERIES",
    r"/studies/([^/]+)/series/([^/]+)/instances/([^/]+)(/metadata)?": "IMAGE",
}
#: Attributes of a QIDO-RS answer without includefield (PS3.18 table 10.6.3-3 to 5).
_DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
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
_STATUSES: Final = (
    "http-503",
    "http-429",
    "http-500",
    "http-401",
    "http-403",
    "http-404",
    "http-406",
    "http-400",
    "http-204",
)


class WebServer:
    """Serves ``holdings`` at ``url``."""

    def __init__(self, holdings: Holdings, faults: Faults, journal: Journal, *, host: str, port: int) -> None:
        self._server = _Server((host, port), _Handler)
        self._server.holdings, self._server.faults, self._server.journal = holdings, faults, journal
        self.port = int(self._server.server_address[1])
        self.url = f"http://{host}:{self.port}{ROOT}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; connections under way are ended."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    holdings: Holdings
    faults: Faults
    journal: Journal

    def __init__(self, *args: Any) -> None:
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Wake every handler that still reads or waits."""
        with self._lock:
            open_ones = list(self._connections)
        for one in open_ones:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away; the traceback would quote the request."""


class _Over(Exception):
    """The fault has ended the answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = _BLOCK
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing: the URL is identified."""

    def do_GET(self) -> None:
        path, keys = _parsed(self.path)
        try:
            if not self._answered(path, keys):
                self._empty(404)
        except _Over:
            self.close_connection = True

    def _answered(self, path: str, keys: list[tuple[str, str]]) -> bool:
        for route, (level, names) in _QUERIES.items():
            if found := re.fullmatch(route, path):
                self._query(level, names, found, keys)
                return True
        for route, level in _RETRIEVALS.items():
            if found := re.fullmatch(route, path):
                self._retrieve(level, found)
                return True
        return False

    # --- QIDO-RS ---------------------------------------------------------------------------------------------------

    def _query(self, level: str, names: Sequence[str], found: re.Match[str], given: Sequence[tuple[str, str]]) -> None:
        keys, fields, page = _sorted(given)
        keys |= dict(zip(names, found.groups(), strict=True))
        asked = self._asked(
            Asked(
                verb="qido-rs",
                level=level,
                keys=keys,
                study=keys.get("StudyInstanceUID", ""),
                series=keys.get("SeriesInstanceUID", ""),
            )
        )
        spoiled = self.server.faults.for_request("qido-rs", asked.study, level)
        if self._refused(spoiled, asked):
            return
        wants = [*_DEFAULTS[level], *fields, *(() if names or level == "STUDY" else _DEFAULTS["STUDY"])]
        answers = list(spoilt_answers(spoiled, self.server.holdings.find(level, keys, wants)))
        offset, limit = int(page.get("offset", 0)), int(page.get("limit", len(answers)))
        asked.matches = len(answers[offset : offset + limit])
        warning = {"Warning": '299 - "there are more results"'} if spoiled.take("warning-299") else {}
        self._json([_json(one, self.server_url) for one in answers[offset : offset + limit]], asked, spoiled, warning)

    @property
    def server_url(self) -> str:
        return f"http://{self.headers.get('Host', '')}{ROOT}"

    # --- WADO-RS ---------------------------------------------------------------------------------------------------

    def _retrieve(self, level: str, found: re.Match[str]) -> None:
        *uids, metadata = found.groups()
        study, series, instance = (*uids, "", "")[:3]
        verb = "wado-rs-metadata" if metadata else "wado-rs"
        asked = self._asked(
            Asked(verb=verb, level=level, study=study, series=series, instances=(instance,) if instance else ())
        )
        spoiled = self.server.faults.for_request(verb, study, level)
        if self._refused(spoiled, asked):
            return
        batch = self.server.holdings.select(study=study, series=series, instances=asked.instances)
        if not batch:
            self._empty(404, asked)
        elif metadata:
            self._json([_json(one.header, self.server_url) for one in batch], asked, spoiled, {})
        else:
            self._send_objects(batch, asked, spoiled)

    def _send_objects(self, batch: Sequence[Stored], asked: Asked, spoiled: Spoiled) -> None:
        try:
            wish = choose(self.headers.get("Accept", "*/*"), batch, star=not spoiled.take("no-star"))
        except NotAcceptable:
            self._empty(406, asked)
            return
        cargo = () if spoiled.take("nothing") else load(batch, spoiled, self.server.holdings.all()).pieces
        partial = spoiled.take("http-206")
        cargo = cargo[: max(1, len(cargo) // 2)] if partial else cargo
        status = 206 if partial else 200
        if not cargo:
            self._empty(204, asked)
        elif wish.single or spoiled.take("single-part"):
            self._send_single(cargo[0], wish, asked, spoiled, status)
        else:
            self._send_multipart(cargo, wish, asked, spoiled, status)

    def _send_single(self, piece: Piece, wish: Wish, asked: Asked, spoiled: Spoiled, status: int) -> None:
        body = piece.stored.file(wish.syntax_for(piece.stored))
        self._head(status, asked, {"Content-Type": "application/dicom", "Content-Length": str(len(body))})
        spoil = self._spoiler(piece, spoiled)
        if spoil:
            self.wfile.write(body[: spoil[0]])
            self.wfile.flush()
            (self._break_off if spoil[1] == self._end_early else spoil[1])()
        self.wfile.write(body)
        asked.sent.append(piece.stored.instance)

    def _send_multipart(self, cargo: Sequence[Piece], wish: Wish, asked: Asked, spoiled: Spoiled, status: int) -> None:
        content = f'multipart/related; type="application/dicom"; boundary="{_BOUNDARY}"'
        self._head(status, asked, {"Content-Type": content, "Transfer-Encoding": "chunked"})
        slow = spoiled.take("slow")
        rate = int(slow["rate"]) if slow else 0
        for piece in cargo:
            self._part(piece, wish, spoiled, rate)
            asked.sent.append(piece.stored.instance)
        self._chunk(f"\r\n--{_BOUNDARY}--\r\n".encode())
        self._chunk(b"")

    def _part(self, piece: Piece, wish: Wish, spoiled: Spoiled, rate: int) -> None:
        syntax = wish.syntax_for(piece.stored)
        body = piece.stored.file(syntax)
        pause = spoiled.at("pause", piece.number)
        if pause:
            self.wfile.flush()
            self.server.stopping.wait(float(pause["seconds"]))
        head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom; transfer-syntax={syntax}\r\n\r\n"
        self._chunk(head.encode())
        spoil = self._spoiler(piece, spoiled)
        cut = spoil[0] if spoil else len(body)
        self._blocks(body[:cut], rate)
        if spoil:
            spoil[1]()
        self._blocks(body[cut:], rate)

    def _spoiler(self, piece: Piece, spoiled: Spoiled) -> tuple[int, Callable[[], None]] | None:
        """Where the body of this part is to be left, and what happens there."""
        size = len(piece.stored.data)
        for name, act in (("silence", self._go_silent), ("reset", self._reset), ("abort", self._break_off)):
            fault = spoiled.at(name, piece.number)
            if fault:
                return (int(fault.parameters.get("after", 0)) or size // 2), act
        cut = spoiled.at("cut", piece.number)
        if cut:
            return (size if cut["at"] in ("after", "end", "part") else size // 2), self._end_early
        return None

    def _go_silent(self) -> None:
        """Keep the connection and send nothing, until the client leaves."""
        self.wfile.flush()
        while not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.2)
            if readable:
                break
        raise _Over

    def _reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _Over

    def _break_off(self) -> None:
        """Close in the middle of the chunked body: an error that HTTP notices."""
        self.wfile.flush()
        raise _Over

    def _end_early(self) -> None:
        """End the chunked body in good order, without the closing boundary: an error that only a reader notices."""
        self._chunk(b"")
        self.wfile.flush()
        raise _Over

    # --- answers ---------------------------------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> Asked:
        asked.peer = self.client_address[0]
        return self.server.journal.add(asked)

    def _refused(self, spoiled: Spoiled, asked: Asked) -> bool:
        """Answer as a fault wants it; whether one did."""
        status = spoiled.any_of(_STATUSES)
        redirect = None if status else spoiled.take("redirect")
        page = None if status or redirect else spoiled.take("login-page")
        if status:
            retry = {"Retry-After": str(status["retry_after"])} if status.parameters.get("retry_after") else {}
            self._empty(int(status["code"]), asked, retry)
        elif redirect:
            self._empty(302, asked, {"Location": str(redirect["to"])})
        elif page:
            self._body(b"<html><body>Please log in</body></html>", "text/html", asked, {})
        return bool(status or redirect or page)

    def _json(self, answers: list[Any], asked: Asked, spoiled: Spoiled, headers: Mapping[str, str]) -> None:
        if not answers:
            self._empty(204, asked, headers)
            return
        body = json.dumps(answers).encode()
        self._body(
            body[: len(body) // 2] if spoiled.take("bad-json") else body, "application/dicom+json", asked, headers
        )

    def _body(self, body: bytes, content: str, asked: Asked, headers: Mapping[str, str]) -> None:
        self._head(200, asked, {"Content-Type": content, "Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def _empty(self, status: int, asked: Asked | None = None, headers: Mapping[str, str] | None = None) -> None:
        length = {} if status == 204 else {"Content-Length": "0"}
        self._head(status, asked, {**length, **(headers or {})})

    def _head(self, status: int, asked: Asked | None, headers: Mapping[str, str]) -> None:
        if asked:
            asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _blocks(self, body: bytes | memoryview, rate: int) -> None:
        step = min(_BLOCK, max(1024, rate // 10)) if rate else _BLOCK
        for start in range(0, len(body), step):
            self._chunk(body[start : start + step])
            if rate:
                self.wfile.flush()
                time.sleep(step / rate)

    def _chunk(self, data: bytes | memoryview) -> None:
        self.wfile.write(b"%x\r\n" % len(data))
        self.wfile.write(data)
        self.wfile.write(b"\r\n")


def _parsed(target: str) -> tuple[str, list[tuple[str, str]]]:
    """The path below the root without its percent signs, and the query's pairs."""
    parts = urlsplit(target)
    return unquote(parts.path).removeprefix(ROOT).rstrip("/"), parse_qsl(parts.query, keep_blank_values=True)


def _sorted(given: Sequence[tuple[str, str]]) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Matching keys by keyword, fields to include, and limit and offset (PS3.18 8.3.4)."""
    keys, fields, page = {}, [], {}
    for name, value in given:
        if name == "includefield":
            fields += [word for part in value.split(",") if (word := _keyword(part))]
        elif name in ("limit", "offset"):
            page[name] = value
        elif word := _keyword(name):
            keys[word] = value.replace(",", "\\") if word.endswith("UID") else value
    return keys, fields, page


def _keyword(name: str) -> str:
    """The keyword of a keyword or an eight-digit tag; empty for what we do not know."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return keyword_for_tag(int(name, 16))
    return name if tag_for_keyword(name) is not None else ""


def _json(ds: Dataset, url: str) -> Any:
    return ds.to_json_dict(bulk_data_threshold=1024, bulk_data_element_handler=lambda _: f"{url}/bulk/1")
