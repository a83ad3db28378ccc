"""What a tool prints becomes a code and counters; its words go no further."""

import pytest

from pacsferry.core.reasons import REASONS
from pacsferry.plugins.dcmtk import saying
from pacsferry.plugins.dcmtk.saying import understood

PARTLY = """I: Received C-GET Response (Warning: SubOperationsCompleteOneOrMoreFailures)
W: DIMSE status is: Warning: SubOperationsCompleteOneOrMoreFailures
I:   Number of Remaining Suboperations : 0
I:   Number of Completed Suboperations : 2
I:   Number of Failed Suboperations    : 1
I:   Number of Warning Suboperations   : 0
E: Association Release Failed: 0006:0316 DUL P-Data PDU arrived
I: Aborting Association
"""


def test_counters_and_the_first_trouble_count():
    said = understood(PARTLY)
    assert (said.code, said.completed, said.failed, said.warned) == ("sub-operation-failed", 2, 1, 0)
    assert not said.success


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I: Received Final Move Response (Success)\n", ""),
        ("W: Move response with error status (Refused: MoveDestinationUnknown)\n", "destination-unknown"),
        ("E: DIMSE status is: Refused: OutOfResourcesSubOperations\n", "cannot-perform"),
        ("F: Could not negotiate association: DUL Association Rejected\n", "refused-association"),
        ("F: Could not negotiate association: TCP Initialization Error: Connection refused\n", "unreachable"),
        ("E: Failed receiving DIMSE command: 0006:0317 Peer aborted Association (or never connected)\n", "aborted"),
        ("E: DIMSE status is: Failed: UnableToProcess\n", "unable-to-process"),
        ("F: cannot listen on port 104, insufficient privileges\n", "receiver-busy"),
        ("words that nobody knows\n", ""),
    ],
)
def test_what_went_wrong_has_a_code(text, code):
    assert understood(text).code == code


def test_every_code_is_one_that_is_explained():
    assert {code for _, code in saying._TEXTS} <= REASONS.keys()
