"""HTTP requests at once, queries and retrievals together, are never more than the budget's associations."""

from __future__ import annotations

import threading

import pytest

from pacsferry import app
from pacsferry.core.query import gather
from pacsferry.plugins.dicomweb.session import WebSession
from pacsferry.testing.samples import ct_study
from support.loading import place

ACCESSIONS = [f"ACC{n}" for n in range(5)]


@pytest.fixture
def there(tmp_path):
    objects = [
        ds
        for number, accession in enumerate(ACCESSIONS)
        for ds in ct_study(slices=3, rows=16, columns=16, accession=accession, patient_id=f"P{number}")
    ]
    with place(tmp_path, objects) as made:
        yield made


@pytest.fixture
def most(monkeypatch):
    """How many requests were under way at once: from their first byte to the end of their answers' bodies."""
    lock, now, seen = threading.Lock(), [0], [0]
    once, chunks = WebSession._once, WebSession.chunks

    def counted(self, *arguments):
        with lock:
            now[0] += 1
            seen[0] = max(seen[0], now[0])
        try:
            return once(self, *arguments)
        except BaseException:
            ended()
            raise

    def ended():
        with lock:
            now[0] -= 1

    def read(self, raw):
        try:
            yield from chunks(self, raw)
        finally:
            ended()

    monkeypatch.setattr(WebSession, "_once", counted)
    monkeypatch.setattr(WebSession, "chunks", read)
    return seen


@pytest.mark.parametrize("allowed", [1, 3])
def test_no_more_requests_at_once_than_the_budget_allows(there, most, allowed):
    there.archive.faults.add("pause:nth=2,seconds=0.2,times=0")
    there.write()
    sets = [f"budget.associations={allowed}"]
    done = app.load("p", gather(ACCESSIONS), app.LoadOptions(workers=0), site=str(there.site), sets=sets)
    assert done.exit_code == 0
    assert [row.stored for row in done.rows] == [3] * len(ACCESSIONS)
    assert most[0] <= allowed
    assert allowed == 1 or most[0] > 1
