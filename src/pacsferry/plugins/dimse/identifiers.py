"""Identifiers of C-FIND, C-GET and C-MOVE: text in, text out; no value is checked, logged or quoted in an error."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydicom import Dataset
from pydicom.charset import decode_bytes, encode_string, python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Level, Wanted

from .association import IMPLICIT
from .driving import as_encoded

CHARSET = "SpecificCharacterSet"
UTF8 = "ISO_IR 192"
LATIN1 = "ISO_IR 100"

#: What is always asked for, by level: the keys that a plan, a verdict or `find` needs (PS3.4 C.6.1.1, C.6.2.1).
PATIENT_KEYS = ("PatientID", "IssuerOfPatientID", "PatientSex", "PatientBirthDate")
RETURN_KEYS: Mapping[Level, tuple[str, ...]] = {
    Level.PATIENT: (
        *PATIENT_KEYS,
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
    ),
    Level.STUDY: (
        *PATIENT_KEYS,
        "StudyInstanceUID",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "ModalitiesInStudy",
        "PatientAge",
        "InstanceAvailability",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "BodyPartExamined",
        "InstanceAvailability",
        "NumberOfSeriesRelatedInstances",
    ),
    Level.IMAGE: (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "SOPClassUID",
        "InstanceNumber",
        "InstanceAvailability",
        "AvailableTransferSyntaxUID",
    ),
}

#: What tells two answers of a level apart. One study UID under two patients is two answers.
IDENTITY: Mapping[Level, tuple[str, ...]] = {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID"),
    Level.STUDY: ("StudyInstanceUID", "PatientID", "IssuerOfPatientID"),
    Level.SERIES: ("StudyInstanceUID", "SeriesInstanceUID"),
    Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}

_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})  # those that SpecificCharacterSet governs
_PLAIN_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_NUMBERS = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
}
_PLURAL = frozenset("*?\\")
_DELIMITERS = {ord(c) for c in "\r\n\t\f\\^="}
#: Terms of the default repertoire; what says so and has other bytes is UTF-8 more often than not.
_ASCII = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})


def identifier(level: Level, keys: Mapping[str, str], syntax: str, charset: str | None = None) -> Dataset:
    """The Identifier of a request, already encoded element by element for ``syntax`` (a little endian one).

    ``keys`` maps keywords to text, empty for a return key. ``charset`` is what the archive speaks; without it the
    smallest that can say the values. Raises ``ConfigError`` for a keyword that is none.
    """
    terms = _charset_for(keys, charset)
    values = {"QueryRetrieveLevel": level.value, **keys}
    if terms:
        values[CHARSET] = terms
    implicit = syntax == IMPLICIT
    return as_encoded(
        (_raw(keyword, text, terms, implicit=implicit) for keyword, text in values.items()), implicit=implicit
    )


def retrieve_keys(wanted: Wanted, instances: tuple[str, ...] | None = None) -> dict[str, str]:
    """The unique keys of a C-GET or C-MOVE request; instances whose UIDs are none are not asked for.

    Raises ``TransferError`` where a UID would ask for more than one thing: the archive made it, so it may be anything.
    """
    named = wanted.instances if instances is None else instances
    single = tuple(uid for uid in named if _single(uid))
    if not (_single(wanted.study) and (not wanted.series or _single(wanted.series)) and (single or not named)):
        raise TransferError("a UID from the archive is no UID", code="bad-answer", retryable=False)
    keys = {"StudyInstanceUID": wanted.study}
    if wanted.series:
        keys["SeriesInstanceUID"] = wanted.series
    if single:
        keys["SOPInstanceUID"] = "\\".join(single)
    return keys


def _single(uid: str) -> bool:
    """Whether it names one thing: no wildcard, no list (PS3.4 C.2.2.2), not everything."""
    return 0 < len(uid) <= 64 and uid.isprintable() and not _PLURAL & set(uid)


def _raw(keyword: str, text: str, terms: str, *, implicit: bool) -> RawDataElement:
    number = tag_for_keyword(keyword)
    if number is None:
        raise ConfigError(f"{keyword} is not a DICOM keyword", hint="see PS3.6 for the keywords, for example StudyDate")
    tag = Tag(number)
    vr = dictionary_VR(tag).split(" ")[0]
    value = _encoded(text, vr, terms)
    return RawDataElement(tag, vr, len(value), value, 0, implicit, True)


def vr_of(keyword: str) -> str:
    """The VR of a keyword; empty where it is none."""
    number = tag_for_keyword(keyword)
    return "" if number is None else _dictionary_vr(Tag(number))


def is_number(keyword: str) -> bool:
    """Whether its values are binary numbers, which hold no text at all."""
    return vr_of(keyword) in _NUMBERS


def _charset_for(keys: Mapping[str, str], charset: str | None) -> str:
    """The SpecificCharacterSet to send; empty where ASCII is enough. Raises ``ConfigError``."""
    odd = {keyword: value for keyword, value in keys.items() if keyword != CHARSET and not value.isascii()}
    text = "".join(odd.values())
    if not odd:
        return ""
    if charset and not _fits(text, charset):
        # In another character set it would match nothing, and nobody would know why.
        raise ConfigError(
            f"{', '.join(sorted(odd))}: archive.charset ({charset}) cannot write the value",
            hint="correct archive.charset, or leave it out where the archive reads others too",
        )
    return charset or (LATIN1 if _fits(text, LATIN1) else UTF8)


def _fits(text: str, terms: str) -> bool:
    return all(any(_writes(encoding, char) for encoding in _encodings(terms)) for char in set(text))


def _writes(encoding: str, char: str) -> bool:
    try:
        char.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _encodings(terms: str) -> list[str]:
    """Python's names of the character sets; one that is named empty is the default repertoire (PS3.3 C.12.1.1.2)."""
    names = [term.strip() for term in terms.split("\\")]
    return ["ascii" if name in _ASCII else str(python_encoding.get(name, "latin-1")) for name in names]


def _encoded(text: str, vr: str, terms: str) -> bytes:
    if vr in _NUMBERS:
        return _packed(text, _NUMBERS[vr])
    value = _in_charset(text, terms) if vr in _TEXT_VRS and terms else text.encode(errors="replace")
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def _in_charset(text: str, terms: str) -> bytes:
    """With code extensions each component begins in the first set again (PS3.5 6.1.2.5.3)."""
    encodings = _encodings(terms)
    if len(encodings) == 1:
        return text.encode(encodings[0], errors="replace")
    parts = re.split(r"([\r\n\t\f\\^=]+)", text)
    return b"".join(_extended(part, encodings) for part in parts)


def _extended(part: str, encodings: list[str]) -> bytes:
    if part.isascii():
        return part.encode("ascii")
    value = encode_string(part, encodings)
    shifted = value.rfind(b"\x1b$B"), value.rfind(b"\x1b$(D")
    # pydicom does not go back to a first set that is the default repertoire.
    return value + b"\x1b(B" if max(shifted) > value.rfind(b"\x1b(") else value


def _packed(text: str, kind: str) -> bytes:
    try:
        parts = [float(part) if kind in "fd" else int(part) for part in text.split("\\") if part.strip()]
        return struct.pack(f"<{len(parts)}{kind}", *parts)
    except (ValueError, struct.error):
        raise ConfigError("a query key wants a number") from None


def answer(dataset: Dataset, charset: str | None = None) -> dict[str, str]:
    """Keyword to text of one C-FIND answer; several values stay joined by a backslash. Never raises for a value.

    ``charset`` overrides what the answer says of itself.
    """
    terms = (charset or _text_of(dataset, CHARSET)).split("\\")
    encodings = ["" if term.strip() in _ASCII else str(python_encoding.get(term.strip(), "")) for term in terms]
    # Past pydicom's parser, which warns about values and quotes them.
    return dict(_pairs(dataset.elements(), encodings))


def _pairs(elements: Iterable[Any], encodings: list[str]) -> Iterator[tuple[str, str]]:
    for element in elements:
        keyword = keyword_for_tag(element.tag)
        text = _decoded(element, encodings) if keyword else None
        if text is not None:
            yield keyword, text


def _text_of(dataset: Dataset, keyword: str) -> str:
    tag = Tag(keyword)
    return _decoded(dataset.get_item(tag), [""]) or "" if tag in dataset else ""


def _decoded(element: Any, encodings: list[str]) -> str | None:
    value, vr = element.value, element.VR or _dictionary_vr(element.tag)
    if not value:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))  # pydicom has read the character set before anybody asked
    if not isinstance(value, bytes):
        return value if isinstance(value, str) else None  # a sequence, which no finder asks for
    if vr in _NUMBERS:
        return _unpacked(value, _NUMBERS[vr])
    if vr in _TEXT_VRS:
        return _decode_text(value, encodings).rstrip(" \0")
    return value.decode("latin-1").strip(" \0") if vr in _PLAIN_VRS else None


def _dictionary_vr(tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag).split(" ")[0]
    except KeyError:
        return "UN"


def _unpacked(value: bytes, kind: str) -> str | None:
    size = struct.calcsize(f"<{kind}")
    if len(value) % size:
        return None
    return "\\".join(str(number) for number in struct.unpack(f"<{len(value) // size}{kind}", value))


def _decode_text(value: bytes, encodings: list[str]) -> str:
    """By the character sets named, then as UTF-8, then as Latin-1, which always succeeds."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    if b"\x1b" in value:
        try:
            return decode_bytes(value, [name or "iso8859" for name in encodings], _DELIMITERS)
        except Exception:
            return value.decode("latin-1")
    for encoding in (encodings[0], "utf-8"):
        try:
            return value.decode(encoding) if encoding else value.decode("utf-8")
        except (UnicodeError, LookupError):
            continue
    return value.decode("latin-1")
