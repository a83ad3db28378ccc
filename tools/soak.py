# ruff: noqa: INP001 - a script, no package
"""Three commands at once load into one project, through bad weather, killed and stopped by chance; then all is counted.

    python tools/soak.py [--minutes 5] [--seed N] [--studies 5] [--slices 12]

Round after round: a real Orthanc, a proxy before each of its services and before our receiver, and commands that are
killed, put to sleep or left alone. When the weather clears the next run must complete, and what is there must be what a
calm run brings: every instance once, the same bytes, a whole ledger and audit chain, no file that nobody knows, and no
identifier anywhere but where it belongs. It stops at the first thing that is wrong and says where to look.

In every third round bits are flipped too. Nobody can tell a flipped pixel from a right one: in those rounds all but the
bytes is compared, and what was held for it may be missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from pacsferry.testing.samples import ct_study  # noqa: E402
from pacsferry.testing.simulator.chaos import CALM, Chaos, Weather  # noqa: E402
from support.peers import HOST, Orthanc, free_ports, start_orthanc  # noqa: E402

PROGRAM = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]
#: The order of transports of each of the commands that run at once.
ORDERS = (("wado-rs", "c-get"), ("c-get", "wado-rs"), ("c-move", "c-get"))
#: Identifiers that are planted, and where they may stand all the same.
CANARIES = (b"QUAYSOAK", b"Soakhaven", b"ACCSOAK")
PRIVATE = ("ledger.db", "key.csv", "reports", "project.toml")
STORM, FLIPS = Weather(flip=0), Weather(flip=3, reset=1)
#: What the private folder of a project may hold.
BELONGS = {"project.toml", "secret", "ledger.db", "ledger.db-wal", "ledger.db-shm", "reports", "key.csv"}


class Wrong(Exception):
    """Something that must hold does not."""


@dataclass(slots=True)
class Story:
    """What happened so far."""

    rounds: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    weather: Counter[str] = field(default_factory=Counter)


def soak(
    folder: Path,
    *,
    seconds: float,
    seed: int,
    studies: int = 5,
    slices: int = 12,
    storm: float = 20.0,
    say: Callable[[str], None] = lambda _: None,
) -> Story:
    """Rounds for so many seconds, the last one to its end. Raises ``Wrong``."""
    story, end = Story(), time.monotonic() + seconds
    chance = random.Random(seed)  # noqa: S311 - chance that can be repeated
    archive = start_orthanc(folder / "orthanc")
    try:
        accessions = _filled(archive, studies, slices)
        while not story.rounds or time.monotonic() < end:
            place = folder / f"round{story.rounds}"
            place.mkdir()
            _Round(place, archive, accessions, chance, story, FLIPS if story.rounds % 3 == 2 else STORM).go(
                min(storm, max(end - time.monotonic(), 5.0))
            )
            story.rounds += 1
            say(f"round {story.rounds}: {dict(story.fates)}, connections {dict(story.weather)}")
            shutil.rmtree(place)
    finally:
        archive.stop()
    return story


def _filled(archive: Orthanc, studies: int, slices: int) -> list[str]:
    accessions = [f"ACCSOAK{number}" for number in range(studies)]
    for number, accession in enumerate(accessions):
        archive.upload(
            ct_study(
                slices=slices,
                series=2,
                rows=128,
                columns=128,
                accession=accession,
                patient_id=f"QUAYSOAK{number % 3}",
                patient_name=f"Soakhaven^Anna{number % 3}",
            )
        )
    return accessions


class _Round:
    """One project, from the first storm to the last count."""

    def __init__(
        self,
        folder: Path,
        archive: Orthanc,
        accessions: Sequence[str],
        chance: random.Random,
        story: Story,
        weather: Weather,
    ) -> None:
        self._folder, self._archive, self._accessions = folder, archive, accessions
        self._chance, self._story, self._weather = chance, story, weather
        self._said: list[bytes] = []
        (receiver,) = free_ports(1)
        self._receiver = receiver
        self._env = {**os.environ, "PACSFERRY_STATE": str(folder / "state"), "TMPDIR": str(folder / "tmp")}
        self._env.pop("PACSFERRY_SITE", None)
        (folder / "tmp").mkdir()

    def go(self, seconds: float) -> None:
        seed = self._chance.randrange(1 << 30)
        web = ("127.0.0.1", self._archive.http_port)
        with (
            Chaos((HOST, self._archive.dicom_port), seed=seed) as dimse,
            Chaos(web, seed=seed + 1) as http,
            Chaos((HOST, self._receiver), seed=seed + 2) as receiver,
        ):
            proxies = (dimse, http, receiver)
            self._archive.register("PACSFERRY", receiver.port)
            self._sites(dimse.port, http.port)
            self._ran("init", "soak", "-s", "site0.toml")
            for proxy in proxies:
                proxy.weather = self._weather
            self._storm(seconds)
            for proxy in proxies:
                proxy.weather = CALM
            self._cleared()
            for proxy in proxies:
                self._story.weather += proxy.counts
        self._archive.unregister("PACSFERRY")
        self._counted()

    def _sites(self, dimse: int, http: int) -> None:
        for number, order in enumerate(ORDERS):
            chosen = "\n".join(f'[[transport]]\nuse = "{name}"' for name in order)
            path = self._folder / f"site{number}.toml"
            path.write_text(
                f"""
extends = "research-base"
[archive]
name = "soak"
timeouts = {{ connect = "3s", stall = "3s", quiet = "1s" }}
[archive.dimse]
host = "{HOST}"
port = {dimse}
ae_title = "{self._archive.aet}"
[archive.dimse.receiver]
port = {self._receiver}
[archive.dicomweb]
url = "http://{HOST}:{http}/dicom-web"
[budget]
batch_wait = "0s"
back_off = "20ms"
associations = 4
{chosen}
"""
            )
            path.chmod(0o600)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        words = ["load", "soak", *self._accessions, "-s", f"site{number}.toml", "--workers", "1", "--json", "--verbose"]
        return subprocess.Popen(
            [*PROGRAM, *words],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _storm(self, seconds: float) -> None:
        """Commands that come and go, each with a fate of its own."""
        end = time.monotonic() + seconds
        running: dict[int, tuple[subprocess.Popen[bytes], float, str]] = {}
        while time.monotonic() < end:
            for number in range(len(ORDERS)):
                if number not in running:
                    fate = self._chance.choices(("kill", "stop", "interrupt", "leave"), (5, 2, 1, 2))[0]
                    until = time.monotonic() + self._chance.uniform(0.6, 6.0)
                    running[number] = (self._start(number), until, fate)
            for number, (process, until, fate) in list(running.items()):
                if process.poll() is not None or time.monotonic() > until:
                    running.pop(number)
                    self._met(process, fate)
            time.sleep(0.02)
        for process, _, _ in running.values():
            self._met(process, "kill")

    def _met(self, process: subprocess.Popen[bytes], fate: str) -> None:
        fate = "done" if process.poll() is not None else fate
        self._story.fates[fate] += 1
        with contextlib.suppress(ProcessLookupError):
            if fate == "stop":
                process.send_signal(signal.SIGSTOP)
                time.sleep(self._chance.uniform(0.2, 1.5))
                process.send_signal(signal.SIGCONT)
            if fate == "interrupt":
                process.send_signal(signal.SIGINT)
            if fate in {"stop", "kill"}:
                process.kill()
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong(f"a command did not end ({fate})") from None
        self._said += [out, err]
        if process.returncode == 1 or b"Traceback" in err:
            raise Wrong(f"a command broke down: {err[-2000:].decode(errors='replace')}")

    def _ran(self, *words: str, fine: Sequence[int] = (0,)) -> dict[str, object]:
        done = subprocess.run(
            [*PROGRAM, *words, "--json"],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
        self._said += [done.stdout, done.stderr]
        if done.returncode not in fine:
            raise Wrong(f"{words[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:].decode()}")
        told: dict[str, object] = json.loads(done.stdout)
        return told

    def _cleared(self) -> None:
        """The weather is fine: all that was asked for comes."""
        self._ran("load", "soak", *self._accessions, "-s", "site0.toml", fine=(0, 5) if self._weather.flip else (0,))

    # --- the count

    def _counted(self) -> None:
        here = _images(self._folder / "research" / "soak")
        calm = here if self._weather.flip else self._calm()
        if here != calm:
            odd = sorted(set(here) ^ set(calm))[:5] or [path for path in here if here[path] != calm[path]][:5]
            raise Wrong(f"{len(here)} files instead of {len(calm)}, or other bytes: {odd}")
        self._ran("verify-files", "soak")
        self._ran("audit", "soak", "--check")
        self._ledger(len(calm))
        self._left_over()
        self._identifiers()

    def _calm(self) -> dict[str, bytes]:
        """What a run that nobody disturbed brings, with the same secret."""
        twin = self._folder / "twin"
        private = twin / "private" / "soak"
        private.mkdir(parents=True, mode=0o700)
        private.parent.chmod(0o700)
        for name in ("project.toml", "secret"):
            shutil.copy2(self._folder / "private" / "soak" / name, private / name)
        site = (self._folder / "site0.toml").read_text()
        lines = [_direct(line, self._archive) for line in site.splitlines()]
        (twin / "site0.toml").write_text("\n".join(lines))
        (twin / "site0.toml").chmod(0o600)
        words = ["load", "soak", *self._accessions, "-s", "site0.toml", "--json"]
        done = subprocess.run([*PROGRAM, *words], cwd=twin, env=self._env, capture_output=True, check=False)
        if done.returncode:
            raise Wrong(f"the calm run ended with {done.returncode}: {done.stdout[-2000:].decode()}")
        return _images(twin / "research" / "soak")

    def _ledger(self, count: int) -> None:
        path = self._folder / "private" / "soak" / "ledger.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            sound = db.execute("PRAGMA integrity_check").fetchone()[0]
            rows, keys = db.execute(
                "SELECT count(*), count(DISTINCT instance_uid) FROM instance WHERE state = 'stored'"
            ).fetchone()
        if (sound, rows, keys) != ("ok", count, count):
            raise Wrong(f"the ledger: {sound}, {rows} rows of {keys} instances instead of {count}")

    def _left_over(self) -> None:
        private = {path.name for path in (self._folder / "private" / "soak").iterdir()} - BELONGS
        staging = self._folder / "research" / "soak" / ".staging"
        staged = [path.name for path in staging.iterdir()] if staging.exists() else []
        temporary = [path.name for path in (self._folder / "tmp").iterdir()]
        if private or staged or temporary:
            raise Wrong(f"left over: {private or staged or temporary}")

    def _identifiers(self) -> None:
        # What the user typed may be shown to that user.
        said = b"\n".join(self._said)
        for canary in CANARIES[:2]:
            if canary.lower() in said.lower():
                raise Wrong(f"{canary.decode()} was said")
        for path in self._places():
            content = path.read_bytes() + str(path.relative_to(self._folder)).encode()
            if any(canary.lower() in content.lower() for canary in CANARIES):
                raise Wrong(f"an identifier stands in {path}")

    def _places(self) -> Iterator[Path]:
        private = self._folder / "private" / "soak"
        for path in self._folder.rglob("*"):
            inside = path.relative_to(private).parts[:1] if path.is_relative_to(private) else ()
            belongs = bool(inside) and inside[0].startswith(PRIVATE)
            if path.is_file() and not belongs and not path.is_relative_to(self._folder / "twin" / "private"):
                yield path


def _direct(line: str, archive: Orthanc) -> str:
    """A line of a profile, without the proxies."""
    if line.startswith("url = "):
        return f'url = "{archive.dicomweb_url}"'
    return line


def _images(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.dcm"))}


def main() -> int:
    """Parse, soak, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--slices", type=int, default=12)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pacsferry-soak-"))
    sys.stderr.write(f"seed {given.seed}, in {folder}\n")
    try:
        story = soak(
            folder,
            seconds=given.minutes * 60,
            seed=given.seed,
            studies=given.studies,
            slices=given.slices,
            say=lambda text: sys.stderr.write(text + "\n") and None,
        )
    except Wrong as err:
        sys.stderr.write(f"wrong: {err}\nall is kept in {folder}\n")
        return 1
    shutil.rmtree(folder)
    sys.stdout.write(
        f"{story.rounds} rounds, {dict(story.fates)}, connections {dict(story.weather)}: all as it should be\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
