"""What DIMSE statuses mean here (PS3.7 Annex C, PS3.4 C.4), in one table, and as errors.

An ErrorComment of a peer is never repeated.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

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


class Then(enum.Enum):
    """What to do about a final status, from the nearest to the farthest."""

    AGAIN = "the same request again, in a moment"
    REST = "what is missing, at a lower level"
    LEVEL = "another level: a series instead of a study, an instance instead of a series"
    RUNG = "another transport"
    CONFIGURATION = "a person has to change the profile, or the archive's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """``code`` is a reason code. What the ladder does about it stands in ``core.ladder``."""

    code: str
    then: Then

    @property
    def retryable(self) -> bool:
        """Whether another request for the same may end otherwise."""
        return self.then in {Then.AGAIN, Then.REST}


def _mean(then: Then, code: str, *statuses: int) -> dict[int, Meaning]:
    return dict.fromkeys(statuses, Meaning(code=code, then=then))


#: PS3.7 C.5, PS3.4 Tables C.4-1 to C.4-3 and Y.4-1, Z.4-1. What is not here falls to ``OTHERWISE``.
STATUS: Mapping[int, Meaning] = {
    # Resources, and whatever the archive could not do this time.
    **_mean(Then.AGAIN, "unable-to-process", 0x0110, 0x0210, 0x0213, NO_RESOURCES, 0xC000),
    **_mean(Then.AGAIN, "cannot-match", 0xA701),
    **_mean(Then.AGAIN, "cannot-perform", CANNOT_PERFORM),
    **_mean(Then.REST, "sub-operation-failed", SOME_FAILED),
    **_mean(Then.AGAIN, "cancelled", CANCEL),
    # Keys that it does not take at this level, or of this model.
    **_mean(Then.LEVEL, "identifier-mismatch", 0x0105, 0x0106, 0x0114, 0x0115, 0x0117, 0x0120, 0x0121, 0x0212, 0xA900),
    # It has no such instance or frame.
    **_mean(Then.REST, "not-found", 0x0112, 0xAA00, 0xAA02, 0xAA03, 0xAA04),
    # A service, class or operation that it does not have.
    **_mean(Then.LEVEL, "not-supported", 0x0118, 0x0119, NOT_SUPPORTED, 0x0123, 0x0211),
    **_mean(Then.RUNG, "not-authorised", 0x0124),
    **_mean(Then.CONFIGURATION, "destination-unknown", 0xA801),
}
#: Statuses without an entry of their own: the rest of Axxx, warnings, Cxxx.
OTHERWISE = Meaning(code="unable-to-process", then=Then.AGAIN)


def meaning_of(status: int) -> Meaning:
    """What a status means that is neither success nor pending."""
    return STATUS.get(status, OTHERWISE)


def failure(service: str, status: int, hint: str | None = None) -> TransferError:
    """The error for a final status that is no success."""
    meaning = meaning_of(status)
    why = reason(meaning.code)
    return TransferError(
        f"{service} ended with status 0x{status:04X}: {why.means}",
        code=meaning.code,
        retryable=meaning.retryable,
        hint=hint or why.advice,
    )


def trouble(
    service: str, code: str, text: str, *, retryable: bool | None = None, hint: str | None = None
) -> TransferError:
    """The error for what never came to a status."""
    why = reason(code)
    again = why.retryable if retryable is None else retryable
    return TransferError(f"{service}: {text}", code=code, retryable=again, hint=hint or why.advice)
