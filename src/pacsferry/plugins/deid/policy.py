"""What a profile asks of the rules: options, unlisted kinds, shifts, own rules; checked here, compiled elsewhere.

It refuses what contradicts itself, with the reason and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import options as o
from .dates import Shifts
from .policy_rules import Override

#: What can be said of each kind of element that no table lists, and what is done when nothing is said.
KINDS: Mapping[str, tuple[frozenset[str], str]] = {
    "text": (frozenset({"keep", "remove"}), "remove"),
    "pn": (frozenset({"remove"}), "remove"),
    "dates": (frozenset({"keep", "clean", "remove"}), "remove"),
    "uids": (frozenset({"keep", "clean", "remove"}), "clean"),
    "private": (frozenset({"keep", "clean", "remove"}), "remove"),
    "unknown": (frozenset({"keep", "remove"}), "remove"),
    "technical": (frozenset({"keep", "remove"}), "keep"),
}
#: Why a kind cannot be treated as asked.
_WHY_NOT = {
    ("text", "clean"): "'clean' is not yet supported: nothing here can clean words; write keep or remove",
    ("pn", "keep"): "person names are never kept, whatever lists them (PS3.15 E.1); write remove",
    ("pn", "clean"): "a person's name cannot be cleaned; write remove",
    ("unknown", "clean"): "what nobody knows cannot be cleaned; write keep or remove",
    ("technical", "clean"): "'clean' is not yet supported: nothing here can clean words; write keep or remove",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that a profile may choose. ``unlisted`` has every kind of ``KINDS``; no ``shifts``: nothing moves."""

    options: tuple[str, ...] = ()
    unlisted: Mapping[str, str] = field(default_factory=lambda: {kind: usual for kind, (_, usual) in KINDS.items()})
    shifts: Shifts | None = None
    overrides: tuple[Override, ...] = ()

    def has(self, option: str) -> bool:
        """Whether an option was chosen."""
        return option in self.options


def policy(
    options: Iterable[str] = (),
    unlisted: Mapping[str, str] | None = None,
    shifts: Shifts | None = None,
    overrides: Iterable[Override] = (),
) -> Policy:
    """A checked policy. Raises ``ValueError`` for what contradicts itself."""
    chosen = tuple(name for name in o.OPTIONS if name in set(options))
    if (pair := o.exclusive(chosen)) is not None:
        raise ValueError(f"options: {pair[0]!r} and {pair[1]!r} exclude each other: {pair[2]}")
    said = dict(unlisted or {})
    _check_kinds(said, chosen)
    kinds = _usual(chosen) | said
    moves = o.MODIFIED_DATES in chosen or kinds["dates"] == "clean" or any(one.action == "shift" for one in overrides)
    if shifts is not None and not moves:
        raise ValueError(f"dates: nothing would move; add the option {o.MODIFIED_DATES!r}")
    made = Policy(
        options=chosen, unlisted=kinds, shifts=(shifts or Shifts()) if moves else None, overrides=(*overrides,)
    )
    _check_shift(made)
    return made


def _check_kinds(said: Mapping[str, str], chosen: Iterable[str]) -> None:
    for kind, wish in said.items():
        if wish not in KINDS[kind][0]:
            raise ValueError(f"unlisted.{kind}: {_WHY_NOT[kind, wish]}")
    if o.PRIVATE in chosen and said.get("private", "clean") != "clean":
        raise ValueError(f"unlisted.private: the option {o.PRIVATE!r} keeps what is known to be safe; leave one out")


def _usual(chosen: Iterable[str]) -> dict[str, str]:
    """Unlisted dates follow the temporal option (PS3.15 E.3.6), private elements Retain Safe Private (E.3.10)."""
    usual = {kind: default for kind, (_, default) in KINDS.items()}
    if o.FULL_DATES in chosen:
        usual["dates"] = "keep"
    if o.MODIFIED_DATES in chosen:
        usual["dates"] = "clean"
    if o.PRIVATE in chosen:
        usual["private"] = "clean"
    if o.UIDS in chosen:
        usual["uids"] = "keep"
    return usual


def _check_shift(made: Policy) -> None:
    """Nothing that tells a date may stay beside dates that were moved."""
    if made.shifts is None:
        return
    if not made.shifts.choices():
        raise ValueError("dates.shift_days: no shift but none at all fits; widen the range or take unit = 'days'")
    kept = [kind for kind in ("dates", "uids") if made.unlisted[kind] == "keep"]
    if made.has(o.FULL_DATES):
        raise ValueError("a rule shifts dates that are otherwise kept, so that the shift could be read; leave one out")
    if kept:
        raise ValueError(
            f"unlisted.{kept[0]}: kept beside dates that are moved, they could tell the shift; leave it out"
        )
    for one in made.overrides:
        if one.action == "keep" and set(one.vrs) & {"DA", "DT"}:
            raise ValueError(f"rule {one.text}: a date that is kept beside dates that are moved tells the shift")
