"""The final response of a C-GET or C-MOVE as values; what the archive says here is never believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Tally

from .association import Call
from .statuses import CANNOT_PERFORM, PENDING, SOME_FAILED, SUCCESS, failure

_FAILED_LIST = 0x00080058
#: More UIDs than one request may name; the list is a hint only.
_LONGEST_LIST = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``failed_uids`` is the Failed SOP Instance UID List (PS3.4 C.4.3.1.4.1), empty where there was none."""

    service: str
    status: int
    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    failed_uids: tuple[str, ...] = field(default=(), repr=False)

    @property
    def some_failed(self) -> bool:
        """Whether the archive itself says that instances did not come."""
        return bool(self.failed) or self.status in {SOME_FAILED, CANNOT_PERFORM}

    @property
    def error(self) -> TransferError | None:
        """The error for a request that failed as a whole."""
        if self.status in {SUCCESS, SOME_FAILED}:
            return None
        return failure(self.service, self.status)

    def tally(self, repaired: int = 0) -> Tally:
        """What the archive says; ``repaired`` of its failures came in a later association."""
        failed = None if self.failed is None else max(0, self.failed - repaired)
        completed = None if self.completed is None else self.completed + repaired
        bad = bool(failed) or (self.status == SOME_FAILED and not (failed == 0 and repaired))
        return Tally(completed=completed, failed=failed, warned=self.warned, code="sub-operation-failed" if bad else "")


def run(call: Call, responses: Any) -> Outcome:
    """Read responses to the final one. Raises ``TransferError`` when the association ends before it."""
    for status, dataset in responses:
        code = status.get("Status")
        if code is None:
            raise call.lost()
        if code not in PENDING:
            return Outcome(
                service=call.service,
                status=int(code),
                completed=_counter(status, "Completed"),
                failed=_counter(status, "Failed"),
                warned=_counter(status, "Warning"),
                failed_uids=_failed_uids(dataset),
            )
    raise call.lost()


def without_response(service: str) -> Outcome:
    """The outcome of a request whose final response never came, though everything else did."""
    return Outcome(service=service, status=SUCCESS)


def _counter(status: Any, name: str) -> int | None:
    value = status.get(f"NumberOf{name}Suboperations")
    return value if isinstance(value, int) else None


def _failed_uids(dataset: Any) -> tuple[str, ...]:
    if dataset is None or _FAILED_LIST not in dataset:
        return ()
    element = dataset.get_item(_FAILED_LIST)
    if not isinstance(element.value, bytes):
        return ()
    uids = (part.strip(" \0") for part in element.value.decode("latin-1").split("\\"))
    return tuple(uid for uid in uids if uid)[:_LONGEST_LIST]
