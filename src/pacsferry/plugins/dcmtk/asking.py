"""The request as a file that a tool reads: keys never stand on a command line, where everybody could see them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Wanted

#: How many instances one request names at most.
UIDS_PER_REQUEST = 200
_UID = re.compile(r"[0-9.]{1,64}")
_EXPLICIT = "1.2.840.10008.1.2.1"
#: Any class would do: the tool reads keys and looks at nothing else.
_CLASS = "1.2.840.10008.5.1.4.1.2.2.3"


def identifier(wanted: Wanted) -> bytes:
    """A file with the identifier of a C-GET or C-MOVE (PS3.4 C.4.3.1.3) for what is wanted.

    Raises ``TransferError`` for UIDs that are none.
    """
    uids = [wanted.study, *([wanted.series] if wanted.series else []), *wanted.instances]
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise TransferError("the archive gave something for a UID that is none", code="bad-answer", retryable=False)
    body = _element(0x0008, 0x0052, b"CS", wanted.level.value)
    if wanted.instances:
        body = _element(0x0008, 0x0018, b"UI", "\\".join(wanted.instances)) + body
    body += _element(0x0020, 0x000D, b"UI", wanted.study)
    if wanted.series and wanted.level is not Level.STUDY:
        body += _element(0x0020, 0x000E, b"UI", wanted.series)
    meta = b"".join(
        [
            _element(0x0002, 0x0002, b"UI", _CLASS),
            _element(0x0002, 0x0003, b"UI", "2.25.1"),
            _element(0x0002, 0x0010, b"UI", _EXPLICIT),
        ]
    )
    length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta + body


def _element(group: int, element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) & 1)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def parts(wanted: Wanted) -> Iterator[Wanted]:
    """Long lists of instances in several requests."""
    for start in range(0, max(len(wanted.instances), 1), UIDS_PER_REQUEST):
        named = wanted.instances[start : start + UIDS_PER_REQUEST]
        yield replace(wanted, instances=named, expected=len(named) if named else wanted.expected)


#: getscu's options that propose a compressed syntax before the uncompressed ones, likeliest first (PS3.5 annex A).
_PREFERENCES = {
    "1.2.840.10008.1.2.5": "+xr",
    "1.2.840.10008.1.2.4.70": "+xs",
    "1.2.840.10008.1.2.4.90": "+xv",
    "1.2.840.10008.1.2.4.80": "+xt",
    "1.2.840.10008.1.2.4.50": "+xy",
    "1.2.840.10008.1.2.4.51": "+xx",
    "1.2.840.10008.1.2.4.91": "+xw",
    "1.2.840.10008.1.2.4.81": "+xu",
}


def preferences(syntaxes: frozenset[tuple[str, str]]) -> list[str]:
    """Options to try one after the other: for the syntaxes that the archive says it has, else all.

    They help with an archive that takes the first syntax proposed; another takes what it likes best.
    """
    said = {syntax for _, syntax in syntaxes}
    return [option for syntax, option in _PREFERENCES.items() if syntax in said or not said]
