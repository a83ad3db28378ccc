"""One request to an archive, within what its budget allows; it decides nothing about what is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from .distress import NOTHING, SIGNS
from .errors import InterruptedRun, TransferError
from .ladder import FOR_ALL, remedy
from .model import Tally, Wanted
from .ports import Transport

if TYPE_CHECKING:
    from .intake import StudySink

T = TypeVar("T")
Says = Callable[[str], None]


class Pacing(Protocol):
    """Says when to ask: ``budget.Budget`` shares an archive with others. Texts for people go to ``told``."""

    @property
    def associations(self) -> int: ...
    def enter(self, *, told: Says, wait: bool) -> None: ...
    def over(self) -> bool: ...
    def guard(self, end: Callable[[], None]) -> AbstractContextManager[None]: ...
    def querying(self, *, told: Says, wait: bool) -> AbstractContextManager[None]: ...
    def rest(self, *, told: Says) -> None: ...
    def association(self, *, told: Says, wait: bool) -> AbstractContextManager[None]: ...
    def another(self) -> AbstractContextManager[bool]: ...
    def spend(self, series: int) -> None: ...
    def received(self, count: int) -> None: ...
    def clock(self) -> float: ...
    def heard(self, code: str, *, began: float, retry_after: float | None = None) -> None: ...
    def tripped(self) -> bool: ...
    def lasted(self, seconds: float, *, began: float) -> None: ...
    def learn(self, modality: str, images: int, size: int) -> None: ...
    def moved(self, size: int, seconds: float) -> None: ...
    def warnings(self) -> list[str]: ...


def ended_by_hours() -> TransferError:
    """Why a study is not complete when the hours ended in the middle of it."""
    return TransferError(
        "the hours of the archive ended ([budget] hours, hours_end)",
        code="outside-hours",
        hint="run `pacsferry resume` when they begin again",
    )


def asking(budget: Pacing, ask: Callable[[], T], *, told: Says, wait: bool) -> T:
    """A query, when the archive may be asked; again where what went wrong may be over (``ladder.REMEDIES``).

    Raises what ``ask`` raises, and ``TransferError`` for waiting in vain.
    """
    once_more = OnceMore(budget)
    while True:
        began = budget.clock()
        try:
            with budget.querying(told=told, wait=wait):
                began = budget.clock()
                return ask()
        except TransferError as err:
            budget.heard(_sign(err), began=began, retry_after=err.retry_after)
            if not (err.retryable and once_more.worth("", err.code, err.tries)):
                raise
        except InterruptedRun:
            raise TransferError("stopped while waiting for a turn", code="interrupted") from None


def _sign(err: TransferError) -> str:
    """What an error says of the archive's load; who is turned away for good, asked or not, found out nothing."""
    return "not-tried" if err.code in FOR_ALL and not err.retryable else err.code


@contextmanager
def together(budget: Pacing, *, told: Says, wait: bool) -> Iterator[None]:
    """Let the queries within share an association; where none is to be had now, each sees for itself."""
    with ExitStack() as held:
        with suppress(TransferError, InterruptedRun):
            held.enter_context(budget.querying(told=told, wait=wait))
        yield


class OnceMore:
    """Whether to ask for the same once more although nothing came, after the pause that the budget makes.

    Some archives say success and send nothing when they are flooded, and the next time they send all; what one says
    while the whole host waits for it to recover is not its last word either.
    """

    def __init__(self, budget: Pacing) -> None:
        self._budget = budget
        self._asked: Counter[tuple[str, str]] = Counter()

    def worth(self, rung: str, code: str, tries: int = 1) -> bool:
        """After a request over ``rung`` that ended with a reason code, each time of ``tries`` in a row."""
        if code != NOTHING and SIGNS.get(code, 0) > 0 and self._budget.tripped():
            return True
        self._asked[rung, code] += tries
        return self._asked[rung, code] <= remedy(code).more


def fetch(
    budget: Pacing, transport: Transport, wanted: Wanted, sink: StudySink, *, told: Says, wait: bool, timed: bool
) -> Tally:
    """``Transport.fetch``, when the archive may be asked; how it went is told to the budget.

    ``timed``: how long the first object took says something about the archive. Raises as ``Transport.fetch``, and what
    waiting raises.
    """
    began, code, after = budget.clock(), "interrupted", None
    try:
        budget.rest(told=told)
        with budget.association(told=told, wait=wait):
            if budget.over():
                raise ended_by_hours()
            began = budget.clock()
            tally = transport.fetch(wanted, sink)
            seconds = budget.clock() - began
        code = tally.code or ("" if sink.offered or wanted.expected == 0 else NOTHING)
    except TransferError as err:
        code, after = _sign(err), err.retry_after
        raise
    finally:
        budget.heard(code, began=began, retry_after=after)
    budget.moved(sink.size, seconds)
    if timed and sink.first is not None:
        budget.lasted(sink.first - began, began=began)
    return tally


class NoPace:
    """What need not be spared, such as a folder: nobody waits, nothing is spent. ``associations`` work at once."""

    def __init__(self, associations: int = 1) -> None:
        self.associations = associations

    def enter(self, *, told: Says, wait: bool) -> None:
        """Go on."""

    def over(self) -> bool:
        """Never."""
        return False

    @contextmanager
    def guard(self, end: Callable[[], None]) -> Iterator[None]:
        """Nothing ends."""
        del end
        yield

    @contextmanager
    def querying(self, *, told: Says, wait: bool) -> Iterator[None]:
        """Go on."""
        del told, wait
        yield

    def rest(self, *, told: Says) -> None:
        """Go on."""

    @contextmanager
    def association(self, *, told: Says, wait: bool) -> Iterator[None]:
        """Go on."""
        del told, wait
        yield

    @contextmanager
    def another(self) -> Iterator[bool]:
        """Go on."""
        yield True

    def spend(self, series: int) -> None:
        """Nothing."""

    def received(self, count: int) -> None:
        """Go on."""

    def clock(self) -> float:
        """Nobody asks what time it is."""
        return 0.0

    def heard(self, code: str, *, began: float, retry_after: float | None = None) -> None:
        """Nothing."""

    def tripped(self) -> bool:
        """Never."""
        return False

    def lasted(self, seconds: float, *, began: float) -> None:
        """Nothing."""

    def learn(self, modality: str, images: int, size: int) -> None:
        """Nothing."""

    def moved(self, size: int, seconds: float) -> None:
        """Nothing."""

    def warnings(self) -> list[str]:
        """None."""
        return []
