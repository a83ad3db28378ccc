"""What comes out, computed a second time by hand: from the table's letters, pydicom and the secret alone.

Nothing of the engine is used to say what is right: no compiled rules, no steps, no keys. Both paths share the engine's
value rules, so that they cannot vouch for each other here.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
import struct
import warnings
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

import pytest
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from pacsferry.core.errors import HeldError
from pacsferry.testing.kinds import KINDS
from pacsferry.testing.samples import part10
from support.choosing import draft_by
from support.cleaning import whole
from support.public import FILES

SECRET = b"k" * 32
PRESETS = {
    "basic": frozenset[str](),
    "research": frozenset({"modified-dates", "patient-characteristics"}),
    "tcia": frozenset({"modified-dates", "patient-characteristics", "device-identity"}),
}
#: Written by us (PS3.15 E.1.1 and docs/deidentification.md), or a description of pixels that is put right.
OURS = {0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00200010, 0x00280303, 0x00080005}
NUMBERS = {"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "CS", "AT"}
TEXT = {"LO", "SH", "LT", "ST", "UT", "UC", "AE", "UR"}
NUMBER = re.compile(r"[0-9+\-.eE]*")
STAND_INS = {"19000101", "20000101", "18000101", "19700101"}


@cache
def rows(name: str) -> dict[int, list[str]]:
    text = (files("pacsferry.plugins.deid") / "tables" / f"{name}.tsv").read_text()
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {int(line[0], 16): line[1:] for line in lines}


def mac(label: str, *parts: str) -> bytes:
    body = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(SECRET, label.encode() + b"\0" + body, hashlib.sha256).digest()


def new_uid(original: str) -> str:
    """``2.25.`` and a UUID of version 8 whose bits are the start of the HMAC (RFC 9562)."""
    if original.startswith("1.2.840.10008."):
        return original
    bits = bytearray(mac("uid", original)[:16])
    bits[6] = bits[6] & 0x0F | 0x80
    bits[8] = bits[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(bits, 'big')}"


def days_of(ds: Dataset) -> int:
    """One of the whole weeks from -365 to -30 days, by the patient's token."""
    patient, issuer = str(ds.get("PatientID") or "").strip(), str(ds.get("IssuerOfPatientID") or "").strip()
    parts = ("patient", patient, issuer) if patient else ("study", str(ds.StudyInstanceUID))
    token = mac("subject", *parts).hex()[:32]
    weeks = list(range(-364, -30, 7))
    return weeks[int.from_bytes(mac("draw:shift", token), "big") % len(weeks)]


def moved(value: str, days: int) -> str:
    year, month, day = int(value[:4]), int(value[4:6]), int(value[6:8])
    return f"{date(year, month, day) + timedelta(days=days):%Y%m%d}{value[8:]}"


def letter(tag: int, options: frozenset[str]) -> str | None:
    """The action of table E.1-1 with the columns of the options; a C that nothing cleans leaves the profile's."""
    if tag not in rows("listed"):
        return None
    action, cells, *_ = rows("listed")[tag]
    columns = dict(cell.split("=") for cell in cells.split(",")) if cells else {}
    if "modified-dates" in options and columns.get("modified-dates") == "C":
        return "S"
    for option in options:
        if columns.get(option) == "K":
            return "K"
    return action


def texts(value: object) -> list[str]:
    values = list(value) if isinstance(value, MultiValue | list) else [value]
    return ["" if one is None else str(one).strip(" \0") for one in values]


class Check:
    """One object beside what came of it."""

    def __init__(self, before: Dataset, after: Dataset, options: frozenset[str]) -> None:
        self.options, self.days, self.wrong = options, days_of(before), list[str]()
        self.seen = 0
        self.level(before, after, "")

    def level(self, before: Dataset, after: Dataset, path: str) -> None:
        for element in before:
            tag = int(element.tag)
            if tag & 0x10000 or tag >> 24 in {0x50, 0x60} or tag in OURS or tag >> 16 in {0x7FE0, 0x0002}:
                continue
            if tag & 0xFFFF == 0 or tag in rows("additions"):
                continue
            self.seen += 1
            now = after.get(element.tag)
            if element.VR == "SQ" and now is not None and now.VR == "SQ":
                for one, other in zip(element.value, now.value, strict=False):
                    self.level(one, other, f"{path}{element.keyword}/")
            elif now is not None and {element.VR, now.VR} == {"US", "OW"}:  # a table of numbers has either VR
                if struct.pack(f"<{len(element.value)}H", *element.value) != now.value:
                    self.wrong.append(f"{path}{element.keyword}")
            elif element.VR != "SQ" and not self.right(tag, element, now, path):
                self.wrong.append(f"{path}{element.keyword or element.tag} {element.VR}")

    def right(self, tag: int, element, now, path: str) -> bool:
        action, before = letter(tag, self.options), texts(element.value)
        after = None if now is None else texts(now.value)
        temporal = element.VR in {"DA", "DT", "TM"}
        if element.VR == "UI":
            return after is None or after in (before, [new_uid(one) if one else "" for one in before])
        if action == "K":
            return after == before or element.VR == "AS" or (temporal and not any(before))
        if action == "S" or (action is None and temporal):
            return self.dated(element.VR, action, before, after)
        if action is not None:
            return after is None or not any(after) or after != before or after in (["REMOVED"], ["000000"])
        return self.unlisted(tag, element.VR, before, after, path)

    def unlisted(self, tag: int, vr: str, before: list[str], after: list[str] | None, path: str) -> bool:
        if vr in TEXT:
            where = rows("technical").get(tag, [""])[0]
            return after == before if where == "any" or (where == "item" and path) else self.gone(tag, before, after)
        if vr == "PN":
            return after is None or after != before or not any(before)
        return vr not in NUMBERS or after == before or self.no_number(vr, before, after)

    def dated(self, vr: str, action: str | None, before: list[str], after: list[str] | None) -> bool:
        if "modified-dates" not in self.options:
            return action is not None or after is None or not any(after) or after in (["19000101"], ["000000"])
        if vr in {"TM", "SH"}:  # whole days leave times of day, and the zone
            return after is None or after == before or any(":" in one for one in before)
        plain = [one for one in before if one[:8].isdigit() and len(one) >= 8 and one[:8] not in STAND_INS]
        if len(plain) != len(before):
            return after is None or after != before or not any(before)
        return after == [moved(one, self.days) for one in before] or after in (None, [""])

    def gone(self, tag: int, before: list[str], after: list[str] | None) -> bool:
        if tag in rows("technical"):  # parts of codes: as they were, or a dummy
            return after is None or after in (before, ["REMOVED"])
        return after is None or not any(after) or after == ["REMOVED"] or not any(before)

    def no_number(self, vr: str, before: list[str], after: list[str] | None) -> bool:
        """What is no number or code is emptied or removed; what is one may have lost padding, and nothing else."""
        if vr == "CS" and any(one.upper() != one or not one.isascii() for one in before):
            return True
        if vr in {"DS", "IS"} and not all(NUMBER.fullmatch(one) for one in before):
            return True
        return after is not None and [one.replace(" ", "") for one in before] == [one.replace(" ", "") for one in after]


def checked(data: bytes, preset: str) -> Check:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = dcmread(io.BytesIO(data), force=True)
        after = dcmread(io.BytesIO(whole(draft_by(preset, data))))
        return Check(before, after, PRESETS[preset])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_comes_out_as_computed_by_hand(kind, preset):
    done = checked(part10(KINDS[kind]()), preset)
    assert done.wrong == []
    assert done.seen > 60


@pytest.mark.parametrize("preset", PRESETS)
def test_files_of_others_come_out_as_computed_by_hand(preset):
    wrong, count = {}, 0
    for path in FILES:
        try:
            done = checked(path.read_bytes(), preset)
        except HeldError:
            continue
        count += 1
        if done.wrong:
            wrong[path.name] = done.wrong[:5]
    assert wrong == {}
    assert count > 100


def test_dates_uids_and_pseudonym_of_one_image_as_computed_by_hand():
    before = KINDS["CT"]()
    after = dcmread(io.BytesIO(whole(draft_by("research", part10(before)))))
    days = days_of(before)
    assert days % 7 == 0
    assert -365 <= days <= -30
    assert after.StudyDate == moved(before.StudyDate, days) != before.StudyDate
    assert after.StudyTime == before.StudyTime
    assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID == new_uid(before.SOPInstanceUID)
    assert after.StudyInstanceUID == new_uid(before.StudyInstanceUID)
    assert after.StudyID == hashlib.sha256(after.StudyInstanceUID.encode()).hexdigest()[:8]


def test_the_oracle_notices_what_is_wrong():
    before = KINDS["CT"]()
    same = Check(before, before, PRESETS["basic"])
    assert {"PatientBirthDate DA", "StudyDate DA", "InstitutionName LO"} <= set(same.wrong)
    empty = Check(before, Dataset(), PRESETS["research"])
    assert {"SliceThickness DS", "PatientSex CS", "Modality CS"} <= set(empty.wrong)
