"""load, plan, resume, status, waive, report, audit and verify-files on an embedded archive."""

import csv
import io
import json

import pytest

from support.commands import at_terminal, call, check, run

from .conftest import CANARIES


def test_a_load_prints_one_document_that_is_what_its_schema_says(there, site):
    told = call("load", "p", "ACC100", "-s", site, "--workers", 0)
    assert told.code == 0
    document = told.document
    assert (document["schema"], document["status"], document["project"]) == ("pacsferry.load", "ok", "p")
    (row,) = document["results"]
    assert (row["accession"], row["status"], row["stored"], row["expected"]) == ("ACC100", "ok", 4, 4)
    assert document["verification"]["loaded"] == 1
    assert "hint" not in document


def test_a_load_with_gaps_says_counts_reasons_and_what_to_do(there, site):
    told = call("load", "p", "ACC200", "-s", site, "--workers", 0, "--format", "table")
    assert told.code == 5
    assert "1  the pixels could carry text that identifies" in told.out
    assert "leave it out with [select]" in told.out
    assert "Next: `pacsferry status p --problems`" in told.out


def test_an_unknown_accession_alone_is_3_and_among_others_5(there, site):
    alone = call("load", "p", "NOPE", "-s", site, "--workers", 0)
    assert alone.code == 3
    assert alone.document["results"][0]["status"] == "not_found"
    among = call("load", "p", "NOPE", "ACC100", "-s", site, "--workers", 0)
    assert among.code == 5
    assert [one["status"] for one in among.document["results"]] == ["not_found", "ok"]


def test_nothing_asked_for_is_a_usage_error_before_any_contact(there, site):
    told = call("load", "p", "-s", site)
    assert told.code == 2
    assert told.document["error"] == "nothing was asked for"
    assert not there.archive.log.of("qido-rs", "c-find", "associate")


def test_resume_and_status_go_on_from_the_project_alone(there, site):
    there.archive.faults.add("drop:nth=1")
    first = call("load", "p", "ACC100", "-s", site, "--workers", 0)
    assert first.code == 5
    assert first.document["hint"] == "`pacsferry resume p` goes on with what is not complete"
    status = call("status", "p")
    assert (status.code, status.document["status"]) == (5, "incomplete")
    assert status.document["problems"][0]["means"]
    there.archive.faults.clear()
    again = call("resume", "p", "--workers", 0)
    assert again.code == 0
    assert again.document["results"][0]["stored"] == 4
    assert call("status", "p").document["status"] == "ok"


def test_a_second_load_skips(there, site):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    told = call("load", "p", "ACC100", "-s", site, "--workers", 0)
    assert (told.code, told.document["results"][0]["status"]) == (0, "skipped")


def test_a_plan_fetches_nothing_and_its_id_loads_exactly_it(there, site):
    told = call("plan", "p", "ACC100", "-s", site)
    plan = told.document
    assert (told.code, plan["studies"], plan["instances"], plan["missing"], plan["done"]) == (0, 1, 4, 4, 0)
    assert plan["results"][0]["status"] == "dry-run"
    assert not there.images()
    loaded = call("load", "p", "--plan", plan["plan"], "-s", site, "--workers", 0)
    assert loaded.code == 0
    assert len(there.images()) == 4
    assert call("plan", "p", "ACC100", "-s", site).document["done"] == 4


def test_dry_run_is_a_plan(there, site):
    told = call("load", "p", "ACC100", "-s", site, "--dry-run")
    assert (told.code, told.document["schema"]) == (0, "pacsferry.plan")
    assert not there.images()


def test_a_plan_and_a_query_exclude_each_other(there, site):
    told = call("load", "p", "ACC100", "--plan", "0" * 12, "-s", site)
    assert (told.code, told.document["code"]) == (2, 2)


def test_an_accession_list_from_a_file_and_from_standard_input(there, site, tmp_path):
    (tmp_path / "list.txt").write_text("\ufeff# wanted\nACC100  # first\n\nACC100\n")
    told = call("load", "p", "--file", "list.txt", "-s", site, "--workers", 0)
    assert [one["accession"] for one in told.document["results"]] == ["ACC100"]
    piped = call("plan", "q", "--file", "-", "-s", site, stdin="ACC200\n")
    assert piped.document["results"][0]["accession"] == "ACC200"


@pytest.mark.parametrize(
    "words",
    [
        ["ACC*"],
        ["--match", "AccessionNumbr=1"],
        ["--match", "AccessionNumber"],
        ["--study-date", "2024-13-01"],
        ["--sheet", "x"],
        ["--file", "missing.txt"],
        ["--max-studies", "0", "A"],
        ["--max-studies", "many", "A"],
        ["A", "--format", "xml"],
        ["A", "--json", "--format", "csv"],
        ["A", "--nope"],
    ],
)
def test_every_mistake_in_words_is_2_with_an_error_document(there, site, words):
    told = call("load", "p", "-s", site, *words)
    assert told.code == 2
    if "csv" not in words and "xml" not in words:
        assert told.document["schema"] == "pacsferry.error"


def test_a_project_name_that_climbs_is_refused(there, site, tmp_path):
    told = call("load", "../x", "ACC100", "-s", site)
    assert told.code == 2
    assert not (tmp_path / "x").exists()


def test_csv_has_a_line_per_row(there, site):
    told = call("load", "p", "ACC100", "NOPE", "-s", site, "--workers", 0, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(told.out)))
    assert [one["status"] for one in lines] == ["ok", "not_found"]


def test_events_are_one_document_per_line_on_stderr(there, site):
    told = call("load", "p", "ACC100", "-s", site, "--workers", 0, "--events")
    events = [json.loads(line) for line in told.err.splitlines()]
    for one in events:
        check(one)
    kinds = [one["event"] for one in events]
    assert {"query", "planned", "study-started", "instance", "study-done"} <= set(kinds)
    assert events[-1]["instances"] == 4
    assert told.document["status"] == "ok"


UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def test_no_command_says_an_identifier_at_any_verbosity(there, site, objects):
    said = []
    for words in (
        ["find", "--from", "20000101", "-s", site, "--verbose"],
        ["plan", "p", "ACC100", "ACC200", "-s", site, "--verbose", "--events"],
        ["load", "p", "ACC100", "ACC200", "-s", site, "--workers", 0, "--verbose", "--events"],
        ["load", "p", "ACC100", "-s", site, "--workers", 0, "--verbose", "--format", "table"],
        ["status", "p"],
        ["status", "p", "--format", "table", "--problems"],
        ["waive", "p", "ACC200", "--reason", "known"],
        ["resume", "p", "--verbose"],
        ["audit", "p", "--last", "1000"],
        ["audit"],
        ["report", "p"],
        ["verify-files", "p"],
    ):
        told = call(*words)
        assert told.code in {0, 5}, (words, told)
        said.append(told.out + told.err)
    originals = {str(getattr(one, name)) for one in objects for name in UIDS}
    for canary in (*CANARIES, *originals):
        assert canary not in "".join(said)


def test_a_waived_gap_is_shown_for_ever_and_no_longer_an_error(there, site):
    call("load", "p", "ACC200", "-s", site, "--workers", 0)
    assert call("waive", "p", "ACC200").code == 2
    assert call("waive", "p", "ACC200", "--reason", " ").code == 2
    assert call("waive", "p", "ACC999", "--reason", "x").code == 2
    told = call("waive", "p", "ACC200", "--reason", "only a screenshot")
    assert (told.code, told.document["results"][0]["status"]) == (0, "waived")
    status = call("status", "p", "ACC200")
    assert (status.code, status.document["results"][0]["status"]) == (0, "waived")
    assert call("resume", "p", "--workers", 0).code == 0


def test_reports_can_be_written_again(there, site, tmp_path):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    page = tmp_path / "research" / "p" / "reports" / "report.html"
    page.unlink()
    told = call("report", "p")
    assert told.code == 0
    assert {"folder": "private", "file": "key.csv"} in told.document["files"]
    assert page.exists()
    key = (tmp_path / "private" / "p" / "key.csv").read_text()
    assert key.splitlines()[1].startswith("case0001,ACC100,")
    manifest = next((tmp_path / "research" / "p" / "reports" / "manifests").iterdir())
    check(json.loads(manifest.read_text()))
    check(json.loads((page.parent / "summary.json").read_text()))
    check(json.loads((tmp_path / "private" / "p" / "reports" / "load.json").read_text()))


def test_the_trail_is_shown_and_checked(there, site):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    told = call("audit", "p", "--last", "3", "--check")
    assert told.code == 0
    assert len(told.document["events"]) == 3
    assert told.document["chain"]["ok"] is True
    assert told.document["events"][-1]["action"] == "run-ended"


def test_files_are_compared_with_the_ledger(there, site):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    assert call("verify-files", "p").document["checked"] == 4
    first, second, *_ = there.images()
    first.unlink()
    second.chmod(0o600)
    second.write_bytes(second.read_bytes()[:-1] + b"x")
    (first.parent / "foreign.txt").write_text("?")
    told = call("verify-files", "p")
    assert (told.code, told.document["status"]) == (5, "failed")
    assert [len(told.document[kind]) for kind in ("missing", "changed", "foreign")] == [1, 1, 1]
    assert [len(call("verify-files", "p", "--quick").document[kind]) for kind in ("missing", "changed")] == [1, 0]


def test_people_at_a_terminal_get_a_table(there, site, tmp_path):
    told = at_terminal("load", "p", "ACC100", "-s", site, cwd=tmp_path)
    assert told.code == 0
    assert "case0001" in told.out
    assert "\x1b[32mok" in told.out
    assert "ok: 1 complete" in told.out
    assert '"schema"' not in told.out


def test_no_color_is_respected(there, site, tmp_path):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    told = at_terminal("status", "p", cwd=tmp_path, NO_COLOR="1")
    assert "case0001" in told.out
    assert "\x1b[3" not in told.out


def test_json_at_a_terminal_is_one_document(there, site, tmp_path):
    call("load", "p", "ACC100", "-s", site, "--workers", 0)
    told = at_terminal("status", "p", "--json", cwd=tmp_path)
    assert told.document["status"] == "ok"


def test_a_process_with_pipes_gives_json_and_the_exit_code(there, site, tmp_path):
    told = run("load", "p", "ACC100", "NOPE", "-s", site, cwd=tmp_path)
    assert told.code == 5
    assert [one["status"] for one in told.document["results"]] == ["ok", "not_found"]
    assert told.err == ""
