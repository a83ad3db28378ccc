"""A folder of any shape, de-identified: what it holds is found, counted, and never touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pacsferry import app
from pacsferry.app import folders
from pacsferry.core.errors import ConfigError, RefusedError
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study, implicit, mr_study, part10, report, secondary_capture
from support.folders import Yard, released, tree
from support.loading import place

CANARIES = ("CANARYID7", "Canary", "QUAY-0009", "Heron", "ACC100", "SMITH")


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path)


def ct(slices=4, patient_id="CANARYID7", **more):
    fields = {"rows": 16, "columns": 16, "accession": "ACC100", "patient_name": "Canary^Anna", **more}
    return ct_study(slices=slices, patient_id=patient_id, **fields)


def other(**more):
    return mr_study(slices=2, series=1, rows=16, columns=16, patient_id="QUAY-0009", patient_name="Heron^Otto", **more)


def only(done):
    (row,) = done.loaded.rows
    return row


def test_a_folder_becomes_a_project_with_its_images_right_there(yard):
    yard.fill(ct())
    done = yard.run()
    row = only(done)
    assert (row.status, row.stored, row.accession, row.request) == (Status.OK, 4, None, 1)
    assert done.loaded.exit_code == 0
    assert done.counts == {
        "files": 4, "dicom": 4, "not_dicom": 0, "dicomdir": 0, "unreadable": 0, "duplicates": 0
    }  # fmt: skip
    assert len(yard.images()) == 4
    assert (yard.out / "reports" / "summary.json").exists()
    assert {"secret", "ledger.db", "project.toml", "key.csv"} <= {path.name for path in yard.private.iterdir()}


def test_the_input_is_never_touched(yard):
    yard.fill(ct())
    before = tree(yard.inn)
    os.utime(yard.inn / "000.dcm", ns=(1, 2))
    stamps = {path: path.stat() for path in yard.inn.iterdir()}
    yard.run()
    assert {path: path.stat() for path in yard.inn.iterdir()} == stamps
    assert tree(yard.inn) == before


def test_nothing_identified_is_released_or_told(yard):
    yard.fill(ct(), name="SMITH_JOHN/{:03d}.dcm")
    yard.fill(other(), name="SMITH_JOHN/b/{:03d}")
    yard.put("SMITH_JOHN/CANARYID7.txt", b"Canary")
    told = []
    done = folders.deidentify(
        yard.inn, yard.out, "p", folders.FolderOptions(private=yard.private.parent, workers=0), told=told.append
    )
    everything = b"".join(path.name.encode() + path.read_bytes() for path in yard.out.rglob("*") if path.is_file())
    said = repr(told) + repr(done.loaded.rows) + repr(done.counts) + repr(done.loaded.verification)
    for canary in CANARIES:
        assert canary.encode() not in everything
        assert canary not in said
    with yard.ledger() as ledger:
        assert not any(canary in repr(event) for event in ledger.events() for canary in CANARIES)


def test_a_study_spread_over_folders_is_one_study_and_two_patients_are_two_cases(yard):
    for number, one in enumerate(ct()):
        yard.put(f"{'abcd'[number]}/{number}/x", one)
    yard.fill(other())
    rows = yard.run().loaded.rows
    assert [(row.case_id, row.status) for row in rows] == [("case0001", Status.OK), ("case0002", Status.OK)]
    assert sorted(row.stored for row in rows) == [2, 4]


def test_what_is_not_dicom_is_listed_and_left(yard):
    yard.fill(ct())
    yard.put("notes/SMITH.txt", b"hello")
    yard.put("empty", b"")
    yard.put("eight", b"\x08\x00\x05\x00CS")
    (yard.inn / "link.dcm").symlink_to(yard.inn / "000.dcm")
    (yard.inn / "loop").symlink_to(yard.inn, target_is_directory=True)
    done = yard.run()
    assert (done.loaded.exit_code, done.counts["files"], done.counts["not_dicom"]) == (0, 9, 5)
    assert [line[:2] for line in yard.listed()] == [
        ["eight", "not-dicom"],
        ["empty", "not-dicom"],
        ["link.dcm", "link"],
        ["loop", "link"],
        ["notes/SMITH.txt", "not-dicom"],
    ]
    assert len(yard.images()) == 4


def test_bare_data_sets_and_files_without_a_preamble_are_dicom(yard):
    first, second, third, fourth = ct()
    yard.put("lost-preamble", part10(first)[132:])
    whole = part10(implicit([second])[0])
    meta = 132 + 12 + int.from_bytes(whole[140:144], "little")
    yard.put("implicit", whole[meta:])
    whole = part10(third)
    yard.put("explicit", whole[132 + 12 + int.from_bytes(whole[140:144], "little") :])
    yard.put("usual", fourth)
    row = only(yard.run())
    assert (row.status, row.stored) == (Status.OK, 4)


def test_a_bare_data_set_comes_out_as_the_file_does(yard, tmp_path):
    one = ct(slices=1)[0]
    yard.put("a", one)
    yard.run()
    twin = Yard(tmp_path / "twin")
    whole = part10(one)
    twin.put("a", whole[132 + 12 + int.from_bytes(whole[140:144], "little") :])
    shutil.copytree(yard.private.parent, twin.private.parent)
    (twin.private / "ledger.db").unlink()
    twin.run()
    assert released(twin.out) == released(yard.out)


def test_a_media_directory_is_left_out_and_listed(yard):
    from pydicom.data import get_testdata_file

    yard.fill(ct())
    yard.put("DICOMDIR", Path(str(get_testdata_file("DICOMDIR"))).read_bytes())
    done = yard.run()
    assert (done.counts["dicomdir"], done.loaded.exit_code) == (1, 0)
    assert ["DICOMDIR", "dicomdir", "", ""] in yard.listed()


def test_malformed_objects_are_held_and_their_names_stand_in_the_private_list_only(yard):
    files = yard.fill(ct())
    files[1].write_bytes(files[1].read_bytes()[:700])
    files[2].write_bytes(b"\0" * 128 + b"DICM" + b"rubbish" * 10)
    done = yard.run()
    assert done.loaded.exit_code == 5
    assert sum(row.held for row in done.loaded.rows) == 2
    assert [line[0] for line in yard.listed()] == ["001.dcm", "002.dcm"]
    assert len(yard.images()) == 2


def test_an_object_that_cannot_be_made_safe_is_held_with_its_study(yard):
    study = ct()
    yard.fill([*study, secondary_capture(study), report(study)])
    done = yard.run()
    row = only(done)
    assert (row.status, row.stored, row.held, done.loaded.exit_code) == (Status.HELD, 4, 2, 5)
    assert set(row.reasons) == {"burned-in", "sop-class"}
    assert sorted(line[2] for line in yard.listed()) == ["burned-in", "sop-class"]


def test_the_same_bytes_twice_are_one_instance(yard):
    yard.fill(ct())
    yard.fill(ct(), name="copy/{:03d}.dcm")
    done = yard.run()
    assert (only(done).stored, only(done).expected, done.counts["duplicates"]) == (4, 4, 4)
    assert {line[1] for line in yard.listed()} == {"duplicate"}


def test_two_contents_under_one_uid_are_held_whatever_their_order(yard, tmp_path):
    study = ct()
    yard.fill(study)
    study[1].WindowCenter = "77"
    yard.put("zz.dcm", study[1])
    done = yard.run()
    row = only(done)
    assert (row.status, row.stored, row.held, dict(row.reasons)) == (Status.HELD, 3, 1, {"uid-conflict": 1})
    assert [line[:3] for line in yard.listed()] == [
        ["001.dcm", "held", "uid-conflict"],
        ["zz.dcm", "held", "uid-conflict"],
    ]


def test_two_patients_in_one_study_hold_it(yard):
    first = ct()
    for one in first[2:]:
        one.PatientID = "QUAY-0009"
    yard.fill(first)
    done = yard.run()
    row = only(done)
    assert (row.status, row.stored, row.held) == (Status.HELD, 0, 4)
    assert dict(row.reasons) == {"mixed-patients": 4}
    assert yard.images() == []


def test_a_folder_without_dicom_is_3(yard):
    yard.put("a.txt", b"text")
    done = yard.run()
    assert done.loaded.exit_code == 3
    assert only(done).status is Status.NOT_FOUND


def test_what_cannot_be_read_is_counted_and_no_success(yard, monkeypatch):
    from pacsferry.core import folder_scan

    files = yard.fill(ct())
    usual = folder_scan.opened

    def opened(path):
        if str(path) == str(files[2]):
            raise PermissionError(13, "no")
        return usual(path)

    monkeypatch.setattr(folder_scan, "opened", opened)
    done = yard.run()
    assert (done.counts["unreadable"], done.loaded.exit_code) == (1, 5)
    assert ["002.dcm", "unreadable", "unreadable", ""] in yard.listed()
    assert len(yard.images()) == 3


@pytest.mark.parametrize("workers", [1, 8])
def test_workers_do_not_change_a_byte_and_neither_does_where_the_files_lie(yard, tmp_path, workers):
    yard.fill([*ct(), *other()])
    yard.run()
    twin = Yard(tmp_path / "twin")
    twin.fill([*other(), *ct()], name="deep/er/{:03d}")
    twin.private.mkdir(parents=True, mode=0o700)
    for name in ("secret", "project.toml"):
        shutil.copy2(yard.private / name, twin.private / name)
    twin.run(workers=workers, sync=False)
    assert released(twin.out) == released(yard.out)
    assert len(twin.images()) == 6


def test_load_and_deidentify_give_the_same_bytes(yard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = ct()
    with place(tmp_path, objects) as archive:
        loaded = archive.load("ACC100")
        assert loaded.exit_code == 0
    # The same private parent would be the same project, whose images are elsewhere: only the secret is the same.
    yard = Yard(tmp_path / "b")
    yard.fill(objects)
    yard.private.mkdir(parents=True, mode=0o700)
    (yard.private / "project.toml").write_text('site = "preset:basic"\nimages = "../../out"\n')
    shutil.copy2(tmp_path / "private" / "p" / "secret", yard.private / "secret")
    yard.run()
    assert released(yard.out) == released(loaded.images)


# --- again


def test_a_second_run_does_nothing(yard):
    yard.fill(ct())
    yard.run()
    before = {path: path.stat().st_mtime_ns for path in yard.images()}
    again = yard.run()
    assert (only(again).status, again.loaded.exit_code) == (Status.SKIPPED, 0)
    assert {path: path.stat().st_mtime_ns for path in yard.images()} == before


def test_files_that_came_since_are_added_and_files_that_left_are_not_missed(yard):
    study = ct()
    files = yard.fill(study[:2])
    yard.run()
    files[0].unlink()
    yard.put("later.dcm", study[2])
    row = only(yard.run())
    assert (row.status, row.stored, row.expected, row.missing) == (Status.OK, 3, 3, 0)


def test_later_commands_take_the_project_from_anywhere(yard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yard.fill(ct())
    yard.run()
    assert app.verify_files("p").ok
    assert app.report("p").warnings == ()


# --- refused


def test_folders_within_each_other_are_refused(yard):
    yard.fill(ct())
    for out in (yard.inn / "out", yard.folder):
        with pytest.raises(ConfigError, match="lies inside"):
            yard.run(out=out)
    with pytest.raises(ConfigError):
        yard.run(private=yard.inn / "private")
    with pytest.raises(ConfigError):
        yard.run(private=yard.out / "private")
    assert not yard.out.exists()


def test_a_target_with_files_of_others_is_refused(yard):
    yard.fill(ct())
    yard.out.mkdir()
    (yard.out / "thesis.doc").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        yard.run()
    assert not yard.private.exists()


def test_images_without_their_private_folder_are_refused(yard):
    yard.fill(ct())
    yard.run()
    shutil.rmtree(yard.private)
    with pytest.raises(RefusedError):
        yard.run()


def test_a_project_has_one_folder_of_images(yard):
    yard.fill(ct())
    yard.run()
    with pytest.raises(ConfigError, match="images are in"):
        yard.run(out=yard.folder / "elsewhere")


def test_a_folder_that_is_not_there_is_refused(yard):
    with pytest.raises(ConfigError, match="no folder"):
        yard.run()


@pytest.mark.parametrize(
    ("options", "text"), [({"preset": "bassic"}, "no preset"), ({"preset": "basic", "site": "x"}, "exclude")]
)
def test_a_preset_that_is_none(yard, options, text):
    yard.fill(ct())
    with pytest.raises(ConfigError, match=text):
        yard.run(**options)


def test_a_site_says_what_is_wanted_and_who_objects(yard, tmp_path):
    yard.fill([*ct(), *other()])
    (tmp_path / "objections.txt").write_text("QUAY-0009\n")
    site = tmp_path / "site.toml"
    site.write_text(
        'extends = "research-base"\n[exclude]\npatients = "file:objections.txt"\n'
        '[select]\nseries_description = { not = ["nothing"] }\n[layout]\nuse = "flat"\n'
    )
    site.chmod(0o600)
    (tmp_path / "objections.txt").chmod(0o600)
    text = site.read_text().replace('[layout]\nuse = "flat"\n', "")
    site.write_text(text)
    done = yard.run(site=str(site))
    assert sorted((row.status, row.stored) for row in done.loaded.rows) == [(Status.OK, 0), (Status.OK, 4)]
    assert {"objection": 2} in [dict(row.reasons) for row in done.loaded.rows]


def test_resume_goes_on_with_the_folder(yard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = ct()
    yard.fill(study[:2])
    yard.run()
    yard.put("later.dcm", study[2])
    done = app.resume("p", app.LoadOptions(workers=0))
    assert [(row.status, row.stored) for row in done.rows] == [(Status.OK, 3)]
    with pytest.raises(ConfigError, match="no archive"):
        app.load("p", (), app.LoadOptions(plan_id="0" * 12))


@pytest.mark.parametrize("preset", ["research", "tcia", "strict", "rad-loader"])
def test_presets_keep_what_a_project_began_with(yard, preset):
    yard.fill(ct())
    assert yard.run(preset=preset).loaded.exit_code == 0
    with pytest.raises(RefusedError, match="began with"):
        yard.run()


def test_copies_that_differ_in_file_meta_information_only_are_copies(yard):
    study = ct()
    yard.fill(study)
    for number, one in enumerate(study):
        one.file_meta.ImplementationVersionName = "ANOTHER_EXPORT"
        one.file_meta.SourceApplicationEntityTitle = "CANARYID7"
        yard.put(f"again/{number}", one)
    done = yard.run()
    assert (only(done).status, only(done).stored, done.counts["duplicates"]) == (Status.OK, 4, 4)
    assert {line[1] for line in yard.listed()} == {"duplicate"}


def test_a_copy_in_another_encoding_is_a_copy_if_it_is_released_alike(yard):
    study = ct()
    yard.fill(study)
    yard.put("again/implicit", implicit([study[0]])[0])
    study[1].OperatorsName = "SMITH^Other"  # both lose it
    yard.put("again/edited", study[1])
    done = yard.run(workers=1)
    assert (only(done).status, only(done).stored, done.counts["duplicates"]) == (Status.OK, 4, 2)


def test_copies_that_would_both_be_held_stay_a_contradiction(yard):
    one, other = report(ct()), report(ct())
    other.ContentSequence[0].TextValue = "something else"
    yard.put("a", one)
    yard.put("b", other)
    assert dict(only(yard.run()).reasons) == {"uid-conflict": 1}


def test_a_file_that_was_exchanged_since_is_noticed_and_what_is_released_stays(yard):
    study = ct()
    paths = yard.fill(study)
    yard.run()
    before = released(yard.out)
    study[2].WindowCenter = "77"
    yard.put(paths[2].name, study[2])
    os.utime(paths[2], ns=(1, 1))  # as a copy with its old time stamp would have
    os.utime(paths[3])  # touched, and the same
    done = yard.run()
    assert (only(done).status, done.loaded.exit_code) == (Status.SKIPPED, 0)
    assert [text for text in done.loaded.verification["warnings"] if "not any more" in text] == [
        "1 files are not any more what was released of them; the released images stay as they are"
    ]
    assert [line[:3] for line in yard.listed()] == [["002.dcm", "changed", "changed-since"]]
    assert released(yard.out) == before
    assert not list((yard.out / ".staging").iterdir())


def test_nothing_is_cleared_again_where_no_file_was_written_to(yard, monkeypatch):
    yard.fill(ct())
    yard.run()

    def never(*_):
        raise AssertionError

    monkeypatch.setattr("pacsferry.core.folder_rehearsal.Rehearsal._asked", never)
    assert only(yard.run()).status is Status.SKIPPED
