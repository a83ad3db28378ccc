"""The anonymization profile ``allowlist``: only what a list names survives; an object that would be a shell is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pacsferry.core.model import Draft, Source

from . import reference
from .allowlist import frame, sentences
from .allowlist_rules import NEEDED, NOT_LISTED, PALETTE, compile_allowlist
from .allowlist_settings import AllowlistSettings
from .rules import TEMPORAL_VRS, TEXT_VRS, Rule

if TYPE_CHECKING:
    from .engine import Engine
    from .explain import Told


class Allowlist:
    """Built from settings; safe to keep for a worker's life."""

    def __init__(self, settings: AllowlistSettings | None = None) -> None:
        settings = settings or AllowlistSettings()
        self._wanted = settings.wanted()
        #: The reference to a table of shifts, None where the secret gives them.
        self.shifts_from = settings.dates.mapping if settings.dates is not None else None
        self._allowed = compile_allowlist(self._wanted)
        self.rules = self._allowed.top

    @cached_property
    def _engine(self) -> Engine:
        # Who only wants to know the rules need not wait for what applies them.
        from .allowlist_programs import ListPrograms
        from .engine import Engine

        return Engine(self.rules, ListPrograms(self._allowed))

    def prepare(self) -> None:
        """Be ready for the first object."""
        self._engine.prepare()

    @property
    def digest(self) -> str:
        """SHA-256 of the compiled list and the engine's version, in hex."""
        return self._allowed.digest

    def apply(self, source: Source) -> Draft:
        """De-identify one object. Raises ``HeldError`` and nothing else."""
        return self._engine.apply(source)

    def explain(self, source: Source) -> tuple[Draft, tuple[Told, ...]]:
        """The same, and what happens to each element. Raises ``HeldError``."""
        return self._engine.explain(source)

    def conformance(self, title: str) -> str:
        """The conformance statement, in Markdown."""
        from .conformance import statement

        return statement(self.rules, title=title, paths=self._allowed.paths)

    def table(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Tag or path, keyword, VR, action and its source, for every element that has a rule."""
        from .describe import table

        yield from table(self.rules)
        for path, rules in self._allowed.paths:
            for rule in rules:
                yield "/".join(map(_tag, (*path, rule.tag))), rule.keyword, rule.vr, rule.action, rule.source

    def describe(self) -> Iterable[str]:
        """What is done to the data, in sentences."""
        from .describe import own

        facts = self._facts()
        yield from (text.format_map(facts) for when, text in sentences() if when == "always" or facts[when])
        yield from (own(one, frozenset()) for one in self._wanted.overrides)

    def _facts(self) -> Mapping[str, Any]:
        rules, wanted = self.rules, self._wanted
        nested = [rule for _, own in self._allowed.paths for rule in own if rule.vr != "SQ"]
        listed = [rule for rule in rules.rules if rule.source.startswith("list ")]
        framed = {one.tag for one in frame()} - {rule.tag for rule in listed}
        shells = [what for tag, what in NEEDED.items() if tag not in self._allowed.named]
        return {
            "name": wanted.name,
            "digest": self.digest[:12],
            "top": len(wanted.kept[()]),
            "nested": len(nested),
            "sequences": len([path for path in wanted.kept if path]),
            "framed": _names(rule for rule in rules.rules if rule.tag in framed and rule.action in {"K", "U"}),
            "emptied": _names(rule for rule in rules.rules if rule.action == "Z" and rule.vr not in TEMPORAL_VRS),
            "shifts": _shifts(rules.shifts) if wanted.moving else "",
            "mapped": "yes" if rules.shifts and rules.shifts.mapped else "",
            "ruled": _shifts(rules.shifts) if not wanted.moving else "",
            "unmoved": "" if wanted.moving else "yes",
            "raw": _names(rule for rule in [*listed, *nested] if rule.tag in wanted.raw),
            "text": _names(rule for rule in listed if _free(rule)),
            "schemes": len(reference.schemes()),
            "temporal": rules.temporal,
            "method": rules.method,
            "shells": ", or ".join(dict.fromkeys([*shells, *([] if PALETTE & self._allowed.named else ["a palette"])])),
            "depth": rules.limits.depth,
            "elements": rules.limits.elements,
        }


def _shifts(shifts: Any) -> str:
    if shifts is None or shifts.mapped:
        return ""
    return f"{shifts.low} to {shifts.high} days" + ("" if shifts.unit == 1 else f" in steps of {shifts.unit}")


def _free(rule: Rule) -> bool:
    """Text in which anybody may have written anything."""
    return rule.vr in TEXT_VRS - TEMPORAL_VRS and rule.action == "K" and rule.tag not in reference.technical()


def _names(rules: Iterable[Rule]) -> str:
    return ", ".join(dict.fromkeys(rule.keyword for rule in rules if rule.source != NOT_LISTED))


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
