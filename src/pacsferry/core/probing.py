"""What ``doctor`` asks any archive that can be queried: few questions with few answers, over whichever protocol.

It takes values of the archive's answers to ask again with them, and says none of them. Every question has a date range
or a UID in it and a limit to its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

from .errors import TransferError
from .model import Level, Wanted
from .ports import Finding, Standing
from .probing_matching import Matching
from .probing_words import (
    ALWAYS,
    ENOUGH,
    EVER,
    FEW,
    LARGE,
    LIMIT,
    RETURNED,
    SERIES_KEYS,
    SMALL,
    SPANS,
    TRIES,
    distinct,
    in_words,
    is_text,
    number,
    size_of_series,
    size_of_study,
    usable,
    within,
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
        self.today = today or date.today()  # noqa: DTZ011 - the days of the archive's site
        self.fill = ""
        self.dated = self.dated_below = False
        self.learnt = Learnt()

    def findings(self) -> Iterator[Finding]:
        """Everything, in an order in which each question can build on the answers to those before."""
        yield from self._studies()
        if not self.learnt.studies:
            return
        yield from self._below()
        yield from self.safely("usual", self._usual)
        yield from self.safely("without-date", self._without_date)
        yield from Matching(self).findings()
        yield from self._lacks()

    # --- words

    def finding(self, probe: str, status: Standing, text: str, **more: object) -> Finding:
        behaviour = more.pop("learnt", {})
        assert isinstance(behaviour, Mapping)  # noqa: S101 - our own callers
        addressed = {f"{self._at}.{name}": value for name, value in behaviour.items()}
        return Finding(probe=f"{self._at}.{probe}", status=status, text=text, behaviour=addressed, **more)  # type: ignore[arg-type]

    def safely(self, probe: str, ask: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """One question that kills the connection does not end the others."""
        try:
            yield from ask()
        except TransferError as err:
            if err.code in {"interrupted", "unreachable", "stalled"}:
                raise
            yield self.finding(probe, Standing.WARNING, f"the question ended with an error: {err}")

    def question(self, level: Level, keys: Mapping[str, str], *, limit: int) -> Reply:
        returned = {key: self.fill if is_text(key) else "" for key in RETURNED[level]}
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
            yield self.finding(
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
            yield self.finding(
                "empty-keys",
                Standing.WARNING,
                "keys without a value are refused; with * in their place the query is answered",
                learnt={"empty_keys": False},
                quirks={"universal_star": True},
            )
        count = len(reply.answers)
        yield self.finding(
            "studies",
            Standing.OK,
            f"studies are found: {'at least ' if reply.cut else ''}{count} {in_words(self.learnt.window)}",
        )

    def _widening(self) -> Reply:
        """The reply to the first window with enough studies in it, or to the widest."""
        reply = Reply()
        for window in [f"{self.today - timedelta(days=span):%Y%m%d}-{self.today:%Y%m%d}" for span in SPANS] + [EVER]:
            reply = self.question(Level.STUDY, {"StudyDate": window}, limit=LIMIT)
            found = tuple(one for one in distinct(reply.answers, "StudyInstanceUID") if within(one, window))
            self.learnt.window, self.learnt.studies = window, found
            self.learnt.cut, self.learnt.announced = reply.cut, reply.announced
            if reply.refused or len(found) >= ENOUGH:
                break
        return reply

    def _nothing(self) -> Iterator[Finding]:
        """No study in any date range: an empty archive, or one that shows us nothing."""
        reply = self.question(Level.STUDY, {"StudyInstanceUID": ""}, limit=1)
        if reply.answers:
            self.learnt.window, self.learnt.studies = "", reply.answers
            yield self.finding(
                "studies",
                Standing.WARNING,
                "no study is found by a range of dates, and without one there are some",
                learnt={"keys.StudyDate": "refused"},
            )
            return
        yield self.finding(
            "studies",
            Standing.UNKNOWN,
            "the archive answers queries and shows no study at all; nothing more can be learnt from an empty archive",
            advice="ask the archive's administrator whether our AE title, or our account, may see studies",
        )

    def _without_date(self) -> Iterator[Finding]:
        """Whether a query is answered that names no date."""
        accession, uid = (self.learnt.study.get(key, "") for key in ("AccessionNumber", "StudyInstanceUID"))
        keys = {"AccessionNumber": accession} if usable(accession) else {"StudyInstanceUID": uid}
        if not any(keys.values()):
            return
        bare = {"StudyInstanceUID": self.fill, "AccessionNumber": self.fill, **keys}
        reply = self._asker.ask(Level.STUDY, bare, limit=1)
        dated = self.question(Level.STUDY, {**keys, "StudyDate": self.learnt.window or EVER}, limit=1)
        needed = self.dated or (not reply.answers and bool(dated.answers))
        if not reply.answers and not needed:
            return
        self.dated = needed
        if needed and self.learnt.series:
            keys = {**dict.fromkeys(SERIES_KEYS, self.fill), "NumberOfSeriesRelatedInstances": ""}
            self.dated_below = not self._asker.ask(Level.SERIES, {**keys, "StudyInstanceUID": uid}, limit=1).answers
        yield self.finding(
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
        for study in sorted(self.learnt.studies, key=size_of_study)[:TRIES]:
            series = self._series_of(study) or self._series_dated(study)
            self.learnt.study = self.learnt.study or study
            for one in sorted(series, key=size_of_series)[:TRIES]:
                self.learnt.study, self.learnt.series, self.learnt.alone = study, one, len(series) == 1
                images = self._images_of(study, one)
                if images:
                    break
            if images:
                break
        if not self.learnt.series:
            yield self.finding(
                "levels",
                Standing.FAILED,
                "SERIES level is not answered: nothing can be planned or checked below studies",
                learnt={"levels": ["STUDY"]},
                serves=False,
                quirks={"image_level_find": False},
            )
            return
        levels += [Level.SERIES, *([Level.IMAGE] if images else [])]
        yield self.finding(
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
            yield from self.safely("parents", self._parents)

    def _series_of(self, study: Mapping[str, str]) -> list[Mapping[str, str]]:
        uid = study.get("StudyInstanceUID", "")
        reply = self.question(Level.SERIES, {"StudyInstanceUID": uid}, limit=FEW)
        found = [one for one in reply.answers if one.get("StudyInstanceUID", uid) in {"", uid}]
        self._note(Level.SERIES, found)
        return [one for one in distinct(found, "SeriesInstanceUID") if one.get("SeriesInstanceUID")]

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
        reply = self.question(Level.IMAGE, uids, limit=FEW)
        series_uid = uids["SeriesInstanceUID"]
        found = [one for one in reply.answers if one.get("SeriesInstanceUID", series_uid) in {"", series_uid}]
        self._note(Level.IMAGE, found)
        self.learnt.listed = None if reply.cut else len(distinct(found, "SOPInstanceUID"))
        return [one for one in distinct(found, "SOPInstanceUID") if one.get("SOPInstanceUID")]

    def _usual(self) -> Iterator[Finding]:
        """Whether all that our finder wants to have returned may be asked for; if not, which of it may not."""
        failing: list[str] = []
        for level in (Level.STUDY, Level.SERIES, Level.IMAGE) if self.learnt.series else (Level.STUDY,):
            uids = self._uids(level)
            plain = self.question(level, uids, limit=1)
            if not plain.answers or self._gets(level, uids, self._asker.usual[level]):
                continue
            failing += [key for key in self._asker.usual[level] if not self._gets(level, uids, (key,))]
        if not failing:
            yield self.finding("usual", Standing.OK, "all that pacsferry asks to have returned may be asked for")
            return
        known = {"available_transfer_syntax": False} if failing == ["AvailableTransferSyntaxUID"] else {}
        yield self.finding(
            "usual",
            Standing.WARNING,
            f"a query fails that wants to have returned: {', '.join(failing)}",
            advice="the profile leaves it out",
            quirks=known or {"unasked": failing},
        )

    def _gets(self, level: Level, uids: Mapping[str, str], wanted: Sequence[str]) -> bool:
        """Whether there is an answer to a query with these return keys."""
        reply = self.question(level, {**{key: self.fill if is_text(key) else "" for key in wanted}, **uids}, limit=1)
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
            one = min(images, key=lambda image: image.get("SOPClassUID") in LARGE)
            only = frozenset({one["SOPClassUID"]}) if one.get("SOPClassUID") else frozenset()
            found.append(
                Wanted(study=study, series=series, instances=(one["SOPInstanceUID"],), sop_classes=only, expected=1)
            )
        count = len(images) or number(self.learnt.series, "NumberOfSeriesRelatedInstances")
        if 0 < count <= SMALL and not classes & LARGE:
            found.append(Wanted(study=study, series=series, sop_classes=classes, expected=count))
            if self.learnt.alone:
                found.append(Wanted(study=study, sop_classes=classes, expected=count))
        return tuple(found)

    def _counts(self) -> Iterator[Finding]:
        """Whether the archive counts what it lists. More than it lists may be a list that was cut off."""
        counted, listed = number(self.learnt.series, "NumberOfSeriesRelatedInstances"), self.learnt.listed
        if not counted or listed is None or counted == listed:
            return
        more = counted > listed
        yield self.finding(
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
        reply = self.question(Level.IMAGE, {"StudyInstanceUID": uid}, limit=1)
        yield self.finding(
            "parents",
            Standing.OK,
            "instances are found without their series' UID"
            if reply.answers
            else "instances are found only with the UIDs of study and series",
            learnt={"parents": not reply.answers} if self._at.startswith("dimse") else {},
        )

    # --- what is missing

    def _note(self, level: Level, answers: Sequence[Mapping[str, str]]) -> None:
        if answers:
            absent = {key for key in ALWAYS[level] if not any(one.get(key) for one in answers)}
            self.learnt.lacks[level] = self.learnt.lacks.get(level, absent) & absent

    def _lacks(self) -> Iterator[Finding]:
        self._note(Level.STUDY, self.learnt.studies)
        lacking = sorted({key for keys in self.learnt.lacks.values() for key in keys})
        if not lacking:
            yield self.finding("lacks", Standing.OK, "counts, modalities and SOP classes are given where asked for")
            return
        yield self.finding(
            "lacks",
            Standing.WARNING,
            f"asked for and never given: {', '.join(lacking)}",
            learnt={"lacks": lacking},
        )
