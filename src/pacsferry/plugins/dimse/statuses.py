"""DIMSE statuses (PS3.7 Annex C, PS3.4 C.4) as reason codes and errors; an ErrorComment of a peer is never repeated."""

from __future__ import annotations

from collections.abc import Mapping

from pacsferry.core.errors import TransferError
from pacsferry.core.reasons import reason

SUCCESS = 0x0000
PENDING = frozenset({0xFF00, 0xFF01})
CANCEL = 0xFE00
#: C-FIND: refused, out of resources (PS3.4 Table C.4-1); what archives say that have a limit.
NO_RESOURCES = 0xA700
#: Sub-operations complete, one or more failures (PS3.4 C.4.3.1.4).
SOME_FAILED = 0xB000
CANNOT_PERFORM = 0xA702
#: SOP class not supported.
NOT_SUPPORTED = 0x0122
STORE_REFUSED = 0x0124
STORE_NO_SPACE = 0xA700
STORE_FAILED = 0xC000

#: Status to reason code; what is not here falls to the classes below.
CODES: Mapping[int, str] = {
    0x0105: "identifier-mismatch",
    0x0106: "identifier-mismatch",
    0x0112: "not-found",
    0x0115: "identifier-mismatch",
    0x0117: "identifier-mismatch",
    0x0118: "not-supported",
    0x0119: "not-supported",
    0x0120: "identifier-mismatch",
    0x0121: "identifier-mismatch",
    0x0122: "not-supported",
    0x0124: "not-authorised",
    0x0211: "not-supported",
    0x0212: "identifier-mismatch",
    0xA701: "cannot-match",
    0xA702: "cannot-perform",
    0xA801: "destination-unknown",
    0xA900: "identifier-mismatch",
    0xB000: "sub-operation-failed",
    0xFE00: "cancelled",
}
#: Statuses without an entry of their own: out of resources, warnings, unable to process.
OTHERWISE = "unable-to-process"


def code_of(status: int) -> str:
    """The reason code of a status that is neither success nor pending."""
    return CODES.get(status, OTHERWISE)


def failure(service: str, status: int, hint: str | None = None) -> TransferError:
    """The error for a final status that is no success."""
    code = code_of(status)
    why = reason(code)
    return TransferError(
        f"{service} ended with status 0x{status:04X}: {why.means}",
        code=code,
        retryable=why.retryable,
        hint=hint or why.advice,
    )


def trouble(
    service: str, code: str, text: str, *, retryable: bool | None = None, hint: str | None = None
) -> TransferError:
    """The error for what never came to a status."""
    why = reason(code)
    again = why.retryable if retryable is None else retryable
    return TransferError(f"{service}: {text}", code=code, retryable=again, hint=hint or why.advice)
