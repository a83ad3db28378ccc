"""What users ask for in odd ways, and what happens to what they have: as they would expect."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest

from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study, mr_study, part10, report, secondary_capture
from support.commands import call, run
from support.loading import TRANSPORTS, place
from support.processes import until

ANNA, OTTO = "CANARYID7", "QUAY-0009"


def ct(accession, patient=ANNA, slices=3, **more):
    return ct_study(slices=slices, rows=16, columns=16, accession=accession, patient_id=patient, **more)


@pytest.fixture
def objects():
    """ACC100: one CT; ACC200: two studies of one accession; ACC300: an MR with a report and a screenshot."""
    head = mr_study(slices=2, rows=16, columns=16, accession="ACC300", patient_id=OTTO, patient_name="Heron^Otto")
    return [
        *ct("ACC100", patient_name="Canary^Anna"),
        *ct("ACC200", seed="first", patient_name="Canary^Anna"),
        *ct("ACC200", seed="second", slices=2, patient_name="Canary^Anna"),
        *head,
        report(head),
        secondary_capture(head),
    ]


@pytest.fixture
def there(tmp_path, objects):
    with place(tmp_path, objects) as made:
        made.write()
        yield made


def load(there, *words, over=("wado-rs",), extra="", project="p", **more):
    there.write(over, extra)
    return call("load", project, *words, "-s", there.site, "--workers", 0, **more)


def only(told):
    (row,) = told.document["results"]
    return row


# --- what is asked for


@pytest.mark.parametrize("over", TRANSPORTS)
def test_one_accession_with_two_studies_gives_two_rows_and_all_images(there, over):
    told = load(there, "ACC200", over=(over,))
    rows = told.document["results"]
    assert told.code == 0
    assert [(row["request"], row["accession"], row["status"]) for row in rows] == [(1, "ACC200", "ok")] * 2
    assert sorted(row["stored"] for row in rows) == [2, 3]
    assert len({row["study_uid"] for row in rows}) == 2
    assert {row["case_id"] for row in rows} == {"case0001"}
    assert told.document["verification"]["total_requested"] == 1
    assert len(there.images()) == 5
    assert {row["status"] for row in load(there, "ACC200").document["results"]} == {"skipped"}


def test_one_of_two_studies_of_an_accession_that_fails_is_no_success(there, objects):
    uid = str(objects[3].StudyInstanceUID)
    there.archive.faults.add(f"nothing:study={uid}")
    told = load(there, "ACC200")
    assert told.code == 5
    assert sorted(row["status"] for row in told.document["results"]) == ["failed", "ok"]
    there.archive.faults.clear()
    assert call("resume", "p", "--workers", 0).code == 0
    assert len(there.images()) == 5


def test_two_requests_that_find_one_study_load_it_once(there):
    told = load(there, "--match", f"PatientID={ANNA}", "--study-date", "20240517")
    assert (told.code, len(told.document["results"])) == (0, 3)
    assert len(there.images()) == len(there.archive.log.sent("wado-rs")) == 8


@pytest.mark.parametrize("text", ["ACC*", "*", "ACC?00", "ACC100\\ACC200", "A" * 17, "ACC\n100", "", " "])
def test_an_accession_with_a_wildcard_asks_nobody(there, text):
    told = load(there, text)
    assert (told.code, told.document["schema"]) == (2, "pacsferry.error")
    assert there.archive.log.of() == []
    (there.folder / "list.txt").write_text(f"ACC100\n{text or '***'}\n")
    if text.strip() and "\n" not in text:
        assert load(there, "--file", "list.txt").code == 2
        assert there.archive.log.of() == []


@pytest.mark.parametrize("words", [[], ["--max-studies", "3"], ["--yes"], ["--dry-run"], ["--max-images", "3"]])
def test_no_query_at_all_is_refused_before_any_contact(there, words):
    told = load(there, *words)
    assert (told.code, there.archive.log.of()) == (2, [])
    assert not (there.folder / "private" / "p" / "ledger.db").exists()


NO_LISTS = {
    "binary": bytes(range(256)) * 8,
    "zeros": b"\0" * 100,
    "empty": b"",
    "blank": b"\n \n\t\n",
    "comments": b"# ACC100\n#ACC200\n",
    "prose": b"Dear colleague,\nplease send me all the images of the patient that we talked about last Tuesday.\n",
    "latin": "Z\u00fcrich\n".encode("latin-1"),
    "html": b"<!DOCTYPE html><html><body>ACC100</body></html>\n",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
}


@pytest.mark.parametrize("kind", NO_LISTS)
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".json", ""])
def test_a_file_that_is_no_accession_list_asks_nobody(there, kind, suffix):
    path = there.folder / f"list{suffix}"
    path.write_bytes(NO_LISTS[kind])
    told = load(there, "--file", path)
    assert (told.code, there.archive.log.of()) == (2, []), told
    assert "talked" not in told.out
    assert "ACC100" not in told.out


def test_a_dicom_file_a_folder_and_a_missing_file_are_no_lists(there, objects):
    (there.folder / "image.dcm").write_bytes(part10(objects[0]))
    for name in ("image.dcm", ".", "missing.txt", "/dev/null"):
        told = load(there, "--file", name)
        assert (told.code, there.archive.log.of()) == (2, []), (name, told)
        assert ANNA not in told.out


@pytest.mark.parametrize("content", ["\ufeffACC100\r\n", "# a\n\n  ACC100  \nACC100 # again\n", "ACC100\t# x\n"])
def test_lists_as_people_write_them(there, content):
    (there.folder / "list.txt").write_bytes(content.encode())
    told = load(there, "--file", "list.txt")
    assert (told.code, only(told)["accession"]) == (0, "ACC100")


# --- several patients in one study


def two_patients():
    """One study, half of it under another PatientID: an archive may list it once or twice."""
    study = ct("ACC500", slices=4, patient_name="Canary^Anna")
    for ds in study[2:]:
        ds.PatientID, ds.PatientName = OTTO, "Heron^Otto"
    return study


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_study_of_two_patients_is_held_whole(tmp_path, over):
    with place(tmp_path, two_patients()) as there:
        told = load(there, "ACC500", over=(over,))
        assert told.code == 5
        assert {row["status"] for row in told.document["results"]} == {"held"}
        assert there.images() == []
        codes = {one["code"] for row in told.document["results"] for one in row["reasons"]}
        assert codes <= {"mixed-patients", "other-patient"}
        assert codes


# --- [select] and [exclude]


def test_select_counts_the_rest_as_excluded_and_the_study_is_ok(there):
    told = load(there, "ACC300", extra='[select]\nmodality = { only = ["MR"] }\n')
    row = only(told)
    assert (told.code, row["status"], row["stored"], row["excluded"], row["missing"], row["held"]) == (
        0,
        "ok",
        4,
        2,
        0,
        0,
    )
    assert row["reasons"] == [{"code": "select", "count": 2}]
    assert only(load(there, "ACC300", extra='[select]\nmodality = { only = ["MR"] }\n'))["status"] == "skipped"


def test_without_select_the_rest_is_held(there):
    row = only(told := load(there, "ACC300"))
    assert (told.code, row["status"], row["stored"], row["held"]) == (5, "held", 4, 2)
    assert {one["code"] for one in row["reasons"]} == {"sop-class", "burned-in"}


def test_a_selection_made_afterwards_settles_what_was_held(there):
    load(there, "ACC300")
    row = only(told := load(there, "ACC300", extra='[select]\nmodality = { only = ["MR"] }\n'))
    assert (told.code, row["status"], row["excluded"], row["held"]) == (0, "ok", 2, 0)


@pytest.mark.parametrize("over", TRANSPORTS)
def test_patients_who_object_are_not_retrieved(there, over):
    (there.folder / "objections.txt").write_text(f"# who objects\n{ANNA}\n")
    (there.folder / "objections.txt").chmod(0o600)
    told = load(there, "ACC100", "ACC300", over=(over,), extra='[exclude]\npatients = "file:objections.txt"\n')
    first = told.document["results"][0]
    assert first["reasons"] == [{"code": "objection", "count": 3}]
    assert (first["status"], first["stored"], first["missing"]) == ("ok", 0, 0)
    assert ANNA not in told.out
    until(lambda: len(there.archive.log.sent(over)) >= 6, 5)
    assert len(there.archive.log.sent(over)) == 6


def test_a_list_of_objections_that_is_missing_stops_before_any_contact(there):
    told = load(there, "ACC100", extra='[exclude]\npatients = "file:objections.txt"\n')
    assert (told.code, there.archive.log.of()) == (2, [])


# --- limits, dry run, plan


def test_max_studies_and_max_images_stop_in_time(there):
    told = load(there, "--from", "20000101", "--max-studies", 2, project="a")
    assert len([row for row in told.document["results"] if row["stored"]]) == 2
    assert any("limit" in text for text in told.document["verification"]["warnings"])
    told = load(there, "--match", f"PatientID={ANNA}", "--max-images", 5, project="b")
    assert sum(row["stored"] for row in told.document["results"]) <= 5
    assert load(there, "--match", f"PatientID={ANNA}", "--max-images", 1, project="c").code in {0, 5}
    assert there.images("c") == []


def test_more_studies_than_policy_allows_need_a_yes(there):
    words = ("--match", f"PatientID={ANNA}")
    assert load(there, *words, "--set", "budget.max_studies=2").code == 7
    assert there.images() == []
    assert load(there, *words, "--set", "budget.max_studies=2", "--yes").code == 0


def test_a_dry_run_retrieves_numbers_and_releases_nothing(there):
    told = load(there, "ACC100", "--dry-run")
    assert (told.code, only(told)["status"], only(told)["case_id"]) == (0, "dry-run", None)
    assert there.archive.log.sent("wado-rs") == []
    assert not (there.folder / "research" / "p").exists() or list((there.folder / "research" / "p").iterdir()) == []


def test_a_plan_is_done_exactly_although_the_archive_grew(there):
    plan = call("plan", "p", "ACC200", "-s", there.site).document
    there.archive.add(*ct("ACC200", seed="third"))
    told = load(there, "--plan", plan["plan"])
    assert (told.code, len(told.document["results"])) == (0, 2)
    assert len(there.images()) == 5


# --- what happens to released files afterwards


def test_a_released_file_that_is_gone_or_damaged_is_noticed(there):
    load(there, "ACC100")
    first, second, _ = there.images()
    first.unlink()
    second.chmod(0o600)
    second.write_bytes(b"x" * second.stat().st_size)
    told = call("verify-files", "p")
    assert (told.code, len(told.document["missing"]), len(told.document["changed"])) == (5, 1, 1)


@pytest.mark.parametrize("again", ["load", "resume"])
def test_a_released_file_that_is_gone_comes_back(there, again):
    load(there, "ACC100")
    first = there.images()[0]
    content = first.read_bytes()
    first.unlink()
    there.archive.log.clear()
    told = load(there, "ACC100") if again == "load" else call("resume", "p", "--workers", 0)
    assert told.code == 0
    if again == "load":
        assert first.read_bytes() == content
        assert len(there.archive.log.sent("wado-rs")) == 1
        assert call("verify-files", "p").code == 0


def test_what_is_private_is_only_its_owners_and_what_is_released_has_its_mode(there):
    os.umask(0o000)
    try:
        load(there, "ACC100", extra='[output]\nmode = "0640"\n')
    finally:
        os.umask(0o022)
    private = there.folder / "private" / "p"
    for path in (private, *private.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    for path in (there.folder / "research" / "p").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0, path.name
    assert {stat.S_IMODE(path.stat().st_mode) for path in there.images()} == {0o640}


def test_a_private_folder_that_others_can_enter_is_refused(there):
    load(there, "ACC100")
    (there.folder / "private" / "p").chmod(0o755)
    there.archive.log.clear()
    assert load(there, "ACC300").code == 7
    assert there.archive.log.of() == []


def test_studies_without_a_patient_id_are_patients_of_their_own(tmp_path):
    with place(tmp_path, [*ct("ACC100", patient=""), *ct("ACC200", patient="", seed=2)]) as there:
        told = load(there, "ACC100", "ACC200")
        assert told.code == 0
        assert len({row["case_id"] for row in told.document["results"]}) == 2


def test_one_accession_number_of_two_patients_gives_two_cases(tmp_path):
    with place(tmp_path, [*ct("ACC100"), *ct("ACC100", patient=OTTO)]) as there:
        told = load(there, "ACC100")
        assert told.code == 0
        assert len({row["case_id"] for row in told.document["results"]}) == 2


@pytest.mark.parametrize("layout", ["cases", "flat"])
@pytest.mark.parametrize("names", ["cases", "keyed-hash"])
def test_every_layout_and_name_gives_every_image_its_own_place(there, layout, names):
    extra = f'[layout]\nuse = "{layout}"\n[pseudonyms]\nuse = "{names}"\n'
    told = load(there, "ACC100", "ACC200", extra=extra)
    assert told.code == 0
    assert len(there.images()) == 8
    assert {row["status"] for row in load(there, "ACC100", "ACC200", extra=extra).document["results"]} == {"skipped"}
    assert call("verify-files", "p").code == 0


def test_resume_without_anything_to_do_is_fine(there):
    load(there, "ACC100")
    there.archive.log.clear()
    told = call("resume", "p", "--workers", 0)
    assert (told.code, told.document["results"], there.archive.log.of()) == (0, [], [])


# --- tampering, secrets, rules, places


def test_tampering_with_the_trail_is_noticed(there):
    load(there, "ACC100")
    assert call("audit", "p", "--check").code == 0
    with sqlite3.connect(there.folder / "private" / "p" / "ledger.db") as db:
        db.execute("UPDATE event SET outcome='failed' WHERE seq=(SELECT min(seq)+1 FROM event)")
    db.close()
    told = call("audit", "p", "--check")
    assert (told.code, told.document["chain"]["ok"]) == (6, False)


@pytest.mark.parametrize("what", ["first", "middle", "last"])
def test_a_removed_event_is_noticed(there, what):
    load(there, "ACC100")
    which = {"first": "min(seq)", "middle": "(min(seq)+max(seq))/2", "last": "max(seq)"}[what]
    with sqlite3.connect(there.folder / "private" / "p" / "ledger.db") as db:
        db.execute(f"DELETE FROM event WHERE seq=(SELECT {which} FROM event)")
    db.close()
    assert call("audit", "p", "--check").code == 6


def test_images_without_their_secret_are_refused_before_any_contact(there):
    load(there, "ACC100")
    (there.folder / "private" / "p" / "secret").unlink()
    there.archive.log.clear()
    for words in (
        ("load", "p", "ACC300", "-s", there.site),
        ("resume", "p"),
        ("plan", "p", "ACC300", "-s", there.site),
    ):
        told = call(*words)
        assert (told.code, there.archive.log.of()) == (7, []), words
    assert not (there.folder / "private" / "p" / "secret").exists()
    shutil.rmtree(there.folder / "private" / "p")
    assert load(there, "ACC300").code == 7
    assert there.archive.log.of() == []


def test_images_without_their_ledger_are_refused(there):
    """Case numbers would start again: two patients would share one."""
    load(there, "ACC100")
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (there.folder / "private" / "p" / name).unlink(missing_ok=True)
    there.archive.log.clear()
    told = load(there, "ACC300")
    assert (told.code, there.archive.log.of()) == (7, [])


def test_other_rules_need_a_reason(there):
    load(there, "ACC100")
    file = there.folder / "private" / "p" / "project.toml"
    text = file.read_text()
    digest = next(line for line in text.splitlines() if "digest" in line).split('"')[1]
    file.write_text(text.replace(digest, "0" * len(digest)))
    there.archive.log.clear()
    told = load(there, "ACC300")
    assert (told.code, there.archive.log.of()) == (7, [])
    assert "--accept-changed-profile" in told.document["hint"]
    assert load(there, "ACC100", "--accept-changed-profile", "a newer edition").code == 0


@pytest.mark.parametrize(
    "output",
    ['images = "./x"\nprivate = "./x/y"', 'images = "./x/y"\nprivate = "./x"', 'images = "./x"\nprivate = "./x"'],
)
def test_private_things_among_released_ones_are_refused(there, output):
    told = load(there, "ACC100", extra=f"[output]\n{output}\n")
    assert (told.code, there.archive.log.of()) == (2, [])
    assert not (there.folder / "x").exists()


@pytest.mark.parametrize("what", ["images", "private"])
def test_a_place_that_cannot_be_written_is_6_before_any_contact(there, what):
    (there.folder / "file").write_text("")
    told = load(there, "ACC100", "--set", f"output.{what}=./file/below")
    assert (told.code, told.document["schema"]) == (6, "pacsferry.error"), told
    assert there.archive.log.sent("wado-rs") == []


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_full_disk_is_6_and_a_resume_completes(there, over, objects):
    """Files larger than a limit cannot be written, as on a full disk; the ledger stays whole."""
    there.archive.add(
        *ct_study(slices=3, rows=1024, columns=1024, accession="BIG", patient_id=ANNA, patient_name="Canary^Anna")
    )
    there.write((over,))
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY));"
        "from pacsferry.cli.main import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "load", "p", "ACC100", "BIG", "-s", str(there.site)],
        capture_output=True,
        cwd=there.folder,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 6, (done.stdout, done.stderr)
    assert len(done.stdout.splitlines()) > 1
    json.loads(done.stdout)
    assert call("audit", "p", "--check").code == 0
    told = call("resume", "p", "--workers", 0)
    assert told.code == 0, told
    assert call("verify-files", "p").code == 0
    assert len(there.images()) == 6


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=3m tmpfs small && cd small || exit 99
try() {{ {python} -c 'from pacsferry.cli.main import run; run()' "$@" > ../out.json 2> ../err.txt; echo $?; }}
try load p ACC100 BIG -s ../site.toml --workers 1
cp ../out.json ../full.json
mount -o remount,size=64m .
try audit p --check
try resume p --workers 1
try verify-files p
"""


def test_a_disk_that_is_really_full_leaves_the_ledger_whole(there):
    """On a file system of 3 MB; made larger afterwards."""
    there.archive.add(
        *ct_study(slices=3, rows=1024, columns=1024, accession="BIG", patient_id=ANNA, patient_name="Canary^Anna")
    )
    there.write(("wado-rs",))
    text = there.site.read_text()
    there.site.write_text(text + '\n[output]\nimages = "./small/research"\nprivate = "./small/private"\n')
    (there.folder / "small").mkdir()
    script = ON_A_SMALL_DISK.format(python=sys.executable)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        cwd=there.folder,
        timeout=100,
        check=False,
        text=True,
        env=dict(os.environ),
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("needs leave to mount a tmpfs in a namespace of its own")
    assert done.stdout.split() == ["6", "0", "0", "0"], (
        done.stdout,
        done.stderr,
        (there.folder / "full.json").read_text(),
    )
    full = json.loads((there.folder / "full.json").read_text())
    assert full["status"] in {"failed", "incomplete", "error"}
    assert "free space" in full["hint"]


# --- gates


def test_a_gate_in_the_profile_never_removes_one_that_always_runs(there):
    for extra in (
        '[[gate]]\nuse = "residual-identifiers"\n',
        '[[gate]]\nuse = "sop-class"\n',
        "gate = []\n[select]\n",
    ):
        there.write(("wado-rs",), extra) if "gate = []" not in extra else None
        if "gate = []" in extra:
            there.write(("wado-rs",))
            there.site.write_text("gate = []\n" + there.site.read_text())
        name = f"p{len(extra)}"
        told = call("load", name, "ACC300", "-s", there.site, "--workers", 0)
        assert only(told)["held"] == 2, extra


def test_waiving_is_shown_for_ever(there):
    load(there, "ACC300")
    assert call("waive", "p", "ACC300", "--reason", "known").code == 0
    assert only(load(there, "ACC300"))["status"] == "waived"
    assert call("status", "p").code == 0
    assert only_status(call("status", "p")) == Status.WAIVED


def only_status(told):
    return told.document["results"][0]["status"]


def test_the_command_is_installed(there):
    told = run("--version")
    assert told.code == 0
    assert told.out.startswith("pacsferry ")
