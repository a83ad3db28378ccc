"""How elements are written in a data set (PS3.5 section 7, PS3.10 section 7.1): headers and borders, never values.

Everything here is bounded and iterative: whatever does not fit raises ``HeldError``, nothing recurses.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import NoReturn

from .errors import HeldError
from .model import Buffer, Framing

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
#: Syntaxes whose data set is one raw deflate stream (PS3.5 A.5, and JPIP Referenced Deflate, A.7).
DEFLATED = frozenset({DEFLATED_LE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
#: Every transfer syntax of the standard stands below this root; others may encode as they like.
SYNTAX_ROOT = "1.2.840.10008.1.2"
_OF_THE_STANDARD = re.compile(re.escape(SYNTAX_ROOT) + r"(\.[0-9]{1,4}){0,3}")

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
MAX_DEPTH = 64

#: Value representations with a 32 bit length after two reserved bytes (PS3.5 table 7.1-1).
LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
SHORT_VRS = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH"}
    | {b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Explicit or implicit VR, and the byte order ("<" or ">") of a data set."""

    explicit: bool
    order: str


IMPLICIT = Dialect(explicit=False, order="<")
EXPLICIT = Dialect(explicit=True, order="<")
BIG_ENDIAN = Dialect(explicit=True, order=">")
_DIALECTS = {IMPLICIT_LE: IMPLICIT, EXPLICIT_BE: BIG_ENDIAN}

_TAG_LENGTH = {order: struct.Struct(order + "HHI") for order in "<>"}
_TAG_VR_LENGTH = {order: struct.Struct(order + "HH2sH") for order in "<>"}
_LENGTH = {order: struct.Struct(order + "I") for order in "<>"}


def malformed(what: str) -> NoReturn:
    """Hold the object: ``what`` says why, and never a value."""
    raise HeldError(f"not well-formed: {what}", code="malformed") from None


def too_complex(what: str) -> NoReturn:
    """Hold the object: a limit is passed."""
    raise HeldError(f"beyond the limits: {what}", code="too-complex") from None


def dialect_of(transfer_syntax: str) -> Dialect:
    """The dialect of a syntax of the standard (PS3.5 annex A). Raises ``HeldError`` for any other syntax."""
    if not _OF_THE_STANDARD.fullmatch(transfer_syntax):
        malformed("a transfer syntax that is not of the standard")
    return _DIALECTS.get(transfer_syntax, EXPLICIT)


def header(data: Buffer, pos: int, dialect: Dialect) -> tuple[int, bytes, int, int]:
    """Tag, VR (``b""`` where there is none), length and start of the value of the element at ``pos``."""
    try:
        if not dialect.explicit:
            group, element, length = _TAG_LENGTH[dialect.order].unpack_from(data, pos)
            return group << 16 | element, b"", length, pos + 8
        group, element, vr, length = _TAG_VR_LENGTH[dialect.order].unpack_from(data, pos)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr, length, pos + 8
        if group == 0xFFFE:
            return tag, b"", _LENGTH[dialect.order].unpack_from(data, pos + 4)[0], pos + 8
        if vr not in LONG_VRS and not (vr.isalpha() and vr.isupper()):
            malformed("an element without a value representation")
        # PS3.5 6.2 wants VRs of later editions to have the long form.
        return tag, vr, _LENGTH[dialect.order].unpack_from(data, pos + 8)[0], pos + 12
    except struct.error:
        malformed("an element is cut off")


def skip(  # noqa: C901 - one state machine is easier to check than its parts
    data: Buffer, pos: int, end: int, dialect: Dialect, *, item: bool = False, ends: dict[int, int] | None = None
) -> int:
    """The position after the sequence (or ``item``) of undefined length whose content begins at ``pos``.

    ``ends`` remembers where each nested sequence and item of undefined length ends, so that nobody has to look again.
    """
    stack: list[tuple[int, bool, Dialect]] = [(pos, not item, dialect)]
    while stack:
        start, in_sequence, dialect = stack[-1]
        tag, vr, length, value = header(data, pos, dialect)
        if value > end:
            malformed("a sequence is cut off")
        if tag == (SEQUENCE_END if in_sequence else ITEM_END):
            if length:
                malformed("a delimiter with a length")
            stack.pop()
            pos = value
            if ends is not None:
                ends[start] = pos
            continue
        if in_sequence and tag != ITEM:
            malformed("a sequence holds something that is no item")
        if not in_sequence and tag >> 16 == 0xFFFE:
            malformed("an item or delimiter out of place")
        if length != UNDEFINED:
            pos = value + length
            if pos > end:
                malformed("an element is longer than what holds it")
            continue
        if len(stack) >= 2 * MAX_DEPTH:
            too_complex("the depth of sequences")
        # PS3.5 6.2.2: an element of VR UN and undefined length is a sequence in implicit VR little endian.
        stack.append((value, not in_sequence, IMPLICIT if vr == b"UN" else dialect))
        pos = value
    return pos


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """Where a data set begins in the bytes of an arrival, and what its file meta information says ("" where silent)."""

    start: int
    transfer_syntax: str
    sop_class: str = ""
    sop_instance: str = ""


_META_LENGTH = 0x00020000
_META = {0x00020002: "sop_class", 0x00020003: "sop_instance", 0x00020010: "transfer_syntax"}


def unwrap(data: Buffer, framing: Framing, transfer_syntax: str | None) -> Wrapped:
    """Find the data set (PS3.10 7.1). File meta information is always Explicit VR Little Endian.

    A file whose preamble was lost is read; one without file meta information is not, as nothing says how it is
    encoded. Raises ``HeldError``.
    """
    if framing is Framing.DATA_SET:
        if not transfer_syntax:
            malformed("no transfer syntax")
        return Wrapped(start=0, transfer_syntax=transfer_syntax)
    pos = 132 if bytes(data[128:132]) == b"DICM" else 0
    found: dict[str, str] = {}
    end = len(data)
    while pos < end and bytes(data[pos : pos + 2]) == b"\x02\x00":
        tag, _, length, value = header(data, pos, EXPLICIT)
        pos = value + length
        if length == UNDEFINED or pos > len(data):
            malformed("the file meta information is cut off")
        if tag == _META_LENGTH and length == 4:
            end = pos + int.from_bytes(data[value:pos], "little")
        if tag in _META:
            found.setdefault(_META[tag], uid_text(data[value:pos]))
    if not found.get("transfer_syntax"):
        malformed("no file meta information that names a transfer syntax")
    return Wrapped(start=pos, **found)


def uid_text(value: Buffer) -> str:
    """A UID without its padding; bytes outside ASCII are kept as Latin-1, so that nothing is lost."""
    return bytes(value).decode("latin-1").strip(" \0")


def inflate(data: Buffer, limit: int, *, whole: bool) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5), at most ``limit`` bytes of it.

    With ``whole`` the stream has to end before ``limit`` and well; without it the beginning is enough.
    """
    stream = zlib.decompressobj(wbits=-15)
    try:
        out = stream.decompress(data, limit + 1 if whole else limit)
    except zlib.error:
        malformed("the deflate stream is damaged")
    if whole and len(out) > limit:
        too_complex("the size of the inflated data set")
    if whole and not stream.eof:
        malformed("the deflate stream is cut off")
    # One byte makes the length even (PS3.5 A.5); some writers add the eight bytes that end a gzip file.
    if whole and len(stream.unused_data) > 9:
        malformed("bytes after the deflate stream")
    return out
