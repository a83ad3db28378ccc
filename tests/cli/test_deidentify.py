"""deidentify as a command: words, documents, exit codes; no name of the folder is ever told."""

import csv
import io
import json
import signal
import subprocess
import time

import pytest

from pacsferry.testing.samples import part10
from support.commands import PACSFERRY, at_terminal, call, run

from .conftest import CANARIES


@pytest.fixture
def filled(tmp_path, objects):
    for number, one in enumerate(objects):
        path = tmp_path / "in" / "SMITH_JOHN" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part10(one))
    (tmp_path / "in" / "CANARYID7.txt").write_text("x")
    return tmp_path


WORDS = ("deidentify", "in", "out", "--project", "p", "--private", "private", "--workers", 0)


def test_one_document_that_is_what_its_schema_says(filled):
    told = call(*WORDS)
    assert told.code == 5
    document = told.document
    assert (document["schema"], document["project"], document["in_place"]) == ("pacsferry.deidentify", "p", False)
    assert document["counts"] == {
        "files": 10, "dicom": 9, "not_dicom": 1, "dicomdir": 0, "unreadable": 0, "duplicates": 0, "held": 1
    }  # fmt: skip
    assert [one["status"] for one in document["results"]] in (["ok", "held"], ["held", "ok"])
    assert [one["request"] for one in document["results"]] == [1, 2]
    assert all(one["accession"] is None for one in document["results"])
    assert "files.csv" in document["hint"]


@pytest.mark.parametrize("fmt", ["table", "csv", "json"])
def test_no_name_and_no_value_is_told(filled, fmt):
    told = run(*WORDS, "--format", fmt, "--events", "--verbose", cwd=filled)
    assert told.code == 5, told
    for canary in (*CANARIES, "SMITH", "ACC100", "ACC200"):
        assert canary not in told.out + told.err


def test_csv_has_one_line_per_study(filled):
    told = call(*WORDS, "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(told.out)))) == 2


def test_the_private_folder_is_in_the_users_data_folder_by_default(filled, monkeypatch):
    told = run(*WORDS[:5], "--workers", 0, cwd=filled, XDG_DATA_HOME=str(filled / "data"))
    assert told.code == 5, told
    assert (filled / "data" / "pacsferry" / "projects" / "p" / "secret").exists()
    assert call("status", "p").document["counts"]["stored"] == 8


def test_the_project_is_found_by_later_commands(filled):
    call(*WORDS)
    assert call("verify-files", "p").document["status"] == "ok"
    assert call("audit", "p", "--check").document["chain"]["ok"]
    assert call("report", "p").code == 0


def test_nothing_dicom_is_3(filled):
    for path in (filled / "in" / "SMITH_JOHN").iterdir():
        path.unlink()
    told = call(*WORDS)
    assert (told.code, told.document["results"][0]["status"]) == (3, "not_found")


@pytest.mark.parametrize(
    "words",
    [
        ["in", "in/x", "--project", "p"],
        ["nowhere", "out", "--project", "p"],
        ["in", "out", "--project", "../p"],
        ["in", "out", "--project", "p", "--preset", "bassic"],
        ["in", "in", "--project", "p", "--no-sync"],
        ["in", "out"],
    ],
)
def test_mistakes_are_2(filled, words):
    told = call("deidentify", *words, "--private", "private")
    assert (told.code, told.document["code"]) == (2, 2)
    assert not (filled / "out").exists()


def test_in_place_asks_at_a_terminal_unless_told_to_go_on(filled):
    words = ("deidentify", "in", "in", "-p", "p", "--private", "private", "--workers", 0)
    told = at_terminal(*words, "--yes", cwd=filled)
    assert told.code == 5, told
    assert not (filled / "in" / "SMITH_JOHN").exists()


def test_a_signal_keeps_what_is_done_and_the_same_command_goes_on(filled, objects):
    process = subprocess.Popen(
        [*PACSFERRY, *map(str, WORDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=filled
    )
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert json.loads(out)["schema"] in {"pacsferry.deidentify", "pacsferry.error"}
    assert process.returncode in {5, 130}
    assert call(*WORDS).document["counts"]["dicom"] == 9
    assert len(list((filled / "out").rglob("case*/**/*.dcm"))) == len(objects) - 1
