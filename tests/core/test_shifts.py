"""A table of shifts: read as people write it, and refused by line, without a word of a patient."""

from __future__ import annotations

import pytest

from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.shifts import days_of, parsed

KEYS = ProjectKeys(b"k" * 32)


def shift(text: str, patient_id: str = "P 1", issuer: str = "") -> int | None:
    return days_of(parsed(text, KEYS), KEYS, patient_id, issuer)


@pytest.mark.parametrize(
    "text",
    [
        "P 1,-7\n",
        "P 1,-7",
        "PatientID,days\nP 1,-7\n",
        "\ufeffPatientID;Days\r\nP 1;-7\r\n",
        "PatientID,IssuerOfPatientID,shift_days\nP 1,,-7\n",
        "StudyDate,PatientID,NewPseudonym,DayShift\n20200101,P 1,case1,-7\n",
        '"P 1", -7 \n\n# a note\nother,+3\n',
        "OldID,days\nP 1,-7\nP 1,-7\n",
        '{"P 1": -7}',
        '{"P 1": "-7", "x": 3}',
        '{"sub-P 1": -7}',
    ],
)
def test_tables_as_people_write_them(text):
    assert shift(text) == -7


def test_an_issuer_makes_another_patient_and_none_stands_for_any():
    text = "PatientID,IssuerOfPatientID,days\nP 1,NORTH,-7\nP 1,SOUTH,-14\nP 2,,-21\n"
    assert (shift(text, "P 1", "NORTH"), shift(text, "P 1", "SOUTH"), shift(text, "P 1")) == (-7, -14, None)
    assert (shift(text, "P 2", "NORTH"), shift(text, "P 2")) == (-21, -21)


def test_who_is_not_named_has_no_shift():
    assert shift("P 1,-7", "P 2") is None
    assert shift("P 1,-7", "") is None
    assert shift("P 1,-7", " P 1 \0") == -7


def test_what_it_gives_names_nobody():
    assert "SECRET1" not in repr(parsed("SECRET1,-7", KEYS))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no patient"),
        ("# nothing\n", "names no patient"),
        ("PatientID,days\n", "names no patient"),
        ("SECRET1,seven", "line 1: no whole number of days"),
        ("SECRET1,-7\nSECRET2,1.5", "line 2: no whole number of days"),
        ("SECRET1,0", "line 1: days from -36525 to 36525, and not 0"),
        ("SECRET1,99999", "line 1: days from"),
        ("SECRET1,-7\nSECRET1,-8", "line 2: another shift for the patient of line 1"),
        ("SECRET1", "line 1: 1 columns without headings"),
        ("SECRET1,a,b,c", "line 1: 4 columns without headings"),
        ("PatientID,days\nSECRET1", "line 2: too few columns"),
        (",-7", "line 1: no PatientID"),
        ('"SECRET1,-7\n', "this is no CSV"),
        ('{"SECRET1": -7', "no JSON object"),
        ('{"SECRET1": {"a": 1}}', "entry 1: no whole number of days"),
        ('{"SECRET1": true}', "entry 1: no whole number of days"),
        ('{"SECRET1": 1.0}', "entry 1: no whole number of days"),
        ('{"SECRET1": -7, "SECRET1": -8}', "entry 2: another shift for the patient of entry 1"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_names_nobody(text, said):
    with pytest.raises(ValueError, match=said.split(":")[0]) as caught:
        parsed(text, KEYS)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
