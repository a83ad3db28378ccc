"""In place: no original is kept, and whatever the moment of a crash, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pacsferry.core.errors import ConfigError, RefusedError
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study, mr_study, part10, secondary_capture
from support.folders import Yard, released, tree

CANARIES = (b"CANARYID7", b"Canary", b"QUAY-0009")
SLICES = 6


@pytest.fixture
def yard(tmp_path):
    made = Yard(tmp_path)
    made.fill(ct(), name="SMITH_JOHN/ct/{:03d}.dcm")
    return made


def ct(**more):
    fields = {"slices": SLICES, "rows": 16, "columns": 16, "accession": "ACC100", "patient_name": "Canary^Anna", **more}
    return ct_study(patient_id="CANARYID7", **fields)


def nothing_identified(yard):
    for path in yard.inn.rglob("*"):
        assert not any(canary.decode() in path.name for canary in CANARIES)
        assert not path.is_file() or not any(canary in path.read_bytes() for canary in CANARIES), path


def held(yard):
    return sorted(str(path.relative_to(yard.private / "held-originals")) for path in files_below(yard.private))


def files_below(private):
    return [path for path in (private / "held-originals").rglob("*") if path.is_file()]


def test_originals_are_replaced_and_their_folders_go_too(yard):
    done = yard.run(in_place=True)
    (row,) = done.loaded.rows
    assert (row.status, row.stored, done.in_place, done.loaded.exit_code) == (Status.OK, SLICES, True, 0)
    assert len(yard.images(in_place=True)) == SLICES
    assert not (yard.inn / "SMITH_JOHN").exists()
    assert {path.name for path in yard.inn.iterdir()} == {"case0001", "reports", ".staging"}
    assert not (yard.private / "publishing").exists()
    nothing_identified(yard)


def test_in_place_gives_the_same_bytes_as_elsewhere(yard, tmp_path):
    yard.run()
    twin = Yard(tmp_path / "twin")
    twin.fill(ct())
    twin.private.mkdir(parents=True, mode=0o700)
    (twin.private / "secret").write_bytes((yard.private / "secret").read_bytes())
    (twin.private / "secret").chmod(0o600)
    (twin.private / "project.toml").write_text('site = "preset:basic"\nimages = "../../in"\n')
    from pacsferry.core.ledger import Ledger

    Ledger.open(twin.private / "ledger.db").close()
    twin.run(in_place=True)
    assert released(twin.inn) == released(yard.out)


def test_a_second_run_finds_it_done(yard):
    yard.run(in_place=True)
    before = tree(yard.inn / "case0001")
    again = yard.run(in_place=True)
    assert [(row.status, row.stored) for row in again.loaded.rows] == [(Status.SKIPPED, SLICES)]
    assert (again.loaded.exit_code, again.counts["files"]) == (0, 0)
    assert tree(yard.inn / "case0001") == before


def test_what_is_held_goes_to_the_private_folder_and_is_tried_again_from_there(yard):
    study = ct()
    yard.put("SMITH_JOHN/shot.dcm", secondary_capture(study))
    yard.put("SMITH_JOHN/broken.dcm", part10(study[0])[:600])
    done = yard.run(in_place=True)
    assert done.loaded.exit_code == 5
    assert held(yard) == ["SMITH_JOHN/broken.dcm", "SMITH_JOHN/shot.dcm"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files_below(yard.private))
    assert (yard.private / "held-originals").stat().st_mode & 0o777 == 0o700
    nothing_identified(yard)
    again = yard.run(in_place=True)
    assert again.loaded.exit_code == 5
    assert sorted((row.status, row.held) for row in again.loaded.rows) == [(Status.HELD, 1), (Status.HELD, 1)]
    assert held(yard) == ["SMITH_JOHN/broken.dcm", "SMITH_JOHN/shot.dcm"]
    # With other rules the same file passes, and its original goes.
    (yard.private / "held-originals" / "SMITH_JOHN" / "broken.dcm").unlink()
    shot = ct(slices=SLICES + 1)[-1]
    shot.SOPInstanceUID = shot.file_meta.MediaStorageSOPInstanceUID = secondary_capture(study).SOPInstanceUID
    (yard.private / "held-originals" / "SMITH_JOHN" / "shot.dcm").write_bytes(part10(shot))
    with yard.ledger() as ledger:
        (state,) = ledger.studies()
        ledger.set_meta(f"seen:{state.key}", '{"how": "other"}')
    fixed = yard.run(in_place=True)
    assert [(row.status, row.stored, row.held) for row in fixed.loaded.rows] == [(Status.OK, SLICES + 1, 0)]
    assert held(yard) == []


def test_copies_of_what_is_stored_go_and_contradictions_do_not(yard):
    study = ct()
    yard.fill(study, name="again/{:03d}.dcm")
    yard.run(in_place=True)
    assert not (yard.inn / "again").exists()
    study[0].WindowCenter = "77"
    yard.put("late/same.dcm", study[1])
    yard.put("late/other.dcm", study[0])
    yard.run(in_place=True)
    assert held(yard) == ["late/other.dcm"]
    assert not (yard.inn / "late").exists()
    assert len(yard.images(in_place=True)) == SLICES


def test_another_patients_files_never_take_back_what_has_no_original_any_more(yard):
    yard.run(in_place=True)
    late = ct(slices=SLICES + 2)[-2:]
    for one in late:
        one.PatientID = "QUAY-0009"
    yard.fill(late, name="late/{:03d}.dcm")
    done = yard.run(in_place=True)
    (row,) = done.loaded.rows
    assert (row.status, row.stored, row.held, dict(row.reasons)) == (Status.HELD, SLICES, 2, {"mixed-patients": 2})
    assert len(yard.images(in_place=True)) == SLICES
    assert len(held(yard)) == 2


def test_what_is_not_dicom_is_left_and_said(yard):
    yard.put("SMITH_JOHN/letter.txt", b"hello")
    done = yard.run(in_place=True)
    assert (yard.inn / "SMITH_JOHN" / "letter.txt").exists()
    assert any("left where they are" in text for text in done.loaded.verification["warnings"])


def test_an_original_that_lies_where_a_released_file_belongs_is_not_overwritten(yard):
    yard.run()
    name = next(iter(released(yard.out)))
    yard.put(name, mr_study(slices=1, series=1, rows=16, columns=16, patient_id="QUAY-0009")[0])
    (yard.private / "project.toml").write_text('site = "preset:basic"\nimages = "../../in"\n')
    (yard.private / "ledger.db").unlink()
    from pacsferry.core.ledger import Ledger

    Ledger.open(yard.private / "ledger.db").close()
    done = yard.run(in_place=True)
    assert sum(row.stored + row.held for row in done.loaded.rows) == SLICES + 1
    assert sum(row.reasons.get("path-taken", 0) for row in done.loaded.rows) <= 1
    nothing_identified(yard)


def test_originals_do_not_go_without_the_disk_having_them(yard):
    with pytest.raises(ConfigError):
        yard.run(in_place=True, sync=False)


def test_a_project_whose_private_folder_is_gone_is_never_an_original(yard):
    yard.run(in_place=True)
    (yard.private).rename(yard.folder / "elsewhere")
    with pytest.raises(RefusedError):
        yard.run(in_place=True)


# --- killed

KILLED = """
import os, sys
from pathlib import Path
from pacsferry.app import folders
from pacsferry.core import folder_keep, ledger, publish

def deadly(owner, name, calls, after):
    usual = getattr(owner, name)
    left = [calls]
    def instead(*args, **more):
        left[0] -= 1
        if left[0] == 0 and not after:
            os._exit(9)
        answer = usual(*args, **more)
        if left[0] == 0:
            os._exit(9)
        return answer
    setattr(owner, name, instead)

publish.BATCH = 2
{what}
inn, out, private = map(Path, sys.argv[1:])
folders.deidentify(inn, out, "p", folders.FolderOptions(private=private, workers=0))
"""

POINTS = {
    "before the first name": 'deadly(publish.Publisher, "_name", 1, False)',
    "named and not recorded": 'deadly(ledger.Ledger, "record", 1, False)',
    "later, named and not recorded": 'deadly(ledger.Ledger, "record", 2, False)',
    "recorded": 'deadly(ledger.Ledger, "record", 2, True)',
    "half of the names given": 'deadly(publish, "plain_part", 2, False)',
    "concluded": 'deadly(ledger.Ledger, "conclude", 1, True)',
    "originals half removed": 'deadly(Path, "unlink", 9, True)',
    "originals removed": 'deadly(folder_keep, "_tidy", 1, False)',
    "held one moved": 'deadly(folder_keep, "_move", 1, True)',
}


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_and_run_again_it_completes(yard, point, in_place):
    yard.put("SMITH_JOHN/shot.dcm", secondary_capture(ct()))
    expected = Yard(yard.folder / "twin")
    target = yard.inn if in_place else yard.out
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(what=POINTS[point]), yard.inn, target, yard.private.parent],
        capture_output=True,
        check=False,
        env={**os.environ},
        timeout=60,
    )
    reached = done.returncode == 9
    assert reached or not in_place, done.stderr.decode()[-2000:]
    if not in_place:
        assert len(list(yard.inn.rglob("*.dcm"))) == SLICES + 1
    again = yard.run(in_place=in_place)
    assert again.loaded.exit_code == 5
    (row,) = again.loaded.rows
    assert (row.status, row.stored, row.held, row.missing) == (Status.HELD, SLICES, 1, 0)
    assert len(yard.images(in_place=in_place)) == SLICES
    with yard.ledger() as ledger:
        assert len(list(ledger.all_stored())) == SLICES
        assert len({state.case_id for state in ledger.studies()}) == 1
        assert ledger.check_chain().ok
    assert not list((target / ".staging").iterdir())
    if in_place:
        nothing_identified(yard)
        assert held(yard) == ["SMITH_JOHN/shot.dcm"]
    expected.fill(ct())
    expected.put("shot.dcm", secondary_capture(ct()))
    expected.private.mkdir(parents=True, mode=0o700)
    (expected.private / "secret").write_bytes((yard.private / "secret").read_bytes())
    (expected.private / "secret").chmod(0o600)
    (expected.private / "project.toml").write_text('site = "preset:basic"\nimages = "../../out"\n')
    expected.run()
    assert released(target) == released(expected.out)
