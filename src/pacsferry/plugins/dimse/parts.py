"""Long lists of instances in several requests, and around an instance over which an archive breaks off; pure order.

Some archives (Orthanc) abort the association when they come to an instance that they cannot send. Asked for it again
they abort again, so what stands behind it would never come: the list is halved until that instance stands alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Tally, Wanted
from pacsferry.core.ports import Sink

from .storing import Intake

#: UIDs in one request; longer lists exceed what some archives read (PS3.4 C.4.3.1.3.2 sets no limit).
UIDS_PER_REQUEST = 200
#: Requests in a row that break off before anything came, after which it is not one instance: more than halving needs.
FRUITLESS = 10


def each(wanted: Wanted, sink: Sink, fetch: Callable[[Intake], Tally]) -> Tally:
    """Fetch all of it. Raises ``TransferError``, where an instance stands alone after all others were asked for."""
    waiting = deque(_lists(wanted))
    tallies: list[Tally] = []
    lost: TransferError | None = None
    fruitless = asked = 0
    while waiting:
        asked += 1
        intake = Intake(waiting.popleft(), sink)
        try:
            tallies.append(fetch(intake))
            fruitless = 0
        except TransferError as err:
            fruitless = 0 if intake.count else fruitless + 1
            rest = tuple(_rest(intake))
            if err.code != "aborted" or fruitless == FRUITLESS or not (rest or waiting):
                err.tries = asked
                raise
            lost = lost if rest else err
            waiting.extendleft(reversed(rest))
    if lost is not None:
        lost.tries = asked
        raise lost
    return tallies[0] if len(tallies) == 1 else _sum(tallies)


def _lists(wanted: Wanted) -> Iterator[Wanted]:
    if len(wanted.instances) <= UIDS_PER_REQUEST:
        yield wanted
        return
    for start in range(0, len(wanted.instances), UIDS_PER_REQUEST):
        yield _named(wanted, wanted.instances[start : start + UIDS_PER_REQUEST])


def _rest(intake: Intake) -> Iterator[Wanted]:
    """What to ask for after a request for named instances broke off: the rest, in halves where nothing came."""
    missing = intake.missing(intake.wanted.instances)
    if intake.count and missing:
        yield _named(intake.wanted, missing)
    elif len(missing) > 1:
        half = len(missing) // 2
        yield _named(intake.wanted, missing[:half])
        yield _named(intake.wanted, missing[half:])


def _named(wanted: Wanted, instances: tuple[str, ...]) -> Wanted:
    return replace(wanted, instances=instances, expected=len(instances))


def _sum(tallies: Sequence[Tally]) -> Tally:
    def total(name: str) -> int | None:
        values = [getattr(tally, name) for tally in tallies]
        return None if None in values else sum(values)

    return Tally(
        completed=total("completed"),
        failed=total("failed"),
        warned=total("warned"),
        code=next((tally.code for tally in tallies if tally.code), ""),
    )
