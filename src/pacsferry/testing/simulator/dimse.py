"""The simulator's DIMSE side: echo, find, get, move, store over pynetdicom's association, below its service classes.

pynetdicom's own service classes count honestly and encode anew; this one lies to order and sends bytes as they are
stored, so it takes over ``Association._serve_request`` and talks in DIMSE primitives (PS3.7).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context
from pynetdicom.transport import ThreadedAssociationServer

from pacsferry.core.redact import quiet

from .answers import spoilt_answers
from .faults import Faults
from .holdings import LEVELS, Holdings
from .journal import Asked, Journal
from .matching import values
from .relay import Relay
from .retrieve import Courier, Refusal, Trip, no_delay

VERIFICATION: Final = "1.2.840.10008.1.1"
_MODELS: Final[Mapping[str, tuple[str, str]]] = {
    "1.2.840.10008.5.1.4.1.2.1.1": ("c-find", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.1.2": ("c-move", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.1.3": ("c-get", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.2.1": ("c-find", "STUDY"),
    "1.2.840.10008.5.1.4.1.2.2.2": ("c-move", "STUDY"),
    "1.2.840.10008.5.1.4.1.2.2.3": ("c-get", "STUDY"),
}
_QUERY_SYNTAXES: Final[list[str | UID]] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_NOT_KEYS: Final = ("QueryRetrieveLevel", "SpecificCharacterSet", "RetrieveAETitle", "TimezoneOffsetFromUTC")

SUCCESS, PENDING, CANCELLED, MISMATCH, UNABLE = 0x0000, 0xFF00, 0xFE00, 0xA900, 0xC000


class DimseServer:
    """Serves ``holdings`` on 127.0.0.1, behind a relay that can misbehave on the wire. ``port`` is the relay's."""

    def __init__(
        self, holdings: Holdings, faults: Faults, journal: Journal, *, ae_title: str, host: str, port: int
    ) -> None:
        quiet()
        self._holdings, self._faults, self._journal = holdings, faults, journal
        self.destinations: dict[str, tuple[str, int]] = {}
        self._late: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._stopping = threading.Event()
        self._ae = AE(ae_title=ae_title)
        self._ae.maximum_associations = 100
        self._ae.acse_timeout, self._ae.dimse_timeout, self._ae.network_timeout = 15, 120, None
        self._ae.supported_contexts = [build_context(VERIFICATION)]
        server = self._listen(host)
        self._relay = Relay((host, server.server_address[1]), host=host, port=port)
        self.port = self._relay.port
        self._serve: Mapping[type, Callable[..., None]] = {
            C_ECHO: self._echo,
            C_FIND: self._find,
            C_GET: self._retrieve,
            C_MOVE: self._retrieve,
            C_STORE: self._store,
        }

    def _listen(self, host: str) -> Any:
        """``AE.start_server`` with a shorter poll: its half a second would be spent at every ``close``."""
        handlers: list[Any] = [(evt.EVT_REQUESTED, self._requested)]
        server: Any = self._ae.make_server((host, 0), evt_handlers=handlers, server_class=ThreadedAssociationServer)
        self._ae._servers.append(server)  # noqa: SLF001 - as start_server does, so that AE.shutdown finds it
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def close(self) -> None:
        """Stop; associations under way are aborted."""
        self._stopping.set()
        self._relay.close()
        self._ae.shutdown()
        for thread in self._late:
            thread.join(timeout=5)
        for one in self._sockets:  # pynetdicom leaves a socket open when its peer has reset it
            one.close()

    # --- association -----------------------------------------------------------------------------------------------

    def _requested(self, event: evt.Event) -> None:
        """Before negotiation: say what is supported to this peer, and take over the requests to come."""
        assoc: Any = event.assoc
        self._sockets = [one for one in self._sockets if one.fileno() >= 0] + [no_delay(assoc)]
        asked = self._journal.add(Asked(verb="associate", peer=str(assoc.requestor.primitive.calling_ae_title)))
        spoiled = self._faults.for_request("associate")
        if spoiled.take("reject"):
            asked.status = 1
            assoc.acse.send_reject(0x01, 0x01, 0x01)
            assoc.kill()
            return
        assoc.acceptor.supported_contexts = self._contexts(assoc, storage=not spoiled.take("no-storage"))
        assoc._serve_request = partial(self._dispatch, assoc)  # noqa: SLF001 - see the module's docstring

    def _contexts(self, assoc: Any, *, storage: bool) -> list[PresentationContext]:
        queries = [build_context(uid, _QUERY_SYNTAXES) for uid in _MODELS]
        if not storage:
            return [build_context(VERIFICATION), *queries]
        gets = {str(uid) for uid, item in assoc.requestor.role_selection.items() if item.scp_role}
        return [build_context(VERIFICATION), *queries, *self._sending(gets), *self._receiving(gets)]

    def _sending(self, classes: set[str]) -> Iterable[PresentationContext]:
        """For C-GET: each class in the syntaxes that its objects can be had in (no transcoding)."""
        offered: dict[str, dict[str, None]] = {}
        for one in self._holdings.all():
            if one.sop_class in classes:
                offered.setdefault(one.sop_class, {}).update(dict.fromkeys(one.syntaxes()))
        for sop_class, syntaxes in offered.items():
            context = build_context(sop_class, list(syntaxes))
            context.scu_role = context.scp_role = True
            yield context

    def _receiving(self, classes: set[str]) -> Iterable[PresentationContext]:
        """For C-STORE: every storage class in every syntax, private classes where we hold one."""
        known = {cx.abstract_syntax for cx in AllStoragePresentationContexts} | {
            one.sop_class for one in self._holdings.all()
        }
        return [build_context(uid, ALL_TRANSFER_SYNTAXES) for uid in known - classes if uid]

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
            assoc._is_paused = False  # noqa: SLF001
            assoc.dimse.cancel_req = {}

    # --- services --------------------------------------------------------------------------------------------------

    def _echo(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        self._journal.add(Asked(verb="c-echo", peer=_peer(assoc), status=SUCCESS))
        _respond(assoc, context, request, SUCCESS)

    def _store(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        asked = self._journal.add(
            Asked(verb="c-store", peer=_peer(assoc), instances=(str(request.AffectedSOPInstanceUID),))
        )
        try:
            self._holdings.add(_file(request, context))
            asked.status = SUCCESS
        except Exception:
            asked.status = UNABLE
        response = _response(C_STORE, request, asked.status)
        response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        assoc.dimse.send_msg(response, int(context.context_id or 0))

    def _find(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        identifier = _identifier(request, context)
        level = str(identifier.get("QueryRetrieveLevel", ""))
        keys, wants = _split(identifier)
        asked = self._journal.add(
            Asked(verb="c-find", level=level, peer=_peer(assoc), keys=keys, study=keys.get("StudyInstanceUID", ""))
        )
        spoiled = self._faults.for_request("c-find", asked.study, level)
        if level not in LEVELS or (level == "PATIENT" and _MODELS[str(context.abstract_syntax)][1] == "STUDY"):
            asked.status = MISMATCH
            _respond(assoc, context, request, MISMATCH)
            return
        answers = spoilt_answers(spoiled, self._holdings.find(level, keys, wants))
        fails = spoiled.take("find-fails")
        for answer in answers:
            if request.MessageID in assoc.dimse.cancel_req or (fails and asked.matches >= fails["after"]):
                break
            answer.QueryRetrieveLevel = level
            answer.RetrieveAETitle = self._ae.ae_title
            _respond(assoc, context, request, PENDING, answer)
            asked.matches += 1
        cancelled = request.MessageID in assoc.dimse.cancel_req
        asked.status = int(fails["status"]) if fails else CANCELLED if cancelled else SUCCESS
        _respond(assoc, context, request, asked.status)

    def _retrieve(self, assoc: Association, request: Any, context: PresentationContext) -> None:
        verb, _ = _MODELS[str(context.abstract_syntax)]
        identifier = _identifier(request, context)
        asked = self._journal.add(_asked_for(verb, identifier, _peer(assoc)))
        spoiled = self._faults.for_request(verb, asked.study, asked.level)
        batch = self._holdings.select(
            patient="\\".join(values(identifier, "PatientID")),
            study=asked.study,
            series=asked.series,
            instances=asked.instances,
        )
        trip = Trip(
            assoc=assoc,
            context_id=int(context.context_id or 0),
            identifier_syntax=str(context.transfer_syntax[0]),
            request=request,
            asked=asked,
            spoiled=spoiled,
            batch=batch,
            others=self._holdings.all(),
            stopping=self._stopping,
        )
        courier = Courier(trip)
        if asked.level not in LEVELS or not _keyed(asked, identifier):
            courier.finish(MISMATCH)
        elif verb == "c-get":
            courier.get(self._relay.wire(assoc.requestor.port))
        else:
            self._move(courier, str(request.MoveDestination).strip())

    def _move(self, courier: Courier, destination: str) -> None:
        address = self.destinations.get(destination)
        try:
            late = courier.move(self._ae, destination, address)
        except Refusal as refusal:
            courier.finish(refusal.status)
            return
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
    )


def _split(identifier: Dataset) -> tuple[dict[str, str], list[str]]:
    """Keys with a value to match, and all keywords to return."""
    keywords = [one.keyword for one in identifier if one.keyword and one.keyword not in _NOT_KEYS]
    keys = {keyword: "\\".join(values(identifier, keyword)) for keyword in keywords}
    return {keyword: value for keyword, value in keys.items() if value}, keywords


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


def _response(kind: Any, request: Any, status: int) -> Any:
    response = kind()
    response.MessageIDBeingRespondedTo = request.MessageID
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.Status = status
    return response


def _respond(
    assoc: Association, context: PresentationContext, request: Any, status: int, answer: Dataset | None = None
) -> None:
    response = _response(type(request), request, status)
    if answer is not None:
        syntax = context.transfer_syntax[0]
        response.Identifier = BytesIO(encode(answer, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
    assoc.dimse.send_msg(response, int(context.context_id or 0))
