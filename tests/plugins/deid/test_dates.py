"""Dates move by one shift per patient, ages are capped, and nothing left behind tells how far."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.model import Source
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.plugins.deid import dates
from pacsferry.plugins.deid.dates import Shifts
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, file
from support.choosing import cleaned_by, draft_by, profile, refusal
from support.cleaning import KEYS, source, whole

MODIFIED = "retain-longitudinal-modified-dates"
MOVING = profile(options=[MODIFIED])
TOKEN = KEYS.subject("PAT4711", "", "")
DAYS = Shifts().of(KEYS, TOKEN)


def day(text: str, days: int = DAYS) -> str:
    return f"{datetime.strptime(text, '%Y%m%d') + timedelta(days=days):%Y%m%d}"  # noqa: DTZ007


def test_the_shift_is_whole_weeks_of_the_range_and_never_none():
    assert DAYS % 7 == 0
    assert -365 <= DAYS <= -30
    assert 0 not in Shifts(low=-14, high=14).choices()
    assert Shifts(low=-3, high=3, unit=1).choices() == [-3, -2, -1, 1, 2, 3]


def test_every_shift_of_the_range_is_drawn_and_patients_differ():
    shifts = Shifts(low=-21, high=21)
    drawn = {shifts.of(KEYS, f"patient {number}") for number in range(200)}
    assert drawn == {-21, -14, -7, 7, 14, 21}


def test_another_secret_gives_another_shift():
    secrets = [ProjectKeys(bytes([number]) * 32) for number in range(20)]
    assert len({Shifts().of(keys, keys.subject("PAT4711", "", "")) for keys in secrets}) > 5


def test_rule_13_dates_times_and_intervals_move_together_at_every_depth():
    frame = [E(0x00189074, "DT", "20200102235959.5+0100"), E(0x00189151, "DT", "20200103000001.25")]
    elements = [
        E(0x00080020, "DA", "20200102"),
        E(0x00080030, "TM", "235959.123"),
        E(0x00080022, "DA", "20200103"),
        E(0x00080032, "TM", "000001"),
        E(0x0008002A, "DT", "20200103000001.000000+0100"),
        E(0x00080201, "SH", "+0100"),
        E(0x52009230, "SQ", [[E(0x00209111, "SQ", [frame])]]),
    ]
    out = cleaned_by(MOVING, file(image(*elements)))
    assert (out.StudyDate, out.AcquisitionDate) == (day("20200102"), day("20200103"))
    assert (out.StudyTime, out.AcquisitionTime) == ("235959.123", "000001")
    assert out.AcquisitionDateTime == day("20200103") + "000001.000000+0100"
    assert out.TimezoneOffsetFromUTC == "+0100"
    content = out.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
    assert content.FrameAcquisitionDateTime == day("20200102") + "235959.5+0100"
    assert content.FrameReferenceDateTime == day("20200103") + "000001.25"
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


def test_unlisted_dates_move_too():
    out = cleaned_by(MOVING, file(image(E(0x00141020, "DA", "20200105"), E(0x0008041F, "DT", "20200105"))))
    assert (out[0x00141020].value, out[0x0008041F].value) == (day("20200105"), day("20200105"))


def test_all_objects_of_a_patient_move_alike_whatever_their_study():
    first = file(image(E(0x00100020, "LO", "PAT4711 ")))
    second = file(image(E(0x0020000D, "UI", "1.3.6.1.4.1.99999.7"), E(0x00080020, "DA", "20210102")))
    other = file(image(E(0x00100020, "LO", "PAT4712")))
    moved = [cleaned_by(MOVING, data).StudyDate for data in (first, second, other)]
    assert moved[:2] == [day("20200102"), day("20210102")]
    assert moved[2] == day("20200102", Shifts().of(KEYS, KEYS.subject("PAT4712", "", "")))


def test_the_issuer_makes_another_patient_and_an_empty_id_falls_back_to_the_study():
    issued = cleaned_by(MOVING, file(image(E(0x00100021, "LO", "SITE"))))
    assert issued.StudyDate == day("20200102", Shifts().of(KEYS, KEYS.subject("PAT4711", "SITE", "")))
    nobody = cleaned_by(MOVING, file(image(E(0x00100020, "LO", ""))))
    assert nobody.StudyDate == day("20200102", Shifts().of(KEYS, KEYS.subject("", "", "1.3.6.1.4.1.99999.2.1")))


def test_a_mapping_gives_the_shift_where_there_is_one():
    asked = source(file(image()))
    token = KEYS.subject("PAT4711", "", "")
    mapped = Source(head=asked.head, data=asked.data, pseudonym="x", keys=KEYS, shifts={token: 11})
    assert MOVING.apply(mapped).facts.study_date == day("20200102", 11)
    assert draft_by(MOVING, file(image())).facts.study_date == day("20200102")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dates_move_in_every_encoding(encoding):
    data = file(image(E(KEPT_SEQUENCE, "SQ", [[E(0x00080020, "DA", "20191231")]])), ENCODINGS[encoding])
    out = cleaned_by(MOVING, data)
    assert (out.StudyDate, out.ReferencedSeriesSequence[0].StudyDate) == (day("20200102"), day("20191231"))


@pytest.mark.parametrize(
    "odd",
    [
        "2020",
        "202001",
        "20200132",
        "20200101-20200201",
        "-20200102",
        "20201301",
        "Larry",
        "19000101",
        "00010101",
        "99991231",
    ],
)
def test_what_is_no_date_or_stands_for_none_is_never_passed(odd):
    data = file(image(E(0x00080020, "DA", odd), E(0x00080012, "DA", odd), E(0x00141020, "DA", odd)))
    out = cleaned_by(MOVING, data)
    assert out.StudyDate == ""
    assert "InstanceCreationDate" not in out
    assert 0x00141020 not in out


@pytest.mark.parametrize("odd", ["2020", "202001", "20200101-20200201", "20200102-", "20200102250000", "x", "19000101"])
def test_parts_and_ranges_of_date_times_are_never_passed(odd):
    out = cleaned_by(
        MOVING, file(image(E(0x0008002A, "DT", odd), E(KEPT_SEQUENCE, "SQ", [[E(0x0008002A, "DT", odd)]])))
    )
    assert "AcquisitionDateTime" not in out
    assert out.ReferencedSeriesSequence[0].AcquisitionDateTime == "19000101000000"


@pytest.mark.parametrize("odd", ["noon", "251010", "10:61", "1011121314"])
def test_what_is_no_time_is_never_passed(odd):
    assert cleaned_by(MOVING, file(image(E(0x00080030, "TM", odd)))).StudyTime == ""


def test_older_forms_are_put_right():
    out = cleaned_by(MOVING, file(image(E(0x00080020, "DA", "2020.01.02"), E(0x00080030, "TM", "10:11:12.5"))))
    assert (out.StudyDate, out.StudyTime) == (day("20200102"), "101112.5")


def test_several_values_move_together_or_not_at_all():
    values = {"20200102\\20200109": [day("20200102"), day("20200109")], "20200102\\Larry": None}
    for text, expected in values.items():
        out = cleaned_by(MOVING, file(image(E(0x00181200, "DA", text))))
        assert (list(out.DateOfLastCalibration) if expected else "DateOfLastCalibration" in out) == (expected or False)


def test_the_birth_date_is_emptied():
    assert cleaned_by(MOVING, file(image())).PatientBirthDate == ""


def test_a_rule_may_move_the_birth_date_of_those_under_ninety():
    moving = profile(options=[MODIFIED], rule=[{"element": "PatientBirthDate", "action": "shift"}])
    assert cleaned_by(moving, file(image())).PatientBirthDate == day("19600708")
    for born, examined in (("19200708", "20200102"), ("19300102", "20200102")):
        old = image(E(0x00100030, "DA", born), E(0x00080020, "DA", examined))
        assert cleaned_by(moving, file(old)).PatientBirthDate == ""


@pytest.mark.parametrize(
    "element",
    [
        E(0x00181210, "SH", "B30f 20200102"),
        E(0x00080070, "LO", "Acme 02.01.2020"),
        E(0x00180022, "CS", "SCAN_20200102"),
        E(0x00180024, "SH", "ep2d 2020-01-02"),
        E(0x00180050, "DS", "20200102"),
        E(0x00200012, "IS", "20200102"),
        E(0x00080070, "LO", "Acme 01/03/2020"),
    ],
)
@pytest.mark.parametrize("encoding", ["explicit", "implicit"])
def test_a_value_that_names_a_moved_day_is_emptied(element, encoding):
    data = file(image(element, E(0x00080022, "DA", "20200103")), ENCODINGS[encoding])
    out = cleaned_by(MOVING, data)
    assert out[element.tag].value in {"", None}
    assert out.StudyDate == day("20200102")


def test_the_shift_is_nowhere_in_the_file():
    data = whole(draft_by(MOVING, file(image(E(0x00080022, "DA", "20200103")))))
    assert b"20200102" not in data
    assert b"20200103" not in data
    assert not re.search(rb"(?<![0-9])%d(?![0-9])" % abs(DAYS), data[132:700].replace(day("20200102").encode(), b""))


def test_uids_that_hold_the_date_are_replaced():
    out = cleaned_by(MOVING, file(image(E(0x0020000E, "UI", "1.3.12.2.1107.5.2.20200102101112"))))
    assert "20200102" not in out.SeriesInstanceUID


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("999M", "999M"), ("45Y", "045Y"), ("003W", "003W"),
        ("1100M", "090Y"), ("5000W", "090Y"), ("40000D", "090Y"), ("012D", "012D"),
    ],
)  # fmt: skip
def test_ages_over_89_become_090y_whatever_they_are_counted_in(came, goes):
    kept = profile(options=["retain-patient-characteristics"])
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00101010, "AS", came)]])
    out = cleaned_by(kept, file(image(E(0x00101010, "AS", came), nested)))
    assert out.PatientAge == out.ReferencedSeriesSequence[0].PatientAge == goes


@pytest.mark.parametrize("odd", ["90+Y", "old", "Y", "-01Y", "1e3Y"])
def test_what_is_no_age_is_never_passed(odd):
    kept = profile(options=["retain-patient-characteristics"])
    assert "PatientAge" not in cleaned_by(kept, file(image(E(0x00101010, "AS", odd))))


def test_full_dates_stay_where_they_are_dates():
    full = profile(options=["retain-longitudinal-full-dates"])
    good = [E(0x00080022, "DA", "20200103"), E(0x0008002A, "DT", "2020"), E(0x00141020, "DA", "20200105")]
    out = cleaned_by(full, file(image(*good, E(0x00080012, "DA", "Larry"), E(0x00080031, "TM", "noon"))))
    assert (out.StudyDate, out.AcquisitionDate, out.AcquisitionDateTime) == ("20200102", "20200103", "2020")
    assert out[0x00141020].value == "20200105"
    assert "InstanceCreationDate" not in out
    assert "SeriesTime" not in out
    assert out.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert out.PatientBirthDate == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"options": [MODIFIED], "dates": {"shift_days": [1, 3]}}, "no shift but none at all"),
        ({"options": [MODIFIED], "dates": {"shift_days": [0, 0], "unit": "days"}}, "no shift but none at all"),
        ({"options": [MODIFIED], "dates": {"shift_days": [5, -5]}}, "the lesser number first"),
        ({"options": [MODIFIED], "dates": {"unit": "months"}}, "weeks"),
        ({"dates": {"shift_days": [-30, 30]}}, "nothing would move"),
        ({"options": [MODIFIED], "unlisted": {"dates": "keep"}}, "could tell the shift"),
        ({"options": [MODIFIED], "unlisted": {"uids": "keep"}}, "could tell the shift"),
        ({"options": [MODIFIED], "rule": [{"element": "StudyDate", "action": "keep"}]}, "tells the shift"),
        ({"options": [MODIFIED, "retain-longitudinal-full-dates"]}, "exclude each other"),
        ({"options": [MODIFIED, "retain-uids"]}, "how far the dates were moved"),
    ],
)
def test_settings_that_contradict_themselves_explain_why(settings, said):
    assert said in refusal(**settings)


def test_a_range_in_days():
    by_day = profile(options=[MODIFIED], dates={"shift_days": [-3, -1], "unit": "days"})
    shift = Shifts(low=-3, high=-1, unit=1).of(KEYS, TOKEN)
    assert cleaned_by(by_day, file(image())).StudyDate == day("20200102", shift)
    assert "by the same number of days" in " ".join(by_day.describe())


@settings(deadline=None, max_examples=60)
@given(st.dates(min_value=date(1901, 2, 1), max_value=date(2098, 1, 1)), st.integers(-400, 400))
def test_moving_there_and_back_gives_the_same_day(there, days):
    text = f"{there:%Y%m%d}"
    if text in dates.STAND_INS or not days:
        return
    moved = dates.moved("DA", text.encode(), days)
    assert moved is not None
    assert moved.decode() == day(text, days)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["DA", "DT", "TM", "SH"]), st.binary(max_size=30), st.sampled_from([None, -7, 400]))
def test_any_bytes_are_moved_or_refused(vr, raw, days):
    moved = dates.moved(vr, raw, days)
    assert moved is None or re.fullmatch(rb"[0-9.+\-\\]*", moved)
    assert dates.age(raw) is None or re.fullmatch(rb"(\d{3}[DWMY]|\\)*", dates.age(raw) or b"")
