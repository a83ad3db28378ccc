"""The command: words, files, exit codes, and what a terminal shows."""

import json
import signal
import socket
import stat
import time

import pytest

from pacsferry.testing.simulator import Simulator
from support.commands import at_terminal, call, check, start

from .conftest import CANARIES

QUICK = ("--set", 'archive.timeouts={ connect = "2s", stall = "3s", quiet = "1s" }')


def addressed(there):
    sim = there.archive
    return ("--dimse", f"SIM@127.0.0.1:{sim.dimse_port}", *QUICK)


def test_a_profile_letter_and_behaviour_are_written_and_work(there, tmp_path):
    told = call(
        "doctor", *addressed(there), "--dicomweb", there.archive.dicomweb_url,
        "--receiver", f"PACSFERRY@127.0.0.1:{there.receiver_port}",
        "--write", "found.toml", "--letter", "letter.txt", "--save-behaviour", "b.json",
    )  # fmt: skip
    document = told.document
    assert (told.code, document["status"]) == (0, "ok")
    assert document["written"] == {"profile": "found.toml", "letter": "letter.txt", "behaviour": "b.json"}
    assert stat.S_IMODE((tmp_path / "found.toml").stat().st_mode) == 0o640
    letter = (tmp_path / "letter.txt").read_text()
    assert letter == document["letter"]
    for expected in ("PACSFERRY", str(there.receiver_port), "127.0.0.1", "C-MOVE", "firewall", "registered"):
        assert expected in letter
    saved = json.loads((tmp_path / "b.json").read_text())
    check(saved)
    assert saved == document["behaviour"]
    everything = told.out + told.err + letter
    assert not any(canary in everything for canary in (*CANARIES, "ACC100", "ACC200"))
    assert call("check", "-s", "./found.toml").code == 0
    assert call("load", "p", "ACC100", "-s", "./found.toml").code == 0


def test_the_profile_that_is_given_is_examined(there, site):
    told = call("doctor", "-s", site, "--no-retrieve")
    assert (told.code, told.document["archive"]["dicomweb"]) == (0, there.archive.dicomweb_url)


def test_an_address_wins_over_the_environment_and_nothing_else_of_it_is_used(there, site):
    told = call("doctor", *addressed(there), "--no-retrieve", PACSFERRY_SITE=site)
    assert told.document["archive"]["dicomweb"] is None


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--dimse", "SIM"),
        ("--dimse", "SIM@host:99999"),
        ("--dicomweb", "ftp://host/"),
        ("--dimse", "SIM@127.0.0.1:104", "--max-time", "soon"),
        ("--dimse", "SIM@127.0.0.1:104", "--max-time", "0s"),
        ("--dimse", "SIM@127.0.0.1:104", "--write", "found"),
        ("--dimse", "SIM@127.0.0.1:104", "--write", "nowhere/found.toml"),
        ("--dimse", "SIM@127.0.0.1:104", "--letter", "x", "--save-behaviour", "x"),
        ("--dimse", "SIM@127.0.0.1:104", "--receiver", "US"),
    ],
)
def test_mistakes_are_2_before_anybody_is_contacted(words, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", None)
    told = call("doctor", *words)
    assert (told.code, told.document["schema"]) == (2, "pacsferry.error")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--dimse", "SIM@host:99999"),
        ("--dimse", "SIM@host:0"),
        ("--dicomweb", "host"),
        ("--dicomweb", "http://host:99999/x"),
        ("--calling-ae-title", "MUCH_TOO_LONG_FOR_IT"),
        ("--receiver", "US@127.0.0.1:65536"),
        ("--set", "archive.nonsense=1"),
    ],
)
def test_what_was_typed_is_to_blame_not_the_profile_beneath(wrong):
    told = call("doctor", *wrong, *(() if wrong[0] == "--dimse" else ("--dimse", "SIM@127.0.0.1:104")))
    assert told.code == 2
    assert told.document["error"].startswith(f"{wrong[0]}: ")
    assert "research-base" not in told.document["error"]


def test_nothing_is_overwritten_without_yes(there, tmp_path):
    (tmp_path / "found.toml").write_text("mine")
    told = call("doctor", *addressed(there), "--write", "found.toml")
    assert (told.code, (tmp_path / "found.toml").read_text()) == (2, "mine")
    assert there.archive.log.of("associate") == []
    assert call("doctor", *addressed(there), "--write", "found.toml", "--yes").code == 0
    assert (tmp_path / "found.toml").read_text() != "mine"


def test_nobody_there_is_4_with_a_letter(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        words = ("--dimse", f"SIM@127.0.0.1:{closed.getsockname()[1]}", "--write", "found.toml")
        told = call("doctor", *words)
    assert (told.code, told.document["status"], told.document["profile"]) == (4, "failed", None)
    assert "refused" in told.document["letter"]
    assert not (tmp_path / "found.toml").exists()


def test_a_profile_that_would_not_work_is_not_written_and_that_is_5(there, tmp_path):
    there.archive.faults.add("no-storage", "http-500")
    told = call("doctor", *addressed(there), "--write", "found.toml")
    assert (told.code, told.document["profile"]) == (5, None)
    assert not (tmp_path / "found.toml").exists()


def test_a_terminal_gets_a_list_and_a_letter_where_something_is_in_the_way(there, tmp_path):
    there.archive.faults.add("no-storage")
    told = at_terminal("doctor", *addressed(there), cwd=tmp_path, columns=200)
    assert told.code == 0
    for text in ("This machine", "DIMSE", "C-ECHO is answered", "failed", "Letter to the archive's administrator"):
        assert text in told.out


def test_csv_has_a_line_per_finding(there):
    told = call("doctor", *addressed(there), "--no-retrieve", "--format", "csv")
    assert told.out.splitlines()[0] == "status,probe,text,advice"
    assert "dimse.echo" in told.out


def test_ctrl_c_is_130_with_what_was_learnt_so_far(objects, tmp_path):
    with Simulator(objects, faults=["find-pause:seconds=0.5"]) as sim:
        process = start("doctor", "--dimse", f"SIM@127.0.0.1:{sim.dimse_port}", "--json", cwd=tmp_path)
        end = time.monotonic() + 20
        while not sim.log.of("c-find") and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    told = json.loads(out)
    check(told)
    assert (process.returncode, told["status"]) == (130, "interrupted")
    assert "dimse.echo" in {one["probe"] for one in told["findings"]}
