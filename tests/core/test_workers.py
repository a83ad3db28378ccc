"""Worker processes: they clear, they die, they are replaced; nothing goes from them but released values."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pacsferry.core import wire
from pacsferry.core.clearing import Cleared, Patient, clear
from pacsferry.core.errors import FerryError, StoreError
from pacsferry.core.model import Outcome, Source
from pacsferry.core.worker_pool import WorkerPool
from pacsferry.core.workers import Answer, Task, Waitings, WorkerDied


class Arrival:
    size = 10
    head = None

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


class Received:
    def __init__(self):
        self.arrival = Arrival()
        self.key = "k"


class Scripted:
    """A worker that does what a list says."""

    def __init__(self, script):
        self.script = script

    def clear(self, task):
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self):
        pass


def answers(script, tasks=1):
    told = queue.Queue()
    started = []

    def start():
        started.append(1)
        return Scripted(script)

    pool = WorkerPool(1, start)
    made = [Received() for _ in range(tasks)]
    for received in made:
        pool.submit(Task(received=received, pseudonym="p", patient=Patient(), told=lambda r, a: told.put(a)))
    pool.close()
    assert all(received.arrival.closed == 1 for received in made)
    return [told.get_nowait() for _ in made], len(started)


FINE = Answer(outcome=Outcome.ALLOW)


def test_a_worker_that_dies_once_is_replaced_and_the_object_tried_again():
    assert answers([WorkerDied("worker-died"), FINE]) == ([FINE], 2)


def test_an_object_that_kills_two_workers_is_held_and_the_next_one_is_cleared():
    (first, second), started = answers([WorkerDied("worker-died"), WorkerDied("worker-died"), FINE], tasks=2)
    assert (first.outcome, first.code) == (Outcome.HOLD, "worker-died")
    assert second == FINE
    assert started == 3


def test_an_object_beyond_the_limits_is_not_tried_again():
    (answer,), _ = answers([WorkerDied("worker-limit")])
    assert (answer.outcome, answer.code) == (Outcome.HOLD, "worker-limit")


def test_workers_that_nobody_wanted_are_not_started():
    started = []
    WorkerPool(2, lambda: started.append(1)).close()
    assert started == []


def test_a_full_disk_is_told_as_such():
    (answer,), _ = answers([StoreError("no space")])
    assert isinstance(answer, StoreError)


def test_an_answer_that_makes_no_sense_is_an_error_without_its_text():
    (answer,), _ = answers([KeyError("CANARY")])
    assert isinstance(answer, FerryError)
    assert "CANARY" not in str(answer)


def opened(path, text):
    path.write_text(text)
    return os.open(path, os.O_RDONLY)


def content(fd):
    try:
        return os.pread(fd, 100, 0)
    finally:
        os.close(fd)


def test_messages_cross_whole_with_their_descriptors(tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = opened(tmp_path / "x", "hello")
        wire.send(ours, {"a": "ä" * 1000}, [fd])
        os.close(fd)
        heard = wire.Reader(theirs)
        message, fds = heard.receive()
        assert message == {"a": "ä" * 1000}
        assert [content(fd) for fd in fds] == [b"hello"]
        ours.close()
        assert heard.receive() is None


def test_messages_that_wait_together_keep_each_their_own_descriptors(tmp_path):
    ours, theirs = socket.socketpair()
    sent = [[], ["one"], [], ["two", "three", "four"], ["five"], []]
    with ours, theirs:
        for number, texts in enumerate(sent):
            fds = [opened(tmp_path / text, text) for text in texts]
            wire.send(ours, [number], fds)
            for fd in fds:
                os.close(fd)
        heard = wire.Reader(theirs)
        for number, texts in enumerate(sent):
            message, fds = heard.receive()
            assert message == [number]
            assert [content(fd).decode() for fd in fds] == texts


def test_a_message_longer_than_the_socket_holds_crosses_whole(tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fd = opened(tmp_path / "x", "hello")
        long = {"a": "x" * 3_000_000}
        sender = threading.Thread(target=wire.send, args=(ours, long, [fd]))
        sender.start()
        message, (got,) = wire.Reader(theirs).receive()
        sender.join()
        os.close(fd)
        assert message == long
        assert content(got) == b"hello"


def test_a_message_cut_in_the_middle_is_an_error():
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"\0\0\0\x09\0{")
        ours.close()
        with pytest.raises(ConnectionResetError):
            wire.Reader(theirs).receive()


def test_workers_started_ahead_are_taken_once_and_those_left_over_end():
    with Waitings(2) as waiting:
        first, second = waiting.take(), waiting.take()
        assert waiting.take() is None
        # An interrupt at the keyboard goes to the process group of the main process.
        assert os.getpgid(first.process.pid) != os.getpgid(0)
        first.close()
    with Waitings(1) as again:
        left = again._idle.get_nowait()
        again._idle.put(left)
    assert [one.process.poll() for one in (first, left)] == [0, 0]
    assert second.process.poll() is None
    second.close()
    assert second.process.poll() == 0


def test_work_in_this_process_starts_no_other():
    with Waitings(0) as waiting:
        assert waiting.take() is None


def test_nothing_but_clearing_makes_a_cleared():
    with pytest.raises(TypeError):
        Cleared([], None, "", object())


@pytest.mark.parametrize("error", [KeyError("CANARY"), RecursionError(), ValueError("CANARY"), MemoryError()])
def test_a_deidentifier_that_fails_holds_the_object_and_says_no_value(error):
    class Bad:
        digest = ""

        def describe(self):
            return []

        def apply(self, source):
            raise error

    source = Source(head=None, data=memoryview(b""), pseudonym="p", keys=None)
    cleared, verdict, _ = clear(source, Bad(), {}, Patient())
    assert cleared is None
    assert verdict.outcome is Outcome.HOLD
    assert "CANARY" not in repr(verdict)


def test_a_worker_process_ignores_the_terminal_and_ends_with_its_socket():
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "pacsferry.clearer", str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    while "SigIgn" in (status := Path(f"/proc/{process.pid}/status").read_text()):
        ignored = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
        if ignored >> (signal.SIGTERM - 1) & 1:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    ours.close()
    assert process.wait(20) == 0
