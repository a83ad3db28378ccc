"""Shifts that a table gives: whose dates move by how many days; it refuses what is not plain, and quotes no patient.

A table is CSV (PatientID, IssuerOfPatientID if wanted, days; with or without a line of headings) or a JSON object of
PatientID to days. What leaves this module are keyed tokens of patients (``Keys.subject``), never their ids.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .model import Keys

#: As far as dates may move, in days.
MOST = 36_525
_DAYS = re.compile(r"[+-]?\d{1,6}")
_ID, _ISSUER = frozenset({"patientid", "oldid", "old"}), frozenset({"issuerofpatientid", "issuer"})
_SHIFT = frozenset({"days", "dayshift", "shift", "shiftdays"})
_RIGHT = "write PatientID,days or PatientID,IssuerOfPatientID,days"
#: How one of the predecessors names the folders, and so the patients, of its tables.
_FOLDER = "sub-"

Row = tuple[str, str, str, int]


def days_of(shifts: Mapping[str, int], keys: Keys, patient_id: str, issuer: str) -> int | None:
    """The patient's shift: of id and issuer, else of the id whoever issued it; None where no table names them."""
    found = shifts.get(keys.subject(patient_id, issuer, ""))
    return shifts.get(keys.subject(patient_id, "", "")) if found is None else found


def parsed(text: str, keys: Keys) -> dict[str, int]:
    """Token of the patient to days. Raises ``ValueError`` that names the line, never a patient."""
    rows = _json(text) if text.lstrip("\ufeff \t\r\n").startswith("{") else _csv(text)
    found: dict[str, int] = {}
    places: dict[str, str] = {}
    for where, patient_id, issuer, days in rows:
        token = keys.subject(patient_id, issuer, "")
        if found.setdefault(token, days) != days:
            raise ValueError(f"{where}: another shift for the patient of {places[token]}")
        places.setdefault(token, where)
    if not found:
        raise ValueError(f"it names no patient; {_RIGHT}")
    return found


def _csv(text: str) -> Iterator[Row]:
    body = text.removeprefix("\ufeff")
    mark = ";" if body.partition("\n")[0].count(";") > body.partition("\n")[0].count(",") else ","
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=mark, strict=True)
    columns: tuple[int, int | None, int] | None = None
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row) or row[0].startswith("#"):
                continue
            where = f"line {reader.line_num}"
            if columns is None:
                columns, heading = _columns(row, where)
                if heading:
                    continue
            yield _row(row, columns, where)
    except csv.Error:
        raise ValueError(f"line {reader.line_num}: this is no CSV; {_RIGHT}") from None


def _columns(row: list[str], where: str) -> tuple[tuple[int, int | None, int], bool]:
    """Where id, issuer and days stand, and whether this row only says so."""
    names = [re.sub(r"[\s_-]", "", cell).lower() for cell in row]
    ids, issuers, shifts = ([at for at, name in enumerate(names) if name in known] for known in (_ID, _ISSUER, _SHIFT))
    if len(ids) == len(shifts) == 1 and len(issuers) < 2:
        return (ids[0], issuers[0] if issuers else None, shifts[0]), True
    if len(row) not in {2, 3}:
        raise ValueError(f"{where}: {len(row)} columns without headings; {_RIGHT}")
    return (0, 1 if len(row) == 3 else None, len(row) - 1), False


def _row(row: list[str], columns: tuple[int, int | None, int], where: str) -> Row:
    at_id, at_issuer, at_days = columns
    if len(row) <= max(at_id, at_issuer or 0, at_days):
        raise ValueError(f"{where}: too few columns; {_RIGHT}")
    return where, _known(row[at_id], where), row[at_issuer] if at_issuer is not None else "", _days(row[at_days], where)


def _json(text: str) -> Iterator[Row]:
    try:
        table = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise ValueError("this is no JSON object of PatientID to days") from None
    names = {name for name, _ in table}
    for number, (name, value) in enumerate(table, start=1):
        where = f"entry {number}"
        days = _days(value, where)
        yield where, _known(name, where), "", days
        if name.startswith(_FOLDER) and (plain := name.removeprefix(_FOLDER)) and plain not in names:
            yield where, plain, "", days


def _known(patient_id: str, where: str) -> str:
    if not patient_id.strip():
        raise ValueError(f"{where}: no PatientID; {_RIGHT}")
    return patient_id


def _days(value: Any, where: str) -> int:
    """A whole number of days, other than none: none would leave the dates as they are."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _DAYS.fullmatch(text):
        raise ValueError(f"{where}: no whole number of days")
    if not 0 < abs(int(text)) <= MOST:
        raise ValueError(f"{where}: days from -{MOST} to {MOST}, and not 0, which would leave the dates as they are")
    return int(text)
