"""The settings of ``ps3.15``: what a profile may say in [deidentify], as a policy; it refuses what contradicts."""

from __future__ import annotations

import difflib
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from pacsferry.core.secretrefs import SecretRef
from pacsferry.core.strict import Strict

from .dates import Shifts
from .options import LATER, MODIFIED_DATES
from .options import OPTIONS as _TABLE
from .policy import Policy, policy
from .policy_rules import Override, parse

#: Options of PS3.15 table E.1-1 as profiles name them.
OPTIONS = tuple(_TABLE)
Wish = Literal["keep", "clean", "remove"]
Days = Annotated[StrictInt, Field(ge=-36525, le=36525)]
Condition = Annotated[str, Field(max_length=1024)]


class Unlisted(Strict):
    """What becomes of elements that no table lists, by kind; what is left out follows the options."""

    text: Wish | None = Field(default=None, description="text: keep or remove (default)")
    pn: Wish | None = Field(default=None, description="names of people: always removed")
    dates: Wish | None = Field(default=None, description="dates and times: keep, clean (move) or remove")
    uids: Wish | None = Field(default=None, description="UIDs: keep, clean (replace; default) or remove")
    private: Wish | None = Field(default=None, description="private elements: keep, clean (known safe ones) or remove")
    unknown: Wish | None = Field(
        default=None, description="elements that PS3.6 does not have, and bytes: keep or remove"
    )
    technical: Wish | None = Field(default=None, description="reviewed technical text: keep (default) or remove")


class Dates(Strict):
    """How dates are moved: by one shift per patient, drawn with the project's secret."""

    shift_days: tuple[Days, Days] = Field(default=(-365, -30), description="the least and the greatest shift, in days")
    unit: Literal["weeks", "days"] = Field(default="weeks", description="whole weeks keep the day of the week")
    mapping: SecretRef | None = Field(
        default=None,
        description="a reference to a table of PatientID and days, such as file:shifts.csv; nothing is drawn",
    )

    @field_validator("shift_days")
    @classmethod
    def _ordered(cls, days: tuple[int, int]) -> tuple[int, int]:
        if days[0] > days[1]:
            raise ValueError("write the lesser number first, for example [-365, -30]")
        return days

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.mapping is not None and {"shift_days", "unit"} & self.model_fields_set:
            raise ValueError("mapping: says each patient's days itself; leave shift_days and unit out")
        return self

    def shifts(self) -> Shifts:
        """As the rules have it."""
        if self.mapping is not None:
            return Shifts(unit=1, mapped=True)
        return Shifts(low=self.shift_days[0], high=self.shift_days[1], unit=7 if self.unit == "weeks" else 1)


class RuleTable(Strict):
    """One [[deidentify.rule]]; of several for one element the last one that holds counts."""

    element: str = Field(min_length=1, max_length=512, description="keyword, tag, path, or creator and tag")
    action: str = Field(description="keep, remove, empty, dummy, uid, shift, pseudonym or set")
    when: dict[str, Condition | Annotated[tuple[Condition, ...], Field(min_length=1)]] = Field(
        default={}, description="values that elements of the object must have; * and ? stand for any text"
    )
    value: str | None = Field(default=None, max_length=1024, description="what action set writes")

    @field_validator("when", mode="before")
    @classmethod
    def _said_plainly(cls, when: object) -> object:
        """Say what a condition is, once; a union would say of each of its members what the value is not."""
        for key, wanted in when.items() if isinstance(when, dict) else ():
            several = wanted if isinstance(wanted, list | tuple) and wanted else [wanted]
            if not all(isinstance(one, str) for one in several):
                raise ValueError(f"{key}: write the value as text, in quotes, or a list of such texts")
        return when

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.override()
        return self

    def override(self) -> Override:
        """As the rules have it. Raises ``ValueError``."""
        return parse(self.element, self.action, self.when, self.value)


class Ps315Settings(Strict):
    """What a profile may say of the rules of PS3.15; nothing said is the Basic profile."""

    not_yet: ClassVar = {}
    options: tuple[str, ...] = Field(default=(), description=f"options of PS3.15 annex E: {', '.join(OPTIONS)}")
    unlisted: Unlisted = Field(default=Unlisted(), description="what becomes of elements that no table lists")
    dates: Dates | None = Field(default=None, description=f"how {MODIFIED_DATES} moves dates")
    rule: tuple[RuleTable, ...] = Field(
        default=(), description="rules of the profile's own, which stand over all others"
    )

    @field_validator("options")
    @classmethod
    def _known(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            if option not in OPTIONS:
                near = difflib.get_close_matches(option, OPTIONS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"PS3.15 has {', '.join(OPTIONS)}"
                raise ValueError(f"no option named {option!r}; {hint}")
            if option in LATER:
                raise ValueError(f"{option!r} is not yet supported; leave it out")
        return options

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self.policy()
        return self

    def policy(self) -> Policy:
        """Everything that was chosen, checked. Raises ``ValueError`` for what contradicts itself."""
        return policy(
            options=self.options,
            unlisted=self.unlisted.model_dump(exclude_none=True),
            shifts=self.dates.shifts() if self.dates is not None else None,
            overrides=[one.override() for one in self.rule],
        )
