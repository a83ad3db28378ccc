# ruff: noqa: SLF001 - one of the three modules that may look inside pynetdicom
"""How objects reach us: streaming (``exchange``), or whole as pynetdicom reads them; nothing is decoded or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.service_class import StorageServiceClass

from pacsferry.core.model import Buffer

from .commands import StoreRequest
from .line import hang_up, line_of
from .statuses import NOT_SUPPORTED, STORE_FAILED


def on_store(take: Callable[[Association, StoreRequest, Iterable[Buffer]], int]) -> list[tuple[Any, Any]]:
    """Handlers that give objects to ``take``: piece by piece as they arrive, or whole where pynetdicom reads them."""

    def opened(event: Any) -> None:
        if (line := line_of(event.assoc)) is not None:
            line.store = lambda request, pieces: take(event.assoc, request, pieces)

    def whole(event: Any) -> int:
        request = event.request
        if request.DataSet is None:
            return STORE_FAILED
        # The buffer as it was received: no copy, nothing decoded, no file.
        with request.DataSet.getbuffer() as data:
            return take(event.assoc, _request(request, event.context), [data])

    return [(evt.EVT_CONN_OPEN, opened), (evt.EVT_C_STORE, whole)]


def _request(message: Any, context: Any) -> StoreRequest:
    return StoreRequest(
        context_id=context.context_id,
        message_id=message.MessageID,
        sop_class=str(message.AffectedSOPClassUID),
        sop_instance=str(message.AffectedSOPInstanceUID),
        transfer_syntax=str(context.transfer_syntax),
        originator_id=message.MoveOriginatorMessageID,
    )


def storing(assoc: Association) -> Callable[[Any, int], None]:
    """Serve C-STORE whatever the class.

    pynetdicom aborts for classes that it does not know, or lets a flag of the whole process decide.
    """
    stock = assoc._serve_request

    def serve(msg: Any, context_id: int) -> None:
        if isinstance(msg, C_STORE) and msg.is_valid_request:
            _store(assoc, msg, context_id)
        else:
            stock(msg, context_id)

    return serve


def store_on(assoc: Association) -> Callable[[C_STORE], None]:
    """The same for C-STORE that comes back on an association of ours (C-GET)."""
    return lambda request: _store(assoc, request, request._context_id or 0)


def _store(assoc: Association, request: C_STORE, context_id: int) -> None:
    """Answer a C-STORE on the context that it came on; one on no accepted context ends the association."""
    context = assoc._accepted_cx.get(context_id)
    try:
        if context is not None:
            _serve(assoc, request, context)
            return
    except Exception:
        del context
    hang_up(assoc)


def _serve(assoc: Association, request: C_STORE, context: Any) -> None:
    if request.AffectedSOPClassUID == context.abstract_syntax:
        StorageServiceClass(assoc).SCP(request, context)
        return
    response = C_STORE()
    response.MessageIDBeingRespondedTo = request.MessageID
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
    response.Status = NOT_SUPPORTED
    assoc.dimse.send_msg(response, context.context_id)  # pynetdicom's own refusal goes out on context 1
