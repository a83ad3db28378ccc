# ruff: noqa: INP001 - a script, no package
"""Measures commands on a project with 10,000 studies and a million instances, and what recording costs as it grows.

    python tools/bench_ledger.py [--studies 10000] [--instances 100] [--runs 5] [--json FILE]

The ledger is filled by SQL, as a million retrievals would take hours; one study of it is incomplete, so that `resume`
has something to do at an embedded archive. ``start`` is until a command first asks the archive.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools")]

import bench_watch  # noqa: E402

from pacsferry.core.ledger import Ledger  # noqa: E402
from pacsferry.core.ledger_model import (  # noqa: E402
    InstanceOutcome,
    InstanceState,
    Original,
    SeriesPlan,
    StudyPlan,
)
from pacsferry.core.model import Evidence  # noqa: E402
from pacsferry.testing.samples import ct_study  # noqa: E402
from pacsferry.testing.simulator import Simulator  # noqa: E402

PROGRAM = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]
#: Seconds that `status`, `plan` and `resume` may take to start.
TARGET = 2.0
_BATCH = 64


def measure(folder: Path, *, studies: int, instances: int, runs: int) -> dict[str, Any]:
    """Seconds by command, and microseconds per instance recorded into an empty and into the full ledger."""
    with Simulator(ct_study(slices=4, rows=16, columns=16, accession="BENCH0001")) as archive:
        (folder / "site.toml").write_text(
            'extends = "research-base"\n[archive.dicomweb]\n'
            f'url = "{archive.dicomweb_url}"\n[[transport]]\nuse = "wado-rs"\n'
        )
        (folder / "site.toml").chmod(0o600)
        env = {"PACSFERRY_STATE": str(folder / "state")}
        archive.faults.add("drop:nth=2,times=1")
        # What is left of this study is what `resume` finds to do.
        _run(folder, env, ["load", "p", "BENCH0001", "-s", "site.toml"], fine=(0, 5))
        ledger = folder / "private" / "p" / "ledger.db"
        empty = _recording(ledger, runs)
        _fill(ledger, studies, instances)
        found = {
            "status": [_run(folder, env, ["status", "p"], fine=(0, 5))[0] for _ in range(runs)],
            "status of one accession": [
                _run(folder, env, ["status", "p", "BENCH0001"], fine=(0, 5))[0] for _ in range(runs)
            ],
            "plan, start": [_run(folder, env, ["plan", "p", "BENCH0001"], fine=(0, 5))[1] for _ in range(runs)],
            "plan": [_run(folder, env, ["plan", "p", "BENCH0001"], fine=(0, 5))[0] for _ in range(runs)],
        }
        archive.faults.add("drop:nth=1")
        resumed = [_run(folder, env, ["resume", "p"], fine=(0, 5)) for _ in range(runs)]
        found |= {"resume, start": [start for _, start in resumed], "resume": [whole for whole, _ in resumed]}
        full = _recording(ledger, runs)
    return {
        "studies": studies,
        "instances": studies * instances,
        "seconds": {name: median(times) for name, times in found.items()},
        "microseconds_per_instance": {"empty": empty, "full": full, "ratio": full / empty},
        "ledger_bytes": ledger.stat().st_size,
    }


def _run(
    folder: Path, env: Mapping[str, str], words: list[str], *, fine: tuple[int, ...] = (0,)
) -> tuple[float, float]:
    """Seconds of the whole command, and until its first event (the whole where it tells none)."""
    events = ["--events"] if words[0] in {"load", "plan", "resume"} else []
    done = bench_watch.run([*PROGRAM, *words, *events, "--json"], cwd=folder, env=env)
    if done.code not in fine:
        raise SystemExit(f"{words[0]}: exit code {done.code}\n{done.err[-3000:]}")
    times = [
        datetime.fromisoformat(json.loads(line)["time"]).timestamp()
        for line in done.err.splitlines()
        if line.startswith("{")
    ]
    return done.seconds, (times[0] - done.began if times else done.seconds)


def _fill(path: Path, studies: int, instances: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        first = int(db.execute("SELECT max(id) FROM study").fetchone()[0]) + 1
        db.executemany(
            "INSERT INTO subject (token, number, case_id) VALUES (?, ?, ?)",
            ((f"{n:032x}", n + 1000, f"case{n + 1000:06d}") for n in range(studies)),
        )
        db.executemany(
            "INSERT INTO study (id, key, subject, case_id, evidence, announced, expected, status, stored, series_count,"
            " study_uid, study_date, modality, path) VALUES (?, ?, ?, ?, 'instance-uids', ?, ?, 'ok', ?, 2, ?,"
            " '20240101', 'CT', ?)",
            (
                (
                    first + n,
                    f"2.25.{n}",
                    f"{n:032x}",
                    f"case{n + 1000:06d}",
                    *[instances] * 3,
                    f"2.25.{n}",
                    f"case{n:06d}/s",
                )
                for n in range(studies)
            ),
        )
        db.executemany(
            "INSERT INTO linkage (kind, key, case_id, patient_id, accession, study_uid)"
            " VALUES ('study', ?, ?, ?, ?, ?)",
            ((f"2.25.{n}", f"case{n + 1000:06d}", f"P{n}", f"A{n}", f"1.2.{n}") for n in range(studies)),
        )
        db.executemany(
            "INSERT INTO series (study_id, key, modality, expected, stored) VALUES (?, ?, 'CT', ?, ?)",
            ((first + n, f"2.25.{n}.{s}", *[instances // 2] * 2) for n in range(studies) for s in (1, 2)),
        )
        db.executemany(
            "INSERT INTO instance"
            " (study_id, key, series, sop_class, state, path, size, sha256, instance_uid, series_uid)"
            " VALUES (?, ?, ?, '1.2.840.10008.5.1.4.1.1.2', 'stored', ?, 526000, ?, ?, ?)",
            _instances(first, studies, instances),
        )
        db.commit()


def _instances(first: int, studies: int, instances: int) -> Iterator[tuple[object, ...]]:
    for n in range(studies):
        for i in range(instances):
            series, uid = f"2.25.{n}.{1 + i % 2}", f"2.25.{n}.{i}.7"
            yield first + n, uid, series, f"case{n:06d}/s/{i:05d}.dcm", f"{n * instances + i:064x}", uid, series


def _recording(path: Path, runs: int) -> float:
    """Microseconds per instance of a batch of ``_BATCH`` that is recorded as stored."""
    times = []
    with Ledger.open(path, create=False) as ledger:
        run = ledger.start_run("bench")
        for number in range(runs):
            mark = f"{time.time_ns()}.{number}"
            lease = _leased(ledger, run, mark)
            outcomes = [_outcome(mark, i) for i in range(_BATCH)]
            began = time.perf_counter()
            ledger.record(run, lease, outcomes)
            times.append((time.perf_counter() - began) / _BATCH * 1e6)
            ledger.release(lease)
        ledger.end_run(run, "ok", {})
    return median(times)


def _leased(ledger: Ledger, run: str, mark: str) -> Any:
    key = f"2.25.{mark}"
    plan = StudyPlan(
        key=key,
        subject="bench",
        case_id="case9",
        original=Original(study_uid=f"1.2.{mark}"),
        evidence=Evidence.SERIES_COUNTS,
        announced=_BATCH,
        expected=_BATCH,
        series=(SeriesPlan(key=f"{key}.1", modality="CT", expected=_BATCH),),
        instances=(),
    )
    ledger.introduce(run, key, "bench", "case9", plan.original)
    lease = ledger.lease(key)
    ledger.expect(run, plan)
    return lease


def _outcome(mark: str, number: int) -> InstanceOutcome:
    uid = f"2.25.{mark}.{number}"
    return InstanceOutcome(
        key=uid,
        series=f"2.25.{mark}.1",
        state=InstanceState.STORED,
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        path=f"bench/{mark}/{number}.dcm",
        size=526000,
        sha256=f"{number:064x}",
        instance_uid=uid,
        series_uid=f"2.25.{mark}.1",
    )


def report(found: Mapping[str, Any]) -> str:
    """The table."""
    lines = [
        f"{found['studies']:,} studies, {found['instances']:,} instances, {found['ledger_bytes'] / 1e6:.0f} MB",
        "",
    ]
    for name, seconds in found["seconds"].items():
        target = f"  (target {TARGET:g})" if name.endswith("start") or name == "status" else ""
        lines.append(f"{name:<28}{seconds:>6.2f} s{target}")
    cost = found["microseconds_per_instance"]
    lines += [
        "",
        f"recording an instance: {cost['empty']:.0f} us into an empty ledger, {cost['full']:.0f} us into this one",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--instances", type=int, default=100, help="per study")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsferry-bench-") as name:
        found = measure(Path(name), studies=given.studies, instances=given.instances, runs=given.runs)
    sys.stdout.write(report(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
