"""The settings of ``ps3.15``: what a profile may say in [deidentify]; what comes later is refused by name."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator, model_validator

from pacsferry.core.archive import Strict

#: Options of PS3.15 table E.1-1 as profiles name them.
OPTIONS = (
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-longitudinal-full-dates",
    "retain-longitudinal-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
    "clean-pixel-data",
    "clean-recognizable-visual-features",
)
#: Keys of [deidentify] that are known and not built yet.
LATER = ("unlisted", "dates", "rule")


class Ps315Settings(Strict):
    """The Basic profile of PS3.15 has nothing to set yet."""

    options: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _nothing_of_later(cls, values: Any) -> Any:
        for key in LATER:
            if isinstance(values, dict) and key in values:
                raise ValueError(f"deidentify.{key} is not yet supported; leave it out")
        return values

    @field_validator("options")
    @classmethod
    def _no_options_yet(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            if option not in OPTIONS:
                raise ValueError(f"deidentify.options: no option named {option!r}; PS3.15 has {', '.join(OPTIONS)}")
            raise ValueError(f"deidentify.options: {option!r} is not yet supported; leave it out")
        return options
