"""The settings of ``allowlist``: which list, what is added to it, what stays raw, whether dates move; checked here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import Field, model_validator

from pacsferry.core.strict import Strict

from . import allowlist, reference
from .allowlist import Kept
from .allowlist_rules import Wanted
from .policy_rules import Override
from .rules import TEMPORAL_VRS, WRITTEN
from .settings import Dates, RuleTable

_ACCESSION = 0x00080050


class AllowlistSettings(Strict):
    """What survives, and as what."""

    list: str = Field(
        default="extended",
        max_length=4096,
        description='"rad-loader", "extended", "file:/a/path", or "" where elements are the whole list',
    )
    elements: tuple[str, ...] = Field(
        default=(), description="more elements: keyword, (gggg,eeee) or Sequence/Element, | between alternatives"
    )
    keep_raw: tuple[str, ...] = Field(
        default=(), description="UIDs, dates, times and AccessionNumber of the list that keep their original value"
    )
    dates: Dates | None = Field(default=None, description="how dates and times of the list are moved; else removed")
    rule: tuple[RuleTable, ...] = Field(
        default=(), description="rules of the profile's own, which stand over the list; keep keeps the value raw"
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self.wanted()
        return self

    def wanted(self) -> Wanted:
        """What to compile. Raises ``ValueError`` for what cannot be a list."""
        rows = [*self._listed(), *self._added()]
        overrides = tuple(one.override() for one in self.rule)
        if not rows and all(one.action == "remove" for one in overrides):
            raise ValueError("list: a list that names nothing keeps nothing; name one, or elements")
        kept = allowlist.merged(rows)
        raw = frozenset(self._raw(name, rows) for name in self.keep_raw)
        for one in overrides:
            self._check(one)
        return Wanted(
            name=self._name(),
            kept=kept,
            raw=raw,
            shifts=(self.dates or Dates()).shifts() if self._moves else None,
            moving=self.dates is not None,
            overrides=overrides,
        )

    @property
    def _moves(self) -> bool:
        """Whether any date moves."""
        return self.dates is not None or any(one.action == "shift" for one in self.rule)

    def _check(self, one: Override) -> None:
        """What a rule cannot do beside a list."""
        if one.action == "keep" and "SQ" in one.vrs:
            raise ValueError(
                f"rule {one.text}: a sequence is kept by naming what stands in it, as {one.text}/CodeValue"
            )
        if one.action == "keep" and self._moves and set(one.vrs) & {"DA", "DT"}:
            raise ValueError(f"rule {one.text}: a date that is kept beside dates that are moved tells the shift")

    def _name(self) -> str:
        """What DeidentificationMethod calls it; the path of a file may say too much."""
        named = "of the site" if self.list.startswith(allowlist.FILE) or not self.list else self.list
        return f"{named}, with additions" if self.elements and self.list else named

    def _listed(self) -> Iterator[Kept]:
        if self.list:
            try:
                yield from allowlist.listed(self.list)
            except ValueError as err:
                raise ValueError(f"list: {err}") from None

    def _added(self) -> Iterator[Kept]:
        for text in self.elements:
            try:
                yield from allowlist.parse(text)
            except ValueError as err:
                raise ValueError(f"elements: {err}") from None

    def _raw(self, name: str, rows: Iterable[Kept]) -> int:
        """The tag of something that may stay raw."""
        found = {row.tag for row in rows for keyword in [reference.elements()[row.tag][1]] if keyword == name}
        if not found:
            raise ValueError(f"keep_raw: the list names no {name!r}")
        tag = found.pop()
        vr = reference.elements()[tag][0]
        if tag in WRITTEN or not (tag == _ACCESSION or vr == "UI" or vr in TEMPORAL_VRS):
            raise ValueError(f"keep_raw: {name} is kept as it is anyway, or never; this is for UIDs, dates and orders")
        if self._moves and vr in TEMPORAL_VRS | {"UI"}:
            raise ValueError(f"keep_raw: {name} beside dates that are moved would tell how far; leave one out")
        return tag
