"""What our own processes look like from outside: children, command lines, open files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Living children of a process, in order."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return sorted(found)


def family(pid: int) -> list[int]:
    """A process and all that came from it."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def workers(pid: int) -> list[int]:
    return [child for child in children(pid) if b"pacsferry.clearer" in command_line(child)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return _state(pid) not in {"", "Z"}


def stopped(pid: int) -> bool:
    """Whether SIGSTOP has arrived."""
    return _state(pid) == "T"


def _state(pid: int) -> str:
    """The letter that proc(5) has for it; "" for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def temporary(folder: Path) -> dict[str, str]:
    """An environment whose temp folder is an empty one of its own."""
    folder.mkdir(exist_ok=True)
    return {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder), "HOME": os.environ.get("HOME", "/root")}
