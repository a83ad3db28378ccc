"""The simulator's DIMSE side: echo, find, get, move, store over pynetdicom's association, below its service classes.

pynetdicom's own service classes count honestly and encode anew; this one lies to order and sends bytes as they are
stored, so it takes over ``Association._serve_request`` and talks in DIMSE primitives (PS3.7).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.presentation import PresentationContext, build_context

from pacsferry.core.redact import quiet

from .delivery import Lanes, no_delay
from .faults import Faults
from .finding import Finding, question
from .holdings import LEVELS, Holdings
from .journal import Asked, Journal
from .matching import values
from .negotiation import MODELS, VERIFICATION, contexts
from .relay import Relay
from .responses import FAILED, MISMATCH, SUCCESS, respond, response
from .retrieve import Courier, Trip
from .security import SecureServer, Security

#: How long those who were rejected get to hang up when the simulator is closed.
FAREWELL_SECONDS: Final = 1.0


class DimseServer:
    """Serves ``holdings`` on 127.0.0.1, behind a relay that can misbehave on the wire. ``port`` is the relay's."""

    def __init__(
        self,
        holdings: Holdings,
        faults: Faults,
        journal: Journal,
        *,
        ae_title: str,
        host: str,
        port: int,
        security: Security | None = None,
    ) -> None:
        quiet()
        self._holdings, self._faults, self._journal = holdings, faults, journal
        self._security = security
        self.destinations: dict[str, tuple[str, int]] = {}
        self._late: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._moving: list[str] = []
        self._stopping = threading.Event()
        self._ae = AE(ae_title=ae_title)
        self._ae.maximum_associations = 100
        self._ae.acse_timeout, self._ae.dimse_timeout, self._ae.network_timeout = 15, 120, None
        self._ae.supported_contexts = [build_context(VERIFICATION)]
        self.lanes = Lanes(self._ae, security)
        self._server = self._listen()
        try:
            self._relay = Relay(
                ("127.0.0.1", self._server.server_address[1]), host=host, port=port, tls=self._wants_tls
            )
        except OSError:
            self._ae.shutdown()
            raise
        self.port = self._relay.port
        self._serve: Mapping[type, Callable[..., None]] = {
            C_ECHO: self._echo,
            C_FIND: self._find,
            C_GET: self._retrieve,
            C_MOVE: self._retrieve,
            C_STORE: self._store,
        }

    def _listen(self) -> Any:
        """``AE.start_server`` with a shorter poll: its half a second would be spent at every ``close``."""
        handlers: list[Any] = [(evt.EVT_REQUESTED, self._requested)]
        users = self._security.users if self._security else {}
        if self._security and users:
            handlers.append((evt.EVT_USER_ID, self._security.knows))
        server: Any = self._ae.make_server(("127.0.0.1", 0), evt_handlers=handlers, server_class=SecureServer)
        server.secure = self._security.server if self._security else None
        self._ae._servers.append(server)  # noqa: SLF001 - as start_server does, so that AE.shutdown finds it
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _wants_tls(self) -> bool:
        return self._faults.for_request("associate").take("tls-expected") is not None

    def close(self) -> None:
        """Stop; associations under way are aborted."""
        self._stopping.set()
        self._relay.close()
        self.lanes.close()
        self._let_go()
        self._ae.shutdown()
        for thread in self._late:
            thread.join(timeout=5)
        for one in self._sockets:  # pynetdicom leaves a socket open when its peer has reset it
            one.close()

    def _let_go(self) -> None:
        """Whoever was rejected is on the way out; pynetdicom does not survive that it is aborted then."""
        end = time.monotonic() + FAREWELL_SECONDS
        for assoc in self._server.active_associations:
            if not assoc.is_established:
                assoc.join(max(0.0, end - time.monotonic()))

    # --- association -----------------------------------------------------------------------------------------------

    def _requested(self, event: evt.Event) -> None:
        """Before negotiation: say what is supported to this peer, and take over the requests to come."""
        assoc: Any = event.assoc
        self._sockets = [one for one in self._sockets if one.fileno() >= 0] + [no_delay(assoc)]
        identity = assoc.requestor.user_identity
        user = identity.primary_field.decode("utf-8", "replace") if identity else ""
        peer = str(assoc.requestor.primitive.calling_ae_title)
        asked = self._journal.add(Asked(verb="associate", peer=peer, user=user))
        spoiled = self._faults.for_request("associate")
        limit = spoiled.take("limit-associations")
        full = limit and len(self._server.active_associations) > limit["limit"]
        nobody = self._security and self._security.users and identity is None
        asked.status = 1 if spoiled.take("reject") or full or nobody else 0
        self._journal.answered()
        if asked.status:
            assoc.acse.send_reject(*((0x02, 0x03, 0x02) if full else (0x01, 0x01, 0x01)))  # PS3.8 9.3.4
            assoc.kill()
            return
        assoc.acceptor.supported_contexts = contexts(assoc, self._holdings, spoiled)
        assoc._serve_request = partial(self._dispatch, assoc)  # noqa: SLF001 - see the module's docstring
        if spoiled.take("no-release"):
            assoc.acse.is_release_requested = lambda: False

    def _dispatch(self, assoc: Association, request: Any, context_id: int) -> None:
        """What pynetdicom's ``_serve_request`` does, with our services."""
        serve = self._serve.get(type(request))
        context = assoc._accepted_cx.get(context_id)  # noqa: SLF001 - as pynetdicom does
        if serve is None or context is None:
            assoc.abort()
            return
        assoc.dimse.cancel_req = {}
        assoc._is_paused = True  # noqa: SLF001 - the reactor leaves the messages to us
        try:
            serve(assoc, request, context)
        except Exception as error:
            if not self._stopping.is_set():
                self._journal.errors.append(error)
                assoc.abort()
        finally:
            self._journal.answered()
            assoc._is_paused = False  # noqa: SLF001
            assoc.dimse.cancel_req = {}

    # --- services --------------------------------------------------------------------------------------------------

    def _echo(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        self._journal.add(Asked(verb="c-echo", peer=_peer(assoc), status=SUCCESS))
        respond(assoc, context, request, SUCCESS)

    def _store(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        asked = self._journal.add(
            Asked(verb="c-store", peer=_peer(assoc), instances=(str(request.AffectedSOPInstanceUID),))
        )
        try:
            self._holdings.add(_file(request, context))
            asked.status = SUCCESS
        except Exception:
            asked.status = FAILED
        said = response(C_STORE, request, asked.status)
        said.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        assoc.dimse.send_msg(said, int(context.context_id or 0))

    def _find(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        identifier = _identifier(request, context)
        asks = question(identifier, str(identifier.get("QueryRetrieveLevel", "")))
        asked = self._journal.add(
            Asked(
                verb="c-find",
                level=asks.level,
                peer=_peer(assoc),
                keys=asks.keys,
                study=asks.keys.get("StudyInstanceUID", ""),
                odd=asks.odd,
            )
        )
        Finding(
            assoc=assoc,
            context=context,
            request=request,
            asked=asked,
            question=asks,
            spoiled=self._faults.for_request("c-find", asked.study, asks.level),
            holdings=self._holdings,
            ae_title=self._ae.ae_title,
            stopping=self._stopping,
        ).serve()

    def _retrieve(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        verb, _ = MODELS[str(context.abstract_syntax)]
        identifier = _identifier(request, context)
        asked = self._journal.add(_asked_for(verb, identifier, _peer(assoc)))
        spoiled = self._faults.for_request(verb, asked.study, asked.level)
        whole = bool(spoiled.take("whole-study") and asked.study)
        batch = self._holdings.select(
            patient="" if whole else "\\".join(values(identifier, "PatientID")),
            study=asked.study,
            series="" if whole else asked.series,
            instances=() if whole else asked.instances,
        )
        grows = spoiled.take("grows")
        if grows:
            self._holdings.grow(asked.study, int(grows["by"]))
        courier = Courier(
            Trip(
                assoc=assoc,
                context=context,
                request=request,
                asked=asked,
                spoiled=spoiled,
                batch=batch,
                holdings=self._holdings,
                stopping=self._stopping,
            )
        )
        crowd = spoiled.take("one-at-a-time")
        with self._underway(asked.study) as alone:
            if asked.level not in LEVELS or not _keyed(asked, identifier):
                courier.finish(MISMATCH)
            elif crowd and not alone:
                courier.finish(int(crowd["status"]))
            elif verb == "c-get":
                courier.get(self._relay.wire(assoc.requestor.port))
            else:
                self._move(courier, str(request.MoveDestination).strip())

    @contextmanager
    def _underway(self, study: str) -> Iterator[bool]:
        """Whether no other retrieval of the study is being served."""
        with self._lock:
            alone = study not in self._moving
            self._moving.append(study)
        try:
            yield alone
        finally:
            with self._lock:
                self._moving.remove(study)

    def _move(self, courier: Courier, destination: str) -> None:
        late = courier.move(self.lanes, destination, self.destinations.get(destination))
        if late is not None:
            self._late.append(late)


def _keyed(asked: Asked, identifier: Dataset) -> bool:
    """A retrieve names the entity of its level (PS3.4 C.4.2.1.4); without it a server would send everything."""
    named = {"PATIENT": bool(values(identifier, "PatientID")), "STUDY": asked.study, "SERIES": asked.series}
    return bool(asked.instances if asked.level == "IMAGE" else named[asked.level])


def _asked_for(verb: str, identifier: Dataset, peer: str) -> Asked:
    return Asked(
        verb=verb,
        level=str(identifier.get("QueryRetrieveLevel", "")),
        study="\\".join(values(identifier, "StudyInstanceUID")),
        series="\\".join(values(identifier, "SeriesInstanceUID")),
        instances=tuple(values(identifier, "SOPInstanceUID")),
        peer=peer,
        odd=question(identifier, str(identifier.get("QueryRetrieveLevel", ""))).odd,
    )


def _identifier(request: Any, context: PresentationContext) -> Dataset:
    syntax = context.transfer_syntax[0]
    ds = decode(request.Identifier, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    return Dataset(ds)


def _file(request: Any, context: PresentationContext) -> bytes:
    """The PS3.10 file of a C-STORE request."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = request.AffectedSOPClassUID
    meta.MediaStorageSOPInstanceUID = request.AffectedSOPInstanceUID
    meta.TransferSyntaxUID = UID(context.transfer_syntax[0])
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return b"".join((b"\0" * 128, b"DICM", buffer.getvalue(), request.DataSet.getvalue()))


def _peer(assoc: Association) -> str:
    return str(assoc.requestor.ae_title)
