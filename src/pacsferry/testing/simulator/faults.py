"""The misbehaviours that a simulator knows, as a table, and those that it is told to show now; nothing here acts.

A fault is ordered by name with parameters, in Python or as text: ``Fault("drop", nth=2)`` or ``"drop:nth=2,times=1"``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Value = int | float | str | bool

#: What may be asked of a simulator; the ``verb`` of its log.
VERBS: Final = (
    "associate",
    "c-echo",
    "c-find",
    "c-get",
    "c-move",
    "c-store",
    "qido-rs",
    "wado-rs",
    "wado-rs-metadata",
)

_RETRIEVE: Final = ("c-get", "c-move", "wado-rs")
_DIMSE_RETRIEVE: Final = ("c-get", "c-move")
_WEB: Final = ("qido-rs", "wado-rs", "wado-rs-metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A misbehaviour that can be ordered: its parameters with their defaults, and the verbs that it touches."""

    name: str
    summary: str
    verbs: tuple[str, ...]
    parameters: Mapping[str, Value] = field(default_factory=dict)


#: Parameters that every fault takes: how many requests it spoils (0: all), and which verb and study only.
COMMON: Final[Mapping[str, Value]] = {"times": 0, "verb": "", "study": "", "level": ""}


def _table(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


def _kind(name: str, summary: str, verbs: Iterable[str], **parameters: Value) -> FaultKind:
    return FaultKind(name=name, summary=summary, verbs=tuple(verbs), parameters=parameters)


def _http(code: int, summary: str, **parameters: Value) -> FaultKind:
    return _kind(f"http-{code}", summary, _WEB, code=code, **parameters)


#: Every misbehaviour by name.
FAULTS: Final[Mapping[str, FaultKind]] = _table(
    _kind(
        "drop", "does not send the nth instance, and counts it as failed or not at all", _RETRIEVE, nth=1, told=False
    ),
    _kind("nothing", "says success and sends nothing; counters are zero, or claim all", _RETRIEVE, claim=False),
    _kind("cannot-perform", "refuses with 0xA702: unable to perform sub-operations", _DIMSE_RETRIEVE, status=0xA702),
    _kind("out-of-resources", "refuses with 0xA701: unable to count matches", _DIMSE_RETRIEVE, status=0xA701),
    _kind("destination-unknown", "refuses with 0xA801: the move destination is unknown", ("c-move",), status=0xA801),
    _kind("identifier-mismatch", "refuses with 0xA900: keys do not match the level", _DIMSE_RETRIEVE, status=0xA900),
    _kind("unable-to-process", "refuses with 0xC000 or another status", _DIMSE_RETRIEVE, status=0xC000),
    _kind("cancelled", "ends with 0xFE00 before the nth instance", _DIMSE_RETRIEVE, nth=2),
    _kind(
        "find-fails", "answers a query with failure 0xC001, after so many answers", ("c-find",), status=0xC001, after=0
    ),
    _kind("find-empty", "answers a query with success and no match", ("c-find", "qido-rs")),
    _kind("find-cap", "answers with so many matches and says nothing of the rest", ("c-find", "qido-rs"), limit=10),
    _kind("find-lacks", "leaves a keyword out of its answers", ("c-find", "qido-rs"), keyword="SOPClassUID"),
    _kind("find-twice", "repeats every answer", ("c-find", "qido-rs")),
    _kind("find-stranger", "answers with a study that does not match", ("c-find", "qido-rs")),
    _kind("late", "C-MOVE says success first and sends the images so many seconds later", ("c-move",), seconds=1.0),
    _kind("no-pending", "sends no pending responses", _DIMSE_RETRIEVE),
    _kind("silence", "goes silent in the nth instance and keeps the connection", _RETRIEVE, nth=1, after=0),
    _kind(
        "abort",
        "aborts at the nth instance: A-ABORT, or the HTTP connection ends in the middle of it",
        _RETRIEVE,
        nth=1,
    ),
    _kind("reset", "resets the TCP connection in the nth instance", _RETRIEVE, nth=1, after=0),
    _kind("slow", "sends so many bytes per second", _RETRIEVE, rate=300_000),
    _kind("pause", "sends nothing for so many seconds before the nth instance", _RETRIEVE, nth=2, seconds=1.0),
    _kind("duplicate", "sends the nth instance twice (0: each)", _RETRIEVE, nth=0),
    _kind(
        "stranger",
        "sends an object of another study instead of the nth, or besides it",
        _RETRIEVE,
        nth=1,
        instead=False,
    ),
    _kind("other-patient", "sends the nth instance under another patient (0: every second one)", _RETRIEVE, nth=0),
    _kind("wrong-uid", "sends the nth instance with another SOP Instance UID inside", _RETRIEVE, nth=1),
    _kind("truncated-object", "sends only the first half of the nth object, well framed", _RETRIEVE, nth=1),
    _kind("no-storage", "accepts no storage context", ("associate",)),
    _kind("reject", "rejects associations", ("associate",)),
    _kind(
        "cut",
        "ends the multipart answer in the nth part, or after it, without an error",
        ("wado-rs",),
        nth=1,
        at="middle",
    ),
    _http(503, "is overloaded", retry_after="1"),
    _http(429, "asks to slow down", retry_after="1"),
    _http(500, "fails"),
    _http(401, "wants credentials"),
    _http(403, "forbids"),
    _http(404, "has nothing there"),
    _http(406, "has no acceptable representation"),
    _kind("http-400", "knows no includefield", ("qido-rs",), code=400),
    _kind("http-204", "answers that there is no content", ("wado-rs", "qido-rs"), code=204),
    _kind("http-206", "sends the first half with 206 Partial Content", ("wado-rs",)),
    _kind("no-star", "refuses transfer-syntax=* with 406", ("wado-rs",)),
    _kind("single-part", "answers with one bare object instead of multipart", ("wado-rs",)),
    _kind("login-page", "answers with a web page and status 200", _WEB),
    _kind("redirect", "redirects to another address", _WEB, to="http://127.0.0.1:9/"),
    _kind("bad-json", "answers with broken JSON", ("qido-rs", "wado-rs-metadata")),
    _kind("warning-299", "announces a truncated result by header", ("qido-rs",)),
)


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """One order: a fault of the table and its parameters, those not given at their defaults.

    ``times`` counts requests: ``Fault("drop", nth=2, times=1)`` spoils one and then is gone. Raises ``ValueError``
    for an unknown name, parameter or value.
    """

    name: str
    parameters: Mapping[str, Value]

    def __init__(self, name: str, **parameters: Value) -> None:
        kind = FAULTS.get(name)
        if kind is None:
            raise ValueError(f"no fault named {name!r}; known: {', '.join(FAULTS)}")
        known = {**COMMON, **kind.parameters}
        unknown = sorted(parameters.keys() - known.keys())
        if unknown:
            raise ValueError(f"fault {name!r} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
        object.__setattr__(self, "name", name)
        object.__setattr__(
            self, "parameters", {key: _like(parameters.get(key, value), value) for key, value in known.items()}
        )

    @classmethod
    def parse(cls, text: str) -> Fault:
        """From ``name`` or ``name:key=value,key=value``."""
        name, _, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",") if part]
        if any(not equals for _, equals, _ in pairs):
            raise ValueError(f"write {name}:key=value,key=value")
        return cls(name.strip(), **{key.strip(): value.strip() for key, _, value in pairs})

    @property
    def kind(self) -> FaultKind:
        """What the table says of it."""
        return FAULTS[self.name]

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[parameter]

    def fits(self, verb: str, study: str, level: str) -> bool:
        """Whether it touches such a request."""
        return (
            verb in self.kind.verbs
            and self["verb"] in ("", verb)
            and (not self["study"] or self["study"] == study)
            and (not self["level"] or str(self["level"]).upper() == level.upper())
        )


def _like(value: Value, default: Value) -> Value:
    """``value`` in the type of ``default``; text is read as a number where a number is wanted (0x… too)."""
    if not isinstance(value, str) or isinstance(default, str):
        return str(value) if isinstance(default, str) else value
    if isinstance(default, bool):
        return value.lower() in ("1", "true", "yes")
    return int(value, 0) if isinstance(default, int) else float(value)


class Faults:
    """The faults ordered now. Thread-safe; they may change while the simulator runs."""

    def __init__(self, orders: Iterable[Fault | str] = ()) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, list[int]]] = []
        self.add(*orders)

    def add(self, *orders: Fault | str) -> None:
        """Order more; text is parsed by ``Fault.parse``."""
        faults = [Fault.parse(one) if isinstance(one, str) else one for one in orders]
        with self._lock:
            self._left += [(fault, [int(fault["times"]) or -1]) for fault in faults]

    def clear(self, name: str | None = None) -> None:
        """Behave again, altogether or as to the fault of that name."""
        with self._lock:
            self._left = [(fault, left) for fault, left in self._left if name and fault.name != name]

    def active(self) -> list[Fault]:
        """What is still to be shown."""
        with self._lock:
            return [fault for fault, left in self._left if left[0]]

    def for_request(self, verb: str, study: str = "", level: str = "") -> Spoiled:
        """The view of one request on the orders."""
        return Spoiled(self, verb, study, level)

    def _take(self, name: str, verb: str, study: str, level: str) -> Fault | None:
        with self._lock:
            for fault, left in self._left:
                if fault.name == name and left[0] and fault.fits(verb, study, level):
                    left[0] -= left[0] > 0
                    return fault
        return None


class Spoiled:
    """What one request is to suffer; a fault that acts several times in one request is used up once."""

    def __init__(self, faults: Faults, verb: str, study: str, level: str) -> None:
        self._faults, self._about = faults, (verb, study, level)
        self._taken: dict[str, Fault | None] = {}

    def take(self, name: str) -> Fault | None:
        """The order of that name if it touches this request, which uses it up by one."""
        if self._taken.get(name) is None:
            self._taken[name] = self._faults._take(name, *self._about)  # noqa: SLF001 - the other half of Faults
        return self._taken[name]

    def any_of(self, names: Iterable[str]) -> Fault | None:
        """The first order among ``names`` that touches this request."""
        return next((fault for fault in map(self.take, names) if fault), None)

    def at(self, name: str, number: int) -> Fault | None:
        """The order of that name if it is for instance ``number`` (1, 2, …; an order for 0 is for each)."""
        for fault in self._faults.active() if self._taken.get(name) is None else ():
            if fault.name == name and fault.fits(*self._about) and fault["nth"] in (0, number):
                return self.take(name)
        taken = self._taken.get(name)
        return taken if taken and taken["nth"] in (0, number) else None
