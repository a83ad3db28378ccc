"""What the user asks for becomes typed keys; what an archive answers is filtered again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.dates import date_range
from pacsferry.core.errors import ConfigError
from pacsferry.core.matching import chosen, fits
from pacsferry.core.model import Level, Match
from pacsferry.core.query import KEYS, gather

TODAY = date(2024, 3, 1)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("20240229", "20240229"),
        ("2024-02-29", "20240229"),
        ("20240101-20240131", "20240101-20240131"),
        ("20240101-", "20240101-"),
        ("-20240131", "-20240131"),
        ("2024-01-01..2024-01-31", "20240101-20240131"),
        ("20240101-20240101", "20240101"),
        ("yesterday", "20240229"),
        ("today", "20240301"),
        ("-30d", "20240131"),
        ("-2w", "20240216"),
    ],
)
def test_dates_as_people_type_them(typed, key):
    assert date_range(typed, "--study-date", today=TODAY) == key


@pytest.mark.parametrize(
    "typed", ["20240230", "20230229", "2024", "-", "", "..", "20240201-20240131", "tomorrowish", "*", "2024010?"]
)
def test_what_is_no_date_is_an_error_that_names_its_option(typed):
    with pytest.raises(ConfigError, match="--study-date"):
        date_range(typed, "--study-date", today=TODAY)


def test_an_accession_given_twice_is_asked_for_once():
    assert [one.typed for one in gather([" A1", "A2", "A1 "], rows=[("f", {"AccessionNumber": "A2"})])] == ["A1", "A2"]


@pytest.mark.parametrize("bad", ["A*", "A?", "A\\B", "", "   ", "A" * 17, "A\x00B", "A\nB", "*"])
def test_an_accession_with_a_wildcard_or_worse_is_refused(bad):
    with pytest.raises(ConfigError):
        gather([bad])


def test_from_and_to_make_one_range():
    (one,) = gather(date_from="20240101", date_to="yesterday", today=TODAY)
    assert one.query.keys == {"StudyDate": "20240101-20240229"}
    assert one.typed is None


def test_keys_go_to_their_level_and_a_modality_also_finds_studies():
    (one,) = gather(["A1"], match=["SeriesDescription=AX*", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"], modality=["ct"])
    assert one.query.level is Level.STUDY
    assert one.query.keys == {"AccessionNumber": "A1", "ModalitiesInStudy": "CT"}
    assert one.series == {"SeriesDescription": "AX*", "Modality": "CT"}
    assert one.images == {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"match": ["PatientIDD=1"]}, "did you mean 'PatientID'"),
        ({"match": ["PatientID"]}, "no ="),
        ({"match": ["PatientID="]}, "no value"),
        ({"match": ["PatientID=*"]}, "no value"),
        ({"match": ["StudyInstanceUID=1.2.x"]}, "not a UID"),
        ({"match": ["SeriesNumber=4a"]}, "not a whole number"),
        ({"match": ["StudyTime=2500"]}, "not a time"),
        ({"match": ["StudyDate=2024"]}, "StudyDate"),
        ({"match": ["PatientID=1", "PatientID=2"]}, "twice"),
        ({"study_date": "20240101", "date_from": "20240101"}, "exclude each other"),
    ],
)
def test_what_cannot_be_matched_is_an_error_never_dropped(options, says):
    with pytest.raises(ConfigError, match=says):
        gather(**options)


def answer(**keys):
    return Match(level=Level.STUDY, keys=keys)


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        ({"AccessionNumber": "A1"}, {"AccessionNumber": "A1 "}, True),
        ({"AccessionNumber": "A1"}, {"AccessionNumber": "A12"}, False),
        ({"AccessionNumber": "A1"}, {"AccessionNumber": "a1"}, False),
        ({"AccessionNumber": "A1"}, {}, True),
        ({"StudyDate": "20240101-"}, {"StudyDate": "20231231"}, False),
        ({"StudyDate": "-20240101"}, {"StudyDate": "20240101"}, True),
        ({"StudyTime": "0800-0900"}, {"StudyTime": "090030.5"}, True),
        ({"StudyTime": "0800-0900"}, {"StudyTime": "1000"}, False),
        ({"ModalitiesInStudy": "MR"}, {"ModalitiesInStudy": "CT\\MR"}, True),
        ({"ModalitiesInStudy": "MR"}, {"ModalitiesInStudy": "CT"}, False),
        ({"Modality": "CT\\MR"}, {"Modality": "MR"}, True),
        ({"SeriesNumber": "4"}, {"SeriesNumber": "+04"}, True),
        ({"PatientName": "doe^jane"}, {"PatientName": "DOE^JANE^^"}, True),
        ({"PatientName": "DOE*"}, {"PatientName": "Doe^Jane"}, True),
        ({"SeriesDescription": "AX [T1]*"}, {"SeriesDescription": "AX [T1] post"}, True),
        ({"SeriesDescription": "AX*"}, {"SeriesDescription": "ax [t1] post"}, False),
        ({"SeriesDescription": "A?"}, {"SeriesDescription": "AXX"}, False),
        ({"StudyTime": "0800"}, {"StudyTime": "080000.000"}, True),
        ({"StudyTime": "1113-1114"}, {"StudyTime": "1113.672"}, True),
        ({"StudyTime": "1000-1100"}, {"StudyTime": "1113.672"}, False),
        ({"StudyTime": "-0800"}, {"StudyTime": "08:00:59"}, True),
        ({"StudyDate": "20240517"}, {"StudyDate": "2024.05.17"}, True),
        ({"PatientName": "山田^太郎"}, {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}, True),
        ({"PatientName": "yamada*"}, {"PatientName": "Yamada^Tarou=山田^太郎"}, True),
        ({"PatientName": "Mu\u0308ller^*"}, {"PatientName": "M\u00fcller^Zo\u00eb"}, True),
        ({"InstanceNumber": "0"}, {"InstanceNumber": "000"}, True),
        ({"InstanceNumber": "-3"}, {"InstanceNumber": "3"}, False),
        ({"StudyInstanceUID": "1.2\\1.3"}, {"StudyInstanceUID": "1.3"}, True),
    ],
)
def test_answers_are_compared_as_the_standard_says(wanted, got, same):
    assert all(fits(word, text, answer(**got)) is not False for word, text in wanted.items()) is same


def test_letters_that_an_answer_has_lost_are_not_held_against_it():
    lossy = answer(PatientName="^", SpecificCharacterSet="ISO_IR 100")
    assert chosen({"PatientName": "Διονυσίου^Άννα"}, [lossy]) == [lossy]
    assert chosen({"PatientName": "Müller"}, [lossy]) == []
    assert chosen({"PatientName": "Διονυσίου"}, [answer(PatientName="^", SpecificCharacterSet="ISO_IR 126")]) == []
    assert chosen({"PatientName": "Διονυσίου"}, [answer(PatientName="^")]) == []


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.text(max_size=40)))
def test_any_text_is_taken_or_refused_by_a_configuration_error(row):
    try:
        asked = gather(rows=[("row 1", row)])
    except ConfigError:
        asked = ()
    else:
        for one in asked:
            for keyword, value in {**one.query.keys, **one.series, **one.images}.items():
                assert keyword in KEYS
                assert value.strip()


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.text(max_size=40)), st.text(max_size=40))
def test_filtering_never_raises(keys, text):
    try:
        asked = gather(rows=[("row", keys)])
    except ConfigError:
        return
    for one in asked:
        wanted = {**one.query.keys, **one.series, **one.images}
        got = answer(**dict.fromkeys(wanted, text))
        assert {fits(word, value, got) for word, value in wanted.items()} <= {True, False, None}
