"""The embedded archive over DIMSE: right when it behaves, wrong in exactly the way that was ordered."""

import time

import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from pacsferry.testing.samples import CT, MR, compressed_study, ct_study, mr_study, part10
from pacsferry.testing.simulator import Simulator
from support.plain_scu import PATIENT_FIND, PLAIN, association, keys, receiver

STUDY = ct_study(slices=4, rows=32, columns=32)
OTHER = compressed_study("jpeg2000-lossless", slices=2)
UIDS = [str(ds.SOPInstanceUID) for ds in STUDY]
WHOLE = keys("STUDY", StudyInstanceUID=STUDY[0].StudyInstanceUID)
STORAGE = [(CT, PLAIN)]


@pytest.fixture
def sim():
    with Simulator([*STUDY, *OTHER, *mr_study(slices=1, series=2, rows=16, columns=16)]) as sim:
        yield sim
        assert not sim.log.errors


def data_set(ds):
    data = part10(ds)
    return data[144 + int.from_bytes(data[140:144], "little") :]


# --- find -----------------------------------------------------------------------------------------------------------


def test_it_echoes_and_writes_it_down(sim):
    with association(sim) as it:
        assert it.assoc.send_c_echo().Status == 0
    assert [one.verb for one in sim.log.of("c-echo")] == ["c-echo"]
    assert sim.log.of("c-echo")[0].peer == "PLAIN"


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("AccessionNumber", "ACC0001", 1),
        ("AccessionNumber", "ACC000?", 3),
        ("AccessionNumber", "ACC*", 3),
        ("AccessionNumber", "acc0001", 0),
        ("PatientName", "quayside*", 1),
        ("StudyDate", "20240517", 1),
        ("StudyDate", "20240518-", 2),
        ("StudyDate", "-20240517", 1),
        ("StudyDate", "20240517-20240603", 3),
        ("ModalitiesInStudy", "MR", 2),
        ("StudyInstanceUID", [STUDY[0].StudyInstanceUID, OTHER[0].StudyInstanceUID], 2),
        ("StudyInstanceUID", "", 3),
        ("AccessionNumber", "*", 3),
    ],
)
def test_study_keys_match_as_the_standard_says(sim, key, value, found):
    with association(sim) as it:
        statuses, answers = it.find(keys("STUDY", **{"StudyInstanceUID": "", key: value}))
    assert statuses[-1] == 0
    assert len(answers) == found
    assert all(one.QueryRetrieveLevel == "STUDY" for one in answers)


def test_counts_and_modalities_are_those_of_the_study(sim):
    with association(sim) as it:
        query = keys("STUDY", AccessionNumber="ACC0002", ModalitiesInStudy="", PatientID="")
        query.NumberOfStudyRelatedSeries = query.NumberOfStudyRelatedInstances = None
        _, (answer,) = it.find(query)
    assert (answer.NumberOfStudyRelatedSeries, answer.NumberOfStudyRelatedInstances) == (2, 2)
    assert (answer.ModalitiesInStudy, answer.PatientID) == ("MR", "QUAY-0002")


def test_it_answers_at_every_level_and_in_both_models(sim):
    with association(sim) as it:
        _, patients = it.find(keys("PATIENT", PatientID="QUAY-000*", PatientName=""), PATIENT_FIND)
        _, series = it.find(
            keys("SERIES", StudyInstanceUID=STUDY[0].StudyInstanceUID, SeriesInstanceUID="", Modality="")
        )
        _, images = it.find(
            keys("IMAGE", StudyInstanceUID=STUDY[0].StudyInstanceUID, SOPInstanceUID="", SOPClassUID="")
        )
    assert sorted(one.PatientID for one in patients) == ["QUAY-0001", "QUAY-0002", "QUAY-0004"]
    assert [one.Modality for one in series] == ["CT"]
    assert [str(one.SOPInstanceUID) for one in images] == UIDS
    assert {one.SOPClassUID for one in images} == {CT}


def test_the_study_root_has_no_patient_level(sim):
    with association(sim) as it:
        assert it.find(keys("PATIENT", PatientID=""))[0] == [0xA900]
        assert it.find(keys("WARD", PatientID=""))[0] == [0xA900]


def test_a_find_can_fail_at_once_and_in_the_middle(sim):
    with association(sim) as it:
        sim.faults.add("find-fails:times=1", "find-fails:status=0xA700,after=2,times=1")
        assert it.find(keys("STUDY", StudyInstanceUID=""))[0] == [0xC001]
        assert it.find(keys("STUDY", StudyInstanceUID=""))[0] == [0xFF00, 0xFF00, 0xA700]
        assert it.find(keys("STUDY", StudyInstanceUID=""))[0][-1] == 0


@pytest.mark.parametrize(
    ("fault", "count"), [("find-empty", 0), ("find-cap:limit=2", 2), ("find-twice", 6), ("find-stranger", 4)]
)
def test_answers_can_be_wrong(sim, fault, count):
    sim.faults.add(fault)
    with association(sim) as it:
        statuses, answers = it.find(keys("STUDY", StudyInstanceUID=""))
    assert (statuses[-1], len(answers)) == (0, count)


def test_answers_can_lack_a_key(sim):
    sim.faults.add("find-lacks:keyword=SOPClassUID")
    with association(sim) as it:
        _, images = it.find(keys("IMAGE", StudyInstanceUID=STUDY[0].StudyInstanceUID, SOPClassUID=""))
    assert all("SOPClassUID" not in one for one in images)


# --- get ------------------------------------------------------------------------------------------------------------


def test_get_sends_the_bytes_as_they_are_stored(sim):
    with association(sim, STORAGE) as it:
        assert it.get(WHOLE)[-1] == 0
    assert [uid for uid, _, _ in it.got] == UIDS
    assert [data for _, _, data in it.got] == [data_set(ds) for ds in STUDY]
    assert sim.log.sent("c-get") == UIDS


def test_get_sends_compressed_objects_in_their_own_syntax(sim):
    with association(sim, [(MR, [JPEG2000Lossless])]) as it:
        assert it.get(keys("STUDY", StudyInstanceUID=OTHER[0].StudyInstanceUID))[-1] == 0
    assert {syntax for _, syntax, _ in it.got} == {JPEG2000Lossless}
    assert [data for _, _, data in it.got] == [data_set(ds) for ds in OTHER]


def test_nothing_is_transcoded_but_explicit_and_implicit(sim):
    with association(sim, [(MR, PLAIN), (CT, PLAIN[1:])]) as it:
        assert it.get(keys("STUDY", StudyInstanceUID=OTHER[0].StudyInstanceUID))[-1] == 0xA702
        assert it.got == []
        assert it.get(WHOLE)[-1] == 0
    assert {syntax for _, syntax, _ in it.got} == {PLAIN[1]}


def test_get_asks_by_instance_and_the_log_says_so(sim):
    with association(sim, STORAGE) as it:
        wanted = keys("IMAGE", StudyInstanceUID=STUDY[0].StudyInstanceUID, SOPInstanceUID=UIDS[1:3])
        assert it.get(wanted)[-1] == 0
    (asked,) = sim.log.of("c-get")
    assert (asked.level, list(asked.instances), asked.sent) == ("IMAGE", UIDS[1:3], UIDS[1:3])


@pytest.mark.parametrize(
    "wrong", [keys("STUDY", PatientID="QUAY-0001"), keys("IMAGE", StudyInstanceUID="1.2"), keys("", X="")]
)
def test_a_request_that_names_nothing_is_refused_not_answered_with_everything(sim, wrong):
    with association(sim, STORAGE) as it:
        assert it.get(wrong) == [0xA900]
    assert sim.log.sent() == []


@pytest.mark.parametrize(
    ("fault", "final", "came"),
    [
        ("drop:nth=2", 0x0000, [0, 2, 3]),
        ("drop:nth=2,told=1", 0xB000, [0, 2, 3]),
        ("nothing", 0x0000, []),
        ("nothing:claim=1", 0x0000, []),
        ("cannot-perform", 0xA702, []),
        ("out-of-resources", 0xA701, []),
        ("unable-to-process:status=0xC001", 0xC001, []),
        ("cancelled:nth=3", 0xFE00, [0, 1]),
        ("duplicate:nth=2", 0x0000, [0, 1, 1, 2, 3]),
        ("no-pending", 0x0000, [0, 1, 2, 3]),
        ("abort:nth=3", None, [0, 1]),
        ("reset:nth=3", None, [0, 1]),
        ("silence:nth=3", None, [0, 1]),
    ],
)
def test_a_get_goes_wrong_as_ordered(sim, fault, final, came):
    sim.faults.add(fault)
    with association(sim, STORAGE) as it:
        statuses = it.get(WHOLE)
    assert statuses[-1] == final
    assert [str(uid) for uid, _, _ in it.got] == [UIDS[n] for n in came]


def test_silence_keeps_the_connection_and_sends_nothing(sim):
    sim.faults.add("silence:nth=1,after=100")
    with association(sim, STORAGE) as it:
        started = time.monotonic()
        assert it.get(WHOLE) == [None]
        assert time.monotonic() - started > 1.9, "the client's own time-out ended it, not the archive"


def test_a_fault_with_times_goes_away(sim):
    sim.faults.add("drop:nth=1,times=1")
    with association(sim, STORAGE) as it:
        it.get(WHOLE)
        first, it.got = len(it.got), []
        it.get(WHOLE)
    assert (first, len(it.got)) == (3, 4)
    assert sim.faults.active() == []


def test_strangers_come_besides_and_instead(sim):
    with association(sim, [*STORAGE, (MR, [*PLAIN, JPEG2000Lossless])]) as it:
        sim.faults.add("stranger:nth=1,times=1")
        it.get(WHOLE)
        assert len(it.got) == 5
        it.got = []
        sim.faults.add("stranger:nth=1,instead=1,times=1")
        it.get(WHOLE)
    assert [str(uid) for uid, _, _ in it.got][1:] == UIDS[1:]
    assert str(it.got[0][0]) != UIDS[0]


@pytest.mark.parametrize(("fault", "text"), [("other-patient:nth=1", b"QUAY-0001-B"), ("wrong-uid:nth=1", None)])
def test_objects_can_be_of_somebody_else(sim, fault, text):
    sim.faults.add(fault)
    with association(sim, STORAGE) as it:
        it.get(WHOLE)
    data = it.got[0][2]
    assert data != data_set(STUDY[0])
    assert text in data if text else UIDS[0].encode() not in data[:2000]
    assert it.got[1][2] == data_set(STUDY[1])


def test_an_object_can_be_cut(sim):
    sim.faults.add("truncated-object:nth=1")
    with association(sim, STORAGE) as it:
        it.get(WHOLE)
    assert len(it.got[0][2]) < len(it.got[1][2])


def test_a_slow_archive_takes_its_time(sim):
    sim.faults.add("slow:rate=10000")
    with association(sim, STORAGE) as it:
        started = time.monotonic()
        assert it.get(WHOLE)[-1] == 0
    assert time.monotonic() - started > 0.9


def test_an_archive_can_refuse_associations_and_storage(sim):
    sim.faults.add("reject:times=1")
    with association(sim) as it:
        assert not it.assoc.is_established
    sim.faults.add("no-storage")
    with association(sim, STORAGE) as it:
        assert it.get(WHOLE)[-1] == 0xA702
    assert it.got == []


# --- move -----------------------------------------------------------------------------------------------------------


def test_move_sends_to_a_registered_destination_in_several_syntaxes(sim):
    with receiver([*PLAIN, JPEG2000Lossless]) as dest, association(sim) as it:
        assert it.move(WHOLE, "DEST") == [0xA801]
        sim.register("DEST", "127.0.0.1", dest.port)
        assert it.move(WHOLE, "DEST")[-1] == 0
        assert it.move(keys("STUDY", StudyInstanceUID=OTHER[0].StudyInstanceUID), "DEST")[-1] == 0
        assert dest.got == [*UIDS, *(str(ds.SOPInstanceUID) for ds in OTHER)]
    assert sim.log.sent("c-move") == dest.got


def test_a_destination_that_does_not_answer(sim):
    sim.register("DEST", "127.0.0.1", 9)
    with association(sim) as it:
        assert it.move(WHOLE, "DEST") == [0xA702]


def test_images_come_after_success(sim):
    sim.faults.add("late:seconds=0.3")
    with receiver() as dest, association(sim) as it:
        sim.register("DEST", "127.0.0.1", dest.port)
        assert it.move(WHOLE, "DEST") == [0x0000]
        assert dest.got == []
        assert dest.wait(4)
    assert dest.got == UIDS


@pytest.mark.parametrize("fault", ["abort:nth=3", "reset:nth=3"])
def test_a_move_breaks_off_in_the_middle(sim, fault):
    sim.faults.add(fault)
    with receiver() as dest, association(sim) as it:
        sim.register("DEST", "127.0.0.1", dest.port)
        assert it.move(WHOLE, "DEST")[-1] == 0xB000
    assert dest.got == UIDS[:2]


@pytest.mark.parametrize(
    ("fault", "final"), [("nothing", 0), ("cannot-perform", 0xA702), ("destination-unknown", 0xA801)]
)
def test_a_move_brings_nothing(sim, fault, final):
    sim.faults.add(fault)
    with receiver() as dest, association(sim) as it:
        sim.register("DEST", "127.0.0.1", dest.port)
        assert it.move(WHOLE, "DEST") == [final]
    assert dest.got == []


# --- store, life ----------------------------------------------------------------------------------------------------


def test_store_adds_to_the_archive(sim):
    (new,) = ct_study(slices=1, rows=8, columns=8, accession="ACC0009")
    from pynetdicom import AE, build_context

    ae = AE("PLAIN")
    assoc = ae.associate(sim.host, sim.dimse_port, [build_context(CT, [ExplicitVRLittleEndian])], ae_title="SIM")
    assert assoc.send_c_store(new).Status == 0
    assoc.release()
    with association(sim) as it:
        assert len(it.find(keys("STUDY", AccessionNumber="ACC0009"))[1]) == 1
    (stored,) = sim.holdings.select(study=new.StudyInstanceUID)
    assert bytes(stored.data_set(ExplicitVRLittleEndian)) == data_set(new)


def test_it_stops_at_once_also_while_silent(sim):
    sim.faults.add("silence:nth=1")
    with association(sim, STORAGE) as it:
        it.assoc.send_c_get(WHOLE, "1.2.840.10008.5.1.4.1.2.2.3")
        started = time.monotonic()
        sim.close()
        sim.close()
        assert time.monotonic() - started < 8
