"""Dates that move by a table of the site: by folder and by archive alike, and never otherwise than before."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydicom import dcmread

from pacsferry import app
from pacsferry.core.errors import ConfigError, RefusedError
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study, mr_study
from support.commands import call
from support.folders import Yard, released
from support.loading import place

ANN, BEN = date(2024, 5, 17), date(2024, 6, 3)
SMALL = {"rows": 8, "columns": 8}
CHOICE = '[deidentify]\nuse = "research"\ndates = {{ mapping = "{}" }}\n'


def ann(**more):
    return ct_study(slices=2, patient_id="TIDE-1", patient_name="Tide^Ann", accession="ACCA", **SMALL, **more)


def ben():
    return mr_study(slices=2, series=1, patient_id="TIDE-2", patient_name="Tide^Ben", accession="ACCB", **SMALL)


@pytest.fixture
def yard(tmp_path):
    made = Yard(tmp_path)
    made.fill([*ann(), *ben()])
    site = tmp_path / "site.toml"
    site.write_text('extends = "research-base"\n' + CHOICE.format("file:shifts.csv"))
    return made


def table(folder, text):
    path = folder / "shifts.csv"
    path.write_text(text)
    path.chmod(0o600)


def run(yard, **more):
    return yard.run(site=str(yard.folder / "site.toml"), **more)


def days(yard):
    return sorted({dcmread(path).StudyDate for path in yard.images()})


def moved(ann, ben=None):
    shifted = [ANN + timedelta(days=ann), *([BEN + timedelta(days=ben)] if ben is not None else [])]
    return sorted(f"{one:%Y%m%d}" for one in shifted)


def test_each_patient_moves_as_the_table_says(yard):
    assert [{one.StudyDate for one in objects} for objects in (ann(), ben())] == [{f"{ANN:%Y%m%d}"}, {f"{BEN:%Y%m%d}"}]
    table(yard.folder, "PatientID,days\nTIDE-1,-11\nTIDE-2,+400\n")
    assert run(yard).loaded.exit_code == 0
    assert days(yard) == ["20240506", "20250708"] == moved(-11, 400)


def test_processes_give_the_same_bytes(yard, tmp_path):
    table(yard.folder, "TIDE-1,-11\nTIDE-2,-400\n")
    run(yard)
    other = Yard(tmp_path / "other")
    other.fill([*ann(), *ben()])
    other.private.mkdir(parents=True, mode=0o700)
    other.private.parent.chmod(0o700)
    for name in ("project.toml", "secret"):
        (other.private / name).write_bytes((yard.private / name).read_bytes())
        (other.private / name).chmod(0o600)
    other.run(site=str(yard.folder / "site.toml"), workers=2)
    assert set(released(other.out).values()) == set(released(yard.out).values())


def test_load_moves_as_deidentify_does(yard, tmp_path):
    table(yard.folder, "TIDE-1,-11\nTIDE-2,-400\n")
    run(yard)
    with place(tmp_path / "site", [*ann(), *ben()]) as there:
        there.folder.mkdir()
        private = there.folder / "private" / "p"
        private.mkdir(parents=True, mode=0o700)
        private.parent.chmod(0o700)
        (private / "secret").write_bytes((yard.private / "secret").read_bytes())
        (private / "secret").chmod(0o600)
        (private / "project.toml").write_text(f'site = "{there.site}"\n')
        loaded = there.load("ACCA", "ACCB", extra=CHOICE.format(f"file:{yard.folder}/shifts.csv"))
        assert loaded.exit_code == 0
        assert set(released(there.folder / "research" / "p").values()) == set(released(yard.out).values())


def test_who_is_not_in_the_table_is_held_and_comes_with_it(yard):
    table(yard.folder, "TIDE-1,-11\n")
    done = run(yard)
    assert done.loaded.exit_code == 5
    assert {row.status: dict(row.reasons) for row in done.loaded.rows} == {Status.OK: {}, Status.HELD: {"no-shift": 2}}
    assert days(yard) == moved(-11)
    table(yard.folder, "TIDE-1,-11\nTIDE-2,5\n")
    assert run(yard).loaded.exit_code == 0
    assert days(yard) == moved(-11, 5)


def test_objects_without_a_date_wait_too(yard, tmp_path):
    from pacsferry.testing.samples import part10

    objects = ann()
    for one in objects:
        for element in [element.tag for element in one if element.VR in {"DA", "DT", "TM"}]:
            del one[element]
    bare = Yard(tmp_path / "bare")
    for number, one in enumerate(objects):
        bare.put(f"{number}", part10(one))
    table(yard.folder, "TIDE-9,-11\n")
    done = bare.run(site=str(yard.folder / "site.toml"))
    assert [dict(row.reasons) for row in done.loaded.rows] == [{"no-shift": 2}]


def test_another_shift_for_released_images_is_refused_and_for_others_is_not(yard):
    table(yard.folder, "TIDE-1,-11\n")
    run(yard)
    table(yard.folder, "TIDE-1,-12\nTIDE-2,5\n")
    with pytest.raises(RefusedError, match="other shifts than before") as caught:
        run(yard)
    assert "TIDE" not in str(caught.value)
    table(yard.folder, "TIDE-1,-11\nTIDE-2,5\nTIDE-3,7\n")
    run(yard)
    table(yard.folder, "TIDE-1,-11\nTIDE-2,5\nTIDE-3,8\n")
    assert run(yard).loaded.exit_code == 0


def test_a_row_with_an_issuer_cannot_change_it_either(yard):
    for path, one in zip(sorted(yard.inn.iterdir()), [*ann(), *ben()], strict=True):
        one.IssuerOfPatientID = "NORTH"
        yard.put(path.name, one)
    table(yard.folder, "PatientID,IssuerOfPatientID,days\nTIDE-1,,-11\nTIDE-2,,5\n")
    run(yard)
    table(yard.folder, "PatientID,IssuerOfPatientID,days\nTIDE-1,,-11\nTIDE-2,,5\nTIDE-1,NORTH,9\n")
    with pytest.raises(RefusedError, match="other shifts than before"):
        run(yard)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("TIDE-1,x\n", 0o600, "line 1: no whole number of days"),
        ("TIDE-1,-11\n", 0o644, "only its owner may"),
        (None, 0, "cannot read"),
    ],
)
def test_a_table_that_cannot_be_used_stops_before_anything(yard, text, mode, said):
    if text is not None:
        table(yard.folder, text)
        (yard.folder / "shifts.csv").chmod(mode)
    with pytest.raises(ConfigError, match=r"deidentify\.dates\.mapping") as caught:
        run(yard)
    assert said in str(caught.value)
    assert "TIDE" not in str(caught.value)
    assert not yard.images()
    told = call("check", "--json", "--site", yard.folder / "site.toml").document
    (line,) = [line for line in told["checks"] if line["where"] == "deidentify.dates.mapping"]
    assert line["status"] == "failed"


def test_check_describe_and_explain_know_of_it(yard):
    table(yard.folder, "TIDE-1,-11\nTIDE-3,9\n")
    site = yard.folder / "site.toml"
    told = call("check", "--json", "--site", site).document
    assert {"where": "deidentify.dates.mapping", "status": "ok", "text": "2 patients have a shift"} in told["checks"]
    described = " ".join(app.describe(str(site)))
    assert "which a table of the site gives for each patient" in described
    assert "drawn with the project's secret" not in described
    assert "which a table of the site gives" in app.conformance(str(site))
    first, last = min(yard.inn.iterdir()), max(yard.inn.iterdir())
    assert "shifted" in call("explain", first, "--site", site).out
    held = call("explain", last, "--site", site, "--json")
    assert (held.code, "no-shift" in held.document["error"]) == (5, True)


def test_a_list_moves_dates_by_it_too(yard):
    table(yard.folder, "TIDE-1,-11\nTIDE-2,5\n")
    (yard.folder / "site.toml").write_text(
        'extends = "research-base"\n[deidentify]\nuse = "rad-loader"\ndates = { mapping = "file:shifts.csv" }\n'
    )
    assert run(yard).loaded.exit_code == 0
    assert days(yard) == moved(-11, 5)
    assert "a table of the site gives" in " ".join(app.describe(str(yard.folder / "site.toml")))


@pytest.mark.parametrize("more", ["shift_days = [-30, -3]", 'unit = "days"'])
def test_a_table_and_a_range_exclude_each_other(yard, more):
    text = f'[deidentify]\nuse = "research"\ndates = {{ mapping = "file:x", {more} }}\n'
    (yard.folder / "site.toml").write_text('extends = "research-base"\n' + text)
    with pytest.raises(ConfigError, match="leave shift_days and unit out"):
        run(yard)


def test_a_literal_table_is_refused(yard):
    (yard.folder / "site.toml").write_text('extends = "research-base"\n' + CHOICE.format("TIDE-1,-7"))
    with pytest.raises(ConfigError, match="write a reference") as caught:
        run(yard)
    assert "TIDE" not in str(caught.value)
