"""The sink keeps what was asked for, once; everything else is refused and nothing is left behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pacsferry.core import arrivals
from pacsferry.core.arrivals import ArrivalStore
from pacsferry.core.errors import InterruptedRun, TransferError
from pacsferry.core.intake import StudySink
from pacsferry.core.model import Framing, Head, Receipt, Wanted
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.testing.samples import ct_study, part10

KEYS = ProjectKeys(b"k" * 32)


@pytest.fixture
def study():
    return ct_study(slices=3, rows=16, columns=16)


@pytest.fixture
def store(tmp_path):
    return ArrivalStore(tmp_path)


def sink_for(study, store, **more):
    got = []
    sink = StudySink(str(study[0].StudyInstanceUID), KEYS, store, got.append, **more)
    return sink, got


def give(sink, ds, **head):
    return sink.accept(Head(framing=Framing.PART_10, **head), [part10(ds)])


def test_each_object_is_kept_once(study, store):
    sink, got = sink_for(study, store)
    assert [give(sink, ds) for ds in [*study, study[0]]] == [Receipt.KEPT] * 3 + [Receipt.DUPLICATE]
    assert [one.key for one in got] == [KEYS.uid(ds.SOPInstanceUID) for ds in study]
    assert all(Path(f"/proc/self/fd/{one.arrival.fd}").readlink().name.startswith("memfd") for one in got[:1])


def test_what_is_done_already_is_a_duplicate(study, store):
    sink, got = sink_for(study, store, done=[KEYS.uid(study[0].SOPInstanceUID)])
    assert give(sink, study[0]) is Receipt.DUPLICATE
    assert not got


def test_an_object_of_another_study_is_refused_and_counted(study, store):
    other = ct_study(slices=1, rows=16, columns=16, seed=9, accession="ELSE")[0]
    sink, got = sink_for(study, store)
    assert give(sink, other) is Receipt.UNEXPECTED
    assert not got
    assert sink.counts["unexpected"] == 1


@pytest.mark.parametrize("lie", [{"sop_instance": "1.2.3"}, {"sop_class": "1.2.3"}])
def test_protocol_and_object_must_agree(study, store, lie):
    sink, got = sink_for(study, store)
    assert give(sink, study[0], **lie) is Receipt.UNEXPECTED
    assert not got


def test_only_the_named_instances_answer_a_request_by_name(study, store):
    sink, _ = sink_for(study, store)
    wanted = Wanted(
        study=study[0].StudyInstanceUID,
        series=study[0].SeriesInstanceUID,
        instances=(study[1].SOPInstanceUID,),
    )
    assert give(sink, study[0], wanted=wanted) is Receipt.UNEXPECTED
    assert give(sink, study[1], wanted=wanted) is Receipt.KEPT


def test_a_series_that_is_not_wanted_is_refused(study, store):
    sink, _ = sink_for(study, store, unwanted=frozenset({KEYS.uid(study[0].SeriesInstanceUID)}))
    assert give(sink, study[0]) is Receipt.UNEXPECTED


def test_an_unlisted_instance_of_the_study_is_taken_and_counted(study, store):
    sink, got = sink_for(study, store, listed={KEYS.uid(study[0].SOPInstanceUID): "series"})
    assert [give(sink, ds) for ds in study[:2]] == [Receipt.KEPT] * 2
    assert (len(got), sink.unlisted) == (2, 1)


def test_an_object_that_is_passed_off_as_an_expected_one_is_refused(study, store):
    """Its file meta information names a listed instance, and inside is one that nobody listed."""
    listed = {KEYS.uid(ds.SOPInstanceUID): "series" for ds in study}
    sink, got = sink_for(study, store, listed=listed)
    content = part10(study[0])
    own = study[0].SOPInstanceUID.encode()
    at = content.rindex(own)
    other = content[:at] + own[:-1] + bytes([own[-1] ^ 1]) + content[at + len(own) :]
    assert sink.accept(Head(framing=Framing.PART_10), [other]) is Receipt.UNEXPECTED
    assert (got, sink.counts["unexpected"]) == ([], 1)
    assert give(sink, study[0]) is Receipt.KEPT


def test_what_cannot_be_read_is_held_under_its_announced_name(study, store):
    sink, got = sink_for(study, store)
    head = Head(framing=Framing.DATA_SET, transfer_syntax="1.2.840.10008.1.2.1", sop_instance="1.2.3")
    assert sink.accept(head, [b"\xff" * 64]) is Receipt.KEPT
    assert (got[0].key, got[0].code) == (KEYS.uid("1.2.3"), "malformed")


def test_what_cannot_be_read_and_has_no_name_is_refused(study, store):
    sink, got = sink_for(study, store)
    assert sink.accept(Head(framing=Framing.PART_10), [b"\xff" * 64]) is Receipt.UNEXPECTED
    assert not got
    assert sink.counts["malformed"] == 1


def test_a_cut_object_is_never_kept(study, store):
    sink, got = sink_for(study, store)

    def cut():
        yield part10(study[0])[:500]
        raise TransferError("cut", code="truncated")

    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(TransferError):
        sink.accept(Head(framing=Framing.PART_10), cut())
    assert not got
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_is_told_to_every_later_object(study, store, monkeypatch):
    sink, _ = sink_for(study, store)
    monkeypatch.setattr(os, "memfd_create", _no_space)
    assert give(sink, study[0]) is Receipt.NO_SPACE
    monkeypatch.undo()
    assert give(sink, study[1]) is Receipt.NO_SPACE
    assert sink.no_space.is_set()


def test_an_error_of_the_connection_is_no_full_disk(study, store):
    sink, got = sink_for(study, store)

    def reset():
        yield part10(study[0])[:100]
        raise ConnectionResetError(104, "reset")

    with pytest.raises(ConnectionResetError):
        sink.accept(Head(framing=Framing.PART_10), reset())
    assert not got
    assert not sink.no_space.is_set()
    assert give(sink, study[0]) is Receipt.KEPT


def _no_space(*_):
    raise OSError(28, "No space left on device")


def test_nothing_is_taken_once_the_run_is_being_stopped(study, store):
    stop = threading.Event()
    stop.set()
    sink, _ = sink_for(study, store, stop=stop)
    with pytest.raises(InterruptedRun):
        give(sink, study[0])


def test_large_objects_go_to_disk_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(arrivals, "MEMORY_EACH", 1000)
    store = ArrivalStore(tmp_path)
    arrival = store.receive(Head(framing=Framing.PART_10), [b"a" * 600, b"b" * 600, b"c" * 10])
    assert arrival.opening(2000) == b"a" * 600 + b"b" * 600 + b"c" * 10
    assert not arrival.in_memory
    assert list(tmp_path.iterdir()) == []
    arrival.close()
    arrival.close()


def test_bytes_in_flight_are_bounded(tmp_path):
    store = ArrivalStore(tmp_path, limit=1000)
    first = store.receive(Head(framing=Framing.PART_10), [b"x" * 1500])
    second = []
    thread = threading.Thread(target=lambda: second.append(store.receive(Head(framing=Framing.PART_10), [b"y"])))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    first.close()
    thread.join(5)
    assert len(second) == 1
    second[0].close()
