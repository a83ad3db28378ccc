"""Objects on their way: memory files are used again and show nothing of what was in them before."""

import os
import queue
import threading
import time

import pytest

from pacsferry.core import arrivals
from pacsferry.core.arrivals import ArrivalStore
from pacsferry.core.model import Framing, Head

HEAD = Head(framing=Framing.PART_10)


@pytest.fixture
def store(tmp_path):
    made = ArrivalStore(tmp_path)
    yield made
    made.close()


def whole(arrival):
    return os.pread(arrival.fd, 2**20, 0)


def open_files():
    return set(os.listdir("/proc/self/fd"))


def test_a_later_object_shows_nothing_of_an_earlier_one(store):
    first = store.receive(HEAD, [b"x" * 5000, b"y" * 5000])
    again = first.fd
    first.close()
    second = store.receive(HEAD, [b"z" * 3, b"z"])
    assert second.fd == again
    assert whole(second) == b"zzzz"
    assert os.fstat(second.fd).st_size == second.size == 4
    assert second.opening(100) == b"zzzz"
    empty_one = second
    empty_one.close()
    assert whole(store.receive(HEAD, [])) == b""


def test_objects_that_are_under_way_together_share_no_file(store):
    one, two = store.receive(HEAD, [b"one"]), store.receive(HEAD, [b"two"])
    one.close()
    three = store.receive(HEAD, [b"three"])
    assert (whole(two), whole(three)) == (b"two", b"three")


def test_closing_twice_gives_a_file_back_once(store):
    one = store.receive(HEAD, [b"one"])
    one.close()
    two = store.receive(HEAD, [b"two"])
    one.close()
    assert whole(two) == b"two"
    assert store.receive(HEAD, [b"three"]).fd != two.fd


def test_only_so_much_memory_is_kept_for_later(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "SPARE", 2500)
    before = open_files()
    store = ArrivalStore(tmp_path)
    for one in [store.receive(HEAD, [bytes(1000)]) for _ in range(5)]:
        one.close()
    assert len(open_files() - before) == 2
    store.close()
    assert open_files() == before


def test_very_many_small_objects_hold_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "OBJECTS", 8)
    monkeypatch.setattr(arrivals, "SPARES", 4)
    store, flying, before = ArrivalStore(tmp_path), queue.Queue(), len(open_files())

    def receive():
        for number in range(100):
            flying.put(store.receive(HEAD, [b"%d" % number]))
        flying.put(None)

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.1)
    assert flying.qsize() == 8
    seen = []
    while (one := flying.get(timeout=10)) is not None:
        seen.append(int(whole(one)))
        one.close()
        assert len(open_files()) - before <= 8 + 4
    thread.join()
    assert seen == list(range(100))
    assert len(open_files()) - before <= 4
    store.close()


def test_after_the_end_of_a_run_nothing_stays_open(tmp_path):
    before = open_files()
    store = ArrivalStore(tmp_path)
    kept, late = store.receive(HEAD, [b"kept"]), store.receive(HEAD, [b"late"])
    kept.close()
    store.close()
    late.close()
    assert open_files() == before


def test_an_object_that_proves_large_goes_over_to_disk_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "MEMORY_EACH", 10_000)
    store = ArrivalStore(tmp_path)
    spare = store.receive(HEAD, [b"old" * 1000])
    spare.close()
    content = [os.urandom(6000), os.urandom(6000), os.urandom(10)]
    large = store.receive(HEAD, content)
    assert not large.in_memory
    assert whole(large) == b"".join(content)
    assert list(tmp_path.iterdir()) == []
    large.close()
    store.close()
