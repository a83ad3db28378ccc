"""A pool of workers that clear one object at a time; one that dies holds its object and is replaced."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from .errors import FerryError
from .model import Outcome
from .workers import Answer, Batch, ProcessWorker, Task, Worker, WorkerDied

#: Objects that are sent and answered for together, as long as they are no larger than so many bytes: to wake up a
#: process takes longer than to read what it was sent.
TOGETHER = 16
BYTES_TOGETHER = 8 * 2**20


class WorkerPool:
    """As many workers as asked for, each with a thread that feeds it.

    They start with ``begin`` or the first task, in the background: processors that they take before are not there for
    what has to be asked first.
    """

    def __init__(self, count: int, start: Callable[[], Worker]) -> None:
        self._start = start
        self._wanted, self._over = threading.Event(), False
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, name=f"clearing-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def begin(self) -> None:
        """There will be something to do."""
        self._wanted.set()

    def submit(self, task: Task) -> None:
        """Queue one object; how many wait is bounded by the bytes that intake lets fly."""
        self._tasks.put(task)
        self._wanted.set()

    def close(self) -> None:
        """Finish what is queued and end the workers; those that nobody wanted are not started."""
        self._over = not self._wanted.is_set()
        self._wanted.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        self._wanted.wait()
        if self._over:
            return
        worker, failure = self._begun()
        ended = False
        while not ended:
            if isinstance(worker, ProcessWorker):
                worker, ended = self._flow(worker)
            elif (task := self._tasks.get()) is None:
                ended = True
            elif failure is not None:
                _tell(task, failure)
            else:
                worker = self._one(worker, task)
        if worker is not None:
            worker.close()

    def _begun(self) -> tuple[Worker | None, FerryError | None]:
        """The first worker. One that ended while it started may have been killed, so it is tried again."""
        failure: FerryError | None = None
        for _ in range(2):
            try:
                return self._start(), None
            except FerryError as err:
                failure = err
            except OSError as err:
                failure = FerryError(f"a worker process did not start ({err.strerror})")
        return None, failure

    def _one(self, worker: Worker | None, task: Task, tries: int = 2) -> Worker | None:
        worker, answer = self._attempt(worker, task, tries)
        _tell(task, answer)
        return worker

    def _flow(self, worker: ProcessWorker) -> tuple[Worker | None, bool]:
        """Keep a worker's hands full until nothing more comes (True), or until it has died (False)."""
        flying: deque[Batch] = deque()
        more = True
        try:
            while more or flying:
                more = more and self._fill(worker, flying)
                if flying:
                    answers = self._heard(worker, flying)
                    for task, answer in zip(flying.popleft(), answers, strict=True):
                        _tell(task, answer)
        except WorkerDied as died:
            return self._each(deque(task for batch in flying for task in batch), died.code), not more
        return worker, True

    def _fill(self, worker: ProcessWorker, flying: deque[Batch]) -> bool:
        """Ask until its window is full or nothing waits; False when nothing will come any more."""
        more = True
        while more and len(flying) < worker.window:
            batch, more = self._batch(wait=not flying)
            if not batch:
                break
            flying.append(batch)
            worker.ask(batch)
        return more

    def _batch(self, *, wait: bool) -> tuple[Batch, bool]:
        """What waits and is sent together, and whether more can come; with ``wait`` there is something."""
        batch: list[Task] = []
        size = 0
        while len(batch) < TOGETHER and size < BYTES_TOGETHER:
            try:
                task = self._tasks.get(block=wait and not batch)
            except queue.Empty:
                break
            if task is None:
                return batch, False
            batch.append(task)
            size += task.received.arrival.size
        return batch, True

    @staticmethod
    def _heard(worker: ProcessWorker, flying: Sequence[Batch]) -> Sequence[Answer | FerryError]:
        try:
            return worker.answers(flying)
        except WorkerDied:
            raise
        except Exception as err:
            return [FerryError(f"a worker's answer made no sense ({type(err).__name__})")] * len(flying[0])

    def _each(self, flying: deque[Task], code: str) -> Worker | None:
        """Nobody knows which of several was to blame: tried alone, it dies again and is held."""
        if len(flying) == 1 and code == "worker-limit":
            _tell(flying.popleft(), Answer(outcome=Outcome.HOLD, code=code))
        worker: Worker | None = None
        while flying:
            worker = self._one(worker, flying.popleft(), tries=1)
        return worker

    def _attempt(self, worker: Worker | None, task: Task, tries: int = 2) -> tuple[Worker | None, Answer | FerryError]:
        """Try once, and once more in a fresh worker if the first died over it."""
        code = "worker-died"
        for _ in range(tries):
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


def _tell(task: Task, answer: Answer | FerryError) -> None:
    task.received.arrival.close()
    task.told(task.received, answer)
