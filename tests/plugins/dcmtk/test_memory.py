"""What a tool writes lies in memory, for this user only, has a name for a moment only, and is not left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pacsferry.core import processes
from pacsferry.core.errors import ConfigError
from pacsferry.core.ledger_model import Owner
from pacsferry.plugins.dcmtk.memory import MemoryFolder, parent_of, sweep, written


@pytest.fixture
def memory(tmp_path_factory):
    """A folder on a tmpfs, of this user only."""
    if processes.file_system(Path("/dev/shm")) != "tmpfs":
        pytest.skip("needs /dev/shm on a tmpfs")
    path = Path("/dev/shm") / f"pacsferry-test-{os.getpid()}"
    path.mkdir(mode=0o700)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


def test_a_folder_is_for_its_owner_only_and_gone_afterwards(memory):
    with MemoryFolder.make(parent_of(str(memory))) as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "x").write_bytes(b"x" * 10)
        assert folder.size() == 10
    assert not folder.path.exists()


def test_a_file_has_no_name_once_it_is_open(memory):
    with MemoryFolder.make(memory) as folder:
        (folder.path / "CT.1").write_bytes(b"hello")
        with folder.taken("CT.1") as fd:
            assert folder.names() == []
            assert os.read(fd, 10) == b"hello"


def test_a_link_is_not_followed(memory, tmp_path):
    (tmp_path / "elsewhere").write_text("secret")
    with MemoryFolder.make(memory) as folder:
        (folder.path / "CT.1").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="symbolic links"), folder.taken("CT.1"):
            pass
    assert (tmp_path / "elsewhere").read_text() == "secret"


def test_what_a_dead_process_left_is_removed_and_what_a_live_one_has_is_not(memory):
    script = (
        "import os, sys; from pathlib import Path\n"
        "from pacsferry.plugins.dcmtk.memory import MemoryFolder\n"
        "folder = MemoryFolder.make(Path(sys.argv[1])); (folder.path / 'CT.1').write_bytes(b'x'); os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(memory)], check=False)
    (left,) = memory.iterdir()
    with MemoryFolder.make(memory) as mine:
        assert sweep(memory) == 1
        assert not left.exists()
        assert mine.path.exists()


def test_what_is_somebody_elses_is_not_removed(memory):
    me = Owner.me()
    names = [
        "notes",
        "pacsferry-dcmtk-odd",
        f"pacsferry-dcmtk-{me.tag.replace(str(me.pid), '999999', 1)[:-8]}00000000-x",
    ]
    for name in names:
        (memory / name).mkdir()
    assert sweep(memory) == 0
    assert sorted(path.name for path in memory.iterdir()) == sorted(names)


def test_a_folder_that_others_may_enter_is_refused(memory):
    memory.chmod(0o755)
    with pytest.raises(ConfigError, match="only its owner"):
        parent_of(str(memory))


def test_a_folder_on_a_disk_is_refused(tmp_path):
    if processes.file_system(tmp_path) in {"tmpfs", "ramfs"}:
        pytest.skip("the temporary folder lies in memory here")
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="does not lie in memory") as caught:
        parent_of(str(tmp_path))
    assert "XDG_RUNTIME_DIR" in (caught.value.hint or "")


def test_the_runtime_folder_comes_first(memory, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(memory))
    assert parent_of() == memory
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(memory / "none"))
    with pytest.raises(ConfigError, match="cannot use"):
        parent_of()


def test_a_file_that_is_being_written_is_known(memory):
    with MemoryFolder.make(memory) as folder, (folder.path / "CT.1").open("wb"):
        (folder.path / "CT.2").write_bytes(b"x")
        assert written(os.getpid(), folder.path) == {"CT.1"}
