"""Whether answers are in the character set that they declare (PS3.3 C.12.1.1.2), judged by their bytes alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pydicom.tag import Tag

from pacsferry.core.charsets import CODECS, terms
from pacsferry.core.ports import Finding, Standing

_CHARSET = Tag("SpecificCharacterSet")
_TEXTS = (Tag("PatientName"), Tag("StudyDescription"), Tag("ReferringPhysicianName"), Tag("SeriesDescription"))
UTF8, LATIN1 = "ISO_IR 192", "ISO_IR 100"
_AT = "dimse.find.charset"
_TERM = r"(ISO_IR \d{1,3}|GB18030|GBK)"
_TERMS = re.compile(rf"{_TERM}(\\{_TERM})*|(\\{_TERM})+")


def charset_finding(answers: Sequence[Dataset]) -> Finding | None:
    """What the answers declare, and whether it can be true; None where there was no answer."""
    if not answers:
        return None
    told = [said for one in answers if (said := _declared(one))]
    term = "\\".join(min(told)) if told else ""
    known = bool(_TERMS.fullmatch(term))
    behaviour: dict[str, object] = {_AT: term} if known else {}
    term = term if known or not term else "something that is no character set"
    odd = [(_declared(one) or ("",), value) for one in answers for value in _odd_values(one)]
    if not odd:
        text = f"answers declare {term or 'no character set'}; none of those seen has other letters than ASCII"
        return Finding(probe=_AT, status=Standing.OK, text=text, behaviour=behaviour)
    if all(_true(declared, value) for declared, value in odd):
        text = f"answers declare {term}, and are in it"
        return Finding(probe=_AT, status=Standing.OK, text=text, behaviour={**behaviour, f"{_AT}_true": True})
    guess = UTF8 if all(_decodes(value, "utf-8") for _, value in odd) else LATIN1
    text = (
        f"answers declare {term} and are not in it: {guess} fits"
        if term
        else f"answers declare no character set and have other letters than ASCII: {guess} fits"
    )
    return Finding(
        probe=_AT,
        status=Standing.WARNING,
        text=text,
        advice=f'the profile says archive.charset = "{guess}"',
        behaviour={**behaviour, f"{_AT}_true": False},
        profile={"archive.charset": guess},
    )


def _declared(dataset: Dataset) -> tuple[str, ...] | None:
    if _CHARSET not in dataset:
        return None
    value: Any = dataset.get_item(_CHARSET).value
    found = terms(value if isinstance(value, bytes) else str(value or "").encode())
    return found if any(found) else None


def _odd_values(dataset: Dataset) -> list[bytes]:
    """Text values with anything but ASCII, or with escapes."""
    values = [dataset.get_item(tag).value for tag in _TEXTS if tag in dataset]
    return [one for one in values if isinstance(one, bytes) and (not one.isascii() or b"\x1b" in one)]


def _true(declared: Sequence[str], value: bytes) -> bool:
    """Whether a value can be in a declared set. What is valid UTF-8 is UTF-8: Latin-1 hardly ever is both."""
    if b"\x1b" in value or len(declared) > 1:
        return True  # code extensions (PS3.5 6.1.2.5): nothing to hold against it
    codec = CODECS.get(declared[0] if declared else "", "")
    if codec == "utf-8":
        return _decodes(value, "utf-8")
    return bool(codec) and _decodes(value, codec) and not _decodes(value, "utf-8")


def _decodes(value: bytes, codec: str) -> bool:
    try:
        value.decode(codec)
    except UnicodeError:
        return False
    return True
