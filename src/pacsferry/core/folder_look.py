"""What a file of a folder is, from its first bytes: DICOM or not, and whose; it decides nothing and stores nothing.

Like ``core.peek`` it reads a few values and no pixel, is bounded, and raises ``HeldError`` or ``NotDicom`` only.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import charsets
from .encoding import (
    DEFLATED,
    EXPLICIT,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT,
    IMPLICIT_LE,
    SHORT_VRS,
    UNDEFINED,
    Dialect,
    dialect_of,
    header,
    inflate,
    malformed,
    skip,
    too_complex,
    unwrap,
)
from .errors import HeldError
from .model import Buffer, Framing
from .peek import LIMIT, MAX_ELEMENTS

#: Media Storage Directory Storage (PS3.10 8): names patients and is no object of one.
DIRECTORY = "1.2.840.10008.1.3.10"

_CHARSET, _CLASS, _INSTANCE, _STUDY, _SERIES = 0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_ACCESSION, _MODALITY, _DESCRIPTION, _PATIENT, _ISSUER = 0x00080050, 0x00080060, 0x0008103E, 0x00100020, 0x00100021
_WANTED = frozenset({_CHARSET, _CLASS, _INSTANCE, _STUDY, _SERIES}) | frozenset(
    {_ACCESSION, _MODALITY, _DESCRIPTION, _PATIENT, _ISSUER}
)
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_SHORT = struct.Struct("<HH2sH")
#: A data set without file meta information begins with a low element of group 0008 (PS3.3 C.12.1).
_FIRST = range(0x0100)
_VRS = frozenset({b"UL", b"CS", b"UI", b"DA", b"TM", b"DT", b"LO", b"SH"})


class NotDicom(Exception):
    """The file is none of DICOM's. Its bytes say nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Whose object a file holds, and how to read it. Identified."""

    framing: Framing
    transfer_syntax: str | None
    sop_class: str
    instance: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    accession: str = field(repr=False)
    modality: str = ""
    series_description: str = field(default="", repr=False)

    @property
    def directory(self) -> bool:
        """Whether it is a DICOMDIR."""
        return self.sop_class == DIRECTORY


def look(head: Buffer, *, whole: bool) -> Look:
    """Look at the beginning of a file; ``whole`` says that there is no more of it.

    Raises ``NotDicom``, or ``HeldError`` for what is meant to be DICOM: ``malformed``, ``too-complex``. Where more of
    the file may help the latter two can be tried again with up to 1 MiB.
    """
    view = memoryview(head)[:LIMIT]
    framing, syntax = _framing(view)
    try:
        found = _look(view, framing, syntax)
    except HeldError as err:
        if framing is Framing.DATA_SET:
            raise NotDicom from None
        if not whole and len(view) == LIMIT and err.code == "malformed":
            too_complex("the UIDs do not stand in the first MiB, or it is not well-formed")
        raise
    except Exception:
        malformed("it cannot be read")
    if framing is Framing.DATA_SET and not (_UID.fullmatch(found.sop_class) and found.study and found.instance):
        raise NotDicom
    return found


def _framing(view: memoryview) -> tuple[Framing, str | None]:
    """PS3.10 7.1, with or without the preamble; else a bare data set, if it begins like one."""
    if bytes(view[128:132]) == b"DICM":
        return Framing.PART_10, None
    start = bytes(view[:8])
    if start[:4] == b"\x02\x00\x00\x00" and start[4:6] == b"UL":
        return Framing.PART_10, None
    if len(start) < 8:
        raise NotDicom
    return Framing.DATA_SET, _bare(start)


def _bare(start: bytes) -> str:
    """The syntax of a bare data set, guessed from its first element."""
    little, big = (int.from_bytes(start[2:4], order) for order in ("little", "big"))
    if start[:2] == b"\x08\x00" and little in _FIRST:
        if start[4:6] in _VRS:
            return EXPLICIT_LE
        if int.from_bytes(start[4:8], "little") <= 1024:
            return IMPLICIT_LE
    if start[:2] == b"\x00\x08" and big in _FIRST and start[4:6] in _VRS:
        return EXPLICIT_BE
    raise NotDicom


def _look(view: memoryview, framing: Framing, syntax: str | None) -> Look:
    wrapped = unwrap(view, framing, syntax)
    if wrapped.sop_class == DIRECTORY:
        return _made(framing, syntax, {}, DIRECTORY, "")
    body: Buffer = view[wrapped.start :]
    if wrapped.transfer_syntax in DEFLATED:
        body = inflate(body, LIMIT, whole=False)
    values = _values(body, dialect_of(wrapped.transfer_syntax))
    found = _made(framing, syntax, values, wrapped.sop_class, wrapped.sop_instance)
    if not (found.study and found.series and found.instance) or "\\" in found.study + found.instance:
        malformed("an object without a study, series or instance UID")
    return found


def _made(framing: Framing, syntax: str | None, values: Mapping[int, bytes], sop_class: str, instance: str) -> Look:
    charset = charsets.terms(values.get(_CHARSET, b""))

    def text(tag: int) -> str:
        return charsets.decode(values.get(tag, b""), charset).strip(" \0")

    def plain(tag: int) -> str:
        return values.get(tag, b"").decode("latin-1").strip(" \0")

    return Look(
        framing=framing,
        transfer_syntax=syntax,
        sop_class=plain(_CLASS) or sop_class,
        instance=plain(_INSTANCE) or instance,
        study=plain(_STUDY),
        series=plain(_SERIES),
        patient_id=text(_PATIENT),
        issuer=text(_ISSUER),
        accession=text(_ACCESSION),
        modality=plain(_MODALITY),
        series_description=text(_DESCRIPTION),
    )


def _values(body: Buffer, dialect: Dialect) -> dict[int, bytes]:
    """The wanted values of the top level up to the series UID."""
    found: dict[int, bytes] = {}
    pos, end, short = 0, len(body), _SHORT.unpack_from
    quick = dialect == EXPLICIT
    for count in itertools.count():
        if pos >= end:
            return found
        if count == MAX_ELEMENTS:
            too_complex("the number of elements before the series UID")
        if quick and pos + 8 <= end and (parts := short(body, pos))[2] in SHORT_VRS:
            tag, length, value = parts[0] << 16 | parts[1], parts[3], pos + 8
            vr = b""
        else:
            tag, vr, length, value = header(body, pos, dialect)
        if tag > _SERIES:
            return found
        if length == UNDEFINED:
            pos = skip(body, value, end, IMPLICIT if vr == b"UN" else dialect)
            continue
        pos = value + length
        if pos > end:
            malformed("an element is cut off")
        if tag in _WANTED:
            found[tag] = bytes(body[value:pos])
    raise AssertionError  # pragma: no cover - the loop returns or raises
