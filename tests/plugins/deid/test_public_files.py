"""Files of pydicom and pydicom-data: each is cleaned or held with a reason, never a crash, and no pixel changes."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from pathlib import Path

import pydicom
import pytest

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Outcome, Verdict
from pacsferry.core.reasons import REASONS
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.plugins.gates.sop_class import SopClass
from support.cleaning import clean, whole
from support.public import FILES

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
