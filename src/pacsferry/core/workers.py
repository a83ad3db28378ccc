"""A pool of worker processes that clear one object at a time; one that dies holds its object and is replaced."""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import wire
from .clearing import Patient
from .errors import FerryError, StoreError
from .intake import Received
from .model import Outcome

#: Seconds of wall clock that one object may take, plus one for so many bytes.
WALL = 120.0
BYTES_PER_SECOND = 2 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker is told once. ``message`` is JSON-able and holds the secret: it goes over the socket only."""

    message: Mapping[str, Any] = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one object, without any original value.

    ``staged`` is the passing name of the written file,
    ``folder`` the study's.
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
        }


class WorkerDied(Exception):
    """The worker ended, or was ended, over an object. ``code`` is a reason code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Worker(Protocol):
    """One that clears; ``clear`` raises ``WorkerDied`` and may be called no more after that."""

    def clear(self, task: Task) -> Answer: ...
    def close(self) -> None: ...


class ProcessWorker:
    """A process of its own, started with our interpreter and nothing of ours in its ``__main__``."""

    def __init__(self, setup: Setup) -> None:
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-P", "-m", "pacsferry.clearer", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        theirs.close()
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

    def _read(self) -> dict[str, Any]:
        answer = wire.receive(self._sock)
        if answer is None:
            raise ConnectionResetError("the worker ended")
        return answer[0]

    def clear(self, task: Task) -> Answer:
        """Send one object, wait for what became of it."""
        arrival = task.received.arrival
        self._sock.settimeout(WALL + arrival.size / BYTES_PER_SECOND)
        try:
            wire.send(self._sock, task.message, arrival.fd)
            answer = self._read()
        except TimeoutError:
            self.close()
            raise WorkerDied("worker-limit") from None
        except (OSError, ValueError):
            self.close()
            limited = self._process.returncode == -signal.SIGXCPU
            raise WorkerDied("worker-limit" if limited else "worker-died") from None
        if answer.get("error") == "no-space":
            raise StoreError("there is no space for the images", hint="free space, then run `pacsferry resume`")
        if answer.get("error"):
            raise StoreError(f"the images could not be written ({answer['error']})")
        return Answer(**{**answer, "outcome": Outcome(answer["outcome"])})

    def close(self) -> None:
        """End the process: it ends by itself when its socket closes, else it is made to."""
        self._sock.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class WorkerPool:
    """As many workers as asked for, each with a thread that feeds it. Starts them at once, in the background."""

    def __init__(self, count: int, start: Callable[[], Worker]) -> None:
        self._start = start
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, name=f"clearing-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Queue one object; how many wait is bounded by the bytes that intake lets fly."""
        self._tasks.put(task)

    def close(self) -> None:
        """Finish what is queued and end the workers."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        worker: Worker | None = None
        failure: FerryError | None = None
        try:
            worker = self._start()
        except FerryError as err:
            failure = err
        except OSError as err:
            failure = FerryError(f"a worker process did not start ({err.strerror})")
        while (task := self._tasks.get()) is not None:
            answer: Answer | FerryError
            if failure is not None:
                answer = failure
            else:
                worker, answer = self._attempt(worker, task)
            task.received.arrival.close()
            task.told(task.received, answer)
        if worker is not None:
            worker.close()

    def _attempt(self, worker: Worker | None, task: Task) -> tuple[Worker | None, Answer | FerryError]:
        """Try once, and once more in a fresh worker if the first died over it."""
        code = "worker-died"
        for _ in range(2):
            try:
                worker = worker or self._start()
                return worker, worker.clear(task)
            except WorkerDied as died:
                worker, code = None, died.code
                if code == "worker-limit":
                    break
            except FerryError as err:
                return worker, err
            except Exception as err:
                return worker, FerryError(f"a worker's answer made no sense ({type(err).__name__})")
        return worker, Answer(outcome=Outcome.HOLD, code=code)
