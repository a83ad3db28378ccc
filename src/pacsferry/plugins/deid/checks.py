"""Says whether the bytes of a value are what their VR has, and whether they repeat what must not stay."""

from __future__ import annotations

import re
from collections.abc import Collection

from . import dates

_NUMBERS = re.compile(rb"[0-9+\-.eE \\\0]*")
_ODD_NUMBERS = re.compile(
    rb"[ \\]*(?:[+-]?(?:nan|inf|infinity|1\.#(?:inf|ind|qnan|snan)[0-9]*)[ \\\0]*)+", re.IGNORECASE
)
# Letters of either case, as many writers have them, but of no more than 16 characters (PS3.5 6.2).
_CODE_VALUE = rb"[A-Za-z0-9 _./+\-()#:*%&,<>'\"\[\]]{0,16}"
_CODES = re.compile(_CODE_VALUE + rb"[ \0]*(?:\\" + _CODE_VALUE + rb"[ \0]*)*")
_ONE_CODE = re.compile(_CODE_VALUE)
#: Of UI values, any number of them, and of one UID without its padding.
UIDS = re.compile(rb"[0-9.\\\0 ]*")
UID = re.compile(r"[0-9.]{1,64}")


class Checks:
    """For one object: ``ids`` finds numbers of the patient, ``days`` are those that no text may name."""

    __slots__ = ("_ids", "tell")

    def __init__(self, ids: re.Pattern[bytes] | None, days: Collection[bytes]) -> None:
        self._ids = ids
        #: Every way to write one of the days.
        self.tell = [form for day in sorted(days) for form in dates.written(day)]

    def tells(self, raw: bytes) -> bool:
        """Whether a value names a day that was moved, or that went."""
        return any(form in raw for form in self.tell)

    def silent(self, raw: bytes) -> bool:
        """Whether it does not."""
        return not self.tells(raw)

    def is_id(self, raw: bytes) -> bool:
        """Whether numbers or codes have the patient's id, or another number of the patient, among them."""
        return self._ids is not None and self._ids.search(raw) is not None

    def all_fit(self, numbers: bytes, codes: bytes) -> bool:
        """Whether values that were passed on are numbers and codes, and none of them an id."""
        fit = _NUMBERS.fullmatch(numbers) and _CODES.fullmatch(codes)
        return bool(fit) and not self.is_id(numbers + b"\\" + codes)

    def number(self, raw: bytes) -> bool:
        """Whether a DS or IS may stay as it is."""
        fits = _NUMBERS.fullmatch(raw) or _ODD_NUMBERS.fullmatch(raw)
        return bool(fits) and not self.tells(raw) and not self.is_id(raw)

    def plain(self, raw: bytes) -> bool:
        """Whether a DS or IS that may stay is nothing but numbers."""
        return _NUMBERS.fullmatch(raw) is not None and self.number(raw)

    def structural(self, raw: bytes) -> bool:
        """Whether a UI that names nobody may stay as it is."""
        return UIDS.fullmatch(raw) is not None and not self.tells(raw)

    def code(self, raw: bytes) -> bool:
        """Whether a CS may stay as it is."""
        return _CODES.fullmatch(raw) is not None and not self.is_id(raw) and not self.tells(raw)

    def codes(self, raw: bytes) -> bytes:
        """A CS with those of its values that may stay, empty where none does."""
        if self.code(raw):
            return raw
        values = [value if self._one_code(value) else b"" for value in raw.split(b"\\")]
        return b"\\".join(values) if any(values) else b""

    def _one_code(self, value: bytes) -> bool:
        fits = _ONE_CODE.fullmatch(value.strip(b" \0")) is not None
        return fits and not self.tells(value) and not self.is_id(value)
