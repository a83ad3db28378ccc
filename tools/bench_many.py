# ruff: noqa: INP001 - beside a script, no package
"""Measures whether the memory of ``pacsferry load`` stays flat over very many small instances, over each transport.

    python tools/bench_many.py [--few 1000] [--many 10000] [--only c-get,c-move,wado-rs]

Two studies of one Orthanc, each of one series of tiny CT images; memory is counted as in ``bench_watch``. What may grow
is what the archive's answers say of each instance, so that a bound per instance is printed with the difference.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import bench  # noqa: E402

from pacsferry.testing.samples import ct_study, part10  # noqa: E402

#: Bytes that a run may keep of each instance: UIDs, keys and states of the expected set, not the object.
PER_INSTANCE = 8192


def measure(folder: Path, counts: Sequence[int], transports: Sequence[str]) -> int:
    """Print one line per transport; how many grew by more than they may."""
    at = bench.Bench(folder, 0)
    try:
        for count in counts:
            for ds in ct_study(slices=count, rows=16, columns=16, accession=f"MANY{count}"):
                at.archive.upload([part10(ds)])
        return sum(_one(at, transport, counts) for transport in transports)
    finally:
        at.archive.stop()


def _one(at: bench.Bench, transport: str, counts: Sequence[int]) -> bool:
    runs = []
    for count in counts:
        at.count = count
        runs.append(at.load(transport, look=True, accession=f"MANY{count}"))
    few, many = (run.peak for run in runs)
    each = (many - few) / (counts[1] - counts[0])
    words = f"{counts[0]}: {few / 1e6:.0f} MB, {counts[1]}: {many / 1e6:.0f} MB in {runs[1].seconds:.1f} s"
    sys.stdout.write(f"{transport:<8} {words}; {each:.0f} bytes each{'' if each <= PER_INSTANCE else ', TOO MUCH'}\n")
    return each > PER_INSTANCE


def main() -> int:
    """Parse, measure; 1 when something grew by more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1000, help="images in the first study")
    parser.add_argument("--many", type=int, default=10_000, help="images in the second study")
    parser.add_argument("--only", default=",".join(bench.TRANSPORTS), help="transports, with commas between them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsferry-bench-") as name:
        return int(bool(measure(Path(name), (given.few, given.many), given.only.split(","))))


if __name__ == "__main__":
    sys.exit(main())
