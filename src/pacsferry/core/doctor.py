"""Assembles the findings of finders and transports: asks them in turn, politely, and adds up what they learnt.

It opens no connection itself, and passes on no value of a data set: samples stay between the probers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .behaviour import SCHEMA, Behaviour, behaviour
from .errors import FerryError
from .model import Wanted
from .ports import Finding, Prober, Standing
from .probing_sink import advice_of
from .quirks import Quirks

#: Between two findings the archive is left alone for so long.
PAUSE_SECONDS: Final = 0.1
#: Transports in the order in which they work best: no port of ours, as stored, one connection each.
BEST_FIRST: Final = ("wado-rs", "c-get", "c-move")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A finder or transport to ask. ``service`` is its protocol family; ``build`` may raise ``FerryError``."""

    name: str
    service: str
    build: Callable[[], Any]
    retrieves: bool = False


@dataclass(kw_only=True)
class Round:
    """One examination. ``stop`` and ``deadline`` (monotonic seconds) end it; what was learnt by then stays."""

    pause: float = PAUSE_SECONDS
    stop: threading.Event = field(default_factory=threading.Event)
    deadline: float = float("inf")
    findings: list[Finding] = field(default_factory=list)
    serving: dict[str, bool | None] = field(default_factory=dict)
    samples: tuple[Wanted, ...] = field(default=(), repr=False)

    @property
    def over(self) -> bool:
        """Whether no more is to be asked."""
        return self.stop.is_set() or time.monotonic() > self.deadline

    def examine(self, candidate: Candidate, told: Callable[[str], None]) -> None:
        """Ask one prober all that it asks."""
        if self.over:
            self.add(_untried(candidate, "there was no time left"))
            return
        told(f"asking over {candidate.name}")
        if candidate.retrieves:
            self.serving.setdefault(candidate.name, None)
        try:
            tool = candidate.build()
        except FerryError as err:
            self.add(_untried(candidate, str(err), err.hint or ""))
            return
        try:
            for finding in self._asked(candidate, tool):
                self.add(finding)
                if finding.serves is not None and candidate.retrieves:
                    self.serving[candidate.name] = finding.serves
        finally:
            tool.close()

    def add(self, finding: Finding) -> None:
        """Keep a finding."""
        self.findings.append(finding)
        self.samples = self.samples or finding.samples

    def _asked(self, candidate: Candidate, tool: Any) -> Iterator[Finding]:
        """The findings of one prober; what it raises is one more."""
        if not isinstance(tool, Prober):
            yield _untried(candidate, "it cannot probe")
            return
        try:
            for finding in tool.probe(self.samples):
                yield finding
                if self.stop.wait(self.pause) or self.over:
                    yield _untried(candidate, "it was stopped before the end")
                    return
        except FerryError as err:
            text = f"{candidate.name} ended early: {err}"
            advice = advice_of(getattr(err, "code", ""), err.hint or "")
            yield _ended(candidate, text, advice)
        except Exception as err:
            text = f"{candidate.name} broke down ({type(err).__name__})"
            advice = "report it to the plugin's author, without any patient's data"
            yield _ended(candidate, text, advice)

    def transports(self) -> list[str]:
        """Those that brought something, the best first; where there was no sample to try, those not refused."""
        proven = [name for name, served in self.serving.items() if served]
        chosen = proven or [name for name, served in self.serving.items() if served is None]
        return sorted(chosen, key=lambda name: (BEST_FIRST.index(name) if name in BEST_FIRST else -1, name))


def _probe(candidate: Candidate) -> str:
    return f"{candidate.service}.{candidate.name}"


def _ended(candidate: Candidate, text: str, advice: str) -> Finding:
    """A prober that raised. A finder of which that is seen is not one to rely on."""
    serves = None if candidate.retrieves else False
    return Finding(probe=_probe(candidate), status=Standing.FAILED, text=text, advice=advice, serves=serves)


def _untried(candidate: Candidate, why: str, advice: str = "") -> Finding:
    text = f"{candidate.name} was not tried, or not to the end: {why}"
    return Finding(probe=_probe(candidate), status=Standing.UNKNOWN, text=text, advice=advice)


def learnt(findings: Iterable[Finding]) -> Behaviour:
    """All that was learnt, as ``simulate`` replays it. Raises ``ConfigError`` where a finding makes no sense."""
    document: dict[str, Any] = {"schema": SCHEMA, "version": 1, "status": "ok"}
    several = list(findings)
    for finding in several:
        for address, value in finding.behaviour.items():
            _put(document, address.split("."), value)
    document["quirks"] = quirks_of(several)
    return behaviour(document, "what was learnt")


def _put(table: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Lists of plain words add up; everything else is what was said last."""
    *above, last = path
    for part in above:
        table = table.setdefault(part, {})
    table[last] = _joined(table.get(last), value)


def _joined(before: object, value: object) -> object:
    if isinstance(before, list) and isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return [*before, *(one for one in value if one not in before)]
    return list(value) if isinstance(value, tuple) else value


def quirks_of(findings: Iterable[Finding]) -> dict[str, Any]:
    """What the archive needs. A lack that one service shows is the archive's, whatever another one can."""
    found: dict[str, Any] = {}
    for finding in findings:
        for name, value in finding.quirks.items():
            if name in Quirks.model_fields:
                found[name] = _stricter(name, found.get(name), value)
    return found


#: Quirks of which ``True`` is the departure from the standard; of the others ``False`` is.
_ODD_IF_TRUE: Final = frozenset({"requires_study_date", "study_root_only", "universal_star", "one_move_at_a_time"})


def _stricter(name: str, before: object, value: object) -> object:
    if isinstance(before, bool) and isinstance(value, bool):
        return (before or value) if name in _ODD_IF_TRUE else (before and value)
    return _joined(before, value)


def settings_of(findings: Iterable[Finding]) -> dict[str, Any]:
    """Further keys of the profile, by address."""
    return {address: value for finding in findings for address, value in finding.profile.items()}


def signs_of(findings: Iterable[Finding]) -> Mapping[str, str]:
    """What a product may be known by."""
    return {key: value for finding in findings for key, value in finding.signs.items()}
