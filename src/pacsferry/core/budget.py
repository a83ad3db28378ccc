"""How hard an archive may be worked, by everybody on this host together: when, how much at once, how fast.

It counts and waits; it never decides what is fetched.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from .distress import WORDS, Breaker
from .errors import BusyError, InterruptedRun, OutsideHours
from .history import History
from .hostlocks import HostLeases, file_name, silent
from .hoststate import HostState, number
from .rate import Rate
from .terms import Terms

#: Seconds between two looks at the calendar: the clock may be put forward or back while we wait.
_LOOK = 2.0
#: Queries that belong together use one association for so many seconds; then others get a turn.
_TURN = 5.0


def now() -> datetime:
    """The calendar's time, which anybody may change at any moment."""
    return datetime.now(UTC)


class Pace:
    """A pause after each batch of series, in one count for all processes of the host.

    After a pause's length without any work the count starts again: the archive has had its rest.
    """

    def __init__(self, path: Path, *, batch_size: int, batch_wait: float) -> None:
        self._state = HostState(path)
        self._size = batch_size
        self._wait = batch_wait

    def spend(self, series: int) -> float:
        """Count series that were fetched (0: only look); how many seconds to wait before the next."""
        if self._size <= 0 or self._wait <= 0:
            return 0.0
        with self._state.changing() as kept:
            now = self._state.clock()
            count, rest = int(number(kept, "count")), number(kept, "rest_until")
            at = number(kept, "at", now)
            if not at <= now <= max(at, rest) + self._wait:
                count, rest = 0, 0.0
            batches, count = divmod(max(count, 0) + series, self._size)
            rest = max(rest, now) + batches * self._wait if batches else rest
            kept |= {"count": count, "rest_until": rest, "at": now}
            return max(rest - now, 0.0)


class Budget:
    """The budget of one archive. ``archive`` should be its address, which projects share, not a profile's name.

    ``idle`` gives back connections that only wait for the next query, before others get their turn; ``noted`` is told
    signs of distress and the seconds of pause that follow.
    """

    def __init__(
        self,
        leases: HostLeases,
        archive: str,
        terms: Terms | None = None,
        *,
        stop: threading.Event | None = None,
        idle: Callable[[], None] = lambda: None,
        noted: Callable[[str, float], None] = lambda _code, _seconds: None,
    ) -> None:
        terms = terms or Terms()
        self._leases, self._archive, self._terms = leases, archive, terms
        self._stop = stop or threading.Event()
        self._idle = idle
        self._lock = threading.Lock()
        self._here = threading.local()
        self._holders: list[int] = []
        self._said = ""
        self._pace = Pace(self._file("pace"), batch_size=terms.batch_size, batch_wait=terms.batch_wait)
        self._rate = (
            Rate(self._file("bytes"), terms.bytes_per_minute, self._stop)
            if terms.bytes_per_minute is not None
            else None
        )
        self._breaker = Breaker(
            self._file("health"),
            archive,
            first=terms.back_off,
            patience=terms.patience,
            stop=self._stop,
            noted=noted,
        )
        self.history = History(self._file("history"))

    def _file(self, kind: str) -> Path:
        return self._leases.folder / f"{file_name(self._archive)}.{kind}.json"

    @property
    def associations(self) -> int:
        """Associations, or HTTP requests, at once."""
        return self._terms.associations

    # --- the week

    def enter(self, *, told: Callable[[str], None] = silent, wait: bool = True) -> None:
        """Wait for the hours of the archive.

        Raises ``OutsideHours`` where ``wait`` is false, and ``InterruptedRun`` when stopped.
        """
        hours = self._terms.hours
        while hours is not None and not hours.open(at := now()):
            until = hours.change(at)
            when = f"{hours.local(until):%a %Y-%m-%d %H:%M %Z}" if until else "they begin"
            if not wait:
                raise OutsideHours(
                    f"{self._archive} may not be worked now ([budget] hours); the next ones begin {when}",
                    hint="run it again then, or let it wait: leave --no-wait out",
                )
            self._say_once(f"outside the hours of {self._archive} ([budget] hours): waiting until {when}", told)
            left = (until - at).total_seconds() if until else _LOOK
            if self._stop.wait(min(max(left, 0.01), _LOOK)):
                raise InterruptedRun("stopped while waiting for the hours of the archive")

    def _say_once(self, text: str, told: Callable[[str], None]) -> None:
        with self._lock:
            if text == self._said:
                return
            self._said = text
        told(text)

    def over(self) -> bool:
        """Whether the hours are over, and what is under way is to end."""
        hours = self._terms.hours
        return self._terms.abort and hours is not None and not hours.open(now())

    @contextmanager
    def guard(self, end: Callable[[], None]) -> Iterator[None]:
        """Call ``end`` each time that the hours end, where that ends what is under way."""
        if not (self._terms.abort and self._terms.hours):
            yield
            return
        done = threading.Event()

        def watch() -> None:
            before = False
            while not done.wait(_LOOK / 4):
                over = self.over()
                if over and not before:
                    end()
                before = over

        thread = threading.Thread(target=watch, name="hours", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    # --- associations

    @contextmanager
    def association(self, *, wait: bool = True, told: Callable[[str], None] = silent) -> Iterator[None]:
        """One of the associations that the archive allows. Raises as ``HostLeases.hold``.

        Without ``wait`` it still waits for another thread of this process: that one will let go.
        """
        name = f"an association with {self._archive}"
        me = threading.get_ident()
        with self._lock:
            wait = wait or any(one != me for one in self._holders)
            self._holders.append(me)
        try:
            with self._leases.hold(name, slots=self.associations, wait=wait, told=told, stop=self._stop):
                yield
        finally:
            with self._lock:
                self._holders.remove(me)

    @contextmanager
    def another(self) -> Iterator[bool]:
        """One more association or HTTP request beside the one that is held, if one is free now: whether it was."""
        with suppress(BusyError):
            name = f"an association with {self._archive}"
            with self._leases.hold(name, slots=self.associations, wait=False):
                yield True
            return
        yield False

    @contextmanager
    def querying(self, *, wait: bool = True, told: Callable[[str], None] = silent) -> Iterator[None]:
        """An association for a query. Within another ``querying`` of the thread it is the same one.

        Now and then others get a turn in between. Raises as ``association`` and ``Breaker.wait``.
        """
        outer: _Turn | None = getattr(self._here, "turn", None)
        self._breaker.wait(told)
        try:
            if outer is not None:
                outer.next()
                yield
                return
            with _Turn(lambda: self.association(wait=wait, told=told), self._idle, wait) as turn:
                self._here.turn = turn
                yield
        finally:
            self._here.turn = outer
            self._breaker.release()

    # --- pauses

    def spend(self, series: int) -> None:
        """Count series that were fetched; the pause, if one is due, comes with the next ``rest``."""
        self._pace.spend(series)

    def rest(self, *, told: Callable[[str], None] = silent) -> None:
        """Wait out what a full batch or an archive in distress asks for, here or in another process.

        Raises ``InterruptedRun``, and ``TransferError`` for an archive that does not get better.
        """
        while (seconds := self._pace.spend(0)) > 0:
            told(f"pausing {seconds:.0f} s for {self._archive}, as [budget] batch_wait asks")
            if self._stop.wait(seconds):
                raise InterruptedRun("stopped during a pause")
        self._breaker.wait(told)

    def received(self, count: int) -> None:
        """So many bytes came: wait until the next may."""
        if self._rate is not None:
            self._rate.spend(count)

    # --- distress

    @staticmethod
    def clock() -> float:
        """When a request begins, for ``heard``."""
        return HostState.clock()

    def heard(self, code: str, *, began: float, retry_after: float | None = None) -> None:
        """How a request ended: a reason code, "" for well, "nothing" for success without anything."""
        self._breaker.heard(code, began=began, retry_after=retry_after)

    def tripped(self) -> bool:
        """Whether the archive is in such distress that only one request of the host may try."""
        return self._breaker.tripped()

    def lasted(self, seconds: float, *, began: float) -> None:
        """How long the first object of a request was awaited."""
        if self._terms.back_off > 0 and self._breaker.lasted(seconds):
            self._breaker.heard("slow", began=began)

    def learn(self, modality: str, images: int, size: int) -> None:
        """What images of a modality weigh here, for estimates."""
        self.history.add(modality, images, size)

    def moved(self, size: int, seconds: float) -> None:
        """How fast one request was answered, for estimates; nothing is learnt where we are the slow ones."""
        if self._rate is None:
            self.history.moved(size, seconds)

    def warnings(self) -> list[str]:
        """What to say at the end of a run."""
        told: Counter[str] = self._breaker.told.signs
        if not told:
            return []
        signs = ", ".join(f"{WORDS.get(code, code)} {count} times" for code, count in sorted(told.items()))
        pauses = self._breaker.told.seconds
        return [f"{self._archive} showed signs of distress ({signs}); pauses of {pauses:.0f} s were made for it"]


class _Turn:
    """An association that is given back now and then while there is more to ask."""

    def __init__(self, hold: Callable[[], AbstractContextManager[None]], idle: Callable[[], None], share: bool) -> None:
        self._hold, self._idle, self._share = hold, idle, share
        self._began = 0.0
        self._held: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give()

    def _take(self) -> None:
        held = self._hold()
        held.__enter__()
        self._held, self._began = held, HostState.clock()

    def _give(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._idle()
            held.__exit__(None, None, None)

    def next(self) -> None:
        """Before a further query: let others in, after a while."""
        if self._share and HostState.clock() - self._began > _TURN:
            self._give()
            self._take()
