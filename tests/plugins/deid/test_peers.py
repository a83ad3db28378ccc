"""Whatever an archive does to an object on its way, the released bytes are the same."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacsferry.testing.corpus import KEPT_SEQUENCE, image
from pacsferry.testing.encode import ENCODINGS, E, file
from support.cleaning import clean, whole
from support.peers import need_dcmtk

NAMES = ["CT_small.dcm", "MR_small.dcm", "emri_small.dcm", "eCT_Supplemental.dcm", "693_J2KI.dcm"]


def _odd_padding() -> bytes:
    """Spaces, NULs and nothing behind values, in sequences of undefined length."""
    inner = [E(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), E(0x00081155, "UI", "1.2.3.4.5.6.7.8")]
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00081199, "SQ", [inner, inner]), E(0x0020000E, "UI", "1.2.3.4.5.6.7")]])
    return file(
        image(
            nested,
            E(0x00080070, "LO", "Acme  Medical    "),
            E(0x00180022, "CS", "AXIAL "),
            E(0x00180050, "DS", " 5.0    "),
            E(0x00181160, "SH", "  "),
            E(0x00181210, "SH", "B30f"),
            E(0x00180015, "CS", ""),
        ),
        ENCODINGS["undefined"],
    )


def _objects() -> dict[str, bytes]:
    found = {name: Path(str(get_testdata_file(name))).read_bytes() for name in NAMES}
    return {**found, "odd padding": _odd_padding()}


@pytest.mark.peers
@pytest.mark.parametrize("option", ["+te", "+ti", "+tb", "+te -e", "+ti +e", "+td", "+te +g", "+te +p 120 8"])
def test_an_object_gives_the_same_bytes_however_dcmtk_writes_it(tmp_path, option):
    dcmconv = need_dcmtk("dcmconv")
    for name, data in _objects().items():
        if name == "693_J2KI.dcm":
            continue
        before, after = tmp_path / "before", tmp_path / "after"
        before.write_bytes(data)
        subprocess.run([dcmconv, *option.split(), str(before), str(after)], check=True, capture_output=True, timeout=60)
        assert whole(clean(after.read_bytes())) == whole(clean(data)), name


@pytest.mark.peers
def test_an_object_gives_the_same_bytes_over_c_get_as_over_the_web(orthanc, tmp_path):
    getscu = need_dcmtk("getscu")
    objects = _objects()
    orthanc.clear()
    orthanc.upload(objects.values())
    compared = 0
    for study in orthanc.rest("GET", "/studies?expand"):
        uid = study["MainDicomTags"]["StudyInstanceUID"]
        folder = tmp_path / study["ID"]
        folder.mkdir()
        command = [getscu, "-aec", orthanc.aet, "+B", "-S", "-k", "QueryRetrieveLevel=STUDY"]
        command += ["-k", f"StudyInstanceUID={uid}", "-od", str(folder), orthanc.host, str(orthanc.dicom_port)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        for path in folder.iterdir():
            came = path.read_bytes()
            original = _original(orthanc, dcmread(path).SOPInstanceUID)
            assert whole(clean(came)) == whole(clean(original))
            compared += 1
    assert compared >= 5


def _original(orthanc, uid: str) -> bytes:
    (found,) = orthanc.rest("POST", "/tools/lookup", uid.encode())
    with urllib.request.urlopen(f"{orthanc.url}/instances/{found['ID']}/file") as answer:
        return answer.read()
