"""`pacsferry simulate`: starts, says where it listens, does what is ordered, and goes without a trace."""

import json
import signal
import socket
import time

import pytest

from pacsferry.cli.schema import named
from pacsferry.testing.samples import ct_study, part10
from support.commands import call, check, run, start

CANARY = "Canarybird"


@pytest.fixture
def served(tmp_path):
    """Start one and read its document; it is stopped at the end."""
    processes = []

    def begin(*words):
        process = start("simulate", "--json", *words, cwd=tmp_path)
        processes.append(process)
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        document = json.loads(text)
        check(document)
        return process, document

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stopped(process, how=signal.SIGINT):
    process.send_signal(how)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def free(port):
    with socket.create_server(("127.0.0.1", port)):
        return True


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_stopped_and_that_is_success(served, how):
    process, document = served()
    assert process.poll() is None
    assert document["studies"] == 7
    assert document["accessions"][0] == "ACC0001"
    assert stopped(process, how)[0] == 0
    assert free(document["dimse_port"])
    assert free(document["http_port"])


def test_the_printed_profile_loads(served, tmp_path):
    process, document = served("--misbehave", "drop:nth=1,times=1")
    (tmp_path / "sim.toml").write_text(document["profile"])
    (tmp_path / "sim.toml").chmod(0o600)
    loaded = run("load", "try", "ACC0001", "--site", "./sim.toml", "--workers", "0", cwd=tmp_path)
    assert loaded.document["results"][0]["status"] == "ok"
    assert stopped(process)[0] == 0


def test_the_text_is_itself_a_profile(tmp_path):
    process = start("simulate", "--for", "300ms", "--misbehave", "late:seconds=0.5", cwd=tmp_path)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "wrong     late:seconds=0.5" in out
    (tmp_path / "sim.toml").write_text(out)
    (tmp_path / "sim.toml").chmod(0o600)
    assert run("check", "--site", "./sim.toml", cwd=tmp_path).code == 0


def test_a_time_ends_it_with_success_and_a_signal_before_that_does_not(served):
    process, document = served("--for", "10m")
    assert document["for_s"] == 600
    assert stopped(process)[0] == 130
    began = time.monotonic()
    assert call("simulate", "--for", "200ms", "--json").code == 0
    assert time.monotonic() - began < 10


def test_events_name_what_was_asked_and_no_value(served, tmp_path):
    process, document = served("--events")
    sets = [
        f"archive.dimse.{key}={document[name]}"
        for key, name in (("host", "host"), ("port", "dimse_port"), ("ae_title", "ae_title"))
    ]
    words = [word for one in sets for word in ("--set", one)]
    profile = tmp_path / "s.toml"
    profile.write_text(
        'extends="research-base"\n[archive.dimse]\nhost="x"\nport=1\nae_title="X"\n[[transport]]\nuse="c-get"\n'
    )
    profile.chmod(0o600)
    assert run("find", "--match", f"PatientName={CANARY}*", "--site", "./s.toml", *words, cwd=tmp_path).code == 3
    code, _, err = stopped(process)
    lines = [json.loads(line) for line in err.splitlines()]
    for line in lines:
        check(line)
    assert code == 0
    assert CANARY not in err
    (asked,) = [line for line in lines if line["verb"] == "c-find"]
    assert (asked["level"], asked["status"], asked["matches"]) == ("STUDY", 0, 0)
    assert "PatientName" in asked["keys"]


def test_a_folder_is_served_and_nothing_of_it_is_shown(served, tmp_path):
    folder = tmp_path / "data" / "below"
    folder.mkdir(parents=True)
    for number, ds in enumerate(ct_study(slices=3, rows=8, columns=8, patient_name=CANARY, accession="SECRET77")):
        (folder / f"{number}.dcm").write_bytes(part10(ds))
    (folder / "notes.txt").write_text("no image")
    process, document = served("--data", str(tmp_path / "data"))
    assert (document["studies"], document["instances"], document["skipped"]) == (1, 3, 1)
    assert document["accessions"] == []
    assert "SECRET77" not in json.dumps(document)
    _, out, err = stopped(process)
    assert CANARY not in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--misbehave", "dorp"], "did you mean 'drop'?"),
        (["--misbehave", "drop:nht=2"], "did you mean 'nth'?"),
        (["--misbehave", "drop:nth=two"], "nth: write a number"),
        (["--misbehave", "drop:nth=-1"], "nth: write a number that is not negative"),
        (["--misbehave", "drop:told=maybe"], "told: write yes or no"),
        (["--misbehave", "drop:verb=c-find"], "does not touch verb 'c-find'"),
        (["--misbehave", "drop:nth"], "write drop:key=value"),
        (["--misbehave", ""], "no fault named ''"),
        (["--personality", "orthnac"], "did you mean"),
        (["--like", "nowhere.json"], "does not exist"),
        (["--data", "nowhere"], "does not exist"),
        (["--for", "soon"], "--for: write a number and a unit"),
        (["--for", "0s"], "--for: write more than nothing"),
        (["--destination", "here"], "--destination: write AE@HOST:PORT"),
        (["--destination", "A@h:0"], "--destination: write AE@HOST:PORT"),
        (["--destination", f"{'A' * 17}@h:1"], "--destination: write 1 to 16 ASCII characters"),
        (["--ae-title", "a\\b"], "--ae-title: write 1 to 16 ASCII characters"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = call("simulate", "--json", *words)
    assert answer.code == 2
    assert said in answer.document["error"]


def test_a_port_that_is_taken_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--dimse-port", "--http-port"):
            answer = call("simulate", "--json", option, str(port))
            assert answer.code == 2
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in answer.document["error"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"schema": "pacsferry.load", "version": 1}',
        '{"schema": "pacsferry.behaviour", "version": 7}',
        '{"schema": "pacsferry.behaviour", "version": 1, "dimse": {"find": {"cap": "Canarybird"}}}',
        '{"schema": "pacsferry.behaviour", "version": 1, "faults": ["drop"]}',
    ],
)
def test_a_file_that_is_none_of_ours_is_an_error_in_words(content, tmp_path):
    file = tmp_path / "learnt.json"
    file.write_text(content)
    answer = call("simulate", "--json", "--like", file)
    assert answer.code == 2
    assert answer.document["error"].startswith(f"--like {file}")
    assert CANARY not in answer.out


def test_a_folder_without_an_image_is_an_error(tmp_path):
    (tmp_path / "x.txt").write_text("nothing")
    answer = call("simulate", "--json", "--data", tmp_path)
    assert (answer.code, "holds no DICOM file" in answer.document["error"]) == (2, True)


@pytest.mark.parametrize("words", [["--list"], ["--misbehave", "help"]])
def test_the_list_names_faults_parameters_and_personalities(words):
    text = call("simulate", *words).out
    assert "  drop " in text
    assert "nth=1, told=no" in text
    assert "overwhelmed" in text, "a fault of a plugin"
    document = call("simulate", *words, "--json").document
    assert len(document["faults"]) >= 75
    assert all(one["summary"] for one in document["faults"])
    assert {one["name"] for one in document["personalities"]} >= set()


def test_its_documents_have_schemas():
    assert {named(name)["$id"].rpartition("/")[2] for name in ("simulate", "faults", "asked")} == {
        "simulate.json", "faults.json", "asked.json",
    }  # fmt: skip
