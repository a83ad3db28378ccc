"""Shifts from a site's table: read before anything is contacted, and never other ones than before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pacsferry.core.errors import ConfigError, RefusedError
from pacsferry.core.ledger import Ledger
from pacsferry.core.model import Keys
from pacsferry.core.shifts import days_of, parsed
from pacsferry.profiles.read import Resolved
from pacsferry.profiles.secrets import secret

WHERE = "deidentify.dates.mapping"
_NOTED = "shifts"


def mapped(deidentifier: Any, resolved: Resolved, keys: Keys) -> dict[str, int] | None:
    """Token of the patient to days, None where no table is asked for. Raises ``ConfigError`` that names the line.

    An anonymization profile asks with an attribute ``shifts_from``: the reference to the table.
    """
    asked: str | None = getattr(deidentifier, "shifts_from", None)
    if asked is None:
        return None
    try:
        return _read(asked, resolved, keys)
    except ConfigError as err:
        raise resolved.located(err) from None


def _read(reference: str, resolved: Resolved, keys: Keys) -> dict[str, int]:
    text = secret(reference, resolved.base, WHERE).get_secret_value()
    try:
        return parsed(text, keys)
    except ValueError as err:
        raise ConfigError(f"{WHERE}: {err}", hint="correct the table, then run the same command again") from None


def settled(found: Mapping[str, int], ledger: Ledger, keys: Keys) -> None:
    """Note the shifts. Raises ``RefusedError`` if released images of a patient were moved by other ones."""
    noted: dict[str, int] = json.loads(ledger.get_meta(_NOTED) or "{}")
    merged = {**noted, **found}
    if merged == noted and noted.keys() == found.keys():
        return
    if others := _moved_otherwise(noted, found, ledger, keys) if noted else 0:
        raise RefusedError(
            f"{WHERE}: other shifts than before, for patients with released images ({others}): intervals would break",
            hint="put the former days back; or begin a new project",
        )
    ledger.set_meta(_NOTED, json.dumps(merged))


def _moved_otherwise(noted: Mapping[str, int], found: Mapping[str, int], ledger: Ledger, keys: Keys) -> int:
    """How many patients with stored images would get another shift than they have."""
    stored = {state.key for state in ledger.studies() if state.stored}
    patients = {(one.patient_id, one.issuer) for key, one in ledger.originals() if key in stored}
    pairs = ((days_of(noted, keys, *who), days_of(found, keys, *who)) for who in patients)
    return sum(before is not None and now is not None and before != now for before, now in pairs)
