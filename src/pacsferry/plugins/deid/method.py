"""What is written about the de-identification itself (PS3.15 E.1.1), and what is kept of earlier accounts of it."""

from __future__ import annotations

import re
from functools import lru_cache

from . import reference
from .claims import CID_7050
from .program import element, head_of

METHOD, CODE_SEQUENCE, TEMPORAL = 0x00120063, 0x00120064, 0x00280303

_SPLIT = re.compile(r"[^A-Za-z]+")
# A version or a number of a part, an edition, Supplement 142, a tag of group 0012; never two numbers in a row, as in a
# date or a telephone number.
_NUMBER = r"(?<!\d)(?:\d{1,2}(?:\.\d{1,2})?|20\d\d[a-e]|142|0012, ?00\d\d)(?!\d|[^A-Za-z\d]+(?!20\d\d[a-e]|0012)\d)"
_HARMLESS = re.compile(rf"(?:[A-Za-z ,.;:(){{}}/+_\-]|{_NUMBER})*")


def recognised(value: str) -> bool:
    """Whether an earlier value says only how something was de-identified: known words and short numbers."""
    return bool(_HARMLESS.fullmatch(value)) and all(
        word.lower() in reference.method_words() or len(word) < 3 for word in _SPLIT.split(value)
    )


@lru_cache(maxsize=256)
def text_element(ours: str, earlier: tuple[str, ...]) -> bytes:
    """DeidentificationMethod (0012,0063): the earlier values that are recognised, then ours."""
    own = ours.split("\\")
    kept = [value for value in earlier if value and value not in own and recognised(value)]
    return element(METHOD, b"LO", "\\".join([*kept, ours]).encode("ascii"))


@lru_cache(maxsize=256)
def code_element(ours: tuple[str, ...], earlier: tuple[str, ...]) -> bytes:
    """DeidentificationMethodCodeSequence (0012,0064): the earlier codes of CID 7050, then ours; our own meanings.

    Empty where there is none: the sequence has to have an item (PS3.3 C.7.1.1).
    """
    codes = dict.fromkeys([*(code for code in earlier if code in CID_7050), *ours])
    if not codes:
        return b""
    items = b"".join(_item(code) for code in codes)
    return head_of(CODE_SEQUENCE, b"SQ") + len(items).to_bytes(4, "little") + items


def temporal_element(ours: str, earlier: str) -> tuple[int, bytes]:
    """LongitudinalTemporalInformationModified (0028,0303): dates that we leave alone are what an earlier tool left."""
    said = earlier if ours == "UNMODIFIED" and earlier in {"MODIFIED", "REMOVED"} else ours
    return TEMPORAL, element(TEMPORAL, b"CS", said.encode("ascii"))


def _item(code: str) -> bytes:
    content = (
        element(0x00080100, b"SH", code.encode())
        + element(0x00080102, b"SH", b"DCM")
        + element(0x00080104, b"LO", CID_7050[code].encode())
    )
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content
