"""Orders for misbehaviour, and those that a simulator is to show now; what there is to order stands in ``kinds``.

A fault is ordered by name with parameters, in Python or as text: ``Fault("drop", nth=2)`` or ``"drop:nth=2,times=1"``.
"""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pacsferry.core.ports import Misbehaviour

from .kinds import COMMON, FAULTS, VERBS, FaultKind, Value

__all__ = ["COMMON", "FAULTS", "VERBS", "Fault", "FaultKind", "Faults", "Spoiled", "Value"]


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """One order: a fault of the table and its parameters, those not given at their defaults.

    ``times`` counts requests: ``Fault("drop", nth=2, times=1)`` spoils one and then is gone. Raises ``ValueError``
    for an unknown name, parameter or value.
    """

    name: str
    parameters: Mapping[str, Value]
    kind: FaultKind = field(repr=False, compare=False)
    actor: Misbehaviour | None = field(repr=False, compare=False)

    def __init__(self, name: str, /, *, known: Mapping[str, FaultKind] = FAULTS, **parameters: Value) -> None:
        kind = known.get(name)
        if kind is None:
            raise ValueError(f"no fault named {name!r}{_nearest(name, known)}")
        has = {**COMMON, **kind.parameters}
        for key in sorted(parameters.keys() - has.keys()):
            raise ValueError(f"fault {name!r} has no parameter {key!r}{_nearest(key, has)}")
        values = {key: _like(key, parameters.get(key, value), value) for key, value in has.items()}
        if values["verb"] not in ("", *kind.verbs):
            raise ValueError(
                f"fault {name!r} does not touch verb {values['verb']!r}; it touches {', '.join(kind.verbs)}"
            )
        own = {key: values[key] for key in kind.parameters}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "parameters", values)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "actor", kind.build(own) if kind.build else None)

    @classmethod
    def parse(cls, text: str, known: Mapping[str, FaultKind] = FAULTS) -> Fault:
        """From ``name`` or ``name:key=value,key=value``; ``known`` are the kinds to choose from."""
        name, _, rest = text.partition(":")
        pairs = [part.partition("=") for part in rest.split(",") if part]
        if any(not equals or key.strip() == "known" for key, equals, _ in pairs):
            raise ValueError(f"write {name.strip()}:key=value,key=value")
        return cls(name.strip(), known=known, **{key.strip(): value.strip() for key, _, value in pairs})

    @property
    def text(self) -> str:
        """As ``parse`` reads it: what is not at its default."""
        usual = {**COMMON, **self.kind.parameters}
        said = ",".join(f"{key}={value}" for key, value in self.parameters.items() if value != usual[key])
        return f"{self.name}:{said}" if said else self.name

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


def _nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant, or all that there is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


_WORDS: Mapping[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _like(key: str, value: Value, default: Value) -> Value:
    """``value`` in the type of ``default``; text is read as a number where a number is wanted (0x… too)."""
    if not isinstance(value, str) or isinstance(default, str):
        return str(value) if isinstance(default, str) else value
    if isinstance(default, bool):
        if value.lower() not in _WORDS:
            raise ValueError(f"{key}: write yes or no")
        return _WORDS[value.lower()]
    try:
        number = int(value, 0) if isinstance(default, int) else float(value)
    except ValueError:
        raise ValueError(f"{key}: write a number, for example {default}") from None
    if not 0 <= number < math.inf and key != "by":
        raise ValueError(f"{key}: write a number that is not negative")
    return number


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

    def _take_each(self, name: str, verb: str, study: str, level: str) -> list[Fault]:
        taken: list[Fault] = []
        with self._lock:
            for fault, left in self._left:
                if fault.name == name and left[0] and fault.fits(verb, study, level):
                    left[0] -= left[0] > 0
                    taken.append(fault)
        return taken

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
        self._every: dict[str, list[Fault]] = {}

    def take(self, name: str) -> Fault | None:
        """The order of that name if it touches this request, which uses it up by one."""
        if self._taken.get(name) is None:
            self._taken[name] = self._faults._take(name, *self._about)  # noqa: SLF001 - the other half of Faults
        return self._taken[name]

    def actors(self) -> list[Misbehaviour]:
        """The actors of plugins' faults that touch this request; each order is used up by one."""
        names = [fault.name for fault in self._faults.active() if fault.actor]
        return [fault.actor for fault in map(self.take, dict.fromkeys(names)) if fault and fault.actor]

    def each(self, name: str) -> list[Fault]:
        """Every order of that name that touches this request: there may be one per keyword. Each is used up by one."""
        if name not in self._every:
            self._every[name] = self._faults._take_each(name, *self._about)  # noqa: SLF001 - the other half of Faults
        return self._every[name]

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
