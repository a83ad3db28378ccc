"""What a profile wants of a study ([select]); what it does not want is excluded, which is never "missing"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``only`` must match where there is one, ``never`` must not; patterns with * and ?, without regard to case."""

    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def wants(self, value: str) -> bool:
        """Whether a known value passes."""
        text = value.strip().casefold()
        hit = any(fnmatchcase(text, pattern.casefold()) for pattern in self.only)
        return (hit or not self.only) and not any(fnmatchcase(text, pattern.casefold()) for pattern in self.never)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One rule per key of [select]; keys that are absent want everything."""

    rules: Mapping[str, Rule]

    def wants(self, known: Mapping[str, str | None]) -> bool:
        """Whether something with these values is wanted; a value that is None is not known and passes for now."""
        return all(rule.wants(value) for key, rule in self.rules.items() if (value := known.get(key)) is not None)
