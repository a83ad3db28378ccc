"""Where transports put what they receive: what was asked for is kept once, the rest is refused; nothing is believed."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from .arrivals import Arrival, ArrivalStore, NoRoom
from .errors import HeldError, InterruptedRun
from .hoststate import HostState
from .model import Buffer, Head, Keys, Receipt, Wanted
from .peek import Peeked, peek

#: How much of an object is looked at, in this order; nearly all show their UIDs in the first.
_LOOKS = (65536, 2**20)

#: No UID, whatever else may be said of it: archives have UIDs with letters, nobody has one with a slash.
_PATHLIKE = re.compile(r"[\x00-\x20/\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An arrival that was asked for.

    ``key`` and ``series`` are keyed UIDs; ``code`` says why it cannot be cleared ("" when it can be tried).
    ``unchanged`` is size and time stamp (ns) of a file that is somebody else's too: it must still have them afterwards.
    """

    key: str
    series: str
    sop_class: str
    arrival: Arrival = field(repr=False)
    modality: str | None = None
    series_description: str | None = field(default=None, repr=False)
    code: str = ""
    unchanged: tuple[int, int] | None = None


class StudySink:
    """The sink of one study. ``deliver`` gets each object once; ``done`` are keys that need not come again.

    ``listed`` maps the keys of the expected instances to their series, None when only counts are known. What belongs to
    the study and is not listed came into being meanwhile: it is taken, and ``unlisted`` counts it. ``pace`` is told of
    bytes as they come, and waits where the archive's budget says so; ``another`` is ``ports.SharingSink.another``.
    ``noted`` is what other sinks of the study counted as odd already.
    """

    def __init__(
        self,
        study_uid: str,
        keys: Keys,
        store: ArrivalStore,
        deliver: Callable[[Received], None],
        *,
        done: Iterable[str] = (),
        listed: Mapping[str, str] | None = None,
        unwanted: frozenset[str] = frozenset(),
        stop: threading.Event | None = None,
        pace: Callable[[int], None] = lambda _count: None,
        another: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(False),
        noted: set[tuple[str, str]] | None = None,
    ) -> None:
        self._noted = set() if noted is None else noted
        self._study = study_uid
        self._keys = keys
        self._store = store
        self._deliver = deliver
        self._taken = set(done)
        self._listed = listed
        self._unwanted = unwanted
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self.no_space = threading.Event()
        self.counts: Counter[str] = Counter()
        self.unlisted = 0
        self._pace = pace
        self.another = another
        #: Objects and bytes that transports offered, whatever became of them, and when the first began to come.
        self.offered = self.size = 0
        self.first: float | None = None
        #: Number and bytes of what was taken, by series.
        self.sizes: dict[str, tuple[int, int]] = {}

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:
        """See ``ports.Sink``."""
        if self._stop.is_set():
            raise InterruptedRun("the run is being stopped")
        if self.no_space.is_set():
            return Receipt.NO_SPACE
        try:
            arrival = self._store.receive(head, self._paced(chunks))
        except NoRoom:
            self.no_space.set()
            return Receipt.NO_SPACE
        return self._kept(arrival, lambda: self._sort(arrival))

    def _paced(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The bytes as they come, and no faster than the archive's budget allows."""
        with self._lock:
            self.offered += 1
            self.first = HostState.clock() if self.first is None else self.first
        for chunk in chunks:
            count = memoryview(chunk).nbytes
            yield chunk
            self.size += count
            self._pace(count)

    def take(self, received: Received) -> Receipt:
        """Take an object that is known to belong here already. Raises ``InterruptedRun``."""
        if self._stop.is_set():
            received.arrival.close()
            raise InterruptedRun("the run is being stopped")
        return self._kept(received.arrival, lambda: self._take(received))

    @staticmethod
    def _kept(arrival: Arrival, sort: Callable[[], Receipt]) -> Receipt:
        """Whoever is told KEPT closes the arrival; else it is closed here."""
        receipt = Receipt.UNEXPECTED
        try:
            receipt = sort()
        finally:
            if receipt is not Receipt.KEPT:
                arrival.close()
        return receipt

    def _sort(self, arrival: Arrival) -> Receipt:
        try:
            seen = look(arrival)
        except HeldError as err:
            return self._unreadable(arrival, err.code)
        wanted = arrival.head.wanted
        if not self._asked_for(seen, arrival.head, wanted):
            self.note("unexpected", seen.sop_instance)
            return Receipt.UNEXPECTED
        return self._take(
            Received(
                key=self._keys.uid(seen.sop_instance),
                series=self._keys.uid(seen.series),
                sop_class=seen.sop_class,
                modality=seen.modality,
                series_description=seen.series_description,
                arrival=arrival,
            )
        )

    def _asked_for(self, seen: Peeked, head: Head, wanted: Wanted | None) -> bool:
        """Whether object, protocol and request agree; a peer that mixes studies up must not file one under another."""
        if _PATHLIKE.search(seen.sop_instance) or _PATHLIKE.search(seen.series):
            return False
        if head.sop_instance is not None and head.sop_instance.strip(" \0") != seen.sop_instance:
            return False
        if head.sop_class is not None and head.sop_class.strip(" \0") != seen.sop_class:
            return False
        if seen.study != self._study or self._keys.uid(seen.series) in self._unwanted or self._passed_off(seen):
            return False
        if wanted is None:
            return True
        in_series = wanted.series is None or wanted.series == seen.series
        return in_series and (not wanted.instances or seen.sop_instance in wanted.instances)

    def _passed_off(self, seen: Peeked) -> bool:
        """Whether the file says that it is an expected instance and holds one that nobody listed."""
        if not seen.announced or seen.announced == seen.sop_instance or self._listed is None:
            return False
        return self._keys.uid(seen.announced) in self._listed and self._keys.uid(seen.sop_instance) not in self._listed

    def _unreadable(self, arrival: Arrival, code: str) -> Receipt:
        """Objects that cannot be read are held when the protocol says which they are, else counted."""
        wanted = arrival.head.wanted
        name = arrival.head.sop_instance
        if name is None and wanted is not None and len(wanted.instances) == 1:
            name = wanted.instances[0]
        if name is None:
            self.note(code)
            return Receipt.UNEXPECTED
        key, sop_class = self._keys.uid(name), arrival.head.sop_class or ""
        series = self._keys.uid(wanted.series) if wanted and wanted.series else (self._listed or {}).get(key, "")
        return self._take(Received(key=key, series=series, sop_class=sop_class, arrival=arrival, code=code))

    def _take(self, received: Received) -> Receipt:
        with self._lock:
            if received.key in self._taken:
                return Receipt.DUPLICATE
            self._taken.add(received.key)
            self.counts["received"] += 1
            images, size = self.sizes.get(received.series, (0, 0))
            self.sizes[received.series] = images + 1, size + received.arrival.size
            if self._listed is not None and received.key not in self._listed:
                self.unlisted += 1
        self._deliver(received)
        return Receipt.KEPT

    def note(self, code: str, name: str = "") -> None:
        """Count something odd; the same thing once, where it has a name."""
        with self._lock:
            if name and (code, name) in self._noted:
                return
            self._noted.add((code, name))
            self.counts[code] += 1


def look(arrival: Arrival) -> Peeked:
    """The UIDs of an arrival. Raises ``HeldError``."""
    for size in _LOOKS:
        try:
            return peek(
                arrival.opening(size), framing=arrival.head.framing, transfer_syntax=arrival.head.transfer_syntax
            )
        except HeldError:
            if size == _LOOKS[-1] or arrival.size <= size:
                raise
    raise AssertionError  # pragma: no cover - the loop returns or raises
