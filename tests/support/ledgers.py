"""Small plans, outcomes and other processes for tests of the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import (
    InstanceOutcome,
    InstancePlan,
    InstanceState,
    Lease,
    Original,
    Owner,
    SeriesPlan,
    StudyPlan,
)
from pacsferry.core.model import Evidence, Subject

STUDY = "2.25.1"
SERIES = "2.25.20"


def plan(
    count: int = 4,
    *,
    key: str = STUDY,
    series: str = SERIES,
    case_id: str = "case0001",
    evidence: Evidence = Evidence.INSTANCE_UIDS,
    excluded: frozenset[int] = frozenset(),
    barred: str = "",
    accession: str = "ACC-CANARY",
) -> StudyPlan:
    """One series of ``count`` instances; those numbered in ``excluded`` are left out by the plan."""
    listed = evidence is Evidence.INSTANCE_UIDS
    expected = {Evidence.NONE: None}.get(evidence, count)
    instances = tuple(
        InstancePlan(key=instance(n, series), series=series, excluded="select" if n in excluded else "")
        for n in range(count if listed else 0)
    )
    known = evidence in {Evidence.INSTANCE_UIDS, Evidence.SERIES_COUNTS}
    return StudyPlan(
        key=key,
        subject="token",
        case_id=case_id,
        original=Original(
            study_uid=f"1.2.840.99999.{key}", accession=accession, patient_id="PID-CANARY", issuer="ISSUER-CANARY"
        ),
        evidence=evidence,
        announced=expected,
        expected=expected,
        series=(SeriesPlan(key=series, modality="CT", expected=count if known else None, excluded=barred),),
        instances=instances,
    )


def instance(number: int, series: str = SERIES) -> str:
    return f"{series}.{number}"


def outcome(
    number: int,
    state: InstanceState = InstanceState.STORED,
    *,
    series: str = SERIES,
    path: str | None = None,
    code: str = "",
    detail: str = "",
) -> InstanceOutcome:
    """What became of an instance, stored at a path of its own unless said otherwise."""
    stored = state is InstanceState.STORED
    where = path if path is not None else f"case0001/{series}/{number:05d}.dcm"
    return InstanceOutcome(
        key=instance(number, series),
        series=series,
        state=state,
        code=code or ("" if stored else "malformed"),
        detail=detail,
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        path=where if stored else "",
        size=10 if stored else 0,
        sha256="ab" * 32 if stored else "",
        instance_uid=instance(number, series) if stored else "",
        series_uid=series if stored else "",
    )


def held(number: int, code: str = "malformed", **more: str) -> InstanceOutcome:
    return outcome(number, InstanceState.HELD, code=code, **more)  # type: ignore[arg-type]


def excluded(number: int, code: str = "select", **more: str) -> InstanceOutcome:
    return outcome(number, InstanceState.EXCLUDED, code=code, **more)  # type: ignore[arg-type]


def subjects(*tokens: str) -> list[Subject]:
    return [Subject(token=token, patient_id=f"PID-{token}") for token in tokens]


def numbered(new: object, first: int) -> list[str]:
    """The names that ``cases`` gives."""
    return [f"case{first + at:04d}" for at in range(len(new))]  # type: ignore[arg-type]


def leased(ledger: Ledger, key: str = STUDY) -> Lease:
    lease = ledger.lease(key)
    assert lease is not None
    return lease


def somebody_else(pid: int | None = None) -> Owner:
    """Another live process of this host: our parent."""
    from pacsferry.core import processes

    number = os.getppid() if pid is None else pid
    return Owner(boot_id=processes.boot(), pid=number, started=processes.started(number) or 0, host=processes.host())


def python(code: str, *args: str | Path, folder: Path) -> subprocess.Popen[str]:
    """Another Python process with our helpers at hand; it says what it has to say on its standard output."""
    here = Path(__file__).resolve().parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(here)},
    )


def said(process: subprocess.Popen[str]) -> str:
    """What another process said, once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()
