"""Every misbehaviour ends with its verdict, and the next run without it asks only for what is missing.

What is older than this table has a test of its own, with more to say of it, in ``tests/app/test_faults.py``.
"""

import re
from pathlib import Path

import pytest

from pacsferry.app.simulating import known_faults
from pacsferry.core import registry
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Fault
from support.loading import TRANSPORTS, place

KNOWN = known_faults(registry.load(external=False))
ACC = "ACC100"
COUNT = 4
WEB, GET, MOVE = "wado-rs", "c-get", "c-move"

#: Faults that a load overcomes: status ok, exit code 0, no reason left.
OVERCOME = {
    "find-cap:limit=1": (WEB,),
    "find-page:default=1,most=1": (WEB,),
    "no-offset": (WEB,),
    "find-lacks:keyword=SOPClassUID": (GET, WEB),
    "find-twice": (WEB,),
    "find-stranger": (GET,),
    "find-ignores": (GET,),
    "find-contains": (WEB,),
    "find-needs-parents": (GET,),
    "find-odd-values": (GET, WEB),
    "find-odd-length": (GET,),
    "find-charset": (GET,),
    "find-ff01": (GET,),
    "find-pause:seconds=0.1": (GET,),
    "find-fails:level=IMAGE,status=0xC000": (GET,),
    "nearline:seconds=0.3": (MOVE, WEB),
    "cancelled:nth=2,times=1": (GET,),
    "ignores-cancel": (GET,),
    "late:seconds=0.3": (MOVE,),
    "no-pending": (MOVE,),
    "never-ends": (GET,),
    "failed-list": (GET,),
    "counters:by=9": (MOVE,),
    "counters:none=yes": (GET,),
    "whole-study": (GET, WEB),
    "one-at-a-time": (MOVE,),
    "other-title": (MOVE,),
    "no-originator": (MOVE,),
    "reuse": (MOVE,),
    "pause:nth=2,seconds=0.3": (MOVE,),
    "duplicate": (GET, WEB),
    "study-root-only": (GET,),
    "prefers-compressed": (GET,),
    "limit-associations:limit=2": (MOVE,),
    "no-length": (WEB,),
    "bare-boundary": (WEB,),
    "bulk-elsewhere": (WEB,),
    "single-part": (WEB,),
    "no-star": (WEB,),
    "overwhelmed:within=0.05": (WEB,),
    "max-offset": (WEB,),
    "find-literal": (WEB,),
    "find-no-star:dates=yes": (GET,),
    "find-one-modality": (WEB,),
    "no-includefield": (WEB,),
    "accept-only:media=application/dicom": (WEB,),
    "slow:rate=20000": TRANSPORTS,
    "no-release:times=1": (GET,),
}

#: Fault -> transports, status, exit code, reasons (any of them, and no other).
FAILING = {
    "find-fails": ((WEB,), "failed", 4, {"http-error"}),
    "find-silence": ((GET,), "failed", 4, {"stalled"}),
    "find-abort": ((GET,), "failed", 4, {"aborted"}),
    "find-empty": ((WEB,), "not_found", 3, set()),
    "find-refuses:keyword=AccessionNumber": ((GET,), "failed", 4, {"identifier-mismatch"}),
    "find-needs-date": ((WEB,), "failed", 4, {"identifier-mismatch", "http-error"}),
    "find-needs-values": ((GET,), "failed", 4, {"identifier-mismatch"}),
    "find-counts": ((WEB,), "unverified", 5, {"counts-differ"}),
    "http-500": ((WEB,), "failed", 4, {"http-error"}),
    "http-400": ((WEB,), "failed", 4, {"http-error"}),
    "warning-299": ((WEB,), "failed", 4, {"capped"}),
    "storage-only:classes=1.2.840.10008.5.1.4.1.1.4": ((GET,), "failed", 4, {"cannot-perform"}),
    "wrong-boundary": ((WEB,), "failed", 4, {"truncated"}),
    "gzip": ((WEB,), "failed", 4, {"bad-answer"}),
    "http-403": ((WEB,), "failed", 4, {"http-403"}),
    "http-406": ((WEB,), "failed", 4, {"http-406"}),
    "login-page": ((WEB,), "failed", 4, {"bad-answer"}),
    "redirect": ((WEB,), "failed", 4, {"http-redirect"}),
    "http-silence": ((WEB,), "failed", 4, {"stalled"}),
    "bad-json": ((WEB,), "failed", 4, {"bad-answer"}),
    "find-traversal:keyword=StudyInstanceUID": ((WEB,), "failed", 4, {"bad-answer"}),
    "find-traversal:keyword=StudyInstanceUID,verb=c-find": ((GET,), "failed", 4, {"not-sent"}),
    "offline": ((GET, WEB), "offline", 5, {"offline"}),
    "grows": (TRANSPORTS, "changed", 5, {"study-changed"}),
    "out-of-resources": ((MOVE,), "failed", 4, {"cannot-match"}),
    "identifier-mismatch": ((MOVE,), "failed", 4, {"identifier-mismatch"}),
    "patient-root-only": ((GET,), "failed", 4, {"no-context"}),
    "no-storage": ((GET,), "failed", 4, {"cannot-perform"}),
    "no-role": ((GET,), "failed", 4, {"cannot-perform"}),
    "no-service:service=c-get": ((GET,), "failed", 4, {"no-context"}),
    "no-service:service=c-move": ((MOVE,), "failed", 4, {"no-context"}),
    "reject": ((GET,), "failed", 4, {"refused-association"}),
    "tls-expected": ((GET, WEB), "failed", 4, {"tls", "aborted"}),
    "private-syntax": ((MOVE,), "incomplete", 5, {"sub-operation-failed", "cannot-perform"}),
    "wrong-uid": ((MOVE,), "incomplete", 5, {"sub-operation-failed", "unexpected", "cannot-perform"}),
    "traversal": ((GET, WEB), "incomplete", 5, {"unexpected", "not-sent", "cannot-perform", "sub-operation-failed"}),
}


def cases():
    for text, overs in OVERCOME.items():
        yield from (pytest.param(text, over, "ok", 0, set(), id=f"{text}-{over}") for over in overs)
    for text, (overs, *verdict) in FAILING.items():
        yield from (pytest.param(text, over, *verdict, id=f"{text}-{over}") for over in overs)


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "state"))
    with place(tmp_path, ct_study(slices=2, series=2, rows=16, columns=16, accession=ACC)) as made:
        yield made


def test_every_misbehaviour_has_a_verdict():
    older = (Path(__file__).parents[2] / "app" / "test_faults.py").read_text(encoding="utf-8")
    ordered = {text.partition(":")[0] for text in (*OVERCOME, *FAILING)}
    assert not [name for name in KNOWN if name not in ordered and not re.search(rf'"{name}[":]', older)]


@pytest.mark.parametrize(("text", "over", "status", "code", "reasons"), list(cases()))
def test_each_misbehaviour_has_its_verdict_and_what_is_missing_comes_later(there, text, over, status, code, reasons):
    there.archive.faults.add(Fault.parse(text, KNOWN))
    loaded = there.load(ACC, over=over)
    (row,) = loaded.rows
    assert (str(row.status), loaded.exit_code) == (status, code)
    assert set(row.reasons) == set() if not reasons else set(row.reasons) and set(row.reasons) <= reasons
    there.archive.faults.clear()
    there.archive.log.clear()
    before, held = len(there.images()), len(there.archive.holdings.all())
    again = there.load(ACC, over=over)
    assert {one.status for one in again.rows} <= {Status.OK, Status.SKIPPED}
    assert (again.exit_code, len(there.images())) == (0, held)
    # The simulator notes an instance once it is acknowledged, which may be after we have all of them, or never.
    assert len(set(there.archive.log.sent(over))) <= held - before
