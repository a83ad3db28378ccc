# ruff: noqa: INP001 - beside a script, no package
"""Measures ``pacsferry deidentify`` against ``gdcmanon``, ``dicognito`` and a plain copy, on one folder of CT images.

    python tools/bench_deidentify.py [--count 500] [--runs 5] [--rest 0] [--json FILE]

Runs alternate, figures are medians. ``steady`` is from the first study begun to the last one recorded; the folder is
looked through before that (``look``). With ``sync`` every file is durable before it counts as stored, and the copy
syncs each file too; ``gdcmanon`` and ``dicognito`` never do. Files of earlier runs are emptied and stay until the end:
for minutes ext4 goes round the numbers of files that were removed, which makes files that come next up to ten times as
dear, whoever writes them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools")]

import bench_watch  # noqa: E402

from pacsferry import clearer  # noqa: E402
from pacsferry.core import registry  # noqa: E402
from pacsferry.core.model import Framing, Head, Source  # noqa: E402
from pacsferry.core.pseudonyms import ProjectKeys  # noqa: E402
from pacsferry.testing.samples import ct_study, part10  # noqa: E402

_GATES = [["sop-class", {}], ["residual-identifiers", {}]]
PROGRAM = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Seconds: of the whole command, until the first study began, and from there to the last one's end."""

    whole: float
    look: float
    steady: float
    cpu: float


def bench_deidentify(
    folder: Path, *, count: int = 500, runs: int = 5, rest: float = 0.0, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure all of it below ``folder``; files per second by name, and the ratios that matter."""
    source = folder / "in"
    source.mkdir()
    for number, ds in enumerate(ct_study(slices=count)):
        (source / f"{number:05d}.dcm").write_bytes(part10(ds))
    ours: dict[str, list[Timed]] = {}
    others: dict[str, list[float]] = {}
    peers = _peers(source, say)
    for number in range(runs + 1):
        say(f"round {number} of {runs}" + ("" if number else ", which warms up and does not count"))
        for name, peer in peers.items():
            seconds = peer(_fresh(folder, rest))
            others.setdefault(name, []).extend([seconds] if number else [])
        for workers, sync in ((1, False), (1, True), (2, False), (2, True)):
            timed = _ours(source, _fresh(folder, rest), workers=workers, sync=sync, count=count)
            ours.setdefault(_name(workers, sync=sync), []).extend([timed] if number else [])
    return _document(ours, others, count) | {"microseconds": _parts(source)}


def _peers(source: Path, say: Callable[[str], None]) -> dict[str, Callable[[Path], float]]:
    """What there is to be measured against, by name."""
    peers = {
        "copy": lambda folder: _copy(source, folder, sync=False),
        "copy, sync": lambda folder: _copy(source, folder, sync=True),
    }
    if shutil.which("gdcmanon"):
        peers["gdcmanon"] = lambda folder: _gdcmanon(source, folder)
    else:
        say("gdcmanon is not installed (Debian package libgdcm-tools)")
    if importlib.util.find_spec("dicognito"):
        peers["dicognito"] = lambda folder: _dicognito(source, folder)
    else:
        say("dicognito is not installed (pip install 'pacsferry[bench]')")
    return peers


def _fresh(folder: Path, rest: float) -> Path:
    """A folder for a run. What earlier ones wrote takes no memory any more, and nothing is still to be written."""
    earlier = sorted(path for path in folder.iterdir() if path.name.startswith("run"))
    for path in earlier[-1:]:
        for file in path.rglob("*.dcm"):
            os.truncate(file, 0)
    target = folder / f"run{len(earlier):04d}"
    target.mkdir()
    os.sync()
    time.sleep(rest)
    return target


def _parts(source: Path) -> dict[str, float]:
    """Microseconds of processor time per image in this process, in memory: the rules, and the gates."""
    plugins = registry.load()
    chosen = clearer.build(plugins, {"deidentify": ["ps3.15", {}], "gates": _GATES, "layout": ["cases", {}]})
    keys = ProjectKeys(bytes(32))
    sources = [
        Source(
            head=Head(framing=Framing.PART_10),
            data=memoryview(path.read_bytes()),
            pseudonym="case0001",
            keys=keys,
        )
        for path in sorted(source.iterdir())[:100]
    ]
    drafts = [chosen.deidentifier.apply(one) for one in sources]  # warms up
    found = {"header": min(_microseconds(chosen.deidentifier.apply, sources) for _ in range(5))}
    for name, gate in chosen.gates.items():
        found[f"gate {name}"] = min(_microseconds(gate.judge, drafts) for _ in range(5))
    return found


def _microseconds(work: Callable[[Any], object], on: Sequence[Any]) -> float:
    began = time.process_time()
    for one in on:
        work(one)
    return (time.process_time() - began) / len(on) * 1e6


def _name(workers: int, *, sync: bool) -> str:
    return f"deidentify, {workers} worker{'s' if workers > 1 else ''}{', sync' if sync else ''}"


def _document(ours: Mapping[str, list[Timed]], others: Mapping[str, list[float]], count: int) -> dict[str, Any]:
    rates = {name: count / median(times) for name, times in others.items()}
    rates |= {name: count / median(one.steady for one in timed) for name, timed in ours.items()}
    rates |= {f"{name}, whole": count / median(one.whole for one in timed) for name, timed in ours.items()}
    one, two = _name(1, sync=False), _name(2, sync=False)
    one_sync, two_sync = _name(1, sync=True), _name(2, sync=True)
    pairs = {
        "dicognito": (one, "dicognito"),
        "dicognito, whole": (f"{one}, whole", "dicognito"),
        "gdcmanon": (one, "gdcmanon"),
        "gdcmanon, whole": (f"{one}, whole", "gdcmanon"),
        "copy": (one, "copy"),
        "copy, whole": (f"{one}, whole", "copy"),
        "copy, sync": (one_sync, "copy, sync"),
        "two workers": (two, one),
        "two workers, sync": (two_sync, one_sync),
    }
    return {
        "images": count,
        "files_per_second": rates,
        "ratios": {name: rates[a] / rates[b] for name, (a, b) in pairs.items() if b in rates},
        "deidentify": {name: [asdict(each) for each in timed] for name, timed in ours.items()},
        "others": dict(others),
        "cpus": os.cpu_count(),
    }


def _ours(source: Path, folder: Path, *, workers: int, sync: bool, count: int) -> Timed:
    words = ["deidentify", source, folder / "out", "--project", "p", "--private", folder / "private"]
    words += ["--workers", workers, "--events", *([] if sync else ["--no-sync"])]
    env = {"PACSFERRY_STATE": str(folder / "state")}
    done = bench_watch.run([*PROGRAM, *map(str, words)], cwd=folder, env=env)
    stored = sum(1 for _ in (folder / "out").rglob("*.dcm"))
    if done.code or stored != count:
        raise SystemExit(f"deidentify: exit code {done.code}, {stored} of {count}\n{done.err[-3000:]}")
    seen: dict[str, float] = {}
    for line in done.err.splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            seen.setdefault(event["event"], datetime.fromisoformat(event["time"]).timestamp() - done.began)
    started, ended = seen["study-started"], seen["study-done"]
    return Timed(whole=done.seconds, look=started, steady=ended - started, cpu=done.cpu)


def _gdcmanon(source: Path, folder: Path) -> float:
    """Its mode without encryption, with one rule; it rewrites each file and never syncs."""
    command = ["gdcmanon", "--dumb", "--empty", "10,10", "--remove", "8,80", "-i", str(source), "-o", str(folder)]
    return _timed(command, folder)


def _dicognito(source: Path, folder: Path) -> float:
    call = "import sys; from dicognito.__main__ import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", call, "--quiet", "-o", str(folder), str(source)]
    return _timed(command, folder)


def _timed(command: Sequence[str], folder: Path) -> float:
    done = bench_watch.run(command, cwd=folder)
    if done.code or not any(folder.rglob("*.dcm")):
        raise SystemExit(f"{command[0]} failed ({done.code})\n{done.err[-3000:]}")
    return done.seconds


def _copy(source: Path, folder: Path, *, sync: bool) -> float:
    began = time.perf_counter()
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, folder / path.name)
        if sync:
            fd = os.open(folder / path.name, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
    return time.perf_counter() - began


def report(found: Mapping[str, Any]) -> str:
    """The table."""
    rates, ratios, runs = found["files_per_second"], found["ratios"], found["deidentify"]
    lines = [f"{found['images']} CT images", ""]
    lines += [f"{name:<36}{rate:>8.0f} files/s" for name, rate in rates.items()]
    lines += ["", *(f"ratio to {name:<23}{ratio:>8.2f}" for name, ratio in ratios.items())]
    for name, timed in runs.items():
        cells = {key: median(one[key] for one in timed) for key in ("whole", "look", "steady", "cpu")}
        lines.append(f"{name:<32}" + "".join(f"{key} {value:.2f} s  " for key, value in cells.items()))
    lines += ["", *(f"{name:<32}{value:>8.0f} us per image" for name, value in found["microseconds"].items())]
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="images")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds to wait between runs")
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsferry-bench-") as name:
        found = bench_deidentify(Path(name), count=given.count, runs=given.runs, rest=given.rest, say=_say)
    sys.stdout.write(report(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
