"""Worker processes: how one is started, asked and ended; what it is asked for is its pool's business."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, Self

from . import wire
from .clearing import Patient
from .errors import FerryError, StoreError
from .intake import Received
from .model import Outcome

#: Seconds of wall clock that one object may take, plus one for so many bytes.
WALL = 120.0
BYTES_PER_SECOND = 2 * 2**20
#: Such batches that a worker is handed before it has answered for the first: it need not wait for us in between.
WINDOW = 3
#: The answer for a file that somebody else changed meanwhile (``Received.unchanged``).
CHANGED = "file-changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is told once. ``message`` is JSON-able and holds the secret: it goes over the socket only."""

    message: Mapping[str, Any] = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one object, without any original value.

    ``staged`` is the passing name of the written file, ``folder`` the study's.
    """

    outcome: Outcome
    code: str = ""
    detail: str = ""
    subject: str = ""
    staged: str = ""
    path: str = ""
    folder: str = ""
    size: int = 0
    sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One object to clear and whom to tell. ``told`` gets the answer or the error that ended the run."""

    received: Received
    pseudonym: str
    patient: Patient
    told: Callable[[Received, Answer | FerryError], None] = field(repr=False)

    @property
    def message(self) -> dict[str, Any]:
        """The request for a worker. Identified."""
        head = self.received.arrival.head
        return {
            "framing": head.framing.value,
            "transfer_syntax": head.transfer_syntax,
            "sop_class": head.sop_class,
            "sop_instance": head.sop_instance,
            "size": self.received.arrival.size,
            "pseudonym": self.pseudonym,
            "patient_id": self.patient.patient_id,
            "issuer": self.patient.issuer,
            "modality": self.received.modality,
            "series_description": self.received.series_description,
            "unchanged": self.received.unchanged,
        }


#: Objects that a worker is asked for together.
Batch = Sequence[Task]


class WorkerDied(Exception):
    """The worker ended, or was ended, over an object. ``code`` is a reason code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Waiting:
    """A worker process that has not been told yet what to do: it may be started while the work is prepared."""

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-P", "-m", "pacsferry.clearer", str(theirs.fileno())]
        self.process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,  # an interrupt at the keyboard is for the main process, which ends its workers itself
        )
        theirs.close()

    def close(self) -> None:
        """It ends by itself when its socket closes, else it is made to."""
        self.sock.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def worker_count(workers: int | None) -> int:
    """How many threads feed workers: as many as asked for (0: one, which works in this process), else by processors."""
    return max(1, min(4, os.cpu_count() or 1)) if workers is None else max(1, workers)


class Waitings:
    """Workers started ahead, until they are taken or the work is over. Thread-safe."""

    def __init__(self, workers: int | None) -> None:
        """``workers`` as for ``worker_count``."""
        self._idle: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        with contextlib.suppress(OSError):  # whoever wants one that is not here starts it, and tells what is wrong
            for _ in range(0 if workers == 0 else worker_count(workers)):
                self._idle.put(Waiting())

    def take(self) -> Waiting | None:
        """One of them, None where none is left."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while (left := self.take()) is not None:
            left.close()


class Worker(Protocol):
    """One that clears; ``clear`` raises ``WorkerDied`` and may be called no more after that."""

    def clear(self, task: Task) -> Answer: ...
    def close(self) -> None: ...


class ProcessWorker:
    """A process of its own, started with our interpreter and nothing of ours in its ``__main__``.

    It answers in the order of asking, once for all that it was asked together, and may be asked ``window`` times before
    it has answered.
    """

    window = WINDOW

    def __init__(self, setup: Setup, waiting: Waiting | None = None) -> None:
        """``waiting`` is a process that was started before anybody knew what for; without one another is started."""
        waiting = waiting or Waiting()
        self._waiting, self._sock = waiting, waiting.sock
        self._heard = wire.Reader(self._sock)
        try:
            self._sock.settimeout(WALL)
            wire.send(self._sock, dict(setup.message))
            self._ready = self._read()
        except (OSError, WorkerDied):
            self.close()
            raise FerryError("a worker process did not start", hint="run `pacsferry check`") from None
        if self._ready.get("digest") != setup.digest:
            self.close()
            raise FerryError(
                "a worker compiled other anonymization rules than this process",
                hint="the installation changed while it was running; start again",
            )

    def _read(self) -> Any:
        answer = self._heard.receive()
        if answer is None:
            raise ConnectionResetError("the worker ended")
        return answer[0]

    def clear(self, task: Task) -> Answer:
        """Send one object, wait for what became of it."""
        self.ask([task])
        (answer,) = self.answers([[task]])
        if isinstance(answer, FerryError):
            raise answer
        return answer

    def ask(self, batch: Batch) -> None:
        """Send objects. Raises ``WorkerDied``."""
        self._sock.settimeout(WALL)
        try:
            wire.send(self._sock, [task.message for task in batch], [task.received.arrival.fd for task in batch])
        except OSError:
            self._died()

    def answers(self, batches: Sequence[Batch]) -> list[Answer | FerryError]:
        """Wait for what became of the first of ``batches``, all of which it was asked for. Raises ``WorkerDied``."""
        tasks = [task for batch in batches for task in batch]
        # Its limits are for one object; those before it in line have their time too.
        size = sum(task.received.arrival.size for task in tasks)
        self._sock.settimeout(WALL + size / BYTES_PER_SECOND)
        try:
            answers = self._read()
        except TimeoutError:
            self.close()
            raise WorkerDied("worker-limit") from None
        except (OSError, ValueError):
            self._died()
        found = [_answer(one) for one in answers]
        if len(found) != len(batches[0]):
            raise ValueError("not as many answers as questions")
        return found

    def _died(self) -> NoReturn:
        self.close()
        limited = self._waiting.process.returncode == -signal.SIGXCPU
        raise WorkerDied("worker-limit" if limited else "worker-died") from None

    def close(self) -> None:
        """End the process: it ends by itself when its socket closes, else it is made to."""
        self._waiting.close()


def _answer(told: Mapping[str, Any]) -> Answer | FerryError:
    """What a worker said of one object."""
    if told.get("error") == "no-space":
        return StoreError("there is no space for the images", hint="free space, then run `pacsferry resume`")
    if told.get("error"):
        return StoreError(f"the images could not be written ({told['error']})")
    return Answer(**{**told, "outcome": Outcome(told["outcome"])})
