"""What is expected of a study and what to ask a transport for; pure, it contacts nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .availability import gone
from .ledger_model import StudyPlan
from .model import Evidence, Level, Wanted

#: How many instances one request names at most; longer UID lists exceed what some peers read at once.
UIDS_PER_REQUEST = 200
#: The counters of C-GET and C-MOVE are 16 bit wide (PS3.7 9.1.3, 9.1.4): nobody can account for more in one request.
MOST_PER_REQUEST = 65_535
#: SOP classes in one request: an association has 128 presentation contexts, and each class may need two of them. Some
#: archives (Orthanc) abort when they come to an instance that has none.
CLASSES_PER_REQUEST = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An instance as the archive knows it. ``excluded`` is a reason code, or empty; ``offline`` is not asked for.

    ``syntaxes`` are the transfer syntaxes in which the archive says it has it.
    """

    key: str
    uid: str = field(repr=False)
    sop_class: str = ""
    syntaxes: tuple[str, ...] = ()
    excluded: str = ""
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOrder:
    """What is wanted of one series.

    ``targets`` is None where the archive does not list instances; then ``count`` is all there is to go by.
    ``narrowed`` says that the request names only some of its instances. ``excluded`` is a reason code, or empty.
    ``availability`` is what the archive says of it, values of its instances first.
    """

    key: str
    uid: str = field(repr=False)
    modality: str = ""
    count: int | None = None
    targets: tuple[Target, ...] | None = None
    narrowed: bool = False
    excluded: str = ""
    availability: tuple[str, ...] = ()

    @property
    def offline(self) -> bool:
        """Whether none of it can be had without a person who loads it."""
        if self.targets is None:
            return gone(self.availability)
        return bool(self.wanted) and all(one.offline for one in self.wanted)

    @property
    def expected(self) -> int | None:
        """How many instances should be accounted for; None when nobody knows."""
        return self.count if self.targets is None else len(self.targets)

    @property
    def most(self) -> int:
        """How many instances there may be: what the archive counts, or what it lists where that is more."""
        return max(self.count or 0, len(self.targets or ()))

    @property
    def wanted(self) -> tuple[Target, ...]:
        """The targets to ask for."""
        return tuple(target for target in self.targets or () if not target.excluded)

    @property
    def whole(self) -> bool:
        """Whether it may be asked for without naming instances."""
        apart = any(target.excluded or target.offline for target in self.targets or ())
        return not (self.excluded or self.narrowed or apart or (self.targets is None and self.offline))

    @property
    def nothing_wanted(self) -> bool:
        """Whether nothing of it is to be fetched."""
        return bool(self.excluded) or self.offline or (self.targets is not None and not self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted of one study: the ``plan`` for the ledger, and original UIDs for the transports.

    ``narrowed`` says that the request names only some of the series. ``counted`` is the number of instances that the
    archive's counts speak of, where that is more than it lists. ``availability`` is what it says of the parts, best
    first. Identified: lives in memory only.
    """

    study_uid: str = field(repr=False)
    plan: StudyPlan
    series: tuple[SeriesOrder, ...]
    narrowed: bool = False
    counted: int | None = None
    offline: bool = False
    nearline: bool = False
    availability: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the study may be asked for as a whole."""
        return not self.narrowed and all(series.whole for series in self.series)

    @property
    def listed(self) -> Mapping[str, str] | None:
        """The keys of all listed instances to their series; None when some series is not listed."""
        if not self.series or any(series.targets is None for series in self.series):
            return None
        return {target.key: series.key for series in self.series for target in series.targets or ()}

    @property
    def unwanted(self) -> frozenset[str]:
        """Keys of series of which nothing is to be taken."""
        return frozenset(series.key for series in self.series if series.excluded)


def evidence(series: Iterable[SeriesOrder], announced: int | None) -> Evidence:
    """What the expected set rests on: the weakest of what the series offer, or the study's count without any."""
    kinds = list(series)
    if not kinds:
        return Evidence.NONE if announced is None else Evidence.STUDY_COUNT
    if all(one.targets is not None for one in kinds):
        return Evidence.INSTANCE_UIDS
    return Evidence.NONE if any(one.expected is None for one in kinds) else Evidence.SERIES_COUNTS


def expected(series: Iterable[SeriesOrder], announced: int | None) -> int | None:
    """How many instances should be accounted for; None when nobody knows."""
    kinds = list(series)
    counts = [one.expected for one in kinds]
    if not kinds or None in counts:
        return announced if not kinds else None
    return sum(count for count in counts if count is not None)


def requests(order: Order, done: Mapping[str, str], takes: frozenset[Level]) -> list[Wanted]:
    """What to ask a transport for: as few requests as can be, and only for what is not here.

    ``done`` maps the keys of instances that need not come to their series. A study of which nothing is here is asked
    for as a whole, then series of which nothing is here, then instances by UID; and where a transport does not take
    these, what is above them. Nothing where it takes none of that.
    """
    if not order.series:
        enough = order.plan.expected is not None and len(done) >= order.plan.expected
        if enough or Level.STUDY not in takes:
            return []
        return [Wanted(study=order.study_uid, expected=order.plan.expected, nearline=order.nearline)]
    here = Counter(done.values())
    missing = [(series, _missing(series, done)) for series in order.series if _incomplete(series, done, here)]
    if order.whole and len(missing) == len(order.series) and not done and Level.STUDY in takes:
        whole = _wanted(order, missing)
        if _fits(whole) or not takes & {Level.SERIES, Level.IMAGE}:
            return [whole]
    asked, left = [], []
    for series, targets in missing:
        parts = list(_of_series(order, series, targets, takes))
        asked += parts
        left += [] if parts else [series]
    if left and Level.STUDY in takes:
        # All of it comes again: the classes are those of all.
        asked.append(_wanted(order, [(one, list(one.targets or ())) for one in order.series]))
    return asked


def _incomplete(series: SeriesOrder, done: Mapping[str, str], here: Counter[str]) -> bool:
    if series.nothing_wanted:
        return False
    if series.targets is None:
        return series.count is None or here[series.key] < series.count
    return bool(_missing(series, done))


def _missing(series: SeriesOrder, done: Mapping[str, str]) -> list[Target]:
    return [target for target in series.wanted if target.key not in done and not target.offline]


def lacking(order: Order, done: Mapping[str, str]) -> int:
    """How many of the listed instances that are wanted are not here."""
    return sum(1 for series in order.series for target in series.wanted if target.key not in done)


def offline(order: Order, done: Mapping[str, str]) -> int:
    """How many instances are not here and not asked for, because the archive says that they are offline."""
    here = Counter(done.values())
    count = 0
    for series in order.series:
        if series.targets is not None:
            count += sum(1 for one in series.wanted if one.offline and one.key not in done)
        elif series.offline and not series.excluded:
            count += max(0, (series.count or 0) - here[series.key])
    return count


def _of_series(order: Order, series: SeriesOrder, targets: list[Target], takes: frozenset[Level]) -> Iterator[Wanted]:
    untouched = series.targets is None or len(targets) == len(series.targets)
    whole = _wanted(order, [(series, targets)], series_uid=series.uid)
    at_once = untouched and series.whole and Level.SERIES in takes and _fits(whole)
    if Level.IMAGE in takes and not at_once and targets:
        yield from (_named(order, series, part) for part in _parts(targets))
    elif Level.SERIES in takes:
        # What is here of it comes again, and is seen to be here.
        yield whole if untouched else _wanted(order, [(series, list(series.targets or ()))], series_uid=series.uid)


def _fits(wanted: Wanted) -> bool:
    """Whether one request can bring it."""
    countable = wanted.expected is None or wanted.expected <= MOST_PER_REQUEST
    return countable and len(wanted.sop_classes) <= CLASSES_PER_REQUEST


def _parts(targets: list[Target]) -> Iterator[list[Target]]:
    """Lists that one request can name, in the order given unless there are very many classes."""
    if len({target.sop_class for target in targets}) > CLASSES_PER_REQUEST:
        targets = sorted(targets, key=lambda target: target.sop_class)
    part: list[Target] = []
    classes: set[str] = set()
    for target in targets:
        if len(part) == UIDS_PER_REQUEST or len(classes | {target.sop_class}) > CLASSES_PER_REQUEST:
            yield part
            part, classes = [], set()
        part.append(target)
        classes.add(target.sop_class)
    if part:
        yield part


def _named(order: Order, series: SeriesOrder, targets: list[Target]) -> Wanted:
    return Wanted(
        study=order.study_uid,
        series=series.uid,
        instances=tuple(target.uid for target in targets),
        sop_classes=_classes(targets),
        syntaxes=_syntaxes(targets),
        expected=len(targets),
        nearline=order.nearline,
    )


def _wanted(order: Order, parts: list[tuple[SeriesOrder, list[Target]]], *, series_uid: str | None = None) -> Wanted:
    counts = [_number(series, targets) for series, targets in parts]
    listed = all(series.targets is not None for series, _ in parts)
    every = [target for _, targets in parts for target in targets]
    return Wanted(
        study=order.study_uid,
        series=series_uid,
        sop_classes=_classes(every) if listed else frozenset(),
        syntaxes=_syntaxes(every),
        expected=None if None in counts else sum(count for count in counts if count is not None),
        nearline=order.nearline,
    )


def _number(series: SeriesOrder, targets: list[Target]) -> int | None:
    """How many instances a request for these of a series brings: a list may be short, and then all of it comes."""
    if series.targets is None:
        return series.count
    return series.most if series.whole and len(targets) == len(series.targets) else len(targets)


def _classes(targets: list[Target]) -> frozenset[str]:
    """The SOP classes of the targets; empty when one of them is not known."""
    classes = frozenset(target.sop_class for target in targets)
    return frozenset() if "" in classes else classes


def _syntaxes(targets: list[Target]) -> frozenset[tuple[str, str]]:
    return frozenset((target.sop_class, syntax) for target in targets for syntax in target.syntaxes)
