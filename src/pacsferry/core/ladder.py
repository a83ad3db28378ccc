"""What to do after a request that fell short: the same once more, another level, or another transport. A table, no I/O.

The order is always this one: the same request, as often as its reason is worth; then another level of the same
transport; then the next transport of the profile. What a person has to change is asked for once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .distress import NOTHING
from .errors import TransferError
from .model import Level, Tally, Wanted

#: Requests in a row that bring nothing, after which a transport has had its turn even if the whole host waits for it.
FRUITLESS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """``more``: how many further requests of the same kind it is worth, while they bring nothing.

    ``below`` says that the parts may come where the whole did not, ``apart`` that one instance may be the cause, so
    that instances are what to ask for next, and ``above`` that the archive may not serve this level at all.
    """

    more: int = 0
    below: bool = False
    apart: bool = False
    above: bool = False


def _elsewhere(more: int = 0) -> Remedy:
    return Remedy(more=more, below=True, above=True)


#: By reason code. For one that is not here nothing is tried but the next transport.
REMEDIES: Mapping[str, Remedy] = {
    # It may be over in a moment.
    "aborted": Remedy(more=2, below=True, apart=True),
    "refused-association": Remedy(more=2),
    "stalled": Remedy(more=1),
    "unreachable": Remedy(more=1),
    "http-429": Remedy(more=1),
    "http-503": Remedy(more=1),
    NOTHING: Remedy(more=1, below=True),
    "cancelled": Remedy(more=1, below=True),
    "cannot-match": Remedy(more=1, below=True),
    "cannot-perform": Remedy(more=1, below=True),
    "unable-to-process": _elsewhere(more=1),
    # Asked for in the same way it would end in the same way.
    "http-404": _elsewhere(),
    "http-406": _elsewhere(),
    "http-413": Remedy(below=True),
    "http-error": _elsewhere(),
    "identifier-mismatch": _elsewhere(),
    "not-supported": _elsewhere(),
    "not-found": Remedy(below=True),
    "not-sent": Remedy(below=True),
    "partial-answer": Remedy(below=True),
    "sub-operation-failed": Remedy(below=True),
    "truncated": Remedy(below=True),
    "bad-answer": Remedy(below=True, apart=True),
}
#: What holds for every study, where it is not worth another try: a person has to change the profile, or the archive's.
FOR_ALL = frozenset(
    {"destination-unknown", "http-401", "http-redirect", "no-context", "refused-association", "tls", "user-identity"}
)
_NONE = Remedy()
_BELOW: Mapping[Level, frozenset[Level]] = {
    Level.STUDY: frozenset({Level.SERIES, Level.IMAGE}),
    Level.SERIES: frozenset({Level.IMAGE}),
    Level.IMAGE: frozenset(),
}


def remedy(code: str) -> Remedy:
    """What a reason code asks for; an answer that went well and brought too little is ``not-sent``."""
    return REMEDIES.get(code or "not-sent", _NONE)


def levels_left(takes: frozenset[Level], asked: Level, code: str, *, served: bool = False) -> frozenset[Level]:
    """The levels at which a transport may still be asked after ``asked`` did not help; none where none would.

    ``served``: something came at that level before, so the archive has it.
    """
    told = remedy(code)
    if told.above and not served:
        return takes - {asked}
    if not told.below:
        return frozenset()
    return takes & _BELOW[asked] & (frozenset({Level.IMAGE}) if told.apart else takes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """A request that brought less than was wanted.

    ``code`` is a reason code ("": it went well), ``retryable`` that the same may end otherwise, ``tries`` how often the
    transport has asked for it by itself already.
    """

    level: Level
    code: str = ""
    retryable: bool = True
    tries: int = 1


def short(wanted: Wanted, tally: Tally, *, offered: int, received: int) -> Fall | None:
    """Where an answer that ended well brought too little, whatever it says itself.

    ``offered`` counts all objects that came, ``received`` those that were new.
    """
    nothing = not offered and wanted.expected != 0
    few = wanted.expected is not None and received < wanted.expected
    if not (tally.code or nothing or few):
        return None
    return Fall(level=wanted.level, code=tally.code or (NOTHING if nothing else ""))


class Climb:
    """One transport's part in one study. ``takes`` are the levels at which it may still be asked.

    ``worth`` says of a reason code, and how often it was met, whether the same deserves another try now.
    """

    def __init__(self, takes: frozenset[Level], worth: Callable[[str, int], bool]) -> None:
        self.takes, self._worth = takes, worth
        self._served: set[Level] = set()
        self._fruitless = 0

    def came(self, level: Level) -> None:
        """Something new came at that level."""
        self._served.add(level)
        self._fruitless = 0

    def goes_on(self, fall: Fall, *, gained: bool) -> bool:
        """Whether to ask this transport for the rest, at one of ``takes``."""
        if fall.retryable and (gained or self._again(fall)):
            return True
        self.takes = levels_left(self.takes, fall.level, fall.code, served=fall.level in self._served)
        return bool(self.takes)

    def _again(self, fall: Fall) -> bool:
        self._fruitless += 1
        return self._fruitless < FRUITLESS and self._worth(fall.code, fall.tries)


class Unfit:
    """Who need not be asked again in this run: who never served, and will not before a person changed something.

    Asked for each study anew it would fail in the same way, and archives lock out who knocks too often. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: set[int] = set()
        self._errors: dict[int, TransferError] = {}

    def serves(self, place: int) -> None:
        """The transport (or finder) at that place of the profile answered as it should."""
        with self._lock:
            self._served.add(place)

    def learn(self, place: int, error: TransferError) -> bool:
        """How it failed; whether it need not be asked again from now on, which is said once."""
        with self._lock:
            known = place in self._served or place in self._errors
            if known or error.retryable or error.code not in FOR_ALL:
                return False
            self._errors[place] = error
            return True

    def why(self, place: int) -> TransferError | None:
        """Why it need not be asked: how it failed before."""
        with self._lock:
            known = self._errors.get(place)
        return known and TransferError(str(known), code=known.code, retryable=False, hint=known.hint)
