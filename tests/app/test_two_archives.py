"""One project, two archives: each request is gone on with where it was made, and nobody's "nothing" is a verdict."""

from __future__ import annotations

import pytest

from pacsferry import app
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study
from support.loading import Place, place

SLICES = 4


def study(accession, seed):
    return ct_study(slices=SLICES, rows=16, columns=16, accession=accession, patient_id=f"Q-{accession}", seed=seed)


@pytest.fixture
def both(tmp_path):
    """Two archives with profiles of their own, which write to the same folders. Both know ACC100, and mean different."""
    output = f'[output]\nimages = "{tmp_path}/research"\nprivate = "{tmp_path}/private"\n'
    (tmp_path / "b").mkdir()
    with (
        place(tmp_path, study("ACC100", 1)) as first,
        place(tmp_path / "b", [*study("ACC100", 2), *study("ACC200", 3)]) as second,
    ):
        first.extra = second.extra = output
        yield first, second


def queries(there: Place) -> int:
    return len(there.archive.log.of("qido-rs", "c-find"))


def test_what_is_incomplete_at_one_archive_is_not_asked_for_at_the_other(both):
    main, neuro = both
    main.archive.faults.add("drop:nth=1")
    assert main.load("ACC100").exit_code == 5
    neuro.write()
    done = neuro.resume()
    assert (done.rows, done.exit_code, queries(neuro)) == ((), 0, 0)
    assert [text for text in done.verification["warnings"] if str(main.site) in text and "1 request was" in text]
    main.archive.faults.clear()
    main.archive.log.clear()
    again = app.resume("p", app.LoadOptions(workers=0), site=str(main.site))
    assert ([row.status for row in again.rows], again.exit_code) == ([Status.OK], 0)
    assert len(main.archive.log.sent("wado-rs")) == 1
    assert len(main.images()) == SLICES


def test_without_a_profile_the_projects_own_is_taken_and_what_waits_elsewhere_is_5(both, monkeypatch):
    main, neuro = both
    main.load("ACC100")
    neuro.archive.faults.add("drop:nth=1")
    assert neuro.load("ACC200").exit_code == 5
    monkeypatch.setattr("pacsferry.app.opening.find_project", _finding(main))
    done = app.resume("p", app.LoadOptions(workers=0))
    assert (done.rows, done.exit_code) == ((), 5)
    assert any(str(neuro.site) in text for text in done.verification["warnings"])
    neuro.archive.faults.clear()
    assert neuro.resume().exit_code == 0
    assert app.resume("p", app.LoadOptions(workers=0)).exit_code == 0


def _finding(there):
    from pacsferry.core.project import find_project

    return lambda name, private=None: find_project(name, private=private or there.folder / "private")


def test_a_study_that_is_not_found_any_more_is_asked_for_again(both):
    """An archive that answers with nothing, once: what it had before is still to come."""
    main, _ = both
    main.archive.faults.add("drop:nth=1")
    main.load("ACC100")
    main.archive.faults.clear()
    main.archive.faults.add("find-empty")
    assert main.resume().exit_code == 3
    main.archive.faults.clear()
    done = main.resume()
    assert ([row.status for row in done.rows], done.exit_code) == ([Status.OK], 0)


def test_a_profile_may_get_another_name_for_the_same_archive(both):
    main, _ = both
    main.archive.faults.add("drop:nth=1")
    main.load("ACC100")
    main.archive.faults.clear()
    other = main.folder / "renamed.toml"
    other.write_text(main.site.read_text())
    other.chmod(0o600)
    done = app.resume("p", app.LoadOptions(workers=0), site=str(other))
    assert ([row.status for row in done.rows], done.exit_code) == ([Status.OK], 0)
