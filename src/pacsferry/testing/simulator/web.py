"""The simulator's DICOMweb side: QIDO-RS and WADO-RS (PS3.18 8, 10) on a threading HTTP server; logs nothing.

Objects go out as they are stored; only uncompressed ones are recoded, between Explicit and Implicit VR Little Endian.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pydicom.dataset import Dataset

from .accept import NotAcceptable, Wish, choose
from .cargo import Piece, acted, load
from .faults import Faults, Spoiled
from .holdings import Holdings, Stored
from .journal import Asked, Journal
from .questions import Refused, answer
from .relay import refuse_plain
from .replies import BLOCK, Over, Reply
from .retrieve import recall
from .routes import QUERIES, RETRIEVALS, ROOT, Search, parsed, search

_BOUNDARY: Final = "ferry-boundary-7d1f"
_MORE: Final = '299 - "there are more results"'
#: An attribute of which a fault says that it is elsewhere: (gggg,eeee), VR.
_BULK: Final = ("7FE00010", "OW")

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

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.faults.for_request("qido-rs").take("tls-expected"):
            refuse_plain(request)
        super().process_request_thread(request, client_address)

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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = BLOCK
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing: the URL is identified."""

    def do_GET(self) -> None:
        path, keys = parsed(self.path)
        try:
            if not self._answered(path, keys):
                Reply(self, self.server.stopping).empty(404)
        except Over:
            self.close_connection = True
        finally:
            self.server.journal.answered()

    def _answered(self, path: str, given: list[tuple[str, str]]) -> bool:
        for route, (level, names) in QUERIES.items():
            if found := re.fullmatch(route, path):
                self._query(level, names, found.groups(), given)
                return True
        for route, level in RETRIEVALS.items():
            if found := re.fullmatch(route, path):
                self._retrieve(level, found)
                return True
        return False

    def _query(self, level: str, names: Sequence[str], uids: Sequence[str], given: list[tuple[str, str]]) -> None:
        try:
            wish = search(level, names, uids, given)
        except ValueError:
            Reply(self, self.server.stopping).empty(400)
            return
        keys = wish.question.keys
        study, series = keys.get("StudyInstanceUID", ""), keys.get("SeriesInstanceUID", "")
        asked = Asked(verb="qido-rs", level=level, keys=keys, study=study, series=series, odd=wish.question.odd)
        self._exchange(asked).query(wish)

    def _retrieve(self, level: str, found: re.Match[str]) -> None:
        *uids, metadata = found.groups()
        study, series, instance = (*uids, "", "")[:3]
        verb = "wado-rs-metadata" if metadata else "wado-rs"
        instances = (instance,) if instance else ()
        asked = Asked(verb=verb, level=level, study=study, series=series, instances=instances)
        self._exchange(asked).retrieve(self.headers.get("Accept", "*/*"))

    def _exchange(self, asked: Asked) -> _Exchange:
        asked.peer = self.client_address[0]
        self.server.journal.add(asked)
        spoiled = self.server.faults.for_request(asked.verb, asked.study, asked.level)
        silent = spoiled.take("http-silence")
        reply = Reply(
            self,
            self.server.stopping,
            gzip=spoiled.take("gzip") is not None,
            silent=bool(silent["headers"]) if silent else None,
        )
        return _Exchange(self.server, asked, spoiled, reply, f"http://{self.headers.get('Host', '')}{ROOT}")


class _Exchange:
    """One request and its answer."""

    def __init__(self, server: _Server, asked: Asked, spoiled: Spoiled, reply: Reply, url: str) -> None:
        self._holdings, self._stopping = server.holdings, server.stopping
        self._asked, self._spoiled, self._reply, self._url = asked, spoiled, reply, url

    # --- QIDO-RS ---------------------------------------------------------------------------------------------------

    def query(self, wish: Search) -> None:
        """Answer a search, or fail it as an order wants."""
        if self._refused():
            return
        fields = self._spoiled.take("no-includefield") if wish.question.fields else None
        pause = self._spoiled.take("find-pause")
        self._stopping.wait(float(pause["seconds"]) if pause else 0)
        try:
            answers = answer(wish.question, self._spoiled, self._holdings)
        except Refused as refusal:
            self._empty(refusal.code)
            return
        fails = fields or self._spoiled.take("find-fails")
        if fails:
            self._empty(int(fails["code"]))
            return
        most = self._spoiled.take("max-offset")
        if most and wish.offset > most["most"]:
            self._empty(int(most["code"]))
            return
        page, more = self._paged(answers, wish)
        self._asked.matches = len(page)
        self._json([self._as_json(one) for one in page], {"Warning": _MORE} if more else {})

    def _paged(self, answers: list[Dataset], wish: Search) -> tuple[list[Dataset], bool]:
        """One page of what the archive gives at most, and whether it says that there is more."""
        cap, pages = self._spoiled.take("find-cap"), self._spoiled.take("find-page")
        shown = answers[: int(cap["limit"])] if cap else answers
        told = bool(cap and cap["told"] and len(shown) < len(answers))
        offset = 0 if self._spoiled.take("no-offset") else wish.offset
        limit = wish.limit if wish.limit is not None else int(pages["default"]) if pages else len(shown)
        limit = min(limit, int(pages["most"])) if pages else limit
        return shown[offset : offset + limit], told or self._spoiled.take("warning-299") is not None

    # --- WADO-RS ---------------------------------------------------------------------------------------------------

    def retrieve(self, accept: str) -> None:
        """Send what is named, or fail as an order wants."""
        if self._refused():
            return
        whole = self._spoiled.take("whole-study")
        series, instances = ("", ()) if whole else (self._asked.series, self._asked.instances)
        batch = self._holdings.select(study=self._asked.study, series=series, instances=instances)
        grows = self._spoiled.take("grows")
        if grows:
            self._holdings.grow(self._asked.study, int(grows["by"]))
        if not batch:
            self._empty(404)
        elif self._asked.verb == "wado-rs-metadata":
            self._json([self._as_json(one.header) for one in batch], {})
        else:
            self._send_objects(batch, accept)

    def _send_objects(self, batch: Sequence[Stored], accept: str) -> None:
        recall(self._spoiled, self._holdings, self._asked.study, self._stopping)
        only = self._spoiled.take("accept-only")
        if only and accept not in str(only["media"]).split("|"):
            self._empty(406)
            return
        try:
            wish = choose(accept, batch, star=not self._spoiled.take("no-star"))
        except NotAcceptable:
            self._empty(406)
            return
        cargo = self._cargo(batch)
        partial = self._spoiled.take("http-206")
        cargo = cargo[: max(1, len(cargo) // 2)] if partial else cargo
        status = 206 if partial else 200
        if not cargo:
            self._empty(204)
        elif wish.single or self._spoiled.take("single-part"):
            self._send_single(cargo[0], wish, status)
        else:
            self._send_multipart(cargo, wish, status)

    def _cargo(self, batch: Sequence[Stored]) -> Sequence[Piece]:
        if self._spoiled.any_of(("nothing", "offline")):
            return ()
        cargo = load(batch, self._spoiled, self._holdings.all())
        return acted(cargo, self._asked.requested, self._spoiled.actors()).pieces

    def _send_single(self, piece: Piece, wish: Wish, status: int) -> None:
        body = piece.stored.file(wish.syntax_for(piece.stored))
        closing = self._spoiled.take("no-length") is not None
        self._begin(status, "application/dicom", length=None if closing else len(body), until_close=closing)
        spoil = self._spoiler(piece)
        if spoil:
            self._reply.write(body[: spoil[0]])
            (self._reply.break_off if spoil[1] == self._reply.end_early else spoil[1])()
        self._reply.write(body)
        self._reply.end()
        self._asked.sent.append(piece.stored.instance)

    def _send_multipart(self, cargo: Sequence[Piece], wish: Wish, status: int) -> None:
        announced = f"{_BOUNDARY}-other" if self._spoiled.take("wrong-boundary") else _BOUNDARY
        quoted = announced if self._spoiled.take("bare-boundary") else f'"{announced}"'
        closing = self._spoiled.take("no-length") is not None
        content = f'multipart/related; type="application/dicom"; boundary={quoted}'
        self._begin(status, content, until_close=closing)
        slow = self._spoiled.take("slow")
        for piece in cargo:
            self._part(piece, wish, int(slow["rate"]) if slow else 0)
            self._asked.sent.append(piece.stored.instance)
        self._reply.write(f"\r\n--{_BOUNDARY}--\r\n".encode())
        self._reply.end()

    def _part(self, piece: Piece, wish: Wish, rate: int) -> None:
        syntax = wish.syntax_for(piece.stored)
        body = piece.stored.file(syntax)
        pause = self._spoiled.at("pause", piece.number)
        if pause:
            self._reply.pause(float(pause["seconds"]))
        head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom; transfer-syntax={syntax}\r\n\r\n"
        self._reply.write(head.encode())
        spoil = self._spoiler(piece)
        cut = spoil[0] if spoil else len(body)
        self._reply.write(body[:cut], rate)
        if spoil:
            spoil[1]()
        self._reply.write(body[cut:], rate)

    def _spoiler(self, piece: Piece) -> tuple[int, Callable[[], None]] | None:
        """Where the body of this part is to be left, and what happens there."""
        size, reply = len(piece.stored.data), self._reply
        for name, act in (("silence", reply.fall_silent), ("reset", reply.reset), ("abort", reply.break_off)):
            fault = self._spoiled.at(name, piece.number)
            if fault:
                return (int(fault.parameters.get("after", 0)) or size // 2), act
        cut = self._spoiled.at("cut", piece.number)
        if cut:
            return (size if cut["at"] in ("after", "end", "part") else size // 2), reply.end_early
        closing = self._spoiled.at("no-length", piece.number)
        return (size // 2, reply.break_off) if closing and closing["nth"] else None

    # --- answers ---------------------------------------------------------------------------------------------------

    def _refused(self) -> bool:
        """Answer as a fault wants it; whether one did."""
        status = self._spoiled.any_of(_STATUSES)
        redirect = None if status else self._spoiled.take("redirect")
        page = None if status or redirect else self._spoiled.take("login-page")
        if status:
            retry = {"Retry-After": str(status["retry_after"])} if status.parameters.get("retry_after") else {}
            self._empty(int(status["code"]), retry)
        elif redirect:
            self._empty(302, {"Location": str(redirect["to"])})
        elif page:
            self._body(b"<html><body>Please log in</body></html>", "text/html", {})
        return bool(status or redirect or page) or self._refused_by_plugin()

    def _refused_by_plugin(self) -> bool:
        if self._asked.verb == "qido-rs":  # asked where the question is answered
            return False
        for actor in self._spoiled.actors():
            status = actor.refuse(self._asked.requested)
            if status is not None:
                self._empty(status if status < 600 else 500)
                return True
        return False

    def _as_json(self, ds: Dataset) -> Any:
        """A data set in the DICOM JSON model (PS3.18 F); bulk data here, or where an order says."""
        elsewhere = self._spoiled.take("bulk-elsewhere")
        url = str(elsewhere["to"]) if elsewhere else f"{self._url}/bulk/1"
        model = ds.to_json_dict(bulk_data_threshold=1024, bulk_data_element_handler=lambda _: url)
        if elsewhere:
            tag, vr = _BULK
            model[tag] = {"vr": vr, "BulkDataURI": url}
        return model

    def _json(self, answers: list[Any], headers: Mapping[str, str]) -> None:
        if not answers:
            self._empty(204, headers)
            return
        body = json.dumps(answers).encode()
        body = body[: len(body) // 2] if self._spoiled.take("bad-json") else body
        self._body(body, "application/dicom+json", headers)

    def _body(self, body: bytes, content: str, headers: Mapping[str, str]) -> None:
        self._asked.status = 200
        self._reply.body(200, body, content, headers)

    def _begin(self, status: int, content: str, **framing: Any) -> None:
        self._asked.status = status
        self._reply.begin(status, content, **framing)

    def _empty(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._asked.status = status
        self._reply.empty(status, headers)
