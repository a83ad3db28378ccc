"""What a host has only once: freed by the kernel, told to those who wait."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacsferry.core.errors import BusyError, InterruptedRun, StoreError
from pacsferry.core.hostlocks import HostLeases, file_name
from pacsferry.core.places import plain
from support.ledgers import python

NAME = "receiver 127.0.0.1:11112"
HOLD = """
    import sys
    from pathlib import Path
    from pacsferry.core.hostlocks import HostLeases
    with HostLeases(Path(sys.argv[1]), project="other").hold(sys.argv[2]):
        print("held", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "archives"


def other_process(folder, tmp_path):
    process = python(HOLD, folder, NAME, folder=tmp_path)
    assert process.stdout.readline() == "held\n"
    return process


def test_who_does_not_wait_is_told_who_holds_it(folder, tmp_path):
    other = other_process(folder, tmp_path)
    told = rf"{NAME} is held by process {other.pid} since .*project other"
    with pytest.raises(BusyError, match=told) as caught, HostLeases(folder).hold(NAME, wait=False):
        raise AssertionError("held twice")
    assert caught.value.exit_code == 8
    other.communicate("\n")


def test_who_waits_is_told_once_and_gets_it(folder, tmp_path):
    other = other_process(folder, tmp_path)
    told = []

    def tell(text):
        told.append(text)
        threading.Timer(0.4, lambda: (other.stdin.write("\n"), other.stdin.flush())).start()

    with HostLeases(folder).hold(NAME, told=tell):
        assert other.wait(10) == 0
    assert len(told) == 1
    assert told[0].startswith(f"waiting for {NAME}, held by process {other.pid} since ")
    other.communicate()


def test_a_killed_process_frees_what_it_held(folder, tmp_path):
    other = other_process(folder, tmp_path)
    other.kill()
    other.communicate()
    with HostLeases(folder).hold(NAME, wait=False):
        assert HostLeases(folder).holders(NAME)[0].startswith(f"process {os.getpid()} ")


def test_a_child_process_does_not_keep_it(folder, tmp_path):
    with HostLeases(folder).hold(NAME):
        child = python("input()", folder=tmp_path)
    with HostLeases(folder).hold(NAME, wait=False):
        assert child.poll() is None
    child.communicate("\n")


def test_waiting_ends_when_the_run_is_stopped(folder):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with HostLeases(folder).hold(NAME), pytest.raises(InterruptedRun), HostLeases(folder).hold(NAME, stop=stop):
        raise AssertionError("held twice")
    assert time.monotonic() - began < 5


def test_threads_exclude_each_other(folder):
    leases, inside, most = HostLeases(folder), [], []

    def work():
        with leases.hold(NAME):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == [1] * 6


def test_so_many_slots_so_many_holders(folder):
    leases = HostLeases(folder)
    with leases.hold(NAME, slots=2) as first, leases.hold(NAME, slots=2) as second:
        assert {first, second} == {0, 1}
        assert len(leases.holders(NAME, slots=2)) == 2
        with pytest.raises(BusyError), leases.hold(NAME, slots=2, wait=False):
            raise AssertionError("held three times")
    with leases.hold(NAME, slots=2, wait=False):
        pass
    assert leases.holders(NAME, slots=2) == []


def test_it_is_free_again_after_an_error(folder):
    with pytest.raises(KeyError), HostLeases(folder).hold(NAME):
        raise KeyError
    with HostLeases(folder).hold(NAME, wait=False):
        pass


def test_other_names_are_other_leases(folder):
    leases = HostLeases(folder)
    with leases.hold("a:1"), leases.hold("a_1", wait=False), leases.hold("A:1", wait=False):
        assert len(list(folder.iterdir())) == 3


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_makes_a_plain_file_of_its_own(one, other):
    from pathlib import PurePosixPath

    assert plain(PurePosixPath(file_name(one)))
    assert (file_name(one) == file_name(other)) == (one == other)


def test_a_holders_file_that_makes_no_sense_does_no_harm(folder):
    leases = HostLeases(folder)
    with leases.hold(NAME):
        (path,) = folder.iterdir()
        for junk in (
            b"",
            b"{",
            b"[]",
            b'{"pid": "x"}',
            b"\xff" * 10,
            b'{"pid": 1, "since": 1e99, "user": 1, "project": ""}',
        ):
            path.write_bytes(junk)
            with pytest.raises(BusyError, match="held by another process"), leases.hold(NAME, wait=False):
                raise AssertionError("held twice")


def test_what_a_holder_says_of_itself_cannot_steer_a_terminal(folder):
    with HostLeases(folder, project="\x1b[2Jx\n").hold(NAME):
        (said,) = HostLeases(folder).holders(NAME)
    assert said.isprintable()


def test_what_a_user_makes_is_for_that_user(folder):
    with HostLeases(folder).hold(NAME):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(("given_mode", "file_mode"), [(0o2770, 0o660), (0o1777, 0o666), (0o750, 0o600)])
def test_in_a_folder_of_several_users_they_share_it(folder, given_mode, file_mode):
    folder.parent.mkdir()
    folder.parent.chmod(given_mode)
    before = os.umask(0o077)
    try:
        with HostLeases(folder).hold(NAME):
            assert folder.stat().st_mode & 0o7777 == given_mode
            assert {one.stat().st_mode & 0o777 for one in folder.iterdir()} == {file_mode}
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_another_user_waits_for_a_file_that_it_may_only_read(folder, tmp_path):
    code = """
        import os, sys
        from pathlib import Path
        from pacsferry.core.hostlocks import HostLeases
        from pacsferry.core.errors import FerryError
        os.setuid(65534)
        try:
            with HostLeases(Path(sys.argv[1])).hold(sys.argv[2], wait=False):
                print("held")
        except FerryError as err:
            print(type(err).__name__)
    """
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        shared.chmod(0o1777)
        ours = HostLeases(shared)
        with ours.hold(NAME):
            (path,) = shared.iterdir()
            path.chmod(0o644)
            assert python(code, shared, NAME, folder="/").communicate()[0] == "BusyError\n"
        assert python(code, shared, NAME, folder="/").communicate()[0] == "held\n"
        path.chmod(0o600)
        assert python(code, shared, NAME, folder="/").communicate()[0] == "StoreError\n"


def test_a_link_in_the_place_of_a_lease_is_refused(folder, tmp_path):
    with HostLeases(folder).hold(NAME):
        (path,) = folder.iterdir()
    path.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(StoreError), HostLeases(folder).hold(NAME):
        raise AssertionError("followed a link")
    assert victim.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    leases = HostLeases(tmp_path / "file" / "archives")
    with pytest.raises(StoreError, match="cannot make the folder") as caught, leases.hold(NAME):
        raise AssertionError("held nowhere")
    assert "PACSFERRY_STATE" in caught.value.hint
