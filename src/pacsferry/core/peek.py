"""Read the UIDs of an arrival from its first MiB: the only parsing outside a worker, so it reads nothing else.

It needs neither pydicom nor numpy, touches no value but the four UIDs and what [select] asks for, and raises
``HeldError`` or nothing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from .encoding import (
    DEFLATED,
    IMPLICIT,
    UNDEFINED,
    Dialect,
    dialect_of,
    header,
    inflate,
    malformed,
    skip,
    too_complex,
    uid_text,
    unwrap,
)
from .errors import HeldError
from .model import Buffer, Framing

#: How many bytes are looked at, and how many may come out of a deflate stream.
LIMIT = 1 << 20
#: More elements than this do not stand before the series UID of anything real.
MAX_ELEMENTS = 10_000

_WANTED = {0x00080016: "sop_class", 0x00080018: "sop_instance", 0x0020000D: "study", 0x0020000E: "series"}
_TEXTS = {0x00080060: "modality", 0x0008103E: "series_description"}
_LAST = max(_WANTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peeked:
    """What an object says it is: original UIDs and texts, "" for one that is not there.

    ``announced`` is the instance UID of the file meta information, where there is any.
    """

    sop_class: str
    sop_instance: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    transfer_syntax: str
    modality: str = ""
    series_description: str = field(default="", repr=False)
    announced: str = field(default="", repr=False)


def peek(head: bytes | memoryview, *, framing: Framing, transfer_syntax: str | None = None) -> Peeked:
    """Read class, instance, study and series UID from the beginning of an object.

    ``head`` is at least the first MiB of the object, or all of it; ``transfer_syntax`` is what the protocol says, and
    needed for a bare data set. Raises ``HeldError`` with the code ``malformed``, or ``too-complex`` where the UIDs do
    not stand within the first MiB.
    """
    cut = len(head) > LIMIT
    view = memoryview(head)[:LIMIT]
    try:
        found = _peek(view, framing, transfer_syntax)
    except HeldError as err:
        if cut and err.code == "malformed":
            too_complex("the UIDs do not stand in the first MiB, or it is not well-formed")
        raise
    except Exception:
        malformed("it cannot be read")
    return found


def _peek(view: memoryview, framing: Framing, transfer_syntax: str | None) -> Peeked:
    wrapped = unwrap(view, framing, transfer_syntax)
    dialect = dialect_of(wrapped.transfer_syntax)
    body: Buffer = view[wrapped.start :]
    if wrapped.transfer_syntax in DEFLATED:
        body = inflate(body, LIMIT, whole=False)
    found = _uids(body, dialect)
    return Peeked(
        sop_class=found.get("sop_class") or wrapped.sop_class,
        sop_instance=found.get("sop_instance") or wrapped.sop_instance,
        study=found.get("study", ""),
        series=found.get("series", ""),
        transfer_syntax=wrapped.transfer_syntax,
        modality=found.get("modality", ""),
        series_description=found.get("series_description", ""),
        announced=wrapped.sop_instance,
    )


def _uids(body: Buffer, dialect: Dialect) -> dict[str, str]:
    """The wanted values of the top level; the first of each counts."""
    found: dict[str, str] = {}
    pos, end = 0, len(body)
    for count in itertools.count():
        if pos >= end:
            break
        if count == MAX_ELEMENTS:
            too_complex("the number of elements before the series UID")
        tag, vr, length, value = header(body, pos, dialect)
        # Nothing after the series UID is of interest: whether the rest is sound is the de-identifier's business.
        if tag > _LAST:
            break
        if length == UNDEFINED:
            pos = skip(body, value, end, IMPLICIT if vr == b"UN" else dialect)
            continue
        pos = value + length
        if pos > end:
            malformed("an element is cut off")
        if tag in _WANTED:
            found.setdefault(_WANTED[tag], uid_text(body[value:pos]))
        elif tag in _TEXTS:
            found.setdefault(_TEXTS[tag], _text(bytes(body[value:pos])))
        if tag == _LAST:
            break
    return found


def _text(raw: bytes) -> str:
    """Good enough for the patterns of [select], which are nearly always ASCII."""
    try:
        return raw.decode().strip(" \0")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \0")
