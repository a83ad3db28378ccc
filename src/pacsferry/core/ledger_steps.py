"""What may become of an instance, as a table, and the arithmetic of counters; pure, no database in sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .ledger_model import InstanceState, UndefinedStep
from .model import Status

_E, _S, _H, _X = InstanceState.EXPECTED, InstanceState.STORED, InstanceState.HELD, InstanceState.EXCLUDED

#: action -> state before (None: not known yet) -> states that it may lead to. Whatever is not here is an error.
STEPS: Mapping[str, Mapping[InstanceState | None, frozenset[InstanceState]]] = {
    # The archive was asked again: what is stored stays, what was held is fetched again.
    "expect": {
        None: frozenset({_E, _X}),
        _E: frozenset({_E, _X}),
        _H: frozenset({_E, _X}),
        _X: frozenset({_E, _X}),
        _S: frozenset({_S}),
    },
    # It came and was cleared. What is stored can only be stored again: it is taken back by "withdraw" alone.
    "record": {
        None: frozenset({_S, _H, _X}),
        _E: frozenset({_S, _H, _X}),
        _H: frozenset({_S, _H, _X}),
        _X: frozenset({_S, _H, _X}),
        _S: frozenset({_S}),
    },
    # What was stored turned out not to be safe, or its file is gone.
    "withdraw": {_S: frozenset({_H})},
    "lose": {_S: frozenset({_E})},
}

#: Statuses that a waiver turns into ``waived``.
WAIVABLE = frozenset(
    {Status.INCOMPLETE, Status.UNVERIFIED, Status.CHANGED, Status.OFFLINE, Status.HELD, Status.FAILED, Status.WAIVED}
)
#: Statuses that are nobody's problem.
SETTLED = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED})


def step(action: str, before: InstanceState | None, after: InstanceState) -> InstanceState:
    """``after``, if the action may lead there. Raises ``UndefinedStep``."""
    if after not in STEPS[action].get(before, ()):
        raise UndefinedStep(f"{action} cannot turn {before or 'nothing'} into {after}", hint="report it: this is a bug")
    return after


#: Where a tally counts a state.
FIELDS: Mapping[InstanceState, str] = {_E: "pending", _S: "stored", _H: "held", _X: "excluded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The instances of one series by state; ``barred`` says that all of it is excluded by the plan."""

    expected: int | None = None
    barred: bool = False
    pending: int = 0
    stored: int = 0
    held: int = 0
    excluded: int = 0

    def moved(self, before: InstanceState | None, after: InstanceState | None) -> Tally:
        """With one instance taken from one state into another."""
        change = dict.fromkeys(FIELDS.values(), 0)
        for state, by in ((before, -1), (after, 1)):
            if state is not None:
                change[FIELDS[state]] += by
        return replace(self, **{name: getattr(self, name) + by for name, by in change.items()})

    @property
    def left_out(self) -> int:
        """What counts as excluded: of a barred series, everything that is not here."""
        rest = (self.expected or 0) - self.stored - self.held if self.barred else 0
        return max(self.excluded, rest)

    @property
    def short(self) -> int:
        """What the archive counts and nobody has seen."""
        return max((self.expected or 0) - self.stored - self.held - self.left_out, 0)

    @property
    def sums(self) -> dict[str, int]:
        """What this series adds to the counters of its study."""
        return {
            "pending": self.pending,
            "stored": self.stored,
            "held": self.held,
            "excluded": self.left_out,
            "short": self.short,
            "series_count": int(self.stored > 0),
        }


def missing(*, expected: int | None, pending: int, stored: int, held: int, excluded: int, short: int) -> int:
    """How many instances are asked for and accounted for nowhere.

    The listed ones that did not come; where there is no list, what each series lacks, or the whole study. The largest
    wins: an instance that nobody listed must not make up for one that is missing.
    """
    return max(pending, short, (expected or 0) - stored - held - excluded, 0)
