"""One very large multi-frame, written as a sparse file: its header is real, its frames are a hole."""

from __future__ import annotations

import http.client
import io
import os
import struct
from pathlib import Path
from urllib.parse import urlsplit

from pacsferry.testing.kinds import enhanced_mr_object

ACCESSION = "LARGE1"
#: Pixels in a row or column of one frame, two bytes each: 2 MiB.
SIDE = 1024
FRAME = SIDE * SIDE * 2


def write(path: Path, frames: int) -> int:
    """Write an Enhanced MR of so many frames of 2 MiB; its size in bytes. On disk it takes a few kilobytes."""
    ds = enhanced_mr_object()
    ds.Rows = ds.Columns = SIDE
    ds.NumberOfFrames = frames
    ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[0]] * frames
    ds.AccessionNumber, ds.PatientID = ACCESSION, "LARGE"
    del ds.PixelData
    head = io.BytesIO()
    ds.save_as(head, enforce_file_format=True)
    element = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, frames * FRAME)
    path.write_bytes(head.getvalue() + element)
    size = path.stat().st_size + frames * FRAME
    os.truncate(path, size)
    return size


def upload(url: str, path: Path) -> None:
    """Give a file to Orthanc's REST API, block by block."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)
    with path.open("rb") as body:
        line.request("POST", "/instances", body=body, headers={"Content-Length": str(path.stat().st_size)})
        answer = line.getresponse()
        answer.read()
    line.close()
    if answer.status != 200:
        raise OSError(f"the archive answered {answer.status}")
