"""Responses of DIMSE in primitives (PS3.7), and the statuses that they carry; nothing is decided here."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

SUCCESS, WARNING, PENDING, CANCELLED = 0x0000, 0xB000, 0xFF00, 0xFE00
TOO_MANY, UNABLE, UNKNOWN_DESTINATION, MISMATCH = 0xA700, 0xA702, 0xA801, 0xA900
FAILED: Final = 0xC000


def response(kind: Any, request: Any, status: int) -> Any:
    """The response to ``request``."""
    said = kind()
    said.MessageIDBeingRespondedTo = request.MessageID
    said.AffectedSOPClassUID = request.AffectedSOPClassUID
    said.Status = status
    return said


def respond(
    assoc: Association, context: PresentationContext, request: Any, status: int, identifier: BytesIO | None = None
) -> None:
    """Send it."""
    said = response(type(request), request, status)
    if identifier is not None:
        said.Identifier = identifier
    assoc.dimse.send_msg(said, int(context.context_id or 0))


def gone(assoc: Association) -> bool:
    """Whether the peer has left or wants to: an abort, a release or a lost connection waits to be seen."""
    return not assoc.is_established or assoc.dul.peek_next_pdu() is not None
