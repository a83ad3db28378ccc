"""A tool while it runs: held back when it is too fast, ended when it is silent; it is believed only for its files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import IO, Self, cast

from .memory import MemoryFolder

#: Bytes in the folder at which the tool must wait, and below which it may go on.
FULL, ROOM = 256 * 2**20, 128 * 2**20
#: Seconds between two looks.
LOOK = 0.02
#: What a tool may say, in characters: the end of it counts.
_SAID = 65536


class Tool:
    """One run of a tool that writes into a folder. A context manager: at its end the process is gone."""

    def __init__(self, command: Sequence[str], request: bytes | None, folder: MemoryFolder, *, stall: float) -> None:
        self._folder, self._stall = folder, stall
        self.stalled = False
        self._stopped = False
        self._busy = 0
        self._since = time.monotonic()
        self._words: list[str] = []
        fds = [] if request is None else [_nameless(request)]
        try:
            self._process = subprocess.Popen(
                [*_bound(), *command, *(f"/dev/fd/{fd}" for fd in fds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                env=_environment(),
                cwd=folder.path,
                start_new_session=True,
            )
        finally:
            for fd in fds:
                os.close(fd)
        self._said = cast("IO[bytes]", self._process.stderr)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._mind)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def words(self) -> str:
        """What it said. Identified."""
        return "".join(self._words)[-_SAID:]

    @contextlib.contextmanager
    def ours(self) -> Iterator[None]:
        """While we work on what came, silence is ours."""
        self._busy += 1
        try:
            yield
        finally:
            self._since = time.monotonic()
            self._busy -= 1

    def _listen(self) -> None:
        for line in self._said:
            self._words.append(line.decode("utf-8", "replace"))
            if len(self._words) > 2000:
                del self._words[100:1000]  # beginning and end tell how it went

    def _mind(self) -> None:
        moved = -1
        while self.running and not self._ended.wait(LOOK):
            size = self._folder.size()
            self._hold_back(size)
            now = size + _received(self.pid)
            if now != moved or self._busy or self._stopped:
                moved, self._since = now, time.monotonic()
            elif time.monotonic() - self._since > self._stall:
                self.stalled = True
                self.kill()

    def _hold_back(self, size: int) -> None:
        if not self._stopped and size > FULL:
            self._signal(signal.SIGSTOP)
            self._stopped = True
        elif self._stopped and size < ROOM:
            self._signal(signal.SIGCONT)
            self._stopped = False

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self.running:
            self.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        self._said.close()

    def wait(self, seconds: float) -> int | None:
        """Its exit code if it ends in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def _nameless(request: bytes) -> int:
    """A descriptor of a file in memory that has no name, at its beginning."""
    fd = os.memfd_create("request", os.MFD_CLOEXEC)
    os.write(fd, request)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _bound() -> list[str]:
    """With util-linux's help the tool dies with us, even if we are killed."""
    setpriv = which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _environment() -> dict[str, str]:
    """As little as can be; without TCP_NODELAY DCMTK waits for acknowledgements in the middle of each image."""
    kept = {name: os.environ[name] for name in ("PATH", "DCMDICTPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TCP_NODELAY": "1"}


def _received(pid: int) -> int:
    """Bytes that a process has read so far, from wherever; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.partition(":")[2]) for line in lines if line.startswith(("rchar", "wchar")))
