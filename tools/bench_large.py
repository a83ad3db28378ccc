# ruff: noqa: INP001 - beside a script, no package
"""Measures the memory that ``pacsferry load`` needs for one very large multi-frame, over each transport.

    python tools/bench_large.py [--megabytes 1908] [--only wado-rs,c-get]

The object is written sparsely and given to an Orthanc of its own, which needs several times its size of memory for it.
The default is 2 GB: above 2 GiB Orthanc 1.10 ends an HTTP answer before its first byte.
``start`` is what the same command needs for a single slice; memory is counted as in ``bench_watch``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import bench_watch  # noqa: E402

from pacsferry.testing.samples import ct_study, part10  # noqa: E402
from support import large  # noqa: E402
from support.peers import Orthanc, free_port, start_orthanc  # noqa: E402

PROGRAM = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]
MIB = 2**20
#: Transport -> MiB that it may need, as a share of the object and on top of it.
ALLOWED = {"wado-rs": (0.0, 250), "c-get": (1.0, 300), "c-move": (1.0, 300)}


def load(archive: Orthanc, folder: Path, transport: str, accession: str) -> bench_watch.Run:
    """Load one accession into a new project, watched; it must come out complete."""
    for name in ("research", "private", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    site = folder / "site.toml"
    site.write_text(
        f"""extends = "orthanc"
[archive.dimse]
port = {archive.dicom_port}
[archive.dimse.receiver]
port = {free_port()}
[archive.dicomweb]
url = "{archive.dicomweb_url}"
[archive.timeouts]
stall = "10m"
[[transport]]
use = "{transport}"
[output]
images = "{folder}/research"
private = "{folder}/private"
"""
    )
    site.chmod(0o600)
    words = ["load", "p", accession, "--site", str(site)]
    done = bench_watch.run([*PROGRAM, *words], cwd=folder, env={"PACSFERRY_STATE": str(folder / "state")}, look=True)
    if done.code or len(list((folder / "research").rglob("*.dcm"))) != 1:
        raise SystemExit(f"{transport}: exit code {done.code}\n{done.err[-3000:]}")
    return done


def measure(folder: Path, megabytes: int, transports: Sequence[str]) -> int:
    """Print one line per transport; how many needed more than they may."""
    archive = start_orthanc(folder / "orthanc")
    try:
        small = ct_study(slices=1, accession="SMALL1")[0]
        archive.upload([part10(small)])
        size = large.write(folder / "large.dcm", megabytes // 2) / MIB
        large.upload(archive.url, folder / "large.dcm")
        return sum(_one(archive, folder, transport, size) for transport in transports)
    finally:
        archive.stop()


def _one(archive: Orthanc, folder: Path, transport: str, size: float) -> bool:
    start = load(archive, folder, transport, "SMALL1").peak / MIB
    done = load(archive, folder, transport, large.ACCESSION)
    share, more = ALLOWED[transport]
    over, allowed = done.peak / MIB - start, share * size + more
    said = "ok" if over <= allowed else "TOO MUCH"
    print(  # noqa: T201 - what it is for
        f"{transport}: {size:.0f} MiB in {done.seconds:.1f} s; peak {done.peak / MIB:.0f} MiB, "
        f"{over:.0f} over start ({start:.0f}); at most {allowed:.0f}: {said}",
        flush=True,
    )
    return over > allowed


def main() -> int:
    """1 where something needed more memory than it may."""
    parser = argparse.ArgumentParser(description="Measure the memory for one very large object.")
    parser.add_argument("--megabytes", type=int, default=1908, help="size of the object, in MiB")
    parser.add_argument("--only", default="wado-rs,c-get", help="transports, with commas between them")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pacsferry-large-") as name:
        return 1 if measure(Path(name), told.megabytes, told.only.split(",")) else 0


if __name__ == "__main__":
    sys.exit(main())
