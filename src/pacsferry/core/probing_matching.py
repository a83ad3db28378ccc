"""How an archive matches: keys, wildcards and caps, shown by what it answers, never by what it says of itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from .errors import TransferError
from .model import Level
from .ports import Finding, Standing
from .probing_keys import CONTAINABLE, TRIED, Trial
from .probing_words import LIMIT, SPANS, count_is_round, day_of, distinct, usable

if TYPE_CHECKING:
    from .probing import Inquiry


class Matching:
    """The part of an inquiry that needs studies to ask about."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry, self._learnt = inquiry, inquiry.learnt

    def findings(self) -> Iterator[Finding]:
        """Keys first: what is ignored tells nothing about wildcards."""
        for trial in TRIED:
            if trial.level is Level.STUDY or self._learnt.study:
                yield from self._tried(trial)
        yield from self._inquiry.safely("wildcards", self._wildcards)
        yield from self._inquiry.safely("cap", self._cap)

    # --- keys

    def _key(self, trial: Trial) -> Iterator[Finding]:
        """A value that nothing has: an answer to it shows that the key is not looked at."""
        base = self._base(trial)
        nobody = self._inquiry.question(trial.level, {**base, trial.keyword: _impossible(trial)}, limit=2)
        if nobody.answers:
            yield self._told(trial, "ignored")
            return
        own = self._own(trial)
        if not usable(own):
            yield self._told(trial, "refused" if nobody.refused else "matched")
            return
        control = self._inquiry.question(trial.level, {**base, trial.keyword: own}, limit=2)
        if control.refused:
            yield self._told(trial, "refused")
        elif not control.answers:
            text = f"{trial.keyword}: nothing is found, even with a value that the archive itself gave"
            yield self._inquiry.finding(f"keys.{trial.keyword}", Standing.WARNING, text, quirks=trial.quirks("refused"))
        else:
            yield self._told(trial, "contains" if self._contains(trial, base, own) else "matched")

    def _tried(self, trial: Trial) -> Iterator[Finding]:
        """One key. Some archives never answer a query with a certain key (seen: times)."""
        try:
            yield from self._inquiry.safely(f"keys.{trial.keyword}", lambda: self._key(trial))
        except TransferError as err:
            if err.code != "stalled" or not trial.may_stall:
                raise
            yield self._inquiry.finding(
                f"keys.{trial.keyword}",
                Standing.WARNING,
                f"a query with {trial.keyword} is never answered",
                advice=trial.otherwise,
                learnt={f"keys.{trial.keyword}": "refused"},
                quirks=trial.quirks("refused"),
            )

    def _base(self, trial: Trial) -> dict[str, str]:
        if trial.level is not Level.STUDY:
            return {"StudyInstanceUID": self._learnt.study["StudyInstanceUID"]}
        return {"StudyDate": self._learnt.window}

    def _own(self, trial: Trial) -> str:
        """A value that the archive has."""
        known = self._learnt.series if trial.level is Level.SERIES else self._learnt.study
        return known.get(trial.keyword, "").split("\\")[0]

    def _contains(self, trial: Trial, base: Mapping[str, str], own: str) -> bool:
        if trial.keyword not in CONTAINABLE or len(own) < 3:
            return False
        part = own[:-1]
        reply = self._inquiry.question(trial.level, {**base, trial.keyword: part}, limit=5)
        return any(part in one.get(trial.keyword, "") and one[trial.keyword] != part for one in reply.answers)

    def _told(self, trial: Trial, use: str) -> Finding:
        self._learnt.uses[trial.keyword] = use
        text = {
            "matched": f"{trial.keyword} is matched",
            "ignored": f"{trial.keyword} is ignored: a value that nothing has gets answers",
            "refused": f"a query with {trial.keyword} is refused",
            "contains": f"{trial.keyword} matches every value that contains it",
        }[use]
        matched = use == "matched"
        advice = "" if matched else trial.otherwise
        return self._inquiry.finding(
            f"keys.{trial.keyword}",
            Standing.OK if matched else Standing.WARNING,
            text,
            advice=advice,
            learnt={f"keys.{trial.keyword}": use},
            quirks=trial.quirks(use),
        )

    def _wildcards(self) -> Iterator[Finding]:
        """A value with its last character replaced by ``*``."""
        keyword = next((key for key in CONTAINABLE if self._learnt.uses.get(key) == "matched" and self._long(key)), "")
        if not keyword:
            return
        start = self._learnt.study[keyword][:-1]
        reply = self._inquiry.question(Level.STUDY, {"StudyDate": self._learnt.window, keyword: f"{start}*"}, limit=5)
        works = any(one.get(keyword, "").startswith(start) for one in reply.answers)
        yield self._inquiry.finding(
            "wildcards",
            Standing.OK if works else Standing.WARNING,
            f"wildcards match in {keyword}" if works else f"wildcards do not match in {keyword}",
            advice="" if works else "write values out in full in --match",
            learnt={"wildcards": works},
            quirks={"wildcards": works},
        )
        uid = self._learnt.study["StudyInstanceUID"]
        dates = self._inquiry.question(Level.STUDY, {"StudyInstanceUID": uid, "StudyDate": "*"}, limit=1)
        text = (
            "a * in a date matches every date"
            if dates.answers
            else "a * in a date finds nothing or is refused; pacsferry never sends it"
        )
        needed = {"wildcards_in_dates": bool(dates.answers)} if self._inquiry.fill else {}
        yield self._inquiry.finding("wildcards.dates", Standing.OK, text, quirks=needed)

    def _long(self, keyword: str) -> bool:
        value = self._learnt.study.get(keyword, "")
        return len(value) >= 3 and usable(value)

    # --- caps

    def _cap(self) -> Iterator[Finding]:
        """Whether answers are cut off: the halves of a range must not have more than the whole."""
        count = len(self._learnt.studies)
        if self._learnt.cut:
            text = f"no cap on answers up to {LIMIT - 1}"
            yield self._inquiry.finding("cap", Standing.OK, text)
            return
        if not self._learnt.window or count < 2:
            return
        more = self._beyond()
        if more is None:
            return
        if not more:
            yield self._inquiry.finding("cap", Standing.OK, f"no cap on answers seen ({count} studies)")
            return
        told = "and the archive says so" if self._learnt.announced else "and the archive does not say so"
        yield self._inquiry.finding(
            "cap",
            Standing.WARNING,
            f"answers end at {count}, {told}; pacsferry splits such queries by date",
            learnt={"cap": count, "cap_told": self._learnt.announced},
            quirks={"result_limit": count},
        )

    def _beyond(self) -> bool | None:
        """Whether there are studies that the widest answer left out; None where that cannot be told."""
        days = sorted(filter(None, (day_of(one.get("StudyDate", "")) for one in self._learnt.studies)))
        known = {one["StudyInstanceUID"] for one in self._learnt.studies if one.get("StudyInstanceUID")}
        if not days or not known:
            return None
        if days[0] == days[-1]:
            return count_is_round(len(known)) and self._hidden(days[0], len(known))
        first, _, last = self._learnt.window.partition("-")
        middle = min(days[(len(days) - 1) // 2], days[-1] - timedelta(days=1))
        halves = (f"{first}-{middle:%Y%m%d}", f"{middle + timedelta(days=1):%Y%m%d}-{last}")
        found = [
            one
            for part in halves
            for one in self._inquiry.question(Level.STUDY, {"StudyDate": part}, limit=LIMIT).answers
        ]
        return bool({one.get("StudyInstanceUID", "") for one in found} - known - {""})

    def _of(self, days: str, limit: int = LIMIT) -> tuple[Mapping[str, str], ...]:
        """The studies of a date range, as far as they are given."""
        return self._inquiry.question(Level.STUDY, {"StudyDate": days}, limit=limit).answers

    def _hidden(self, day: date, count: int) -> bool:
        """Studies of one day cannot be split; but with one of another day the same range must have more answers."""
        for span in (*SPANS, 36_600):
            start = self._inquiry.today - timedelta(days=span)
            if start >= day:
                continue
            before = self._of(f"{start:%Y%m%d}-{day - timedelta(days=1):%Y%m%d}", limit=1)
            older = day_of(before[0].get("StudyDate", "")) if before else None
            if older is not None:
                wide = self._of(f"{older:%Y%m%d}-{self._inquiry.today:%Y%m%d}")
                return len(distinct(wide, "StudyInstanceUID")) <= count
        return False


def _impossible(trial: Trial) -> str:
    """A value that nothing has; UIDs are new ones each time."""
    return trial.nobody or f"2.25.{uuid.uuid4().int}"
