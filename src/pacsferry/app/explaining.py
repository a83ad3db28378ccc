"""What is done to the data: in sentences, per element, as a conformance statement, and to one file; writes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacsferry.core.clearing import judged
from pacsferry.core.errors import ConfigError, HeldError
from pacsferry.core.model import Framing, Head, Outcome, Source, Verdict
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.reasons import reason

from .opening import plugins, rules_site, wired
from .shifts import mapped
from .wiring import part

#: As for a released object: how the rules treat it does not depend on the name.
_PSEUDONYM = "case0001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one gate says: ``allow``, ``exclude`` or ``hold``, and why."""

    gate: str
    outcome: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """``elements`` as the anonymization profile tells them (``plugins.deid.explain.Told``)."""

    elements: tuple[Any, ...]
    gates: tuple[Judged, ...]
    digest: str

    @property
    def held(self) -> bool:
        """Whether a gate would keep it from being written."""
        return any(one.outcome == "hold" for one in self.gates)


def explain(path: Path, name: str | None, sets: Sequence[str] = (), *, preset: str | None = None) -> Explained:
    """Clean a file in memory and compare. Raises ``HeldError`` where rules hold it, ``ConfigError`` for no DICOM.

    UIDs, shift and pseudonym come from a secret that is made for this once and thrown away.
    """
    data = _read(path)
    resolved = rules_site(name, sets, preset)
    chosen = wired(resolved).chosen
    if not hasattr(chosen.deidentifier, "explain"):
        raise ConfigError("this anonymization profile cannot explain", hint="`pacsferry describe` says what it does")
    keys = ProjectKeys(secrets.token_bytes(32))
    shifts = mapped(chosen.deidentifier, resolved, keys)
    source = Source(head=Head(framing=Framing.PART_10), data=data, pseudonym=_PSEUDONYM, keys=keys, shifts=shifts)
    try:
        draft, elements = chosen.deidentifier.explain(source)
    except HeldError as err:
        why = reason(err.code)
        raise HeldError(f"the rules would hold it ({err.code}): {err}", code=err.code, hint=why.advice) from None
    return Explained(elements=elements, gates=_gates(chosen.gates, draft), digest=chosen.deidentifier.digest)


def _read(path: Path) -> memoryview:
    """A DICOM file (PS3.10 7.1), also one whose preamble was lost. Raises ``ConfigError``."""
    try:
        data = memoryview(path.read_bytes())
    except OSError as err:
        raise ConfigError(f"the file cannot be read: {err.strerror}", hint="name one DICOM file") from None
    if bytes(data[128:132]) != b"DICM" and bytes(data[:2]) != b"\x02\x00":
        raise ConfigError("this is no DICOM file", hint="name one DICOM file (PS3.10)")
    return data


def _gates(gates: Mapping[str, Any], draft: Any) -> tuple[Judged, ...]:
    return tuple(_told(name, judged(name, gate, draft)) for name, gate in gates.items())


def _told(name: str, verdict: Verdict) -> Judged:
    outcome = {Outcome.ALLOW: "allow", Outcome.EXCLUDE: "exclude", Outcome.HOLD: "hold"}[verdict.outcome]
    return Judged(gate=name, outcome=outcome, code=verdict.code, detail=verdict.detail)


def describe(name: str | None, sets: Sequence[str] = (), *, preset: str | None = None) -> tuple[str, ...]:
    """What will be done to the data, in sentences; of the preset, of the profile, else of the Basic profile."""
    return tuple(_deidentifier(name, sets, preset).describe())


def describe_table(name: str | None, sets: Sequence[str] = (), *, preset: str | None = None) -> tuple[Any, ...]:
    """Every rule, where the anonymization profile can list them. Raises ``ConfigError``."""
    deidentifier = _deidentifier(name, sets, preset)
    if not hasattr(deidentifier, "table"):
        raise ConfigError("this anonymization profile has no table", hint="leave --table out")
    return tuple(deidentifier.table())


def conformance(name: str | None, sets: Sequence[str] = (), *, preset: str | None = None) -> str:
    """The conformance statement of PS3.15 in Markdown, where the profile can give one. Raises ``ConfigError``."""
    deidentifier = _deidentifier(name, sets, preset)
    if not hasattr(deidentifier, "conformance"):
        raise ConfigError("this anonymization profile has no conformance statement", hint="leave --conformance out")
    statement: str = deidentifier.conformance(preset or rules_site(name, sets).name)
    return statement


def _deidentifier(name: str | None, sets: Sequence[str], preset: str | None) -> Any:
    resolved = rules_site(name, sets, preset)
    return part(plugins(), "anonymization profile", resolved.profile.deidentify, "deidentify").build()
