"""What an administrator can do about an association that does not come to be; words only."""

from __future__ import annotations

from collections.abc import Mapping

from pacsferry.core.errors import TransferError
from pacsferry.core.probing_sink import advice_of

NOTHING_OFFERED = "the archive offers no query and retrieve services to us: ask its administrator to allow them"
_BUSY = "the archive is busy, or allows few associations: try again later, or have it allow us more"
#: By reason code.
_ADVICE: Mapping[str, str] = {
    "refused-association": "have our AE title, with this machine's address, registered in the archive; "
    "check both AE titles letter by letter, capitals count",
    "aborted": "what listens there may not be DICOM, may want TLS, or may drop peers whose address it does not know",
    "bad-answer": "what listens there is no DICOM service: check the port",
    "stalled": "something accepts connections there and does not answer: check the port, or restart the service",
    "no-context": NOTHING_OFFERED,
}


def advice_on(err: TransferError) -> str:
    """For one failure. A rejection that may pass, and names no title, is of an archive that has no room for us."""
    if err.code == "refused-association" and err.retryable and "AE title" not in str(err):
        return _BUSY
    return _ADVICE.get(err.code, advice_of(err.code, err.hint or ""))
