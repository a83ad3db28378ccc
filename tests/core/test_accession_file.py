"""Lists of what to ask for, from files of any kind; what is no list is refused and nothing of it is repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl import Workbook
from pydicom.data import get_testdata_file

from pacsferry.core import accession_file
from pacsferry.core.errors import ConfigError
from pacsferry.core.query import gather


def numbers(path, **options):
    return [row["AccessionNumber"] for _, row in accession_file.read(str(path), **options)]


def test_a_text_file_with_everything_that_people_put_in(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff# my list\r\nA1\r\n\r\n  A2   # the second\r\n\t# indented\r\nA#3\r\nA1\r\n".encode())
    assert numbers(path) == ["A1", "A2", "A#3", "A1"]
    assert [one.typed for one in gather(rows=accession_file.read(str(path)))] == ["A1", "A2", "A#3"]


def test_standard_input_is_text_or_json():
    assert numbers("-", stdin=b"A1\nA2\n") == ["A1", "A2"]
    assert numbers("-", stdin=b'["A1", 22]') == ["A1", "22"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_with_a_known_column(tmp_path, delimiter):
    path = tmp_path / "list.csv"
    path.write_text(f"note{delimiter}Accession Number\nx{delimiter}A1\n{delimiter}A2\ny{delimiter}\n", "utf-8-sig")
    assert numbers(path) == ["A1", "A2"]


def test_a_csv_of_dicom_keys_is_a_request_per_row(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("PatientID,StudyDate\nP1,20240101\nP2,\n")
    assert [row for _, row in accession_file.read(str(path))] == [
        {"PatientID": "P1", "StudyDate": "20240101"},
        {"PatientID": "P2"},
    ]


def test_a_csv_with_a_column_that_cannot_be_matched_is_refused(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("PatientID,ShoeSize\nP1,42\n")
    with pytest.raises(ConfigError, match="column 'ShoeSize' cannot be matched"):
        accession_file.read(str(path))


def test_a_csv_with_no_column_known_asks_for_the_column(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("a,b\nA1,x\n")
    with pytest.raises(ConfigError) as err:
        accession_file.read(str(path))
    assert "--column" in (err.value.hint or "")
    assert numbers(path, column="a") == ["A1"]
    with pytest.raises(ConfigError, match="no column 'c'"):
        accession_file.read(str(path), column="c")


def test_an_excel_sheet_keeps_numbers_whole(tmp_path):
    book = Workbook()
    book.active.append(["Accession", "x"])
    book.active.append([12345678, "y"])
    other = book.create_sheet("Other")
    other.append(["Accession"])
    other.append(["B1"])
    path = tmp_path / "list.xlsx"
    book.save(path)
    assert numbers(path) == ["12345678"]
    assert numbers(path, sheet="Other") == ["B1"]
    with pytest.raises(ConfigError, match="no sheet 'None such'"):
        accession_file.read(str(path), sheet="None such")


def test_json_of_texts_or_objects(tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps(["A1", {"PatientID": "P1", "StudyDate": ""}]))
    assert [row for _, row in accession_file.read(str(path))] == [{"AccessionNumber": "A1"}, {"PatientID": "P1"}]
    path.write_text(json.dumps([{"accession": "A1"}, {"Accession Number": 2, "Modality": "CT"}]))
    assert [row for _, row in accession_file.read(str(path))] == [
        {"AccessionNumber": "A1"},
        {"AccessionNumber": "2", "Modality": "CT"},
    ]
    path.write_text(json.dumps({"accessions": ["A1"]}))
    with pytest.raises(ConfigError, match="entry 1") as caught:
        accession_file.read(str(path))
    assert "AccessionNumber" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("image.txt", get_testdata_file("CT_small.dcm")),
        ("empty.txt", b""),
        ("comments.txt", b"# only\n\n# this\n"),
        ("nul.txt", b"A1\0A2"),
        ("broken.json", b'["A1"'),
        ("number.json", b"[1.5]"),
        ("broken.xlsx", b"PK not really"),
    ],
)
def test_a_file_that_is_no_accession_list_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else Path(content).read_bytes())
    with pytest.raises(ConfigError, match=name):
        accession_file.read(str(path))


def test_prose_is_refused_with_its_line_and_not_repeated(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("A1\nDear colleague, please send Mrs Canary's images.\n")
    with pytest.raises(ConfigError, match="letter.txt, line 2") as err:
        gather(rows=accession_file.read(str(path)))
    assert "Canary" not in str(err.value) + str(err.value.hint)


def test_a_folder_or_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(ConfigError, match="cannot be read"):
            accession_file.read(str(path))


def test_lines_of_a_table_may_end_in_a_carriage_return_alone(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(b"\rAccession,x\rA1,1\rA2,2\r")
    assert numbers(path) == ["A1", "A2"]


@example(b"\r\xe1\x80\x80", ".csv")
@given(st.binary(max_size=300), st.sampled_from([".txt", ".csv", ".json", ".xlsx"]))
def test_any_bytes_are_a_list_or_a_configuration_error(tmp_path_factory, raw, ending):
    path = tmp_path_factory.mktemp("lists") / f"list{ending}"
    path.write_bytes(raw)
    try:
        rows = accession_file.read(str(path))
        gather(rows=rows)
    except ConfigError:
        return
    assert rows
