"""The tools are DCMTK's own: pynetdicom's scripts of the same names are passed over."""

import sys

import pytest

from pacsferry.core.errors import ConfigError
from pacsferry.plugins.dcmtk import program
from support.peers import need_dcmtk

IMPOSTOR = f"#!{sys.executable}\nprint('$dcmtk: getscu v9.9.9 $')\n"


@pytest.fixture(autouse=True)
def _forgetful():
    program.find.cache_clear()
    yield
    program.find.cache_clear()


def scripted(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_script_of_the_same_name_that_comes_first_is_passed_over(tmp_path, monkeypatch):
    need_dcmtk("getscu")
    scripted(tmp_path, "getscu", IMPOSTOR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = program.find("getscu")
    assert found.parent != tmp_path
    assert program.version(found, "getscu")


def test_another_program_under_that_name_is_refused(tmp_path):
    other = scripted(tmp_path, "getscu", "#!/bin/sh\necho hello\n")
    with pytest.raises(ConfigError, match="is not DCMTK's getscu") as caught:
        program.find("getscu", str(other))
    assert "Debian package dcmtk" in (caught.value.hint or "")


def test_a_tool_for_another_purpose_is_refused():
    echoscu = need_dcmtk("echoscu")
    with pytest.raises(ConfigError, match="is not DCMTK's getscu"):
        program.find("getscu", echoscu)


def test_what_is_not_installed_is_said_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="DCMTK's nosuchscu is not installed") as caught:
        program.find("nosuchscu")
    assert "dcmtk" in (caught.value.hint or "")


def test_a_path_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not DCMTK's"):
        program.find("getscu", str(tmp_path / "none"))
