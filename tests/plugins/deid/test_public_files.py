"""pydicom's own files: each is cleaned or held with a reason, never a crash, and no pixel changes."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Outcome, Verdict
from pacsferry.core.reasons import REASONS
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.plugins.gates.sop_class import SopClass, handling
from support.cleaning import clean, whole
from support.peers import missing

FOLDER = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc", ".json", ".txt", ".csv"}
)
BIG_ENDIAN = "1.2.840.10008.1.2.2"


def judged(path: Path) -> tuple[Draft, Verdict] | str:
    """The draft and the verdict, or the reason why it was held before."""
    try:
        draft = clean(path.read_bytes())
    except HeldError as err:
        return err.code
    return draft, Verdict.strictest([SopClass().judge(draft), ResidualIdentifiers().judge(draft)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_each_file_is_cleaned_with_its_pixels_or_held_with_a_reason(path):
    result = judged(path)
    if isinstance(result, str):
        assert result in REASONS
        return
    draft, verdict = result
    assert verdict.code in REASONS or verdict.outcome is Outcome.ALLOW
    before, after = pydicom.dcmread(path, force=True), pydicom.dcmread(io.BytesIO(whole(draft)))
    assert len(list(after.iterall())) > 10
    if before.file_meta.TransferSyntaxUID == BIG_ENDIAN:
        assert (before.pixel_array == after.pixel_array).all()
    elif "PixelData" in before:
        length = len(after.PixelData) if path.name in {"MR_small_padded.dcm", "badVR.dcm"} else len(before.PixelData)
        assert after.PixelData == before.PixelData[:length]


def test_what_becomes_of_them_is_known():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = Counter(
            result if isinstance(result, str) else result[1].code or "allowed" for result in map(judged, FILES)
        )
    assert results["allowed"] >= 25
    assert set(results) <= {"allowed", "malformed", "burned-in", "sop-class", "residual-identifier"}


@pytest.mark.peers
def test_dciodvfy_finds_nothing_new(tmp_path):
    dciodvfy = shutil.which("dciodvfy")
    if dciodvfy is None:
        missing("dicom3tools")
    checked = 0
    for path in FILES:
        result = judged(path)
        if isinstance(result, str) or handling(result[0].facts.sop_class) not in {"plain", "declared"}:
            continue
        out = tmp_path / "out.dcm"
        out.write_bytes(whole(result[0]))
        new = _errors(str(dciodvfy), out) - _errors(str(dciodvfy), path)
        assert not new, path.name
        checked += 1
    assert checked > 25


def _errors(dciodvfy: str, path: Path) -> set[str]:
    ran = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, errors="replace", check=False)
    # What it says of a UID has the UID in it, and that has changed.
    return {line.split(" <")[0] for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("Error")}
