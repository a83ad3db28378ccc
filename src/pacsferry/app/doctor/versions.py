"""Which versions of the libraries and of DCMTK are here, against what is known of them; nothing is fetched."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pacsferry.core.advisories import findings
from pacsferry.core.ports import Finding

_LIBRARIES = ("pydicom", "pynetdicom", "dicomweb-client", "requests", "urllib3")
_SECONDS = 5.0


def versions() -> Iterator[Finding]:
    """One finding per product that is installed, more where more is known of it."""
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            yield from findings(name, version(name))
    if (found := dcmtk()) is not None:
        yield from findings("dcmtk", found)


def dcmtk() -> str | None:
    """The version that DCMTK's own getscu says; None where there is none."""
    tool = _tool("getscu")
    if tool is None:
        return None
    try:
        said = subprocess.run(
            [tool, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"dcmtk: getscu v?(\d+(?:\.\d+)+)", said)
    return match[1] if match else None


def _tool(name: str) -> str | None:
    """DCMTK's program in PATH; pynetdicom installs Python scripts of the same names."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder) / name
        with contextlib.suppress(OSError), candidate.open("rb") as file:
            if folder and file.read(2) != b"#!" and os.access(candidate, os.X_OK):
                return str(candidate)
    return None
