"""Hostile input in a process of its own, as a worker has it: soon done, and within the worker's memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from pacsferry.clearer import MEMORY
from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, data_set, file, part_10

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
CODE = """
import json, resource, sys, time
from pathlib import Path
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Framing, Head, Source
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.plugins.deid.profile import Ps315
resource.setrlimit(resource.RLIMIT_DATA, (%d, %d))
data = memoryview(Path(sys.argv[1]).read_bytes())
made = Ps315()
began = time.monotonic()
try:
    draft = made.apply(Source(head=Head(framing=Framing.PART_10), data=data, pseudonym="c", keys=ProjectKeys(b"k" * 32)))
    code = "cleaned"
    left = b"Lighthouse" in b"".join(draft.parts)
except HeldError as err:
    code, left = err.code, False
seconds = time.monotonic() - began
print(json.dumps({"code": code, "left": left, "seconds": seconds, "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def nested(size: int, *, vr: bytes = b"SQ") -> bytes:
    start = struct.pack("<HH", KEPT_SEQUENCE >> 16, KEPT_SEQUENCE & 0xFFFF) + vr + b"\0\0"
    return (start + b"\xff" * 4 + b"\xfe\xff\0\xe0" + b"\xff" * 4) * (size // (len(start) + 12))


def amid(body: bytes, sop_class: str = "") -> bytes:
    elements = image(**({"sop_class": sop_class} if sop_class else {}))
    before, after = ([e for e in elements if (e.tag < KEPT_SEQUENCE) is first] for first in (True, False))
    return part_10(data_set(before) + body + data_set(after), EXPLICIT)


def bomb() -> bytes:
    stream = zlib.compressobj(9, wbits=-15)
    body = b"".join(stream.compress(bytes(1 << 20)) for _ in range(1500)) + stream.flush()
    return part_10(body, DEFLATED)


def many_items() -> bytes:
    items = b"\xfe\xff\0\xe0\0\0\0\0" * 250_000
    return amid(struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, len(items)) + items)


def big_endian_noise() -> bytes:
    return file(image(E(0x00080070, "LO", b"\xff" * 60000)), ENCODINGS["big-endian"])


CASES = {
    "2 MB of nested sequences": lambda: amid(nested(2 << 20)),
    "2 MB of nested sequences in a report": lambda: amid(nested(2 << 20), SR),
    "2 MB of nested UN": lambda: amid(nested(2 << 20, vr=b"UN")),
    "a deflate bomb of 1.5 MB": bomb,
    "2 MB of empty items": many_items,
    "trailing garbage": lambda: file(image()) + b"Larry Lighthouse " * 10_000,
    "a polyglot preamble": lambda: file(image(), preamble=b"MZ <script>Lighthouse</script>".ljust(128, b"\0")),
    "a truncated file": lambda: Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()[:-2000],
    "wrong VRs": lambda: file(image(E(0x00100010, "OB", b"Lighthouse"), E(0x00280106, "LO", "Lighthouse"))),
    "a broken character set": lambda: file(
        image(E(0x00080005, "CS", "\\ISO 2022 IR 999"), E(0x00100010, "PN", b"\x1b$B\xff\xfe"))
    ),
    "broken big endian text": big_endian_noise,
}
CLEANED = {
    "a polyglot preamble",
    "wrong VRs",
    "a broken character set",
    "2 MB of empty items",
    "broken big endian text",
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_held_or_cleaned_within_the_limits(name, tmp_path):
    path = tmp_path / "object"
    path.write_bytes(CASES[name]())
    ran = subprocess.run(
        [sys.executable, "-c", CODE % (MEMORY, MEMORY), str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(ran.stdout)
    assert (found["code"] == "cleaned") is (name in CLEANED), found["code"]
    assert not found["left"]
    assert found["seconds"] < 10
    assert found["kib"] << 10 < MEMORY
    assert "Lighthouse" not in ran.stderr
