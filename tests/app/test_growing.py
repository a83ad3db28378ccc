"""Studies that are still being acquired, or partly on a shelf: noticed, told, and completed by the next run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pacsferry import app
from pacsferry.core.model import Status
from pacsferry.core.query import gather
from pacsferry.testing.samples import ct_study
from support.loading import TRANSPORTS, Place, place

ACC = "ACC400"
SLICES = 4


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    study = ct_study(slices=SLICES, series=2, rows=16, columns=16, accession=ACC, patient_id="CANARY4")
    with place(tmp_path, study) as made:
        yield made


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_study_that_grows_while_it_is_retrieved_is_changed_and_resume_brings_the_rest(
    there: Place, over: str
) -> None:
    there.archive.faults.add("grows:by=2,times=1")
    loaded = there.load(ACC, over=over)
    (row,) = loaded.rows
    assert (row.status, loaded.exit_code) == (Status.CHANGED, 5)
    assert row.reasons["study-changed"] == 2
    before = len(there.images())
    there.archive.faults.clear()
    there.archive.log.clear()
    again = there.resume()
    assert (again.rows[0].status, again.exit_code) == (Status.OK, 0)
    assert len(there.images()) == 2 * SLICES + 2
    assert len(set(there.archive.log.sent(over))) == 2 * SLICES + 2 - before


@pytest.mark.parametrize("over", TRANSPORTS)
def test_what_grows_is_noticed_where_the_archive_counts_nothing(there: Place, over: str) -> None:
    keys = "NumberOfSeriesRelatedInstances+NumberOfStudyRelatedInstances+NumberOfStudyRelatedSeries"
    there.archive.faults.add("grows:by=1,times=1", f"find-lacks:keyword={keys}")
    assert there.load(ACC, over=over).rows[0].status is Status.CHANGED


def test_a_study_that_stays_as_it_is_is_asked_for_once_more_only(there: Place) -> None:
    assert there.load(ACC, over="c-get").exit_code == 0
    levels = [one.level for one in there.archive.log.of("c-find")]
    assert levels == ["STUDY", "SERIES", "IMAGE", "IMAGE", "SERIES"]


def test_an_offline_study_is_not_asked_for_and_shown_as_such(there: Place) -> None:
    there.archive.faults.add("offline")
    there.write(("c-get",))
    planned = app.plan("p", gather([ACC]), site=str(there.site))
    assert planned.studies[0].availability == ("OFFLINE",)
    assert planned.studies[0].requests == 0
    (shown,) = app.find(str(there.site), gather([ACC])).rows
    assert shown.availability == "OFFLINE"
    loaded = there.load(ACC, over="c-get")
    (row,) = loaded.rows
    assert (row.status, row.reasons, loaded.exit_code) == (Status.OFFLINE, {"offline": 2 * SLICES}, 5)
    assert there.archive.log.of("c-get") == []
    there.archive.faults.clear()
    assert there.resume().exit_code == 0


def patient(there: Place, over: str, nearline: str) -> app.Loaded:
    """Load with so much patience for slow storage; a stall is a second and a half."""
    there.write((over,))
    text = there.site.read_text().replace('quiet = "700ms"', f'quiet = "700ms", nearline = "{nearline}"')
    there.site.write_text(text)
    return app.load("p", gather([ACC]), app.LoadOptions(workers=0), site=str(there.site))


@pytest.mark.parametrize("over", TRANSPORTS)
def test_what_is_in_slow_storage_is_waited_for_longer_than_a_stall(there: Place, over: str) -> None:
    there.archive.faults.add("nearline:seconds=2.5")
    loaded = patient(there, over, "20s")
    assert (loaded.rows[0].status, loaded.exit_code) == (Status.OK, 0)
    assert len({one.level for one in there.archive.log.of(over)}) == 1, "nobody gave up and asked in another way"


@pytest.mark.parametrize("over", TRANSPORTS)
def test_what_does_not_come_back_from_slow_storage_in_time_says_so(there: Place, over: str) -> None:
    there.archive.faults.add("nearline:seconds=30")
    loaded = patient(there, over, "2s")
    (row,) = loaded.rows
    assert (row.status, loaded.exit_code, row.stored) == (Status.FAILED, 4, 0)
    assert row.reasons == {"nearline": 2 * SLICES}
    assert row.retryable
    there.archive.faults.clear()
    assert there.resume().exit_code == 0
    assert len(there.images()) == 2 * SLICES
