"""Where profiles are looked for, what extends does to them, and what a wrong one says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.errors import ConfigError
from pacsferry.profiles import files
from pacsferry.profiles.read import Resolved, merge, resolve

WHOLE = """
[archive]
name = "main-pacs"
[archive.dimse]
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"
[[transport]]
use = "c-get"
[deidentify]
use = "ps3.15"
"""


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are looked up below the test's folder only, and in what ships."""
    monkeypatch.setattr(files, "SYSTEM", tmp_path / "etc")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def write(path: Path, text: str = WHOLE, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(name: str | Path, *sets: str, cwd: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(str(name), sets, cwd=cwd)
    assert caught.value.exit_code == 2
    return f"{caught.value}\n{caught.value.hint}"


# --- where


@pytest.mark.parametrize("name", ["orthanc", "dcmqrscp", "demo"])
def test_shipped_profiles_are_whole(name: str, tmp_path: Path) -> None:
    site = resolve(name, cwd=tmp_path)
    assert site.origin is None
    assert site.base == tmp_path
    assert site.reference == name
    assert [path.stem for path in site.chain] == [name, "research-base"]
    assert site.profile.deidentify.use == "ps3.15"
    assert site.profile.pseudonyms.use == site.profile.layout.use == "cases"
    assert [one.use for one in site.profile.report] == ["json", "csv", "key", "html"]
    assert site.profile.archive.dimse is not None
    receiver = site.profile.archive.dimse.receiver
    assert receiver is not None
    assert receiver.port != site.profile.archive.dimse.port


def test_a_base_names_no_archive_and_says_so_where_one_is_needed() -> None:
    assert not resolve("research-base", need_archive=False).profile.has_archive
    assert "archive: missing" in refused("research-base")


def test_the_administrator_comes_before_the_user_and_both_before_us(tmp_path: Path) -> None:
    mine = write(tmp_path / "config/pacsferry/profiles/orthanc.toml")
    assert resolve("orthanc").origin == mine
    theirs = write(tmp_path / "etc/orthanc.toml")
    assert resolve("orthanc").origin == theirs


def test_a_name_never_means_a_file_in_the_current_folder(tmp_path: Path) -> None:
    write(tmp_path / "here.toml")
    assert "./here.toml" in refused("here", cwd=tmp_path)


@pytest.mark.parametrize("given_as", ["here.toml", "./here.toml", "sub/../here.toml", "{}/here.toml"])
def test_a_path_has_a_slash_or_ends_in_toml(given_as: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "here.toml")
    site = resolve(given_as.format(tmp_path), cwd=tmp_path)
    assert site.origin == path
    assert site.reference == str(path)


def test_an_unknown_name_suggests_the_nearest() -> None:
    said = refused("orthank")
    assert "did you mean 'orthanc'?" in said
    assert "research-base" in said


def test_results_lie_beside_the_profile_given_and_not_beside_its_base(tmp_path: Path) -> None:
    write(tmp_path / "deep/base.toml", WHOLE + '[output]\nimages = "./out"\n')
    write(tmp_path / "site.toml", 'extends = "deep/base.toml"\n[output]\nprivate = "/somewhere/private"\n')
    folders = resolve("./site.toml", cwd=tmp_path).folders
    assert folders.images == tmp_path / "out"
    assert folders.private == Path("/somewhere/private")
    assert folders.mode == 0o640


# --- who may have written it


def test_a_profile_that_everybody_can_write_is_refused(tmp_path: Path) -> None:
    said = refused(write(tmp_path / "site.toml", mode=0o646))
    assert "everybody can write it" in said
    assert "chmod o-w" in said


def test_so_is_one_that_it_extends(tmp_path: Path) -> None:
    write(tmp_path / "base.toml", mode=0o666)
    assert "base.toml" in refused(write(tmp_path / "site.toml", 'extends = "./base.toml"'))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = [", "this is not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = 1\na = 2", "this is not TOML"),
        (b"a" * (2**20 + 2), "longer than"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b".".join([b"a"] * 5000) + b" = 1", "nested too deeply"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    said = refused(path)
    assert says in said
    assert str(path) in said


def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert "this is no file" in refused(tmp_path / "pipe.toml")
    assert "No such file" in refused(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "folder.toml" in refused(tmp_path / "folder.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert resolve(str(path)).profile.archive.name == "main-pacs"


# --- extends


def test_tables_merge_by_key_and_everything_else_replaces(tmp_path: Path) -> None:
    write(
        tmp_path / "site.toml",
        'extends = "orthanc"\n[archive.dimse]\nport = 104\n[[transport]]\nuse = "c-move"\n[[report]]\nuse = "html"\n',
    )
    profile = resolve("./site.toml", cwd=tmp_path).profile
    assert profile.archive.dimse is not None
    assert (profile.archive.dimse.port, profile.archive.dimse.ae_title) == (104, "ORTHANC")
    assert [one.use for one in profile.transport] == ["c-move"]
    assert [one.use for one in profile.report] == ["html"]


def test_a_circle_is_spelled_out(tmp_path: Path) -> None:
    write(tmp_path / "a.toml", 'extends = "./b.toml"')
    write(tmp_path / "b.toml", 'extends = "./a.toml"')
    assert "a.toml -> b.toml -> a.toml" in refused(tmp_path / "a.toml")
    write(tmp_path / "self.toml", 'extends = "self.toml"')
    assert "self.toml -> self.toml" in refused(tmp_path / "self.toml")


def test_extending_nothing_that_exists_names_who_does(tmp_path: Path) -> None:
    said = refused(write(tmp_path / "site.toml", 'extends = "orthank"'))
    assert "extends: " in said
    assert "site.toml" in said
    assert "did you mean 'orthanc'?" in said
    assert "extends: must be" in refused(write(tmp_path / "site.toml", "extends = 3"))


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@settings(deadline=None, max_examples=80)
@given(TABLES, TABLES, TABLES)
def test_merging_has_a_neutral_table_and_the_last_word_wins(a: dict, b: dict, c: dict) -> None:
    assert merge(a, {}) == merge({}, a) == merge(a, a) == a
    assert merge(merge(a, b), c).keys() == a.keys() | b.keys() | c.keys()
    for key, value in b.items():
        merged = merge(a, b)[key]
        assert merged == (merge(a[key], value) if isinstance(value, dict) and isinstance(a.get(key), dict) else value)


# --- what a wrong one says


def test_every_error_comes_at_once_with_its_address_and_the_file_it_stands_in(tmp_path: Path) -> None:
    write(tmp_path / "base.toml", WHOLE + "[archive.timeouts]\nstall = 0\n")
    site = write(
        tmp_path / "site.toml",
        'extends = "./base.toml"\n[archive.dimse]\nport = 70000\nae_titel = "X"\n[budget]\nassociations = true\n',
    )
    said = refused(site, "output.mode=0777")
    lines = {line.strip().split(":")[0]: line for line in said.splitlines()}
    assert "4 errors" in lines[f"site profile {site}"] or "5 errors" in lines[f"site profile {site}"]
    assert "less than or equal to 65535" in lines["archive.dimse.port"]
    assert "site.toml" in lines["archive.dimse.port"]
    assert "unknown key; did you mean 'ae_title'?" in lines["archive.dimse.ae_titel"]
    assert "base.toml" in lines["archive.timeouts.stall"]
    assert "whole number" in lines["budget.associations"]
    assert "(--set)" in lines["output.mode"]


def test_there_is_no_way_to_leave_deidentification_out(tmp_path: Path) -> None:
    without = WHOLE.replace('[deidentify]\nuse = "ps3.15"\n', "")
    said = refused(write(tmp_path / "site.toml", without))
    assert "deidentify: missing" in said
    assert "there is no way to leave it out" in said
    assert "deidentify: must be a table" in refused(write(tmp_path / "site.toml", "deidentify = false\n" + without))
    assert "deidentify.use: missing" in refused(write(tmp_path / "site.toml", without + "[deidentify]\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[transport]\nuse = 'c-get'", "transport: must be a list of tables: write [[transport]]"),
        ("[layuot]\nuse = 'flat'", "layuot: unknown key; did you mean 'layout'?"),
        ("[archive]\ncharset = 'latin1'", "archive.charset: write terms of PS3.3 C.12.1.1.2"),
        ("[archive]\ncharset = 'ISO_IR 999'", "archive.charset: write terms of PS3.3 C.12.1.1.2"),
        ("[archive.quirks]\nunmatched = ['StudyTim']", "archive.quirks.unmatched.0: did you mean 'StudyTime'?"),
        ("[archive.quirks]\nunmatched = ['PixelData']", "archive.quirks.unmatched.0: write one that can be matched"),
        ("[archive.quirks]\nunasked = ['StudyTim']", "archive.quirks.unasked.0: did you mean 'StudyTime'?"),
        ("[archive.quirks]\nunasked = ['Xyzzy9']", "archive.quirks.unasked.0: write a keyword of PS3.6"),
        ("[archive]\nvendor = 5", "archive.vendor: must be text, in quotes"),
        ("[archive.dimse]\nhost = 'a:b@c'", "archive.dimse.host: write a host name"),
        ("[archive.dimse]\nport = '104'", "archive.dimse.port: must be a whole number, without quotes"),
        ("[archive.dimse]\nae_title = '12345678901234567'", "archive.dimse.ae_title: write 1 to 16"),
        ("[archive.dimse]\nae_title = 'A\\\\B'", "archive.dimse.ae_title: write 1 to 16"),
        ("[archive.dimse]\nsop_classes = ['CTImageStorage']", "archive.dimse.sop_classes.0: write a UID"),
        ("[archive.dimse.receiver]\nallow = ['everybody']", "archive.dimse.receiver.allow.0: write an address"),
        ("[archive.dicomweb]\nurl = 'ftp://x'", "archive.dicomweb.url: write http://"),
        ("[archive.dicomweb]\nproxy = ''", "archive.dicomweb: give url, or qido and wado"),
        ("[archive.timeouts]\nstall = '90'", "archive.timeouts.stall: write a number and a unit"),
        ("[archive.timeouts]\nstall = inf", "archive.timeouts.stall: "),
        ("[archive.timeouts]\nconnect = '-1s'", "archive.timeouts.connect: write a number and a unit"),
        ("[archive.quirks]\nrequires_study_dat = true", "archive.quirks.requires_study_dat: unknown key; did you mean"),
        ("[archive.quirks]\nrequires_study_date = 'yes'", "archive.quirks.requires_study_date: must be true or false"),
        ("[budget]\nmax_studies = 0", "budget.max_studies: must be greater than or equal to 1"),
        ("[select]\nmodality = ['CT']", "select.modality: must be a table"),
        ("[select]\nmodality = { only = 'CT' }", "select.modality.only: must be a list"),
        ("[select]\nmodality = { only = [] }", "select.modality.only: "),
        ("[select]\nsop_class = { not = ['*'] }", "select.sop_class.not.0: write a UID"),
        ("[pseudonyms]\nper = 'study'", "pseudonyms.per: must be 'patient' or 'accession'"),
        ("[output]\nmode = '0666'", "output.mode: write octal permissions"),
        ("[output]\nmode = '0400'", "output.mode: write octal permissions"),
        ("[policy]\nrequire = ['aproval']", "policy.require.0: must be 'approval'"),
        ("requires = ['acme >> 1']", "requires.0: write a distribution and its versions"),
        ("requires = ['acme @ https://example.org/acme.whl']", "requires.0: write versions, not an address"),
    ],
)
def test_each_mistake_says_where_it_is_and_what_would_be_right(text: str, says: str, tmp_path: Path) -> None:
    base = write(tmp_path / "base.toml")
    site = write(tmp_path / "site.toml", (text if text.startswith("requires") else "") + f'\nextends = "{base}"\n')
    if not text.startswith("requires"):
        site.write_text(site.read_text() + text)
    said = refused(site)
    assert f"  {says}" in said
    assert "1 error\n" in said


@pytest.mark.parametrize("text", ["[archive]\nname = 'x'", "[[transport]]\nuse = 'c-get'"])
def test_an_archive_and_a_transport_need_each_other(text: str, tmp_path: Path) -> None:
    said = refused(write(tmp_path / "site.toml", f'{text}\n[deidentify]\nuse = "ps3.15"'))
    assert "archive" in said
    said = refused(write(tmp_path / "site.toml", WHOLE.replace('[[transport]]\nuse = "c-get"\n', "")))
    assert "transport: missing" in said


def test_an_archive_without_a_name_is_called_by_its_address(tmp_path: Path) -> None:
    site = write(tmp_path / "site.toml", WHOLE.replace('name = "main-pacs"', ""))
    assert resolve(str(site)).profile.archive.name == "127.0.0.1:4242"


def dumped(site: Resolved) -> dict:
    return site.profile.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("name", ["orthanc", "dcmqrscp", "demo"])
def test_what_a_profile_dumps_can_be_read_again(name: str) -> None:
    site = resolve(name)
    assert type(site.profile).model_validate(dumped(site)) == site.profile


def test_an_error_found_later_is_told_where_it_stands_too(tmp_path: Path) -> None:
    write(tmp_path / "site.toml", 'extends = "orthanc"\n[[transport]]\nuse = "c-get"\ncolour = "red"\n')
    site = resolve("./site.toml", ["layout.use=flat"], cwd=tmp_path)
    found = ConfigError("transport.0.colour: unknown key\nlayout.use: no\ndeidentify.x: no\nelsewhere: no", hint="h")
    located = site.located(found)
    assert located.hint == "h"
    assert str(located).splitlines() == [
        f"transport.0.colour: unknown key ({tmp_path}/site.toml)",
        "layout.use: no (--set)",
        "deidentify.x: no (research-base (shipped))",
        "elsewhere: no",
    ]
