"""What HTTP statuses mean here, in one table: what to try next, and by which reason code to call it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Then(enum.Enum):
    """What to do about a refusal, from the nearest to the farthest."""

    AGAIN = "the same request again, in a moment"
    FORM = "another form of the answer, then another level"
    LEVEL = "another level: a series instead of a study, an instance instead of a series"
    RUNG = "another transport"
    CONFIGURATION = "a person has to change the profile, or the archive's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """``code`` is a reason code; ``retryable`` says that another run may end otherwise."""

    code: str
    then: Then
    retryable: bool = False


def _again(code: str = "http-error") -> Meaning:
    return Meaning(code=code, then=Then.AGAIN, retryable=True)


def _mean(code: str, then: Then, *, retryable: bool = False) -> Meaning:
    return Meaning(code=code, then=then, retryable=retryable)


#: Of 2xx only what is no whole answer stands here; 204 and 206 are answers, and say themselves that things are missing.
STATUS: Mapping[int, Meaning] = {
    202: _again("nearline"),  # being brought back from slow storage
    204: _mean("not-found", Then.LEVEL, retryable=True),
    206: _mean("partial-answer", Then.LEVEL, retryable=True),
    301: _mean("http-redirect", Then.CONFIGURATION),
    302: _mean("http-redirect", Then.CONFIGURATION),
    303: _mean("http-redirect", Then.CONFIGURATION),
    304: _mean("http-error", Then.RUNG),
    307: _mean("http-redirect", Then.CONFIGURATION),
    308: _mean("http-redirect", Then.CONFIGURATION),
    400: _mean("http-error", Then.FORM),
    401: _mean("http-401", Then.CONFIGURATION),
    403: _mean("http-403", Then.CONFIGURATION),
    404: _mean("http-404", Then.LEVEL, retryable=True),
    405: _mean("not-supported", Then.LEVEL),
    406: _mean("http-406", Then.FORM),
    407: _mean("http-403", Then.CONFIGURATION),
    408: _again(),
    409: _mean("http-error", Then.RUNG),
    410: _mean("not-found", Then.LEVEL, retryable=True),
    413: _mean("http-413", Then.LEVEL),
    414: _mean("http-error", Then.LEVEL),
    415: _mean("http-406", Then.FORM),
    421: _mean("http-redirect", Then.CONFIGURATION),
    425: _again(),
    429: _again("http-429"),
    500: _again(),
    501: _mean("not-supported", Then.LEVEL),
    502: _again(),
    503: _again("http-503"),
    504: _again(),
    511: _mean("http-403", Then.CONFIGURATION),
}
#: "Not yet": an archive that reads from tape says so again and again, and is waited for as long as the profile allows.
NOT_YET = frozenset({202, 503, 504})


def meaning(status: int) -> Meaning:
    """What a status means; one that nobody knows is not tried again at once, another day where it is a 5xx."""
    return STATUS.get(status) or _mean("http-error", Then.RUNG, retryable=status >= 500)


def those(then: Then) -> frozenset[int]:
    """The statuses after which to do that."""
    return frozenset(status for status, meant in STATUS.items() if meant.then is then)
