"""No identifier leaves through logs, warnings, tracebacks, standard streams or error texts, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys, threading, time, tempfile, warnings
sys.path.insert(0, sys.argv[1])
logging.basicConfig(level=logging.DEBUG)
import pydicom, pynetdicom
from pynetdicom import evt
from support.scripted_scp import *
from support.peers import free_port
from pacsferry.core.errors import FerryError
from pacsferry.core.model import *
from pacsferry.plugins.dimse.find import CFind
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.move import CMove
from pacsferry.plugins.dimse.settings import *
from pydicom import Dataset

CANARY = "CANARYPATIENT"
study = make_study(patient=CANARY)
for one in study.instances:
    one.PatientName = CANARY + "^NAME"
answer = Dataset()
answer.StudyInstanceUID = study.uid
answer.PatientID = CANARY
answer.add_new("StudyDate", "LO", CANARY)

def found(event):
    yield 0xFF00, answer
    yield status_of(0xC001, ErrorComment="no " + CANARY), None

def given(event):
    yield 3
    yield 0xFF00, study.instances[0]
    event.assoc.dul.socket.socket.sendall(b"\\x04\\x00\\x00\\x00\\x00\\x0c\\x00\\x00\\x00\\x08\\x01\\x03CANARY")
    time.sleep(1)

def attempt(call):
    try:
        call()
    except FerryError as err:
        print(type(err).__name__, err, err.hint)

with scp([(evt.EVT_C_FIND, found), (evt.EVT_C_GET, given)]) as port:
    receiver = free_port()
    where = archive(port, receiver_port=receiver)
    finder, get, move = CFind(where, FindSettings()), CGet(where, GetSettings()), CMove(where, MoveSettings())
    query = Query(level=Level.STUDY, keys={"PatientID": CANARY, "PatientName": CANARY + "*"})
    wanted = Wanted(study=study.uid, sop_classes=study.classes, expected=3)
    def broken(head):
        raise FerryError("sink")
    attempt(lambda: list(finder.find(query)))
    attempt(lambda: get.fetch(wanted, CollectingSink()))
    attempt(lambda: get.fetch(wanted, CollectingSink(broken)))
    fetching = threading.Thread(target=attempt, args=(lambda: move.fetch(wanted, CollectingSink()),))
    fetching.start()
    time.sleep(0.5)
    for instances in (study.instances, make_study(patient=CANARY).instances):
        try:
            send(receiver, instances)
        except ConnectionError as err:
            print(err)
    fetching.join()
    for one in (finder, get, move):
        one.close()
print("END")
"""


@pytest.mark.filterwarnings("default")
def test_a_planted_identifier_is_seen_nowhere(tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    tests = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "default", "-c", PROGRAM, str(tests)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(temp)},
        check=False,
    )
    output = done.stdout + done.stderr
    assert "END" in done.stdout, output
    assert "CANARY" not in output
    assert os.listdir(temp) == []
