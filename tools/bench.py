# ruff: noqa: INP001 - a script, no package
"""Measures ``pacsferry load`` against DCMTK's tools and a plain download, on one Orthanc of its own; changes nothing.

    python tools/bench.py [--count 600] [--runs 5] [--only wado-rs,c-get] [--quick-server] [--json FILE]

Runs alternate, figures are medians, and every ratio is to a peer of the same session: absolute figures of a shared
machine mean little. Times are wall clock. ``steady`` is from the first byte asked for to the last durable file and
ledger row. Memory comes from runs of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import bench_parts  # noqa: E402
import bench_watch  # noqa: E402

from pacsferry.testing.samples import ct_study, part10  # noqa: E402
from support.peers import Orthanc, dcmtk_tool, free_ports, start_orthanc  # noqa: E402

ACCESSION = "BENCH0001"
PROGRAM = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]
TRANSPORTS = ("wado-rs", "c-get", "c-move")
#: What each transport is measured against, and the ratio that it should not exceed.
RIVALS = {"wado-rs": ("getscu", 0.6), "c-get": ("getscu", 1.1), "c-move": ("movescu", 1.3)}
#: Seconds until the archive is asked for the first time.
START_UP = 0.6
_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One run of ours: seconds of the whole command and of its stages."""

    whole: float
    start_up: float
    survey: float
    steady: float
    end: float
    cpu: float


@dataclass(slots=True, kw_only=True)
class Found:
    """All that was measured; seconds per run, bytes for memory."""

    ours: dict[str, list[Timed]] = field(default_factory=dict)
    peers: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)


class Bench:
    """One archive with one study, and a folder to work in."""

    def __init__(self, folder: Path, count: int, *, quick_server: bool = False) -> None:
        self.folder, self.count = folder, count
        self.receiver, self.movescu = free_ports(2)
        # DCMTK's own switch, which Orthanc knows too. As its package starts it, it waits for ACKs (Nagle).
        os.environ.pop("TCP_NODELAY", None)
        if quick_server:
            os.environ["TCP_NODELAY"] = "1"
        self.archive: Orthanc = start_orthanc(folder / "orthanc")
        self.archive.register("PACSFERRY", self.receiver)
        self.archive.register("MOVESCU", self.movescu)
        self.study_uid, self.size = "", 0
        self._runs = 0
        self.load_before = os.getloadavg()[0]

    def fill(self) -> None:
        """Upload one study of ``count`` CT images of about half a megabyte."""
        for ds in ct_study(slices=self.count, accession=ACCESSION):
            content = part10(ds)
            self.study_uid, self.size = str(ds.StudyInstanceUID), self.size + len(content)
            self.archive.upload([content])

    # --- ours

    def site(self, transport: str) -> Path:
        """A profile with that transport only. Reports, gates and the rest are what a new user gets."""
        path = self.folder / f"{transport}.toml"
        path.write_text(
            f"""extends = "orthanc"
[archive.dimse]
port = {self.archive.dicom_port}
[archive.dimse.receiver]
port = {self.receiver}
[archive.dicomweb]
url = "{self.archive.dicomweb_url}"
[[transport]]
use = "{transport}"
[output]
images = "{self.folder}/research"
private = "{self.folder}/private"
"""
        )
        path.chmod(0o600)
        return path

    def load(self, transport: str, *, look: bool = False, accession: str = ACCESSION) -> bench_watch.Run:
        """``pacsferry load`` into a new project, which must come out complete."""
        self._runs += 1
        for name in ("research", "private", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        words = ["load", f"p{self._runs}", accession, "--site", str(self.site(transport)), "--events"]
        # Compiled once, as an installer does it, whatever this process was told about its own.
        env = {
            "PACSFERRY_STATE": str(self.folder / "state"),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.folder / "compiled"),
        }
        done = bench_watch.run([*PROGRAM, *words], cwd=self.folder, env=env, look=look)
        stored = sum(1 for _ in (self.folder / "research").rglob("*.dcm"))
        if done.code or stored != self.count:
            raise SystemExit(f"{transport}: exit code {done.code}, {stored} of {self.count}\n{done.err[-3000:]}")
        return done

    # --- peers

    def getscu(self) -> float:
        """DCMTK's C-GET: it only retrieves, into files, in the syntax that the archive has."""
        return self._dcmtk("getscu", "-aec", self.archive.aet)

    def store(self) -> float:
        """DCMTK's C-MOVE with its own receiver."""
        return self._dcmtk("movescu", "-aet", "MOVESCU", "-aec", self.archive.aet, "-aem", "MOVESCU",
                           "+P", str(self.movescu))  # fmt: skip

    def _dcmtk(self, name: str, *options: str) -> float:
        tool = dcmtk_tool(name)
        if tool is None:
            raise SystemExit(f"needs DCMTK's {name}: run `make peers`")
        out = self.folder / "peer"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={self.study_uid}"]
        command = [tool, "-S", *options, "-od", str(out), *keys, self.archive.host, str(self.archive.dicom_port)]
        done = bench_watch.run(command, cwd=self.folder, env={"TCP_NODELAY": "1"})
        if done.code or len(list(out.iterdir())) != self.count:
            raise SystemExit(f"{name}: exit code {done.code}\n{done.err[-2000:]}")
        return done.seconds

    def curl(self) -> float:
        """The floor: the same bytes over HTTP, thrown away."""
        address = f"{self.archive.dicomweb_url}/studies/{self.study_uid}"
        command = ["curl", "-sf", "-o", os.devnull, "-H", f"Accept: {_DICOM}", address]
        return bench_watch.run(command, cwd=self.folder).seconds


@contextlib.contextmanager
def bench(count: int, *, quick_server: bool) -> Iterator[Bench]:
    """An archive with its study; the archive is ended and everything removed."""
    with tempfile.TemporaryDirectory(prefix="pacsferry-bench-") as name:
        made = Bench(Path(name), count, quick_server=quick_server)
        try:
            made.fill()
            yield made
        finally:
            made.archive.stop()


def timed(done: bench_watch.Run) -> Timed:
    """Cut a run at its events. The clock of events is that of ``began``."""
    seen: dict[str, float] = {}
    for line in done.err.splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            seen.setdefault(event["event"], datetime.fromisoformat(event["time"]).timestamp() - done.began)
    asked, started, ended = seen["query"], seen["study-started"], seen["study-done"]
    return Timed(
        whole=done.seconds,
        start_up=asked,
        survey=started - asked,
        steady=ended - started,
        end=done.seconds - ended,
        cpu=done.cpu,
    )


def measure(at: Bench, transports: Sequence[str], runs: int, say: Callable[[str], None]) -> Found:
    """All runs, alternating, after one round that only warms up; then memory, then parts alone."""
    found = Found()
    peers: Mapping[str, Callable[[], float]] = {"curl": at.curl, "getscu": at.getscu, "movescu": at.store}
    for number in range(runs + 1):
        say(f"round {number} of {runs}" + ("" if number else ", which warms up and does not count"))
        for name, peer in peers.items():
            seconds = peer()
            if number:
                found.peers.setdefault(name, []).append(seconds)
        for name in transports:
            one = timed(at.load(name))
            if number:
                found.ours.setdefault(name, []).append(one)
    say("memory")
    found.memory = {name: at.load(name, look=True).peak for name in transports}
    say("parts alone")
    found.parts = bench_parts.measure({name: at.site(name) for name in transports}, at.folder, ACCESSION)
    return found


_STAGES = ("whole", "start_up", "survey", "steady", "end", "cpu")


def report(found: Found, at: Bench) -> str:
    """The table."""
    lines = [f"{at.count} CT images, {at.size / 1e6:.0f} MB, medians of {len(found.peers['getscu'])}", ""]
    lines[1:1] = [
        f"load averages before and now: {at.load_before:.1f}, {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    ]
    lines += [f"{name:<10}{median(times):>9.2f} s  {_spread(times)}" for name, times in found.peers.items()]
    lines += ["", f"{'load over':<10}" + "".join(f"{name:>10}" for name in (*_STAGES, "peak"))]
    for name, runs in found.ours.items():
        cells = [median(getattr(one, stage) for one in runs) for stage in _STAGES]
        peak = f"{found.memory[name] / 1e6:>7.0f} MB"
        lines.append(f"{name:<10}" + "".join(f"{cell:>10.2f}" for cell in cells) + peak)
    lines += ["", *(_verdict(found, name) for name in found.ours)]
    lines += ["", "parts alone, ms (per image but for starts):"]
    lines += [f"  {name:<48}{value:>8.2f}" for name, value in found.parts.items()]
    return "\n".join(lines) + "\n"


def _verdict(found: Found, name: str) -> str:
    rival, limit = RIVALS[name]
    steady = [one.steady for one in found.ours[name]]
    start = median(one.start_up for one in found.ours[name])
    return (
        f"{name:<10}steady {_spread(steady)} is {_ratio(found, name):.2f} x {rival} (target {limit}); "
        f"start-up {start:.2f} s (target {START_UP})"
    )


def _spread(times: Sequence[float]) -> str:
    return f"({min(times):.2f} to {max(times):.2f})"


def _ratio(found: Found, transport: str) -> float:
    return median(one.steady for one in found.ours[transport]) / median(found.peers[RIVALS[transport][0]])


def document(found: Found, at: Bench) -> dict[str, object]:
    """The same for programs."""
    return {
        "images": at.count,
        "bytes": at.size,
        "machine": {
            "cpus": os.cpu_count(),
            "load": [at.load_before, os.getloadavg()[0]],
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "load": {name: [asdict(one) for one in runs] for name, runs in found.ours.items()},
        "peers": found.peers,
        "ratios": {name: _ratio(found, name) for name in found.ours},
        "memory": found.memory,
        "parts": found.parts,
    }


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=600, help="images in the study")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count")
    parser.add_argument("--only", default=",".join(TRANSPORTS), help="transports, with commas between them")
    parser.add_argument("--quick-server", action="store_true", help="start Orthanc with TCP_NODELAY=1 too")
    parser.add_argument("--json", type=Path, help="write all figures there")
    given = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {text}\n")

    say(f"an Orthanc with {given.count} images")
    with bench(given.count, quick_server=given.quick_server) as at:
        found = measure(at, given.only.split(","), given.runs, say)
        sys.stdout.write(report(found, at))
        if given.json:
            given.json.write_text(json.dumps(document(found, at), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
