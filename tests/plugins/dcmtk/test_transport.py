"""DCMTK's tools as transports: only files are believed, silence ends, nothing stays, and others see no UID."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from pacsferry.core import processes
from pacsferry.core.archive import Archive, Dimse, Receiver, Timeouts
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.ledger_model import Owner
from pacsferry.core.model import Receipt, Wanted
from pacsferry.plugins.dcmtk import running, transport
from pacsferry.plugins.dcmtk.settings import DcmtkSettings
from pacsferry.testing.contracts.kit import MemorySink, archive_of
from pacsferry.testing.samples import CT, ct_study
from pacsferry.testing.simulator import Simulator
from support.peers import dcmqrscp_profile, need_dcmtk

TIMEOUTS = Timeouts(connect="2s", stall="1.5s", quiet="1s")
MAKERS = {"getscu": transport.getscu, "movescu": transport.movescu}


@pytest.fixture
def objects():
    return ct_study(slices=4, rows=64, columns=64)


@pytest.fixture
def sim(objects):
    need_dcmtk("getscu")
    with Simulator(objects) as sim:
        yield sim


@pytest.fixture(params=MAKERS)
def tool(request, sim):
    made = MAKERS[request.param](archive_of(sim, timeouts=TIMEOUTS), DcmtkSettings())
    yield made
    made.close()


def study_of(objects, expected=4):
    return Wanted(study=objects[0].StudyInstanceUID, expected=expected)


def left():
    return list(transport.parent_of().glob(f"pacsferry-dcmtk-{Owner.me().tag}-*"))


def test_a_study_comes_whole_and_leaves_nothing(tool, objects):
    sink = MemorySink()
    assert tool.fetch(study_of(objects), sink).code == ""
    assert sink.instances == sorted(one.SOPInstanceUID for one in objects)
    assert left() == []


@pytest.mark.peers
def test_an_archive_that_cannot_send_in_the_syntax_that_the_tool_likes_best_is_asked_without(
    make_dcmqrscp, objects, tmp_path
):
    jpeg = "JPEGLossless:Non-hierarchical-1stOrderPrediction"
    server = make_dcmqrscp(*dcmqrscp_profile(tmp_path / "assoc.cfg", [CT], [jpeg]))
    server.place(objects)
    own = Receiver(host="127.0.0.1", port=server.receiver_port, ae_title=server.receiver_aet)
    dimse = Dimse(host="127.0.0.1", port=server.port, ae_title=server.aet, receiver=own)
    sink = MemorySink()
    made = transport.movescu(Archive(name="qr", dimse=dimse, timeouts=TIMEOUTS), DcmtkSettings())
    assert made.fetch(study_of(objects), sink).code == ""
    assert sink.instances == sorted(one.SOPInstanceUID for one in objects)


def test_a_folder_that_is_not_in_memory_is_refused_before_anybody_is_contacted(sim, tmp_path):
    if processes.file_system(tmp_path) in {"tmpfs", "ramfs"}:
        pytest.skip("the temporary folder lies in memory here")
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="does not lie in memory"):
        transport.getscu(archive_of(sim, timeouts=TIMEOUTS), DcmtkSettings(folder=str(tmp_path)))
    assert sim.log.of() == []


def test_what_the_tool_counts_is_not_believed(tool, objects, sim):
    sim.faults.add("nothing:claim=true")
    sink = MemorySink()
    tool.fetch(study_of(objects), sink)
    assert sink.instances == []


def test_silence_ends_within_the_stall_limit_and_a_cut_file_is_not_given_on(tool, objects, sim):
    sim.faults.add("silence:nth=3")
    sink, began = MemorySink(), time.monotonic()
    with pytest.raises(TransferError) as caught:
        tool.fetch(study_of(objects), sink)
    assert caught.value.code == "stalled"
    assert time.monotonic() - began < 8
    assert len(sink.instances) == 2
    assert left() == []


def test_a_slow_archive_that_goes_on_sending_is_waited_for(sim):
    big = ct_study(slices=2, rows=512, columns=512, accession="SLOW")
    sim.add(*big)
    sim.faults.add("slow:rate=300000")
    made = transport.getscu(archive_of(sim, timeouts=Timeouts(stall="1s")), DcmtkSettings())
    sink, began = MemorySink(), time.monotonic()
    made.fetch(Wanted(study=big[0].StudyInstanceUID, expected=2), sink)
    assert time.monotonic() - began > 2
    assert len(sink.instances) == 2


def test_closing_ends_a_tool_that_runs(tool, objects, sim):
    sim.faults.add("pause:nth=2,seconds=30")
    timer = threading.Timer(0.7, tool.close)
    timer.start()
    with pytest.raises(TransferError) as caught:
        tool.fetch(study_of(objects), MemorySink())
    timer.join()
    assert caught.value.code == "interrupted"
    with pytest.raises(TransferError):
        tool.fetch(study_of(objects), MemorySink())


def test_a_full_disk_here_ends_the_tool(tool, objects):
    assert tool.fetch(study_of(objects), MemorySink({1: Receipt.NO_SPACE})).code == "no-space"
    assert left() == []


def test_no_uid_stands_on_a_command_line_and_writing_straight_to_disk_is_never_asked_for(tool, objects, sim):
    sim.faults.add("pause:nth=2,seconds=1")
    seen = []

    def look():
        for _ in range(40):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes().split(b"\0")
                except OSError:
                    continue
                if any(word.endswith((b"/getscu", b"/movescu")) for word in words):
                    seen.append(words)
            time.sleep(0.02)

    looker = threading.Thread(target=look)
    looker.start()
    tool.fetch(study_of(objects), MemorySink())
    looker.join()
    assert seen, "the tool ran while we looked"
    flat = b"\0".join(word for words in seen for word in words)
    assert objects[0].StudyInstanceUID.encode() not in flat
    assert not any(word in {b"+B", b"--bit-preserving"} for words in seen for word in words)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_that_climbs_out_of_the_folder_writes_nothing_outside(sim, tmp_path):
    evil = ct_study(slices=1, rows=16, columns=16, accession="EVIL")[0]
    evil.SOPInstanceUID = "../../pacsferry-evil"
    evil.file_meta.MediaStorageSOPInstanceUID = "../../pacsferry-evil"
    sim.add(evil)
    made = transport.getscu(archive_of(sim, timeouts=TIMEOUTS), DcmtkSettings())
    with contextlib.suppress(TransferError):
        made.fetch(Wanted(study=evil.StudyInstanceUID, expected=1), MemorySink())
    assert sim.log.of("c-get"), "it was asked for"
    shared = transport.parent_of()
    assert not [path for folder in (shared, shared.parent) for path in folder.glob("*evil*")]
    assert left() == []


def test_a_tool_that_is_faster_than_we_are_is_held_back(sim, objects, monkeypatch):
    monkeypatch.setattr(running, "FULL", 20_000)
    monkeypatch.setattr(running, "ROOM", 10_000)
    most = []

    class Slow(MemorySink):
        def accept(self, head, chunks):
            time.sleep(0.2)
            most.append(sum(path.stat().st_size for folder in left() for path in folder.iterdir()))
            return super().accept(head, chunks)

    many = ct_study(slices=12, rows=64, columns=64, accession="MANY")
    sim.add(*many)
    sim.faults.add("slow:rate=200000")
    sink = Slow()
    made = transport.getscu(archive_of(sim, timeouts=TIMEOUTS), DcmtkSettings())
    made.fetch(Wanted(study=many[0].StudyInstanceUID, expected=12), sink)
    assert len(sink.instances) == 12
    assert max(most) < 120_000


def test_an_archive_that_is_not_there_is_told_from_one_that_does_not_know_us(sim, objects):
    archive = archive_of(sim, timeouts=TIMEOUTS)
    unknown = archive.dimse.receiver.model_copy(update={"ae_title": "NOBODY"})
    stranger = archive.model_copy(update={"dimse": archive.dimse.model_copy(update={"receiver": unknown})})
    with pytest.raises(TransferError) as caught:
        transport.movescu(stranger, DcmtkSettings()).fetch(study_of(objects), MemorySink())
    assert caught.value.code == "destination-unknown"
    assert "registered" in caught.value.hint
    sim.close()
    with pytest.raises(TransferError) as caught:
        transport.getscu(archive, DcmtkSettings()).fetch(study_of(objects), MemorySink())
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize(
    ("maker", "change", "said"),
    [
        ("getscu", {"tls": {"mode": "required"}}, "TLS"),
        ("movescu", {"receiver": None}, "receiver"),
        ("movescu", {"receiver": Receiver(host="127.0.0.1", allow=("127.0.0.1/32",))}, "allow"),
    ],
)
def test_what_the_tools_cannot_do_is_refused_before_anything_is_contacted(maker, change, said):
    need_dcmtk(maker)
    table = {"host": "127.0.0.1", "port": 104, "ae_title": "X", "receiver": {"host": "127.0.0.1"}} | change
    with pytest.raises(ConfigError, match=said):
        MAKERS[maker](Archive(dimse=Dimse(**table)), DcmtkSettings())


def test_the_environment_of_a_tool_holds_no_secret(monkeypatch):
    monkeypatch.setenv("PACS_PASSWORD", "hunter2")
    given = running._environment()
    assert given["TCP_NODELAY"] == "1"
    assert "hunter2" not in str(given)
    assert "PATH" in given or not os.environ.get("PATH")
