"""Two processes, one project: each study once over every transport; who must wait says so, or leaves with 8."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter

import pytest

from pacsferry.testing.samples import ct_study
from support.commands import PACSFERRY, call
from support.loading import TRANSPORTS, place
from support.processes import until

STUDIES, SLICES = 4, 4
ACCESSIONS = [f"ACC{n}00" for n in range(1, STUDIES + 1)]


@pytest.fixture
def there(tmp_path):
    objects = [
        ds
        for number, accession in enumerate(ACCESSIONS)
        for ds in ct_study(
            slices=SLICES, rows=32, columns=32, accession=accession, patient_id=f"QUAY-{number}", patient_name="Heron^O"
        )
    ]
    with place(tmp_path, objects) as made:
        yield made


def start(there, *words, project="p"):
    return subprocess.Popen(
        [*PACSFERRY, *map(str, words), "-s", str(there.site), "--workers", "1", "--set", "archive.timeouts.stall=30s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=there.folder,
        env=dict(os.environ),
    )


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, json.loads(out), err.decode()


def all_well(done):
    """Every one ended with 0; else what each of them says."""
    bad = [
        (code, document.get("error"), document.get("hint"), statuses(document)) for code, document, _ in done if code
    ]
    assert bad == []


def statuses(document):
    return [row["status"] for row in document.get("results", [])]


@pytest.mark.parametrize("over", TRANSPORTS)
def test_two_loads_at_once_do_each_study_once(there, over):
    there.write((over,))
    there.archive.faults.add("pause:nth=2,seconds=0.3")
    both = [start(there, "load", "p", *ACCESSIONS), start(there, "load", "p", *reversed(ACCESSIONS))]
    done = [ended(one) for one in both]
    all_well(done)
    for _, document, _ in done:
        assert set(statuses(document)) <= {"ok", "skipped"}
    until(lambda: len(there.archive.log.sent(over)) >= STUDIES * SLICES, 5)
    sent = Counter(there.archive.log.sent(over))
    assert set(sent.values()) == {1}
    assert len(sent) == len(there.images()) == STUDIES * SLICES
    assert call("audit", "p", "--check").code == 0
    assert call("verify-files", "p").code == 0
    assert call("status", "p").document["status"] == "ok"
    cases = {row["case_id"] for row in done[0][1]["results"]}
    assert cases == {row["case_id"] for row in done[1][1]["results"]} == {f"case000{n}" for n in range(1, STUDIES + 1)}


@pytest.mark.parametrize("over", ["wado-rs", "c-move"])
def test_who_waits_says_so(there, over):
    there.write((over,))
    there.archive.faults.add("pause:nth=2,seconds=6,times=1")
    first = start(there, "load", "p", ACCESSIONS[0])
    until(lambda: there.archive.log.sent(over))
    second = start(there, "load", "p", ACCESSIONS[0], "--events")
    code, document, err = ended(second)
    assert (code, statuses(document)) == (0, ["skipped"])
    told = [json.loads(line) for line in err.splitlines()]
    assert [one for one in told if one["event"] == "waiting"], err
    assert ended(first)[0] == 0


def test_the_second_c_move_waits_for_the_receiver_even_for_another_study(there):
    there.write(("c-move",))
    there.archive.faults.add("pause:nth=2,seconds=6,times=1")
    first = start(there, "load", "p", ACCESSIONS[0])
    until(lambda: there.archive.log.sent("c-move"))
    second = start(there, "load", "q", ACCESSIONS[1], "--events")
    code, document, err = ended(second)
    assert (code, statuses(document)) == (0, ["ok"])
    waiting = [json.loads(line)["text"] for line in err.splitlines() if '"waiting"' in line]
    assert any("receiver" in text for text in waiting), err
    assert ended(first)[0] == 0
    assert set(Counter(there.archive.log.sent("c-move")).values()) == {1}


@pytest.mark.parametrize("over", ["c-get", "c-move"])
def test_with_no_wait_it_is_8_and_nothing_is_lost(there, over):
    there.write((over,))
    there.archive.faults.add("pause:nth=2,seconds=6,times=1")
    first = start(there, "load", "p", ACCESSIONS[0])
    until(lambda: there.archive.log.sent(over))
    code, document, _ = ended(start(there, "load", "p", ACCESSIONS[0], "--no-wait"))
    assert code == 8, document
    code, document, _ = ended(first)
    assert (code, statuses(document)) == (0, ["ok"])
    assert call("resume", "p", "--workers", 0).code == 0
    assert set(Counter(there.archive.log.sent(over)).values()) == {1}


@pytest.mark.parametrize("over", ["wado-rs", "c-move"])
def test_what_a_killed_process_held_is_free_at_once(there, over):
    there.write((over,))
    there.archive.faults.add("pause:nth=2,seconds=20,times=1")
    first = start(there, "load", "p", ACCESSIONS[0])
    until(lambda: there.archive.log.sent(over))
    second = start(there, "load", "p", ACCESSIONS[0])
    first.send_signal(signal.SIGKILL)
    first.communicate()
    code, document, err = ended(second)
    assert (code, statuses(document)) == (0, ["ok"]), err
    assert len(there.images()) == SLICES


def test_two_inits_and_loads_of_a_new_project_make_one_project(there):
    there.write(("wado-rs",))
    both = [start(there, "load", "new", one) for one in ACCESSIONS[:2]]
    done = [ended(one) for one in both]
    all_well(done)
    assert {row["case_id"] for _, document, _ in done for row in document["results"]} == {"case0001", "case0002"}


def test_many_at_once(there):
    """Four processes, as a cluster of jobs would start them."""
    there.write(("wado-rs",))
    many = [start(there, "load", "p", *ACCESSIONS) for _ in range(4)]
    done = [ended(one) for one in many]
    all_well(done)
    assert set(Counter(there.archive.log.sent("wado-rs")).values()) == {1}
    assert len(there.images()) == STUDIES * SLICES
    assert call("audit", "p", "--check").code == 0
