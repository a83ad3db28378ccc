"""What a tool says of a request, as reason codes and counters; its words may hold originals and are never repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: What DCMTK prints, to a reason code. Names are those of its status table.
_TEXTS = (
    ("MoveDestinationUnknown", "destination-unknown"),
    ("SOPClassNotSupported", "not-supported"),
    ("OutOfResourcesNumberOfMatches", "cannot-match"),
    ("OutOfResourcesSubOperations", "cannot-perform"),
    ("IdentifierDoesNotMatchSOPClass", "identifier-mismatch"),
    ("DataSetDoesNotMatchSOPClass", "identifier-mismatch"),
    ("UnableToProcess", "unable-to-process"),
    ("SubOperationsCompleteOneOrMoreFailures", "sub-operation-failed"),
    ("SubOperationsTerminatedDueToCancel", "cancelled"),
    ("NotAuthorized", "not-authorised"),
    ("Association Rejected", "refused-association"),
    ("No Acceptable Presentation Contexts", "no-context"),
    ("no presentation context", "no-context"),
    ("Connection refused", "unreachable"),
    ("TCP Initialization Error", "unreachable"),
    ("cannot listen on port", "receiver-busy"),
    ("Address already in use", "receiver-busy"),
    ("insufficient TCP/IP access privileges", "receiver-busy"),
    ("read timeout", "stalled"),
    ("No data available", "stalled"),
    ("Aborted", "aborted"),
    ("aborted", "aborted"),
    ("network closed", "aborted"),
)
#: Classes of statuses, for those that have no name above.
_CLASSES = (("(Failed:", "unable-to-process"), ("(Refused:", "cannot-perform"), ("(Error:", "unable-to-process"))
_COUNTER = re.compile(r"Number of (Completed|Failed|Warning) Suboperations *: (\d+)")
_STATUS = re.compile(r"(?:status is|error status|Received Final Move Response|Received C-GET Response)\W+\(?Success")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """``code`` is "" where nothing is wrong; a counter is None where the tool tells none."""

    code: str
    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    success: bool = False


def understood(text: str) -> Said:
    """What a tool's messages (verbose) come to."""
    counters = {name.lower(): int(number) for name, number in _COUNTER.findall(text)}
    # A tool tells what happened first in the order of time; what follows from it comes later.
    found = _found(text, _TEXTS) or _found(text, _CLASSES)
    return Said(
        code=min(found)[1] if found else "",
        completed=counters.get("completed"),
        failed=counters.get("failed"),
        warned=counters.get("warning"),
        success=_STATUS.search(text) is not None,
    )


def _found(text: str, table: tuple[tuple[str, str], ...]) -> list[tuple[int, str]]:
    return [(at, code) for words, code in table if (at := text.find(words)) >= 0]
