"""A project has one secret for ever, lives where nobody else can look, and holds to the rules it began with."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core import projectfile
from pacsferry.core.errors import ConfigError, FerryError, RefusedError
from pacsferry.core.project import (
    Folders,
    Project,
    allow_release,
    check_folders,
    check_name,
    find_project,
    init_project,
    open_project,
    pin_rules,
)

UMASKS = [0o000, 0o022, 0o077]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(images=tmp_path / "research", private=tmp_path / "private")


@pytest.fixture
def project(folders: Folders) -> Project:
    return init_project(folders, "stroke", site="orthanc")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def release(project: Project, text: bytes = b"DICM") -> Path:
    path = project.images / "case0001/20240517-0123/003-4567/00012-89ab.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    return path


# --- names and folders


@pytest.mark.parametrize("name", ["a", "stroke-2024", "A.b_c", "0", "x" * 64])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/etc", "a/b", ".hidden", "-x", "a ", "a.", "é", "x" * 65, "a\n", "a\0", "reports", "Held"],
)
def test_other_names_are_refused(name: str, folders: Folders) -> None:
    with pytest.raises(ConfigError) as caught:
        init_project(folders, name, site="orthanc")
    assert caught.value.exit_code == 2
    assert not folders.private.exists()


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=8))
def test_a_name_that_is_taken_stays_in_its_folder(name: str) -> None:
    try:
        check_name(name)
    except ConfigError:
        return
    assert Path("/private", name).resolve().parent == Path("/private")


@pytest.mark.parametrize(
    ("images", "private", "says"),
    [
        ("out", "out/private", "output.private"),
        ("out", "out", "output.private"),
        (".", "private", "output.private"),
        ("private/images", "private", "output.images"),
        ("link/images", "real", "output.images"),
    ],
)
def test_identities_never_lie_among_images(images: str, private: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    mixed = Folders(images=tmp_path / images, private=tmp_path / private)
    for attempt in (lambda: check_folders(mixed), lambda: init_project(mixed, "p", site="orthanc")):
        with pytest.raises(ConfigError, match=says):
            attempt()
    assert not (tmp_path / private / "p").exists()


# --- making


@pytest.mark.parametrize("umask", UMASKS)
def test_a_new_project_is_ours_alone_whatever_the_umask(umask: int, folders: Folders) -> None:
    before = os.umask(umask)
    try:
        project = init_project(
            folders,
            "stroke",
            site="/sites/a.toml",
            approval="BASEC 2024-1",
            approved_until="2030-12-31",
            responsible="Dr. Strange",
            max_cases=20,
        )
    finally:
        os.umask(before)
    assert mode(folders.private) == mode(project.private) == 0o700
    assert mode(project.file) == mode(project.private / "secret") == 0o600
    assert sorted(path.name for path in project.private.iterdir()) == ["project.toml", "secret"]
    assert list(folders.private.iterdir()) == [project.private]
    assert project.settings.site == "/sites/a.toml"
    assert project.settings.approved_until == date(2030, 12, 31)
    assert project.settings.max_cases == 20
    assert project.images == folders.images / "stroke"
    assert project.ledger_path == project.private / "ledger.db"
    assert len(project.secret) == 32


def test_the_secret_is_random_kept_and_never_shown(project: Project, folders: Folders) -> None:
    again = open_project(project.private)
    other = init_project(folders, "other", site="orthanc")
    assert again.secret == project.secret != other.secret
    assert again.keys.uid("1.2.3") == project.keys.uid("1.2.3") != other.keys.uid("1.2.3")
    assert project.secret.hex() not in repr(project) + str(project)
    assert repr(project.secret) not in repr(project)


def test_a_second_init_is_refused_and_a_load_opens_it(project: Project, folders: Folders) -> None:
    with pytest.raises(ConfigError, match="already"):
        init_project(folders, "stroke", site="orthanc", approval="x")
    again = init_project(folders, "stroke", site="elsewhere", exist_ok=True)
    assert again.secret == project.secret
    assert again.settings == project.settings


@pytest.mark.parametrize(
    ("given_as", "says"),
    [
        ({"approved_until": "tomorrow"}, "approved_until: write a date as YYYY-MM-DD"),
        ({"approved_until": "2024-02-30"}, "approved_until: write a date"),
        ({"max_cases": 0}, "max_cases: must be"),
        ({"approval": ""}, "approval: "),
    ],
)
def test_wrong_fields_make_nothing(given_as: dict, says: str, folders: Folders) -> None:
    with pytest.raises(ConfigError) as caught:
        init_project(folders, "p", site="orthanc", **given_as)
    assert says in str(caught.value)
    assert not folders.private.exists()


def test_two_processes_at_once_make_one_secret(folders: Folders) -> None:
    code = (
        "import sys, time; from pathlib import Path; from pacsferry.core.project import Folders, init_project\n"
        "root = Path(sys.argv[1]); time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "folders = Folders(images=root / 'research', private=root / 'private')\n"
        "print(init_project(folders, 'p', site='orthanc', exist_ok=True).secret.hex())"
    )
    import time

    at = time.time() + 1.5
    command = [sys.executable, "-c", code, str(folders.private.parent), str(at)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    secrets = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert secrets == {(folders.private / "p/secret").read_text()}
    assert [path.name for path in folders.private.iterdir()] == ["p"]


def test_what_a_killed_process_left_half_made_is_swept(folders: Folders) -> None:
    half = folders.private / ".new-p-0123456789abcdef"
    half.mkdir(parents=True)
    (half / "secret").write_text("0" * 64)
    project = init_project(folders, "p", site="orthanc")
    assert [path.name for path in folders.private.iterdir()] == ["p"]
    assert project.secret != bytes(32)


def test_a_folder_of_somebody_else_is_no_project(folders: Folders) -> None:
    (folders.private / "p").mkdir(parents=True)
    (folders.private / "p/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is there and is no project"):
        init_project(folders, "p", site="orthanc")
    assert [path.name for path in folders.private.iterdir()] == ["p"]
    assert (folders.private / "p/notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folders = Folders(images=tmp_path / "research", private=tmp_path / "file/private")
    with pytest.raises(FerryError) as caught:
        init_project(folders, "p", site="orthanc")
    assert caught.value.exit_code == 6


# --- the secret is missing


def test_images_without_a_secret_are_refused_and_no_secret_is_made(project: Project) -> None:
    released = release(project)
    (project.private / "secret").unlink()
    with pytest.raises(RefusedError) as caught:
        open_project(project.private)
    assert caught.value.exit_code == 7
    assert "backup" in str(caught.value.hint)
    assert not (project.private / "secret").exists()
    assert released.exists()


def test_images_whose_private_folder_is_gone_are_refused_too(project: Project, folders: Folders) -> None:
    release(project)
    for path in project.private.iterdir():
        path.unlink()
    for there in (True, False):
        if not there:
            project.private.rmdir()
        with pytest.raises(RefusedError):
            init_project(folders, "stroke", site="orthanc", exist_ok=True)
    assert not project.private.exists()


def test_a_ledger_without_a_secret_is_refused(project: Project) -> None:
    (project.private / "secret").unlink()
    project.ledger_path.write_bytes(b"SQLite")
    with pytest.raises(RefusedError):
        open_project(project.private)


def test_before_anything_was_released_a_secret_can_be_made_again(project: Project) -> None:
    (project.images / "reports").mkdir(parents=True)
    (project.images / "reports/report.html").write_text("nothing came")
    (project.images / ".staging").mkdir()
    (project.images / ".staging/half").write_text("never published")
    (project.private / "secret").unlink()
    again = open_project(project.private)
    assert again.secret != project.secret
    assert mode(project.private / "secret") == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"g" * 64, b"0" * 63, b"0" * 65, b"0" * 64 + b"\n\n"])
def test_a_damaged_secret_is_refused_and_not_shown(content: bytes, project: Project) -> None:
    (project.private / "secret").write_bytes(content)
    with pytest.raises(RefusedError) as caught:
        open_project(project.private)
    assert "does not hold a secret" in str(caught.value)
    assert not content.strip() or content.decode() not in str(caught.value)


# --- who may look


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o610])
def test_a_secret_that_others_can_read_is_refused(bits: int, project: Project) -> None:
    (project.private / "secret").chmod(bits)
    with pytest.raises(RefusedError, match="only its owner"):
        open_project(project.private)


def test_a_secret_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    (project.private / "secret").rename(tmp_path / "elsewhere")
    (project.private / "secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError):
        open_project(project.private)
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(RefusedError):
        open_project(project.private)


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o701])
def test_a_private_folder_that_others_can_enter_is_refused(bits: int, project: Project) -> None:
    project.private.chmod(bits)
    with pytest.raises(RefusedError) as caught:
        open_project(project.private)
    assert "chmod 700" in str(caught.value.hint)


def test_a_private_folder_that_others_could_exchange_is_refused(project: Project, folders: Folders) -> None:
    folders.private.chmod(0o777)
    with pytest.raises(RefusedError):
        open_project(project.private)


# --- policy


def test_keys_that_the_site_requires_are_named(folders: Folders) -> None:
    require = ("approval", "responsible")
    with pytest.raises(RefusedError) as caught:
        init_project(folders, "p", site="orthanc", require=require, responsible="Dr. Strange")
    assert "approval missing" in str(caught.value)
    assert "--approval" in str(caught.value.hint)
    assert not folders.private.exists()
    project = init_project(folders, "p", site="orthanc", require=require, responsible="Dr. Strange", approval="1")
    allow_release(project, require)
    with pytest.raises(RefusedError, match="approved_until, max_cases missing"):
        allow_release(project, (*require, "approved_until", "max_cases"))


def test_an_approval_lasts_to_the_end_of_its_last_day(folders: Folders) -> None:
    project = init_project(folders, "p", site="orthanc", approved_until="2024-05-17")
    allow_release(project, today=date(2024, 5, 17))
    with pytest.raises(RefusedError) as caught:
        allow_release(project, today=date(2024, 5, 18))
    assert caught.value.exit_code == 7
    with pytest.raises(RefusedError):
        allow_release(project)
    assert open_project(project.private).name == "p"  # looking at it is allowed


# --- rules


def test_the_first_rules_are_written_down_and_others_need_a_reason(project: Project) -> None:
    pin_rules(project, "aa11")
    pin_rules(project, "aa11")
    for accept in (None, "", "  "):
        with pytest.raises(RefusedError) as caught:
            pin_rules(project, "bb22", accept)
        assert caught.value.exit_code == 7
        assert "--accept-changed-profile" in str(caught.value.hint)
    pin_rules(project, "bb22", 'a new "version"\nof the profile')
    pin_rules(project, "bb22")
    with pytest.raises(RefusedError):
        pin_rules(project, "aa11")
    pin_rules(project, "aa11", "back")
    changed = open_project(project.private).settings.changed
    assert [(one.before, one.after) for one in changed] == [("aa11", "bb22"), ("bb22", "aa11")]
    assert changed[0].reason == 'a new "version"\nof the profile'
    assert mode(project.file) == 0o600


def test_what_a_person_wrote_into_the_file_stays(project: Project) -> None:
    text = "# ask Ms Pearl first\n" + project.file.read_text() + '\nresponsible = "Dr. Strange"  # until May\n'
    project.file.write_text(text)
    pin_rules(project, "aa11")
    pin_rules(project, "bb22", "why")
    now = project.file.read_text()
    assert "# ask Ms Pearl first" in now
    assert "# until May" in now
    assert now.count("rules_digest") == 1
    assert open_project(project.private).settings.responsible == "Dr. Strange"


def test_pinning_a_text_that_is_no_text_says_so(project: Project) -> None:
    pin_rules(project, "aa11")
    with pytest.raises(ConfigError):
        pin_rules(project, "bb22", "\udcff")
    assert projectfile.read(project.file).rules_digest == "aa11"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('site = "x"\naproval = "1"', "aproval: unknown key; did you mean 'approval'?"),
        ('approval = "1"', "site: missing"),
        ('site = "x"\nmax_cases = "3"', "max_cases: must be a whole number"),
        ('site = "x"\napproved_until = 20301231', "approved_until: write a date"),
        ("site = ", "this is not TOML"),
    ],
)
def test_a_project_file_that_is_wrong_says_where(text: str, says: str, project: Project) -> None:
    project.file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        open_project(project.private)
    assert says in str(caught.value)
    assert str(project.file) in str(caught.value)


VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100)
@given(VALUES, VALUES, st.none() | st.integers(1, 10**6), st.none() | st.dates())
def test_what_is_written_is_read_again(approval, responsible, max_cases, until) -> None:
    import tomllib

    table = {"approval": approval, "responsible": responsible, "max_cases": max_cases, "approved_until": until}
    read = tomllib.loads(projectfile.lines({"site": "x", **table}))
    assert read == {"site": "x", **{key: value for key, value in table.items() if value is not None}}


# --- finding


def test_a_project_is_found_here_first_then_where_it_was_made(project: Project, tmp_path: Path) -> None:
    assert find_project("stroke", cwd=tmp_path) == project.private
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert find_project("stroke", cwd=elsewhere) == project.private
    second = init_project(
        Folders(images=elsewhere / "research", private=elsewhere / "private"), "stroke", site="orthanc"
    )
    assert find_project("stroke", cwd=elsewhere) == second.private
    assert find_project("stroke", cwd=tmp_path) == project.private
    with pytest.raises(ConfigError, match="several projects") as caught:
        find_project("stroke", cwd=Path("/"))
    assert "--site" in str(caught.value.hint)


def test_with_a_site_only_its_own_folder_counts(project: Project, tmp_path: Path) -> None:
    assert find_project("stroke", private=project.private.parent) == project.private
    with pytest.raises(ConfigError, match="there is no project stroke"):
        find_project("stroke", private=tmp_path / "other")


@pytest.mark.parametrize("name", ["unknown", "../x", ""])
def test_what_is_no_project_is_not_found(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        find_project(name, cwd=tmp_path)


def test_a_project_that_was_deleted_is_forgotten(project: Project) -> None:
    for path in project.private.iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="there is no project"):
        find_project("stroke", cwd=Path("/"))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"projects": {"stroke": "x", "y": [3]}}', b'{"projects": []}'])
def test_a_damaged_index_harms_nobody(content: bytes, project: Project, state: Path, tmp_path: Path) -> None:
    (state / "projects.json").write_bytes(content)
    with pytest.raises(ConfigError):
        find_project("stroke", cwd=Path("/"))
    assert find_project("stroke", cwd=tmp_path) == project.private
    init_project(Folders(images=tmp_path / "r2", private=tmp_path / "p2"), "new", site="orthanc")
    assert find_project("new", cwd=Path("/")) == tmp_path / "p2/new"


def test_a_state_folder_that_cannot_be_written_is_no_reason_to_stop(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blocked").write_text("")
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "blocked"))
    assert init_project(folders, "p", site="orthanc").name == "p"


def test_images_and_private_folder_move_together(project: Project, tmp_path: Path) -> None:
    release(project)
    (tmp_path / "moved").mkdir()
    for name in ("research", "private"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = open_project(tmp_path / "moved/private/stroke")
    assert moved.images == tmp_path / "moved/research/stroke"
    assert moved.secret == project.secret


def test_a_profile_that_moves_the_images_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="output.images") as caught:
        open_project(project.private, images=tmp_path / "elsewhere/stroke")
    assert "project.toml" in str(caught.value.hint)
    assert open_project(project.private, images=project.images).images == project.images
