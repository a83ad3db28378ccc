"""C-FIND gives every answer once, as text, or an error; never a part of the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import evt

from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.matching import chosen
from pacsferry.core.model import Level, Match, Query
from pacsferry.plugins.dimse import find
from pacsferry.plugins.dimse.find import CFind
from pacsferry.plugins.dimse.settings import FindSettings
from support.peers import Dcmqrscp, Orthanc, free_port
from support.scripted_scp import Study, archive, make_study, raw_peer, scp, status_of


@pytest.fixture
def opened() -> Iterator[Callable[..., CFind]]:
    """Make a finder that is closed at the end."""
    made: list[CFind] = []

    def make(*args: Any, model: str = "study", **kwargs: Any) -> CFind:
        made.append(CFind(archive(*args, **kwargs), FindSettings.model_validate({"model": model})))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def peer(request: pytest.FixtureRequest) -> tuple[int, str, Callable[[Study], None]]:
    """A real archive: port, title, how to fill it."""
    server: Any = request.getfixturevalue(request.param)
    server.clear()
    if isinstance(server, Orthanc):
        return server.dicom_port, server.aet, lambda study: void(server.upload(study.instances))
    assert isinstance(server, Dcmqrscp)
    return server.port, server.aet, lambda study: server.store(study.instances)


def void(value: object) -> None:
    del value


def ask(finder: CFind, level: Level = Level.STUDY, wants: tuple[str, ...] = (), **keys: str) -> list[Match]:
    return list(finder.find(Query(level=level, keys=keys, wants=wants)))


@pytest.mark.peers
@pytest.mark.parametrize("model", ["study", "patient"])
def test_every_level_of_both_models_is_found(peer: Any, opened: Any, model: str) -> None:
    port, aet, fill = peer
    study = make_study(patient="P7")
    fill(study)
    fill(make_study(patient="P8"))
    finder = opened(port, aet, model=model)
    above = {"PatientID": "P7"}
    (found,) = ask(finder, **above)
    assert found.text("StudyInstanceUID") == study.uid
    (series,) = ask(finder, Level.SERIES, StudyInstanceUID=study.uid, **above)
    assert (series.text("SeriesInstanceUID"), series.text("Modality")) == (study.series, "MR")
    keys = {"StudyInstanceUID": study.uid, "SeriesInstanceUID": study.series, **above}
    assert {one.text("SOPInstanceUID") for one in ask(finder, Level.IMAGE, **keys)} == set(study.uids)
    (patient,) = ask(finder, Level.PATIENT, **above)
    assert patient.text("PatientID") == "P7"


@pytest.mark.peers
def test_orthanc_names_classes_and_counts(orthanc: Orthanc, opened: Any) -> None:
    study = make_study()
    orthanc.upload(study.instances)
    finder = opened(orthanc.dicom_port, orthanc.aet)
    (found,) = ask(finder, StudyInstanceUID=study.uid)
    assert found.number("NumberOfStudyRelatedInstances") == 3
    assert found.many("ModalitiesInStudy") == ("MR",)
    keys = {"StudyInstanceUID": study.uid, "SeriesInstanceUID": study.series}
    assert {one.text("SOPClassUID") for one in ask(finder, Level.IMAGE, **keys)} == study.classes


@pytest.mark.peers
def test_names_with_umlauts_match_and_come_back(peer: Any, opened: Any) -> None:
    port, aet, fill = peer
    study = make_study()
    for one in study.instances:
        one.SpecificCharacterSet = "ISO_IR 100"
        one.PatientName, one.StudyDescription = "Müller^Zoë", "Schädel"
    fill(study)
    finder = opened(port, aet)
    (found,) = ask(finder, PatientName="Müller*", wants=("PatientName",))
    assert (found.text("PatientName"), found.text("StudyDescription")) == ("Müller^Zoë", "Schädel")
    (unasked,) = ask(finder, StudyInstanceUID=study.uid)
    assert unasked.text("StudyDescription") == "Schädel"


@pytest.mark.peers
def test_wildcards_and_ranges_are_passed_on_and_nothing_is_no_error(peer: Any, opened: Any) -> None:
    port, aet, fill = peer
    study = make_study(patient="WILD01")
    for one in study.instances:
        one.AccessionNumber, one.StudyDate = "ACC123", "20240517"
    fill(study)
    finder = opened(port, aet)
    assert len(ask(finder, AccessionNumber="ACC*")) == 1
    assert len(ask(finder, StudyDate="20240101-20241231")) == 1
    assert len(ask(finder, StudyDate="20240517-")) == 1
    assert ask(finder, AccessionNumber="NONE") == []


@pytest.mark.peers
def test_one_study_uid_under_two_patients_is_two_answers(orthanc: Orthanc, opened: Any) -> None:
    orthanc.clear()
    first, second = make_study(patient="ONE"), make_study(patient="TWO")
    for one in second.instances:
        one.StudyInstanceUID = first.uid
    orthanc.upload([*first.instances, *second.instances])
    found = ask(opened(orthanc.dicom_port, orthanc.aet), StudyInstanceUID=first.uid)
    assert sorted(match.text("PatientID") for match in found) == ["ONE", "TWO"]


def answering(*answers: Dataset, final: int | None = None) -> Callable[[Any], Iterator[Any]]:
    def handle(event: Any) -> Iterator[Any]:
        for answer in answers:
            yield 0xFF00, answer
        if final is not None:
            yield status_of(final), None

    return handle


def row(**values: Any) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def test_an_answer_given_twice_is_one(opened: Any) -> None:
    same = row(StudyInstanceUID="1.2", PatientID="A")
    with scp([(evt.EVT_C_FIND, answering(same, same, row(StudyInstanceUID="1.2", PatientID="B")))]) as port:
        assert len(ask(opened(port))) == 2


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (0xA700, "capped", False),
        (0xA900, "identifier-mismatch", False),
        (0xC001, "unable-to-process", True),
        (0x0122, "not-supported", False),
        (0x0124, "not-authorised", False),
        (0xFE00, "capped", False),
        (0xB001, "unable-to-process", True),
    ],
)
def test_a_failure_after_answers_is_an_error_and_no_early_end(
    opened: Any, status: int, code: str, retryable: bool
) -> None:
    handler = answering(row(StudyInstanceUID="1.2"), final=status)
    with scp([(evt.EVT_C_FIND, handler)]) as port, pytest.raises(TransferError) as caught:
        ask(opened(port))
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_a_match_without_a_study_uid_is_an_error_and_an_empty_answer_is_none(opened: Any) -> None:
    nameless, empty = row(AccessionNumber="ACC1"), row(AccessionNumber="")
    with (
        scp([(evt.EVT_C_FIND, answering(nameless))]) as port,
        pytest.raises(TransferError, match="no StudyInstanceUID"),
    ):
        ask(opened(port), AccessionNumber="ACC1")
    with scp([(evt.EVT_C_FIND, answering(empty))]) as port:
        assert not any(match.text("StudyInstanceUID") for match in ask(opened(port), AccessionNumber="ACC1"))


def test_a_connection_lost_in_the_middle_is_an_error(opened: Any) -> None:
    def handle(event: Any) -> Iterator[Any]:
        yield 0xFF00, row(StudyInstanceUID="1.2")
        event.assoc.abort()

    with scp([(evt.EVT_C_FIND, handle)]) as port, pytest.raises(TransferError) as caught:
        ask(opened(port))
    assert caught.value.code == "aborted"


def test_a_silent_archive_is_given_up(opened: Any) -> None:
    hold = threading.Event()

    def handle(event: Any) -> Iterator[Any]:
        hold.wait(10)
        yield 0x0000, None

    start = time.monotonic()
    with scp([(evt.EVT_C_FIND, handle)]) as port:
        with pytest.raises(TransferError) as caught:
            ask(opened(port))
        took = time.monotonic() - start
        hold.set()
    assert caught.value.code == "stalled"
    assert took < 4


def test_an_association_that_was_lost_while_idle_is_replaced(opened: Any) -> None:
    opened_count = []
    handlers = [
        (evt.EVT_C_FIND, answering(row(StudyInstanceUID="1.2"))),
        (evt.EVT_ACCEPTED, opened_count.append),
    ]
    with scp(handlers) as port:
        finder = opened(port)
        for _ in range(3):
            assert len(ask(finder)) == 1
        assert len(opened_count) == 1
        opened_count[0].assoc.dul.socket.socket.close()
        opened_count[0].assoc.abort()
        assert len(ask(finder)) == 1
    assert len(opened_count) == 2


def test_an_idle_association_is_given_back(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "IDLE_SECONDS", 0.2)
    released = threading.Event()
    handlers = [
        (evt.EVT_C_FIND, answering(row(StudyInstanceUID="1.2"))),
        (evt.EVT_RELEASED, lambda event: released.set()),
    ]
    with scp(handlers) as port:
        ask(opened(port))
        assert released.wait(3)


def test_questions_at_once_have_associations_of_their_own(opened: Any) -> None:
    together = threading.Barrier(3, timeout=5)

    def handle(event: Any) -> Iterator[Any]:
        together.wait()
        yield 0xFF00, row(StudyInstanceUID="1.2")

    results: list[int] = []
    with scp([(evt.EVT_C_FIND, handle)]) as port:
        finder = opened(port)
        threads = [threading.Thread(target=lambda: results.append(len(ask(finder)))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert results == [1, 1, 1]


def heard(asked: list[Any]) -> Callable[[Any], Iterator[Any]]:
    def handle(event: Any) -> Iterator[Any]:
        asked.append((str(event.request.AffectedSOPClassUID), event.identifier))
        yield 0x0000, None

    return handle


def test_an_archive_that_insists_on_a_date_gets_an_open_range(opened: Any) -> None:
    asked: list[Any] = []
    with scp([(evt.EVT_C_FIND, heard(asked))]) as port:
        finder = opened(port, quirks={"requires_study_date": True})
        ask(finder, AccessionNumber="1")
        ask(finder, StudyDate="20240101-")
    assert [identifier.StudyDate for _, identifier in asked] == ["19000101-", "20240101-"]


def test_patient_queries_use_patient_root_or_where_refused_study_root(opened: Any) -> None:
    asked: list[Any] = []
    with scp([(evt.EVT_C_FIND, heard(asked))]) as port:
        ask(opened(port), Level.PATIENT, PatientID="1")
        ask(opened(port, quirks={"study_root_only": True}), Level.PATIENT, PatientID="1")
    assert [(uid[-5:], identifier.QueryRetrieveLevel) for uid, identifier in asked] == [
        ("2.1.1", "PATIENT"),
        ("2.2.1", "STUDY"),
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of the scripted archive's own reading
def test_values_that_pydicom_would_refuse_pass(opened: Any) -> None:
    odd = row(StudyInstanceUID="1.2", PatientID="A")
    odd.add_new("StudyTime", "TM", "1113.672")
    odd.add_new("StudyDate", "DA", "2024.05.17")
    asked: list[Any] = []
    with scp([(evt.EVT_C_FIND, answering(odd))]) as port:
        (match,) = ask(opened(port), StudyDate="not-a-date", PatientBirthDate="19xx")
    assert (match.text("StudyTime"), match.text("StudyDate")) == ("1113.672", "2024.05.17")
    with scp([(evt.EVT_C_FIND, heard(asked))]) as port:
        ask(opened(port), AccessionNumber="A" * 40)
    assert asked[0][1].AccessionNumber == "A" * 40


def test_the_profile_may_say_that_the_archive_lies_about_its_charset(opened: Any) -> None:
    liar = row(StudyInstanceUID="1.2", SpecificCharacterSet="ISO_IR 100", StudyDescription="Sch\xc3\xa4del")
    with scp([(evt.EVT_C_FIND, answering(liar))]) as port:
        (match,) = ask(opened(port, charset="ISO_IR 192"))
    assert match.text("StudyDescription") == "Schädel"


def test_a_keyword_that_is_none_is_an_error_before_anybody_is_asked(opened: Any) -> None:
    with pytest.raises(ConfigError, match="StudyDaet is not a DICOM keyword"):
        ask(opened(free_port()), StudyDaet="20240101")


def test_a_closed_port_is_unreachable(opened: Any) -> None:
    with pytest.raises(TransferError) as caught:
        ask(opened(free_port()))
    assert caught.value.code == "unreachable"


def test_a_connection_that_is_dropped_at_once_is_an_error(opened: Any) -> None:
    with raw_peer(lambda connection: connection.close()) as port, pytest.raises(TransferError) as caught:
        ask(opened(port))
    assert caught.value.code == "aborted"


@pytest.mark.peers
def test_ping_says_who_answered(orthanc: Orthanc, opened: Any) -> None:
    ping = opened(orthanc.dicom_port, orthanc.aet).ping()
    assert (ping.service, ping.address) == ("C-ECHO", f"ORTHANC@127.0.0.1:{orthanc.dicom_port}")
    assert 0 < ping.seconds < 5


@pytest.mark.peers
@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 126", "Διονυσίου^Άννα"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Łukasz^Ωmega"),
    ],
)
def test_names_of_any_script_are_found_in_the_archives_character_set(
    dcmqrscp: Dcmqrscp, opened: Any, charset: str, name: str
) -> None:
    dcmqrscp.clear()
    study = make_study()
    for one in study.instances:
        one.SpecificCharacterSet, one.PatientName = charset.split("\\"), name
    dcmqrscp.store(study.instances)
    finder = opened(dcmqrscp.port, dcmqrscp.aet, charset=charset)
    (found,) = ask(finder, PatientName=name, wants=("PatientName",))
    assert found.text("PatientName") == name
    assert ask(finder, PatientName="Nobody*") == []


@pytest.mark.peers
def test_letters_that_orthanc_cannot_write_in_its_answers_hide_no_study(orthanc: Orthanc, opened: Any) -> None:
    orthanc.clear()
    study = make_study()
    for one in study.instances:
        one.SpecificCharacterSet, one.PatientName = "ISO_IR 126", "Διονυσίου^Άννα"
    orthanc.upload(study.instances)
    answers = ask(opened(orthanc.dicom_port, orthanc.aet), PatientName="Διονυσίου*", wants=("PatientName",))
    assert len(chosen({"PatientName": "Διονυσίου*"}, answers)) == 1


def test_an_archive_that_wants_a_star_for_anything_gets_one_but_not_in_dates(opened: Any) -> None:
    asked: list[Any] = []
    with scp([(evt.EVT_C_FIND, heard(asked))]) as port:
        ask(opened(port, quirks={"universal_star": True}), AccessionNumber="A1")
        ask(opened(port, quirks={"universal_star": True, "wildcards_in_dates": True}), AccessionNumber="A1")
        ask(opened(port), AccessionNumber="A1")
    starred, everywhere, plain = [identifier for _, identifier in asked]
    assert (starred.AccessionNumber, starred.PatientID, starred.StudyInstanceUID) == ("A1", "*", "*")
    assert (starred["StudyDate"].value, plain.PatientID or "", plain["StudyDate"].value or "") == ("", "", "")
    assert everywhere["StudyDate"].value == "*"


def test_keys_that_cost_too_much_are_not_asked_for(opened: Any) -> None:
    asked: list[Any] = []
    quirks = {"unasked": ("ImageType",), "counts": False, "availability": False}
    with scp([(evt.EVT_C_FIND, heard(asked))]) as port:
        ask(opened(port, quirks=quirks), AccessionNumber="A1", wants=("ImageType", "StationName"))
    ((_, identifier),) = asked
    assert "StationName" in identifier
    assert not {"ImageType", "NumberOfStudyRelatedInstances", "InstanceAvailability"} & set(identifier.dir())
