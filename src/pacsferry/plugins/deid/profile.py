"""The anonymization profile ``ps3.15``: its rules, what they say of themselves, and the engine that applies them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from pacsferry.core.model import Draft, Source

from .rules import RuleSet, compile_rules
from .settings import Ps315Settings

if TYPE_CHECKING:
    from .engine import Engine
    from .explain import Told


class Ps315:
    """Built from settings; safe to keep for a worker's life."""

    def __init__(self, settings: Ps315Settings | None = None) -> None:
        settings = settings or Ps315Settings()
        self.rules: RuleSet = compile_rules(settings.policy())
        #: The reference to a table of shifts, None where the secret gives them.
        self.shifts_from = settings.dates.mapping if settings.dates is not None else None

    @cached_property
    def _engine(self) -> Engine:
        # Who only wants to know the rules need not wait for what applies them.
        from .engine import Engine

        return Engine(self.rules)

    def prepare(self) -> None:
        """Be ready for the first object."""
        self._engine.prepare()

    @property
    def digest(self) -> str:
        """SHA-256 of the compiled rules, the edition and the engine's version, in hex."""
        return self.rules.digest

    def describe(self) -> Iterable[str]:
        """What is done to the data, in sentences."""
        from .describe import sentences

        return sentences(self.rules)

    def table(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Tag "(gggg,eeee)", keyword, VR, action and its source, for every element that has a rule."""
        from .describe import table

        return table(self.rules)

    def conformance(self, title: str) -> str:
        """The conformance statement, in Markdown."""
        from .conformance import statement

        return statement(self.rules, title=title)

    def apply(self, source: Source) -> Draft:
        """De-identify one object. Raises ``HeldError`` and nothing else."""
        return self._engine.apply(source)

    def explain(self, source: Source) -> tuple[Draft, tuple[Told, ...]]:
        """The same, and what happens to each element. Raises ``HeldError``."""
        return self._engine.explain(source)
