"""Files that others ship: pydicom's test files, its character sets, and those of the package pydicom-data."""

from __future__ import annotations

from pathlib import Path

import data_store
import pydicom

_OTHER = {".py", ".pyc", ".json", ".txt", ".csv", ".zip", ".md", ".gz", ".sh"}
_FOLDERS = (Path(pydicom.__file__).parent / "data", Path(data_store.__file__).parent / "data")

FILES = sorted(
    path
    for folder in _FOLDERS
    for path in folder.rglob("*")
    if path.is_file() and path.suffix not in _OTHER and "__pycache__" not in path.parts
)
