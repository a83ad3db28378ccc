"""De-identify one object and ask every gate; nothing else makes a ``Cleared``, and any doubt holds the object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .errors import HeldError
from .model import Buffer, Draft, Facts, Outcome, Source, Verdict
from .ports import Deidentifier, Gate

#: These run always; a profile can add gates and never remove them.
ALWAYS = ("sop-class", "residual-identifiers")

_MADE_HERE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom the archive's answer named. Identified: goes to a worker in memory and nowhere else."""

    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)

    def is_other(self, draft: Draft) -> bool:
        """Whether the object names another patient. An id that the answer did not give cannot differ."""
        if not self.patient_id:
            return False
        if draft.seen.patient_id.strip(" \0") != self.patient_id.strip(" \0"):
            return True
        issuers = {self.issuer.strip(" \0"), draft.seen.issuer.strip(" \0")} - {""}
        return len(issuers) > 1


@dataclass(frozen=True, slots=True)
class Cleared:
    """Bytes that passed de-identification and every gate, exactly as they will be written."""

    parts: Sequence[Buffer] = field(repr=False)
    facts: Facts
    subject: str
    made: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.made is not _MADE_HERE:
            raise TypeError("only core.clearing.clear makes a Cleared")


def clear(
    source: Source, deidentifier: Deidentifier, gates: Mapping[str, Gate], patient: Patient
) -> tuple[Cleared | None, Verdict, str]:
    """The cleared object (None unless allowed), the verdict, and the keyed token of the object's own patient."""
    try:
        draft = deidentifier.apply(source)
    except HeldError as err:
        return None, Verdict.hold(err.code), ""
    except MemoryError:
        return None, Verdict.hold("worker-limit"), ""
    except Exception as err:
        return None, Verdict.hold("deidentifier-failed", type(err).__name__), ""
    seen = draft.seen
    subject = source.keys.subject(seen.patient_id, seen.issuer, seen.study_uid)
    verdicts = [judged(name, gate, draft) for name, gate in gates.items()]
    if patient.is_other(draft):
        verdicts.insert(0, Verdict.hold("other-patient"))
    verdict = Verdict.strictest(verdicts)
    if verdict.outcome is not Outcome.ALLOW:
        return None, verdict, subject
    return Cleared(draft.parts, draft.facts, subject, _MADE_HERE), verdict, subject


def judged(name: str, gate: Gate, draft: Draft) -> Verdict:
    """What a gate says; one that breaks down holds the object."""
    try:
        return gate.judge(draft)
    except MemoryError:
        return Verdict.hold("worker-limit")
    except Exception as err:
        return Verdict.hold("gate-failed", f"{name}: {type(err).__name__}")
