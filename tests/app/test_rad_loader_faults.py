"""The faults of rad-loader, one test each: they cannot happen here (predecessors, section 1)."""

from __future__ import annotations

import io
import socket

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE

from pacsferry.core.errors import FerryError
from pacsferry.core.model import Status
from pacsferry.testing.samples import CT, compressed_study, ct_study, part10, report
from support.commands import call
from support.loading import TRANSPORTS, place
from support.processes import until

DIMSE = ("c-get", "c-move")
SLICES = 5
ANNA, OTTO = "CANARYID7", "QUAY-0009"


def anna():
    return ct_study(slices=SLICES, rows=16, columns=16, accession="ACC100", patient_id=ANNA, patient_name="Canary^Anna")


def otto():
    return ct_study(slices=SLICES, rows=16, columns=16, accession="ACC200", patient_id=OTTO, patient_name="Heron^Otto")


@pytest.fixture
def there(tmp_path):
    with place(tmp_path, [*anna(), *otto()]) as made:
        made.write()
        yield made


def cases(there):
    """The pseudonym in each released file, by the case's folder."""
    found = {}
    for path in there.images():
        case = path.relative_to(there.folder / "research" / "p").parts[0]
        found.setdefault(case, set()).add(str(pydicom.dcmread(path).PatientID))
    return found


# A failed C-MOVE leaves files that the next patient's case inherits.


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize("fault", ["abort:nth=1", "drop:nth=1"])
def test_what_a_failed_transfer_left_is_never_in_the_next_patients_case(there, over, fault):
    anna_uid = str(anna()[0].StudyInstanceUID)
    there.archive.faults.add(f"{fault},study={anna_uid}")
    first = there.load("ACC100", over=over)
    assert first.rows[0].status is not Status.OK
    second = there.load("ACC200", over=over)
    assert (second.rows[0].status, second.rows[0].stored) == (Status.OK, SLICES)
    assert second.rows[0].case_id != first.rows[0].case_id
    assert all(ids == {case} for case, ids in cases(there).items())
    own = [path for path in there.images() if second.rows[0].case_id in path.parts]
    assert len(own) == SLICES


def test_images_that_come_late_are_not_in_the_next_patients_case(there):
    """Anna's images arrive while Otto's study is being moved."""
    anna_uid = str(anna()[0].StudyInstanceUID)
    there.archive.faults.add(f"late:seconds=1.2,study={anna_uid}")
    there.load("ACC100", over="c-move")
    second = there.load("ACC200", over="c-move")
    assert second.rows[0].stored == SLICES
    assert all(ids == {case} for case, ids in cases(there).items())


# 0xA801, 0xA702, a 30 s gap or an abort is recorded "ok" and then skipped for ever.


@pytest.mark.parametrize(
    ("over", "fault"),
    [
        ("c-move", "destination-unknown"),
        *((over, "cannot-perform") for over in DIMSE),
        *((over, "abort:nth=1") for over in TRANSPORTS),
        ("c-move", "silence:nth=1"),
    ],
)
def test_a_failed_transfer_is_never_ok_and_never_skipped(there, over, fault):
    there.archive.faults.add(fault)
    done = there.load("ACC100", over=over)
    assert (done.rows[0].status, done.exit_code) == (Status.FAILED, 4)
    assert not done.verification["ok"]
    there.archive.faults.clear()
    done = there.load("ACC100", over=over)
    assert (done.rows[0].status, done.rows[0].stored, done.exit_code) == (Status.OK, SLICES, 0)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_gap_in_the_transfer_is_waited_for(there, over):
    there.archive.faults.add("pause:nth=3,seconds=0.9")
    done = there.load("ACC100", over=over)
    assert (done.rows[0].status, done.rows[0].stored) == (Status.OK, SLICES)


# A failed C-FIND reads as "not found".


@pytest.mark.parametrize(
    ("over", "fault"),
    [
        ("c-get", "find-fails"),
        ("c-get", "reject"),
        ("wado-rs", "http-500:verb=qido-rs"),
        ("wado-rs", "http-401:verb=qido-rs"),
        ("wado-rs", "http-404:verb=qido-rs"),
        ("wado-rs", "bad-json"),
        ("wado-rs", "login-page:verb=qido-rs"),
    ],
)
def test_a_failed_query_is_failed_and_not_not_found(there, over, fault):
    there.archive.faults.add(fault)
    done = there.load("ACC100", over=over)
    assert (done.rows[0].status, done.exit_code) == (Status.FAILED, 4)
    assert done.rows[0].error
    assert done.verification["not_found"] == 0


def test_an_archive_that_is_not_there_is_an_error(there):
    there.write(("c-get",))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        told = call("load", "p", "ACC100", "-s", there.site, "--set", f"archive.dimse.port={port}", "--workers", 0)
    assert told.code == 4
    assert told.document["results"][0]["status"] == "failed"


# Exit 0 when all failed.


@pytest.mark.parametrize("over", TRANSPORTS)
def test_all_failed_is_no_exit_0(there, over):
    there.archive.faults.add("nothing")
    there.write((over,))
    told = call("load", "p", "ACC100", "ACC200", "-s", there.site, "--workers", 0)
    assert told.code in {4, 5}
    assert told.document["status"] == "failed"
    assert told.document["verification"]["failed"] == 2


# Duplicates loaded twice.


@pytest.mark.parametrize("over", TRANSPORTS)
def test_an_accession_given_twice_is_loaded_once(there, over):
    there.write((over,))
    (there.folder / "list.txt").write_text("ACC100\nACC100\n ACC100 # again\n")
    told = call("load", "p", "--file", "list.txt", "ACC100", "ACC100", "-s", there.site, "--workers", 0)
    assert told.code == 0
    (row,) = told.document["results"]
    assert row["stored"] == SLICES
    assert told.document["verification"]["total_requested"] == 1
    until(lambda: len(there.archive.log.sent(over)) >= SLICES, 5)
    assert len(set(there.archive.log.sent(over))) == len(there.archive.log.sent(over)) == SLICES


@pytest.mark.parametrize("over", TRANSPORTS)
def test_instances_that_an_archive_sends_twice_are_stored_once(there, over):
    there.archive.faults.add("duplicate")
    done = there.load("ACC100", over=over)
    assert (done.rows[0].status, done.rows[0].stored, len(there.images())) == (Status.OK, SLICES, SLICES)


# Project name ../x writes outside.


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "/tmp/x", "a/b", "a\\b", "x\0y", "-x", "", " ", "reports", "x" * 80, "caf\u00e9", "~"]
)
def test_a_project_name_never_writes_outside(there, tmp_path, name):
    before = {path for path in tmp_path.parent.rglob("*") if "state" not in path.parts}
    with pytest.raises(FerryError) as err:
        there.load("ACC100", over="wado-rs", project=name)
    assert err.value.exit_code == 2
    assert there.archive.log.of() == []
    after = {path for path in tmp_path.parent.rglob("*") if "state" not in path.parts}
    assert after == before


# Debug output prints PatientName: tests/app/test_privacy.py, and here the shortest form of it.


def test_verbose_output_prints_no_patient(there):
    there.write(("c-move",))
    told = call("load", "p", "ACC100", "-s", there.site, "--workers", 0, "--verbose", "--events", "--format", "table")
    assert told.code == 0
    for word in ("Canary", "Anna", ANNA):
        assert word not in told.out + told.err


# The receiver takes uncompressed syntaxes only, from anyone, on all interfaces.


def test_the_receiver_takes_compressed_syntaxes(tmp_path):
    study = compressed_study("jpeg2000-lossless", slices=2, accession="ACC400")
    with place(tmp_path, study) as there:
        done = there.load("ACC400", over="c-move")
        assert done.rows[0].status is Status.OK
        for path in there.images():
            stored = pydicom.dcmread(path)
            assert stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
            assert stored.PixelData == study[0].PixelData


class _Intruder:
    """Sends to the receiver while a C-MOVE goes on, as another AE."""

    def __init__(self, port, called="PACSFERRY", calling="SIM", host="127.0.0.1"):
        self.ae = AE(calling)
        self.ae.add_requested_context(CT, "1.2.840.10008.1.2.1")
        self.ae.acse_timeout = self.ae.dimse_timeout = self.ae.network_timeout = 5
        self.assoc = self.ae.associate(host, port, ae_title=called)

    def send(self, ds: Dataset):
        try:
            return self.assoc.send_c_store(ds).get("Status") if self.assoc.is_established else None
        finally:
            self.assoc.release() if self.assoc.is_established else None


def moving(there, run):
    """Run something while the receiver is open and a study of Anna's is on its way."""
    import threading

    there.archive.faults.add("pause:nth=3,seconds=1.2")
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(there.load("ACC100", over="c-move")))
    thread.start()
    until(lambda: there.archive.log.sent("c-move"))
    try:
        run()
    finally:
        thread.join(30)
    return outcome[0]


def test_the_receiver_refuses_what_nobody_asked_for(there):
    told = []
    done = moving(there, lambda: told.append(_Intruder(there.receiver_port).send(otto()[0])))
    assert told[0] not in {0x0000, 0xB000}
    assert (done.rows[0].status, done.rows[0].stored) == (Status.OK, SLICES)
    assert len(there.images()) == SLICES


def test_the_receiver_refuses_another_called_title(there):
    told = []
    done = moving(there, lambda: told.append(_Intruder(there.receiver_port, called="ANYONE").assoc.is_rejected))
    assert told == [True]
    assert done.rows[0].status is Status.OK


def test_the_receiver_refuses_peers_that_are_not_allowed(there):
    """The archive is not at the only address that may send: nothing is taken."""
    there.write(("c-move",))
    told = call(
        "load", "p", "ACC100", "-s", there.site, "--workers", 0, "--set", 'archive.dimse.receiver.allow=["10.9.8.7/32"]'
    )
    assert told.code in {4, 5}
    assert there.images() == []


def test_the_receiver_listens_on_its_address_only_and_only_while_needed(there):
    heard = []

    def look():
        with socket.socket() as probe:
            probe.settimeout(2)
            heard.append(probe.connect_ex(("127.0.0.2", there.receiver_port)))
        heard.append(listening(there.receiver_port))

    moving(there, look)
    assert heard[0] != 0
    assert heard[1] == {"0100007F"}
    assert listening(there.receiver_port) == set()


def listening(port):
    """Addresses on which somebody listens at a port, as in /proc/net/tcp."""
    found = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}") as table:
            for line in table.readlines()[1:]:
                local, _, state = line.split()[1:4]
                if state == "0A" and local.endswith(f":{port:04X}"):
                    found.add(local.partition(":")[0])
    return found


# An SR comes out as an empty shell.


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_report_is_held_and_nothing_of_it_is_written(tmp_path, over):
    study = anna()
    with place(tmp_path, [*study, report(study)]) as there:
        done = there.load("ACC100", over=over)
        row = done.rows[0]
        assert (row.status, row.stored, row.held, done.exit_code) == (Status.HELD, SLICES, 1, 5)
        assert row.reasons == {"sop-class": 1}
        assert {pydicom.dcmread(path).SOPClassUID for path in there.images()} == {UID(CT)}


@pytest.mark.parametrize("over", TRANSPORTS)
@pytest.mark.parametrize(
    "rule", ['modality = { only = ["CT"] }', 'sop_class = { not = ["1.2.840.10008.5.1.4.1.1.88.11"] }']
)
def test_a_report_that_is_not_wanted_is_excluded_and_the_study_is_ok(tmp_path, over, rule):
    study = anna()
    with place(tmp_path, [*study, report(study)]) as there:
        done = there.load("ACC100", over=over, extra=f"[select]\n{rule}\n")
        row = done.rows[0]
        assert (row.status, row.stored, row.excluded, row.missing, done.exit_code) == (Status.OK, SLICES, 1, 0, 0)
        again = there.load("ACC100", over=over, extra=f"[select]\n{rule}\n")
        assert again.rows[0].status is Status.SKIPPED


def test_a_case_id_once_given_is_never_given_again(there):
    there.archive.faults.add("nothing")
    failed = there.load("ACC100", over="wado-rs")
    there.archive.faults.clear()
    other = there.load("ACC200", over="wado-rs")
    assert (failed.rows[0].case_id, other.rows[0].case_id) == ("case0001", "case0002")
    again = there.load("ACC100", over="wado-rs")
    assert again.rows[0].case_id == "case0001"


def test_a_released_file_holds_no_original_of_the_study(there):
    there.load("ACC100", over="wado-rs")
    everything = there.everything_written()
    for ds in anna():
        for word in (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.AccessionNumber, ANNA, "Canary"):
            assert str(word).encode() not in everything
    assert part10(anna()[0])
    assert pydicom.dcmread(io.BytesIO(there.images()[0].read_bytes())).PatientIdentityRemoved == "YES"
