"""What ``doctor`` asks any archive that can be queried: few questions with few answers, over whichever protocol.

It takes values of the archive's answers to ask again with them, and says none of them. Every question has a date range
or a UID in it and a limit to its answers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from .errors import TransferError
from .model import Level, Wanted
from .ports import Finding, Standing
from .probing_keys import CONTAINABLE, TRIED, Trial

#: One more than the largest cap that is common: so many answers without an end show that there is none below.
LIMIT: Final = 1001
#: So many studies are enough to learn from.
ENOUGH: Final = 12
#: Days back from today, widened until there is enough; then everything.
SPANS: Final = (1, 7, 31, 366, 3660)
EVER: Final = "19000101-"
#: A series or study of so many instances at most is retrieved whole.
SMALL: Final = 5
#: Answers to a question about series or instances.
FEW: Final = 200
#: How many studies are looked into for a small series.
TRIES: Final = 3

STUDY_KEYS: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_KEYS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
RETURNED: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: STUDY_KEYS,
    Level.SERIES: SERIES_KEYS,
    Level.IMAGE: IMAGE_KEYS,
}
#: What every study, series or instance has, so that an answer without it shows that the archive does not give it.
ALWAYS: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.STUDY: ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    Level.SERIES: ("Modality", "NumberOfSeriesRelatedInstances"),
    Level.IMAGE: ("SOPClassUID",),
}
#: Series of these are no images, or big ones.
_ODD_MODALITIES: Final = frozenset({"SR", "KO", "PR", "DOC", "REG", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "MG", "SM"})
#: Keys of VR IS that our finders ask for.
_NUMBERS: Final = frozenset({"SeriesNumber", "InstanceNumber"})
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
#: SOP classes (PS3.4 B.5) whose single objects may be very large.
_LARGE: Final = frozenset(
    _STORAGE + tail
    for tail in (
        *("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5", "2.1", "4.1", "4.3", "130", "128.1", "3.1", "6.2"),
        *("12.1", "12.2", "12.1.1", "12.2.1", "77.1.1.1", "77.1.2.1", "77.1.4.1", "77.1.6", "66.4", "30", "7.3", "7.4"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one question: keyword to text. ``refused`` says why the archive would not answer it.

    ``cut`` says that we ended it at the limit, ``announced`` that the archive says it has more.
    """

    answers: tuple[Mapping[str, str], ...] = field(default=(), repr=False)
    refused: str = ""
    cut: bool = False
    announced: bool = False


class Asker(Protocol):
    """One protocol's way to ask. ``usual`` is what its finder always wants to have returned, by level."""

    usual: Mapping[Level, tuple[str, ...]]

    def ask(self, level: Level, keys: Mapping[str, str], *, limit: int) -> Reply:
        """At most ``limit`` answers. Raises ``TransferError`` where the connection fails."""


@dataclass(kw_only=True)
class Learnt:
    """What one inquiry knows of its archive. Identified."""

    window: str = ""
    studies: tuple[Mapping[str, str], ...] = field(default=(), repr=False)
    cut: bool = False
    announced: bool = False
    study: Mapping[str, str] = field(default_factory=dict, repr=False)
    series: Mapping[str, str] = field(default_factory=dict, repr=False)
    lacks: dict[Level, set[str]] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    alone: bool = False
    listed: int | None = None


class Inquiry:
    """A series of questions. ``at`` is the address of what is learnt (``dimse.find``); ``today`` is for tests.

    ``fill`` stands in text keys that are to be returned only: nothing, or a star where the archive wants one.
    ``dated`` says that queries need a date, ``dated_below`` that those for series and instances do, too.
    """

    def __init__(self, asker: Asker, at: str, *, today: date | None = None) -> None:
        self._asker, self._at = asker, at
        self._today = today or date.today()  # noqa: DTZ011 - the days of the archive's site
        self.fill = ""
        self.dated = self.dated_below = False
        self.learnt = Learnt()

    def findings(self) -> Iterator[Finding]:
        """Everything, in an order in which each question can build on the answers to those before."""
        yield from self._studies()
        if not self.learnt.studies:
            return
        yield from self._below()
        yield from self._safely("usual", self._usual)
        yield from self._safely("without-date", self._without_date)
        for trial in TRIED:
            if trial.level is Level.STUDY or self.learnt.study:
                yield from self._tried(trial)
        yield from self._safely("wildcards", self._wildcards)
        yield from self._safely("cap", self._cap)
        yield from self._lacks()

    # --- words

    def _finding(self, probe: str, status: Standing, text: str, **more: object) -> Finding:
        behaviour = more.pop("learnt", {})
        assert isinstance(behaviour, Mapping)  # noqa: S101 - our own callers
        addressed = {f"{self._at}.{name}": value for name, value in behaviour.items()}
        return Finding(probe=f"{self._at}.{probe}", status=status, text=text, behaviour=addressed, **more)  # type: ignore[arg-type]

    def _safely(self, probe: str, ask: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """One question that kills the connection does not end the others."""
        try:
            yield from ask()
        except TransferError as err:
            if err.code in {"interrupted", "unreachable", "stalled"}:
                raise
            yield self._finding(probe, Standing.WARNING, f"the question ended with an error: {err}")

    def _ask(self, level: Level, keys: Mapping[str, str], *, limit: int) -> Reply:
        returned = {key: self.fill if _text(key) else "" for key in RETURNED[level]}
        if self.dated and not keys.get("StudyDate"):
            keys = {**keys, "StudyDate": EVER}
        return self._asker.ask(level, {**returned, **keys}, limit=limit)

    # --- studies

    def _studies(self) -> Iterator[Finding]:
        """Studies of a few days, then of more, until there is something to learn from."""
        reply = self._widening()
        if reply.refused and not self.fill:
            self.fill = "*"
            reply = self._widening()
            self.fill = "*" if reply.answers else ""
        if reply.refused:
            yield self._finding(
                "studies",
                Standing.FAILED,
                f"a query for the studies of a date range is refused: {reply.refused}",
                advice="ask the archive's administrator what our AE title, or our account, may query",
                serves=False,
            )
            return
        if not reply.answers:
            yield from self._nothing()
            return
        if self.fill:
            yield self._finding(
                "empty-keys",
                Standing.WARNING,
                "keys without a value are refused; with * in their place the query is answered",
                learnt={"empty_keys": False},
                quirks={"universal_star": True},
            )
        count = len(reply.answers)
        yield self._finding(
            "studies",
            Standing.OK,
            f"studies are found: {'at least ' if reply.cut else ''}{count} {_days(self.learnt.window)}",
        )

    def _widening(self) -> Reply:
        """The reply to the first window with enough studies in it, or to the widest."""
        reply = Reply()
        for window in [f"{self._today - timedelta(days=span):%Y%m%d}-{self._today:%Y%m%d}" for span in SPANS] + [EVER]:
            reply = self._ask(Level.STUDY, {"StudyDate": window}, limit=LIMIT)
            found = tuple(one for one in _distinct(reply.answers, "StudyInstanceUID") if _within(one, window))
            self.learnt.window, self.learnt.studies = window, found
            self.learnt.cut, self.learnt.announced = reply.cut, reply.announced
            if reply.refused or len(found) >= ENOUGH:
                break
        return reply

    def _nothing(self) -> Iterator[Finding]:
        """No study in any date range: an empty archive, or one that shows us nothing."""
        reply = self._ask(Level.STUDY, {"StudyInstanceUID": ""}, limit=1)
        if reply.answers:
            self.learnt.window, self.learnt.studies = "", reply.answers
            yield self._finding(
                "studies",
                Standing.WARNING,
                "no study is found by a range of dates, and without one there are some",
                learnt={"keys.StudyDate": "refused"},
            )
            return
        yield self._finding(
            "studies",
            Standing.UNKNOWN,
            "the archive answers queries and shows no study at all; nothing more can be learnt from an empty archive",
            advice="ask the archive's administrator whether our AE title, or our account, may see studies",
        )

    def _without_date(self) -> Iterator[Finding]:
        """Whether a query is answered that names no date."""
        accession, uid = (self.learnt.study.get(key, "") for key in ("AccessionNumber", "StudyInstanceUID"))
        keys = {"AccessionNumber": accession} if _usable(accession) else {"StudyInstanceUID": uid}
        if not any(keys.values()):
            return
        bare = {"StudyInstanceUID": self.fill, "AccessionNumber": self.fill, **keys}
        reply = self._asker.ask(Level.STUDY, bare, limit=1)
        dated = self._ask(Level.STUDY, {**keys, "StudyDate": self.learnt.window or EVER}, limit=1)
        needed = self.dated or (not reply.answers and bool(dated.answers))
        if not reply.answers and not needed:
            return
        self.dated = needed
        yield self._finding(
            "without-date",
            Standing.WARNING if needed else Standing.OK,
            "a query without StudyDate is not answered" if needed else "a query without StudyDate is answered",
            quirks={"requires_study_date": needed},
        )

    # --- series and instances

    def _below(self) -> Iterator[Finding]:
        """Down to the instances of a small series, which is what transports then retrieve."""
        levels = [Level.STUDY]
        images: Sequence[Mapping[str, str]] = ()
        for study in sorted(self.learnt.studies, key=_size_of_study)[:TRIES]:
            series = self._series_of(study) or self._series_dated(study)
            self.learnt.study = self.learnt.study or study
            for one in sorted(series, key=_size_of_series)[:TRIES]:
                self.learnt.study, self.learnt.series, self.learnt.alone = study, one, len(series) == 1
                images = self._images_of(study, one)
                if images:
                    break
            if images:
                break
        if not self.learnt.series:
            yield self._finding(
                "levels",
                Standing.FAILED,
                "SERIES level is not answered: nothing can be planned or checked below studies",
                learnt={"levels": ["STUDY"]},
                serves=False,
                quirks={"image_level_find": False},
            )
            return
        levels += [Level.SERIES, *([Level.IMAGE] if images else [])]
        yield self._finding(
            "levels",
            Standing.OK if images else Standing.WARNING,
            f"answered levels: {', '.join(levels)}"
            + ("" if images else "; without IMAGE level only the archive's counts say whether a study is complete"),
            learnt={"levels": [str(level) for level in levels]},
            quirks={"image_level_find": bool(images)},
            samples=self._samples(images),
        )
        if images:
            yield from self._counts()
            yield from self._safely("parents", self._parents)

    def _series_of(self, study: Mapping[str, str]) -> list[Mapping[str, str]]:
        uid = study.get("StudyInstanceUID", "")
        reply = self._ask(Level.SERIES, {"StudyInstanceUID": uid}, limit=FEW)
        found = [one for one in reply.answers if one.get("StudyInstanceUID", uid) in {"", uid}]
        self._note(Level.SERIES, found)
        return [one for one in _distinct(found, "SeriesInstanceUID") if one.get("SeriesInstanceUID")]

    def _series_dated(self, study: Mapping[str, str]) -> list[Mapping[str, str]]:
        """The same with a date, which some archives want at every level."""
        if self.dated:
            return []
        self.dated = True
        found = self._series_of(study)
        self.dated = self.dated_below = bool(found)
        return found

    def _images_of(self, study: Mapping[str, str], series: Mapping[str, str]) -> list[Mapping[str, str]]:
        uids = {"StudyInstanceUID": study.get("StudyInstanceUID", ""), "SeriesInstanceUID": series["SeriesInstanceUID"]}
        reply = self._ask(Level.IMAGE, uids, limit=FEW)
        series_uid = uids["SeriesInstanceUID"]
        found = [one for one in reply.answers if one.get("SeriesInstanceUID", series_uid) in {"", series_uid}]
        self._note(Level.IMAGE, found)
        self.learnt.listed = None if reply.cut else len(_distinct(found, "SOPInstanceUID"))
        return [one for one in _distinct(found, "SOPInstanceUID") if one.get("SOPInstanceUID")]

    def _usual(self) -> Iterator[Finding]:
        """Whether all that our finder wants to have returned may be asked for; if not, which of it may not."""
        failing: list[str] = []
        for level in (Level.STUDY, Level.SERIES, Level.IMAGE) if self.learnt.series else (Level.STUDY,):
            uids = self._uids(level)
            plain = self._ask(level, uids, limit=1)
            if not plain.answers or self._gets(level, uids, self._asker.usual[level]):
                continue
            failing += [key for key in self._asker.usual[level] if not self._gets(level, uids, (key,))]
        if not failing:
            yield self._finding("usual", Standing.OK, "all that pacsferry asks to have returned may be asked for")
            return
        known = {"available_transfer_syntax": False} if failing == ["AvailableTransferSyntaxUID"] else {}
        yield self._finding(
            "usual",
            Standing.WARNING,
            f"a query fails that wants to have returned: {', '.join(failing)}",
            advice="the profile leaves it out",
            quirks=known or {"unasked": failing},
        )

    def _gets(self, level: Level, uids: Mapping[str, str], wanted: Sequence[str]) -> bool:
        """Whether there is an answer to a query with these return keys."""
        reply = self._ask(level, {**{key: self.fill if _text(key) else "" for key in wanted}, **uids}, limit=1)
        return bool(reply.answers)

    def _uids(self, level: Level) -> dict[str, str]:
        """The keys with which our finder asks for what is below the study that was found."""
        study = {"StudyInstanceUID": self.learnt.study.get("StudyInstanceUID", "")}
        if level is Level.STUDY:
            return {**study, "StudyDate": self.learnt.window}
        if level is Level.SERIES:
            return study
        return {**study, "SeriesInstanceUID": self.learnt.series["SeriesInstanceUID"]}

    def _samples(self, images: Sequence[Mapping[str, str]]) -> tuple[Wanted, ...]:
        """An instance, and its series and study where they are small."""
        study, series = self.learnt.study["StudyInstanceUID"], self.learnt.series["SeriesInstanceUID"]
        classes = frozenset(one["SOPClassUID"] for one in images if one.get("SOPClassUID"))
        found: list[Wanted] = []
        if images:
            one = min(images, key=lambda image: image.get("SOPClassUID") in _LARGE)
            only = frozenset({one["SOPClassUID"]}) if one.get("SOPClassUID") else frozenset()
            found.append(
                Wanted(study=study, series=series, instances=(one["SOPInstanceUID"],), sop_classes=only, expected=1)
            )
        count = len(images) or _number(self.learnt.series, "NumberOfSeriesRelatedInstances")
        if 0 < count <= SMALL and not classes & _LARGE:
            found.append(Wanted(study=study, series=series, sop_classes=classes, expected=count))
            if self.learnt.alone:
                found.append(Wanted(study=study, sop_classes=classes, expected=count))
        return tuple(found)

    def _counts(self) -> Iterator[Finding]:
        """Whether the archive counts what it lists. More than it lists may be a list that was cut off."""
        counted, listed = _number(self.learnt.series, "NumberOfSeriesRelatedInstances"), self.learnt.listed
        if not counted or listed is None or counted == listed:
            return
        more = counted > listed
        yield self._finding(
            "counts",
            Standing.WARNING,
            f"the archive counts {counted} instances of a series and lists {listed}",
            advice="lists may be cut off, or counts out of date: ask the archive's administrator"
            if more
            else "the profile does not believe its counts",
            quirks={} if more else {"counts": False},
        )

    def _parents(self) -> Iterator[Finding]:
        """Whether instances can be asked for without naming their series."""
        uid = self.learnt.study["StudyInstanceUID"]
        reply = self._ask(Level.IMAGE, {"StudyInstanceUID": uid}, limit=1)
        yield self._finding(
            "parents",
            Standing.OK,
            "instances are found without their series' UID"
            if reply.answers
            else "instances are found only with the UIDs of study and series",
            learnt={"parents": not reply.answers} if self._at.startswith("dimse") else {},
        )

    # --- keys

    def _key(self, trial: Trial) -> Iterator[Finding]:
        """A value that nothing has: an answer to it shows that the key is not looked at."""
        base = self._base(trial)
        nobody = self._ask(trial.level, {**base, trial.keyword: _impossible(trial)}, limit=2)
        if nobody.answers:
            yield self._told(trial, "ignored")
            return
        own = self._own(trial)
        if not _usable(own):
            if not nobody.refused:
                yield self._told(trial, "matched")
            return
        control = self._ask(trial.level, {**base, trial.keyword: own}, limit=2)
        if control.refused:
            yield self._told(trial, "refused")
        elif not control.answers:
            text = f"{trial.keyword}: nothing is found, even with a value that the archive itself gave"
            yield self._finding(f"keys.{trial.keyword}", Standing.WARNING, text, quirks=trial.quirks("refused"))
        else:
            yield self._told(trial, "contains" if self._contains(trial, base, own) else "matched")

    def _tried(self, trial: Trial) -> Iterator[Finding]:
        """One key. Some archives never answer a query with a certain key (seen: times)."""
        try:
            yield from self._safely(f"keys.{trial.keyword}", lambda: self._key(trial))
        except TransferError as err:
            if err.code != "stalled" or not trial.may_stall:
                raise
            yield self._finding(
                f"keys.{trial.keyword}",
                Standing.WARNING,
                f"a query with {trial.keyword} is never answered",
                advice=trial.otherwise,
                learnt={f"keys.{trial.keyword}": "refused"},
                quirks=trial.quirks("refused"),
            )

    def _base(self, trial: Trial) -> dict[str, str]:
        if trial.level is not Level.STUDY:
            return {"StudyInstanceUID": self.learnt.study["StudyInstanceUID"]}
        return {"StudyDate": self.learnt.window}

    def _own(self, trial: Trial) -> str:
        """A value that the archive has."""
        known = self.learnt.series if trial.level is Level.SERIES else self.learnt.study
        return known.get(trial.keyword, "").split("\\")[0]

    def _contains(self, trial: Trial, base: Mapping[str, str], own: str) -> bool:
        if trial.keyword not in CONTAINABLE or len(own) < 3:
            return False
        part = own[:-1]
        reply = self._ask(trial.level, {**base, trial.keyword: part}, limit=5)
        return any(part in one.get(trial.keyword, "") and one[trial.keyword] != part for one in reply.answers)

    def _told(self, trial: Trial, use: str) -> Finding:
        self.learnt.uses[trial.keyword] = use
        text = {
            "matched": f"{trial.keyword} is matched",
            "ignored": f"{trial.keyword} is ignored: a value that nothing has gets answers",
            "refused": f"a query with {trial.keyword} is refused",
            "contains": f"{trial.keyword} matches every value that contains it",
        }[use]
        matched = use == "matched"
        advice = "" if matched else trial.otherwise
        return self._finding(
            f"keys.{trial.keyword}",
            Standing.OK if matched else Standing.WARNING,
            text,
            advice=advice,
            learnt={f"keys.{trial.keyword}": use},
            quirks=trial.quirks(use),
        )

    def _wildcards(self) -> Iterator[Finding]:
        """A value with its last character replaced by ``*``."""
        keyword = next((key for key in CONTAINABLE if self.learnt.uses.get(key) == "matched" and self._long(key)), "")
        if not keyword:
            return
        start = self.learnt.study[keyword][:-1]
        reply = self._ask(Level.STUDY, {"StudyDate": self.learnt.window, keyword: f"{start}*"}, limit=5)
        works = any(one.get(keyword, "").startswith(start) for one in reply.answers)
        yield self._finding(
            "wildcards",
            Standing.OK if works else Standing.WARNING,
            f"wildcards match in {keyword}" if works else f"wildcards do not match in {keyword}",
            advice="" if works else "write values out in full in --match",
            learnt={"wildcards": works},
            quirks={"wildcards": works},
        )
        uid = self.learnt.study["StudyInstanceUID"]
        dates = self._ask(Level.STUDY, {"StudyInstanceUID": uid, "StudyDate": "*"}, limit=1)
        text = (
            "a * in a date matches every date"
            if dates.answers
            else "a * in a date finds nothing or is refused; pacsferry never sends it"
        )
        needed = {"wildcards_in_dates": bool(dates.answers)} if self.fill else {}
        yield self._finding("wildcards.dates", Standing.OK, text, quirks=needed)

    def _long(self, keyword: str) -> bool:
        value = self.learnt.study.get(keyword, "")
        return len(value) >= 3 and _usable(value)

    # --- caps

    def _cap(self) -> Iterator[Finding]:
        """Whether answers are cut off: the halves of a range must not have more than the whole."""
        count = len(self.learnt.studies)
        if self.learnt.cut:
            text = f"no cap on answers up to {LIMIT - 1}"
            yield self._finding("cap", Standing.OK, text)
            return
        if not self.learnt.window or count < 2:
            return
        more = self._beyond()
        if more is None:
            return
        if not more:
            yield self._finding("cap", Standing.OK, f"no cap on answers seen ({count} studies)")
            return
        told = "and the archive says so" if self.learnt.announced else "and the archive does not say so"
        yield self._finding(
            "cap",
            Standing.WARNING,
            f"answers end at {count}, {told}; pacsferry splits such queries by date",
            learnt={"cap": count, "cap_told": self.learnt.announced},
            quirks={"result_limit": count},
        )

    def _beyond(self) -> bool | None:
        """Whether there are studies that the widest answer left out; None where that cannot be told."""
        days = sorted(filter(None, (_day(one.get("StudyDate", "")) for one in self.learnt.studies)))
        known = {one["StudyInstanceUID"] for one in self.learnt.studies if one.get("StudyInstanceUID")}
        if not days or not known:
            return None
        if days[0] == days[-1]:
            return count_is_round(len(known)) and self._hidden(days[0], len(known))
        first, _, last = self.learnt.window.partition("-")
        middle = min(days[(len(days) - 1) // 2], days[-1] - timedelta(days=1))
        halves = (f"{first}-{middle:%Y%m%d}", f"{middle + timedelta(days=1):%Y%m%d}-{last}")
        found = [one for part in halves for one in self._ask(Level.STUDY, {"StudyDate": part}, limit=LIMIT).answers]
        return bool({one.get("StudyInstanceUID", "") for one in found} - known - {""})

    def _hidden(self, day: date, count: int) -> bool:
        """Studies of one day cannot be split; but with one of another day the same range must have more answers."""
        for span in (*SPANS, 36_600):
            start = self._today - timedelta(days=span)
            if start >= day:
                continue
            before = f"{start:%Y%m%d}-{day - timedelta(days=1):%Y%m%d}"
            older = [
                _day(one.get("StudyDate", "")) for one in self._ask(Level.STUDY, {"StudyDate": before}, limit=1).answers
            ]
            if older and older[0] is not None:
                wide = self._ask(Level.STUDY, {"StudyDate": f"{older[0]:%Y%m%d}-{self._today:%Y%m%d}"}, limit=LIMIT)
                return len(_distinct(wide.answers, "StudyInstanceUID")) <= count
        return False

    # --- what is missing

    def _note(self, level: Level, answers: Sequence[Mapping[str, str]]) -> None:
        if answers:
            absent = {key for key in ALWAYS[level] if not any(one.get(key) for one in answers)}
            self.learnt.lacks[level] = self.learnt.lacks.get(level, absent) & absent

    def _lacks(self) -> Iterator[Finding]:
        self._note(Level.STUDY, self.learnt.studies)
        lacking = sorted({key for keys in self.learnt.lacks.values() for key in keys})
        if not lacking:
            yield self._finding("lacks", Standing.OK, "counts, modalities and SOP classes are given where asked for")
            return
        yield self._finding(
            "lacks",
            Standing.WARNING,
            f"asked for and never given: {', '.join(lacking)}",
            learnt={"lacks": lacking},
        )


def count_is_round(count: int) -> bool:
    """Whether a number of answers looks like a limit that somebody set."""
    return count >= 10 and count % 10 == 0


def _text(keyword: str) -> bool:
    """Whether ``*`` may stand in a key: not in dates and numbers."""
    return not (keyword.endswith(("Date", "Time")) or keyword.startswith("NumberOf") or keyword in _NUMBERS)


def _usable(value: str) -> bool:
    """Whether a value can be asked for as it is, over every protocol."""
    return bool(re.fullmatch(r"[A-Za-z0-9._:/-]+", value))


def _impossible(trial: Trial) -> str:
    """A value that nothing has; UIDs are new ones each time."""
    return trial.nobody or f"2.25.{uuid.uuid4().int}"


def _number(answer: Mapping[str, str], keyword: str) -> int:
    text = answer.get(keyword, "").strip()
    return int(text) if text.isdecimal() else 0


def _size_of_study(study: Mapping[str, str]) -> tuple[bool, int]:
    """Ordinary images first, few instances first; a count that is not known comes last."""
    modalities = {one.strip() for one in study.get("ModalitiesInStudy", "").split("\\") if one.strip()}
    odd = bool(modalities) and modalities <= _ODD_MODALITIES
    return odd, _number(study, "NumberOfStudyRelatedInstances") or 1_000_000


def _size_of_series(series: Mapping[str, str]) -> tuple[bool, int]:
    odd = series.get("Modality", "").strip() in _ODD_MODALITIES
    return odd, _number(series, "NumberOfSeriesRelatedInstances") or 1_000_000


def _distinct(answers: Sequence[Mapping[str, str]], keyword: str) -> tuple[Mapping[str, str], ...]:
    return tuple({one.get(keyword) or str(number): one for number, one in enumerate(answers)}.values())


def _within(study: Mapping[str, str], window: str) -> bool:
    """Whether a study's date is in the range that was asked for; one without a date is not held against the archive."""
    day = study.get("StudyDate", "").strip()
    first, _, last = window.partition("-")
    return not day.isdecimal() or first <= day <= (last or "99999999")


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return None


def _days(window: str) -> str:
    """A window in words that say no date of a patient."""
    if window == EVER:
        return "in all"
    first, last = (_day(part) for part in window.split("-"))
    return f"in the last {(last - first).days} days" if first and last else "in all"
