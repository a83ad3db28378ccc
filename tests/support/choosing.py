"""De-identify bytes in tests with settings of a profile, or with a preset."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydicom import Dataset, dcmread

from pacsferry.core.fitting import fit
from pacsferry.core.model import Draft
from pacsferry.core.ports import Deidentifier
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.registry import load
from pacsferry.core.registry import resolve as built
from pacsferry.plugins.deid.profile import Ps315
from pacsferry.plugins.deid.settings import Ps315Settings
from pacsferry.profiles.presets import preset
from support.cleaning import KEYS, source, whole


def profile(**settings: Any) -> Ps315:
    return Ps315(Ps315Settings.model_validate(settings))


@cache
def of_preset(name: str) -> Deidentifier:
    table = dict(preset(name))
    offer = load().named("anonymization profile", str(table.pop("use")))
    made: Deidentifier = built(offer.build)(fit(offer.settings, table, "deidentify"))
    return made


def draft_by(chosen: Deidentifier | str, data: bytes, *, keys: ProjectKeys = KEYS) -> Draft:
    by = of_preset(chosen) if isinstance(chosen, str) else chosen
    return by.apply(source(data, keys=keys))


def cleaned_by(chosen: Deidentifier | str, data: bytes, *, keys: ProjectKeys = KEYS) -> Dataset:
    return dcmread(io.BytesIO(whole(draft_by(chosen, data, keys=keys))))


def codes(out: Dataset) -> set[str]:
    return {item.CodeValue for item in out.get("DeidentificationMethodCodeSequence", [])}


def refusal(**settings: Any) -> str:
    """What is said of settings that are refused, "" where they are not."""
    try:
        profile(**settings)
    except ValidationError as err:
        return str(err)
    return ""
