"""How long a load will take under an archive's budget: an estimate from counts, sizes and the calendar; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .history import Sizes
from .model import Level, Wanted
from .plan import Order
from .terms import Terms

#: Seconds that one request costs whatever it brings: an association, a query, an answer that begins.
_PER_REQUEST = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be fetched of a study. ``uncounted`` are series, or a study, of which nobody knows how many images."""

    images: Mapping[str, int] = field(default_factory=dict)
    series: int = 0
    requests: int = 0
    uncounted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate. ``size`` in bytes; ``measured``: sizes are what this archive sent earlier, not usual ones.

    ``pauses`` and ``seconds`` are in seconds: the latter from now to the end, with waiting for the archive's hours. The
    times are on the archive's clock, None where there is nothing to fetch; ``seconds`` is None where the end is too far
    away.
    """

    size: int = 0
    measured: bool = False
    uncounted: int = 0
    pauses: float = 0.0
    seconds: float | None = 0.0
    starts: datetime | None = None
    ends: datetime | None = None


def work(order: Order, settled: Mapping[str, str], wanted: Sequence[Wanted], modalities: Sequence[str]) -> Work:
    """What ``wanted`` asks for. ``settled`` maps instances that need not come to their series.

    ``modalities`` are those of the study, for an archive that tells nothing of its series.
    """
    if order.offline or not wanted:
        return Work()
    here, images, uncounted = Counter(settled.values()), Counter[str](), 0
    for series in order.series:
        if series.nothing_wanted:
            continue
        left = series.count
        if series.targets is not None:
            left = sum(target.key not in settled for target in series.wanted)
        elif left is not None:
            left -= here[series.key]
        images[series.modality] += max(left or 0, 0)
        uncounted += left is None
    if not order.series:
        expected = order.plan.expected
        images[modalities[0] if len(modalities) == 1 else ""] += max((expected or 0) - len(settled), 0)
        uncounted += expected is None
    asked = sum(len(order.series) if one.level is Level.STUDY else 1 for one in wanted)
    return Work(images=dict(images), series=asked, requests=len(wanted), uncounted=uncounted)


def estimate(studies: Iterable[Work], terms: Terms, sizes: Sizes, now: datetime) -> Estimate:
    """How long all of it takes, if it is begun now (an aware ``datetime``)."""
    todo = [one for one in studies if one.requests]
    if not todo:
        return Estimate()
    images = sum((Counter(one.images) for one in todo), Counter[str]())
    size = sum(sizes.of(modality) * count for modality, count in images.items())
    pauses = float(sum(one.series for one in todo) // terms.batch_size * terms.batch_wait) if terms.batch_size else 0.0
    at_once = min(terms.associations, len(todo))
    needed = max(
        size / (sizes.rate * at_once) + sum(one.requests for one in todo) * _PER_REQUEST / at_once,
        size / terms.bytes_per_minute * 60 if terms.bytes_per_minute else 0.0,
    )
    starts, ends = _when(terms, now, needed + pauses)
    return Estimate(
        size=round(size),
        measured=all(sizes.seen(modality) for modality, count in images.items() if count),
        uncounted=sum(one.uncounted for one in todo),
        pauses=pauses,
        seconds=(ends - now).total_seconds() if ends is not None else None,
        starts=_local(terms, starts),
        ends=_local(terms, ends),
    )


def _when(terms: Terms, now: datetime, seconds: float) -> tuple[datetime | None, datetime | None]:
    if terms.hours is None:
        return now, now + timedelta(seconds=seconds)
    starts = now if terms.hours.open(now) else terms.hours.change(now)
    return starts, terms.hours.end(now, seconds)


def _local(terms: Terms, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    return terms.hours.local(at) if terms.hours is not None else at.astimezone()
