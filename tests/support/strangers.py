"""A third party's plugin, installed as a distribution of its own in a folder that processes find by PYTHONPATH."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path


def installed(folder: Path, module: str, code: str) -> dict[str, str]:
    """Write the distribution; the environment with which our command and its workers find it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pacsferry]\n{module} = {module}\n")
    before = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{before}" if before else str(folder)}
