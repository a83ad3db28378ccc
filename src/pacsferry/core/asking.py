"""Asks until an answer is whole: keys the archive cannot match stay here, and a capped answer is asked for in parts.

What cannot be had whole is an error; a short list is never taken for all there is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from .errors import TransferError
from .ladder import Unfit
from .matching import fits
from .model import Level, Match, Ping, Query
from .ports import Finder
from .query import KEYS
from .quirks import Quirks
from .splitting import Split, days, probes, splits

#: What tells two answers of a level apart. One study UID under two patients is two answers.
IDENTITY: Mapping[Level, tuple[str, ...]] = {
    Level.PATIENT: ("PatientID", "IssuerOfPatientID"),
    Level.STUDY: ("StudyInstanceUID", "PatientID", "IssuerOfPatientID"),
    Level.SERIES: ("SeriesInstanceUID", "StudyInstanceUID"),
    Level.IMAGE: ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
}
#: So many answers are what one asked for; more than were ever shown to be whole are looked at once, in two halves.
FEW = 4
#: From here on that would cost the archive too much: only what looks like a limit is looked at.
MANY = 200
#: Limits that products have are multiples of these, from so many on, or powers of two; some give one answer more.
ROUND = ((20, 10), (50, 50), (1000, 500), (10_000, 1000))
#: Answers to be expected, in limits; beyond it a part is halved without being asked for as a whole.
CROWDED = 1.5
#: An archive that says "too many" without one answer is given smaller parts, but not for ever.
BARREN = 24

Answers = dict[tuple[str, ...], Match]


class _Ignored(Exception):
    """Parting by ``keyword`` does not help: the archive does not match it."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.keyword = keyword


@dataclass(slots=True)
class _Learnt:
    """What was noticed of an archive's limit, by level. ``whole`` is the most that was shown to be all there is.

    ``cap`` is the limit; where it is in ``silent`` too, the archive does not say so when it is reached.
    """

    cap: dict[Level, int] = field(default_factory=dict)
    silent: dict[Level, int] = field(default_factory=dict)
    whole: dict[Level, int] = field(default_factory=dict)
    counts: dict[Level, set[int]] = field(default_factory=dict)
    per_day: float = 0.0
    barren: int = 0


class WholeFinder:
    """A finder whose answers are all there is. Thread-safe as far as the finder within is."""

    def __init__(self, finder: Finder, quirks: Quirks, today: date | None = None) -> None:
        self._finder, self._quirks = finder, quirks
        self.protocol = finder.protocol
        self._today = today or date.today()  # noqa: DTZ011 - only says where to part an open range
        self._learnt = _Learnt()
        self._unfit = Unfit()
        self._lock = threading.Lock()

    def find(self, query: Query) -> Iterator[Match]:
        """See ``ports.Finder``. Keys that the archive cannot match are not sent: the caller matches again."""
        if (why := self._unfit.why(0)) is not None:
            raise why
        found: Answers = {}
        try:
            for one in _single_valued(self._sent(query)):
                found |= self._whole(one, asked=True)
        except TransferError as err:
            self._unfit.learn(0, err)
            raise
        self._unfit.serves(0)
        yield from found.values()

    def ping(self) -> Ping:
        """See ``ports.Finder``."""
        return self._finder.ping()

    def rest(self) -> None:
        """Give back connections that only wait for another query."""
        getattr(self._finder, "rest", lambda: None)()

    def close(self) -> None:
        """See ``ports.Finder``."""
        self._finder.close()

    # --- what is sent

    def _sent(self, query: Query) -> Query:
        """Without the keys that the archive is known not to match; their values are asked for instead."""
        kept = {word: value for word, value in query.keys.items() if self._matched(word, value)}
        left_out = tuple(word for word in query.keys if word not in kept)
        if not left_out:
            return query
        return replace(query, keys=kept, wants=(*query.wants, *left_out), expected=None)

    def _matched(self, word: str, value: str) -> bool:
        quirks = self._quirks
        if word in (quirks.unmatched or ()):
            return False
        if word == "ModalitiesInStudy" and quirks.modality_matching is False:
            return False
        if word == "StudyTime" and quirks.time_matching is False:
            return False
        return quirks.wildcards is not False or not set(value) & set("*?")

    # --- what comes

    def _whole(self, query: Query, *, asked: bool, within: str = "") -> Answers:
        """All answers. ``within`` is the keyword by which this query is a part of another. Raises ``TransferError``."""
        if not asked and self._crowded(query):
            return self._split(query, {})
        answers, told = self._ask(query)
        if query.level is not Level.STUDY:
            self._check_below(query, len(answers), told=told)
            return answers
        if not (told or self._reached(query, len(answers)) or self._short(query, answers)):
            self._learn_density(query, len(answers))
            return answers
        if within and any(fits(within, query.keys[within], one) is False for one in answers.values()):
            raise _Ignored(within)
        return self._split(query, answers)

    def _ask(self, query: Query) -> tuple[Answers, bool]:
        """The answers to one query, and whether the archive says that they are not all."""
        answers: Answers = {}
        try:
            for match in self._finder.find(query):
                answers.setdefault(_identity(match, len(answers)), self._believed(match))
        except TransferError as err:
            if err.code != "capped":
                raise
            self._note_cap(query.level, len(answers))
            if 0 < len(answers) < self._least(query.level):
                raise _capped("it says so whatever is asked") from None
            return answers, True
        self._learnt.barren = 0
        return answers, False

    def _believed(self, match: Match) -> Match:
        """Without what the archive is known to say wrongly."""
        kept = {word: text for word, text in match.keys.items() if not self._quirks.leaves_out(word)}
        return match if len(kept) == len(match.keys) else replace(match, keys=kept)

    def _note_cap(self, level: Level, count: int, *, silent: bool = False) -> None:
        with self._lock:
            if count:
                for noted in (self._learnt.cap, self._learnt.silent) if silent else (self._learnt.cap,):
                    noted[level] = max(count, noted.get(level, 0))
                self._learnt.barren = 0
                return
            self._learnt.barren += 1
            if self._learnt.barren > BARREN:
                raise _capped("it says so without giving any")

    def _limit(self, level: Level) -> int:
        """How many answers a query is known to get at most; 0: not known."""
        return self._learnt.cap.get(level, 0) or self._quirks.result_limit or 0

    def _least(self, level: Level) -> float:
        """An archive that says "too many" after fewer than this does not speak of a limit: parts would not help."""
        limit = self._learnt.cap.get(level, 0)
        return max(limit / 4, min(limit, FEW))

    def _reached(self, query: Query, count: int) -> bool:
        """Whether these are as many as an archive gives that does not say when there are more."""
        limit = self._learnt.silent.get(query.level, 0) or self._quirks.result_limit or 0
        return bool(limit) and count >= limit

    def _short(self, query: Query, answers: Answers) -> bool:
        return self._suspect(query, len(answers)) and self._more(query, answers)

    def _suspect(self, query: Query, count: int) -> bool:
        """Whether a number of answers looks like a limit: more than ever before, round, or the same again."""
        with self._lock:
            whole = self._learnt.whole.get(query.level, 0)
            counts = self._learnt.counts.setdefault(query.level, set())
            again = count in counts and count == max(counts)
            counts.add(count)
        if self._limit(query.level) or count <= max(FEW, whole) or count == query.expected:
            return False
        return count < MANY or again or _is_round(count)

    def _more(self, query: Query, answers: Answers) -> bool:
        """Whether two halves of a query bring what it did not, twice: then its number of answers is a limit."""
        found: Answers = {}
        for part in probes(query, answers.values(), self._quirks):
            found |= self._ask(part)[0]
        if found.keys() - answers.keys() and len(again := self._ask(query)[0]) <= len(answers):
            # Asked once more it is as short: what the halves brought did not just come into being.
            self._note_cap(query.level, len(again), silent=True)
            return True
        with self._lock:
            self._learnt.whole[query.level] = max(len(answers), self._learnt.whole.get(query.level, 0))
        return False

    def _check_below(self, query: Query, count: int, *, told: bool) -> None:
        """Series and instances cannot be parted; too few of them is for the caller to settle by counts."""
        short = query.expected is None or count < query.expected
        round_and_short = query.expected is not None and _is_round(count)
        if told or (short and (self._reached(query, count) or round_and_short)):
            raise _capped(f"of {query.level.value.lower()} answers it gives {count}")

    # --- in parts

    def _split(self, query: Query, answers: Answers) -> Answers:
        """Ask in parts, in the first way that the archive understands."""
        for split in splits(query, answers.values(), self._quirks, self._today):
            try:
                return self._settled(query, answers, self._together(split), split)
            except _Ignored as err:
                if err.keyword != split.keyword:
                    raise
        raise _capped(f"a query gets {len(answers)}")

    def _together(self, split: Split) -> Answers:
        found: Answers = {}
        for part in split.parts:
            found |= self._whole(part, asked=False, within=split.keyword)
        return found

    def _settled(self, query: Query, answers: Answers, found: Answers, split: Split) -> Answers:
        """All together. What has no value to part by was in none of the parts, and there may be more of that."""
        left = [answers[key] for key in answers.keys() - found.keys()]
        if any(not one.many(split.keyword) and _wanted(query, one) for one in left):
            raise _capped(f"some studies have no {split.keyword}, by which the query could be parted")
        return answers | found

    def _crowded(self, query: Query) -> bool:
        """Whether a range of days will have more answers than the archive gives, from what other days had."""
        limit = self._limit(query.level)
        length = days(query.keys, self._today) if limit else None
        return length is not None and length > 1 and length * self._learnt.per_day > CROWDED * limit

    def _learn_density(self, query: Query, count: int) -> None:
        length = days(query.keys, self._today)
        if length is not None:
            self._learnt.per_day = count / length


def _single_valued(query: Query) -> Iterator[Query]:
    """One query for each modality: C-FIND takes lists of UIDs only (PS3.4 C.2.2.2.2)."""
    values = query.keys.get("ModalitiesInStudy", "").split("\\")
    if len(values) == 1:
        yield query
        return
    for value in dict.fromkeys(values):
        yield replace(query, keys={**query.keys, "ModalitiesInStudy": value}, expected=None)


def _identity(match: Match, number: int) -> tuple[str, ...]:
    """What makes an answer the same as another; an answer without a UID is nobody's double."""
    names = IDENTITY[match.level]
    return tuple(map(match.text, names)) if match.text(names[0]) else ("", str(number))


def _is_round(count: int) -> bool:
    """Whether a number, or the one before it (seen: Orthanc), looks like a limit that somebody set."""
    return any(_like_a_limit(one) for one in (count, count - 1))


def _like_a_limit(count: int) -> bool:
    step = max((step for start, step in ROUND if count >= start), default=0)
    return bool(step and count % step == 0) or (count >= 64 and count & (count - 1) == 0)


def _wanted(query: Query, match: Match) -> bool:
    return all(fits(word, value, match) is not False for word, value in query.keys.items() if word in KEYS)


def _capped(why: str) -> TransferError:
    return TransferError(
        f"the archive gives only some of its answers: {why}",
        code="capped",
        retryable=False,
        hint="ask for less at once: fewer days, one modality, or accession numbers",
    )
