"""Ctrl-C and SIGTERM keep what is done, print the document and say how to go on."""

import json
import signal
import subprocess
import sys
import time

import pytest

from support.commands import call, check, start


def under_way(there, seconds=20):
    """Wait until the archive holds back an instance."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if there.archive.log.sent("wado-rs"):
            return
        time.sleep(0.05)
    pytest.fail("the load did not come so far")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_load_prints_its_document_and_can_be_resumed(there, site, tmp_path, number):
    there.archive.faults.add("pause:nth=3,seconds=20")
    process = start("load", "p", "ACC100", "-s", site, "--set", "archive.timeouts.stall=60s", cwd=tmp_path)
    under_way(there)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    document = json.loads(out)
    check(document)
    assert document["schema"] == "pacsferry.load"
    assert document["results"][0]["status"] == "interrupted"
    assert "pacsferry resume p" in document["hint"]
    there.archive.faults.clear()
    again = call("resume", "p", "--workers", 0)
    assert (again.code, again.document["results"][0]["stored"]) == (0, 4)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.2, 0.5])
def test_an_impatient_user_gets_one_document_too(there, site, tmp_path, pause):
    there.archive.faults.add("pause:nth=3,seconds=20")
    process = start("load", "p", "ACC100", "-s", site, "--set", "archive.timeouts.stall=60s", cwd=tmp_path)
    under_way(there)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    document = json.loads(out)
    check(document)
    assert "pacsferry resume p" in document["hint"]
    there.archive.faults.clear()
    assert call("resume", "p", "--workers", 0).document["results"][0]["stored"] == 4


def test_a_signal_that_comes_while_the_event_is_being_set_waits_for_nobody():
    code = (
        "import os, signal; from pacsferry.cli.stopping import concluding\n"
        "with concluding(lambda text: None) as stop:\n"
        "    with stop._cond:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert stop.wait(10)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_query_is_an_error_document(there, site, tmp_path, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests were started with nohup, which the command honours")
    there.archive.faults.add("http-503:retry_after=30")
    process = start("find", "ACC100", "-s", site, cwd=tmp_path)
    until = time.monotonic() + 20
    while not there.archive.log.of("qido-rs") and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (out, err)
    document = json.loads(out)
    check(document)
    assert (document["schema"], document["code"]) == ("pacsferry.error", 130)


def test_a_reader_who_leaves_early_is_no_error(there, site, tmp_path):
    with start("schema", "load", cwd=tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 0
