"""No identifier leaves through logs, warnings or errors, at any level and in any fault."""

from __future__ import annotations

import io
import json
import logging
import traceback
import warnings

import pytest

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Query, Wanted
from pacsferry.core.redact import describe_exception, describe_traceback
from support.scripted_http import CLOSE, HANG, RELATED, RESET, answer, related, secrets_in

ACCESSION, UID, NAME = "CANARY4711", "1.2.999.4711", "CANARY^NAME"
ROW = {"0020000D": {"vr": "UI", "Value": [UID]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": NAME}]}}
BODY = json.dumps([ROW]).encode()

ANSWERS = {
    "all well": [answer(200, BODY, Content_Type="application/dicom+json")],
    "objects": [answer(200, related([NAME.encode()]), Content_Type=RELATED)],
    "404": [answer(404, NAME.encode())],
    "500": [answer(500, NAME.encode())],
    "a warning": [answer(200, BODY, Warning=f"299 x: {NAME}")],
    "a redirect": [answer(302, Location=f"http://elsewhere.invalid/{ACCESSION}?{UID}")],
    "no json": [answer(200, NAME.encode())],
    "a cut answer": [answer(200, BODY[:-9], length=9999), CLOSE],
    "a reset": [RESET],
    "silence": [HANG],
    "no http": [NAME.encode() + b"\r\n\r\n", CLOSE],
    "a wrong part": [answer(200, related([b"x"]).replace(b"application/dicom", NAME.encode()), Content_Type=RELATED)],
    "a wrong header": [answer(200, b"--cut-here\r\n" + NAME.encode() + b"\r\n\r\n", Content_Type=RELATED)],
}


@pytest.fixture
def everything_logged():
    """The root logger at DEBUG, as a curious user would set it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize("fault", ANSWERS)
def test_no_identifier_leaves_in_any_fault(serve, qido, wado, basket, fault, everything_logged, capfd):
    server = serve(lambda _: ANSWERS[fault])
    said = []
    finder = qido(server.url, stall=0.3, settings={"max_tries": 2, "max_wait": 0.01})
    transport = wado(server.url, stall=0.3, max_tries=2, max_wait=0.01)
    jobs = [
        lambda: list(finder.find(Query(level=Level.STUDY, keys={"AccessionNumber": ACCESSION}))),
        lambda: list(finder.find(Query(level=Level.SERIES, keys={"StudyInstanceUID": UID, "PatientName": NAME}))),
        lambda: transport.fetch(Wanted(study=UID), basket),
        lambda: transport.fetch(Wanted(study=UID, series=UID, instances=(UID,)), basket),
        lambda: transport.fetch(Wanted(study=f"{UID}/../{ACCESSION}"), basket),
    ]
    for job in jobs:
        try:
            said.append(repr(job()))
        except TransferError as err:
            said += [str(err), repr(err), str(err.hint), describe_exception(err), describe_traceback(err)]
            said.append("".join(traceback.format_exception(err)))
            assert err.__cause__ is None  # noqa: PT017 - it may also not raise
    out = capfd.readouterr()
    text = "\n".join([*said, out.out, out.err, everything_logged.getvalue()])
    assert secrets_in(text, ACCESSION, UID, NAME, "CANARY%5ENAME") == []
