"""The splice path and the pydicom path give the same bytes, for everything that we have."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.errors import HeldError
from pacsferry.plugins.deid import engine as engines
from pacsferry.plugins.deid import reference
from pacsferry.plugins.deid.profile import Ps315
from pacsferry.plugins.deid.pydicom_path import Walk
from pacsferry.plugins.deid.settings import Ps315Settings
from pacsferry.plugins.deid.splice import Splice
from pacsferry.plugins.gates.sop_class import handling
from pacsferry.testing import samples
from pacsferry.testing.corpus import KEPT_SEQUENCE, corpus, image
from pacsferry.testing.encode import ENCODINGS, E, file
from pacsferry.testing.kinds import KINDS
from support.cleaning import engine, source, whole
from support.public import FILES

RICH = Ps315(
    Ps315Settings(
        options=(
            "retain-safe-private",
            "retain-device-identity",
            "retain-institution-identity",
            "retain-patient-characteristics",
            "retain-longitudinal-modified-dates",
            "clean-graphics",
        )
    )
)
PROFILES = {"basic": engine(), "with options": RICH}


def outcome(made: Ps315, data: bytes, path: type[Splice]) -> bytes | str:
    """The file, or the reason why it was held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_path", lambda _: path)
        try:
            draft = made.apply(source(data))
        except HeldError as err:
            return err.code
    return whole(draft)


def both(data: bytes, name: str = "basic") -> bytes | str:
    """What both paths give, which is the same."""
    one, other = (outcome(PROFILES[name], data, path) for path in (Splice, Walk))
    assert one == other
    return one


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_others(path, name):
    both(path.read_bytes(), name)


@pytest.mark.parametrize("name", PROFILES)
def test_the_corpus(name):
    results = [both(planted.data, name) for planted in corpus()]
    assert sum(isinstance(result, str) for result in results) <= 2


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind, name):
    assert isinstance(both(samples.part10(KINDS[kind]()), name), bytes)


def test_samples():
    for ds in samples.demo_studies()[::5]:
        assert isinstance(both(samples.part10(ds)), bytes)


VRS = {
    "LO": (0x00080070, 0x00081030, 0x00080050, 0x00081010),
    "SH": (0x00181210, 0x00080094),
    "PN": (0x00080090, 0x00100010),
    "CS": (0x00180022, 0x00080060),
    "DS": (0x00180050, 0x00101030),
    "IS": (0x00200012, 0x00200013),
    "DA": (0x00080021, 0x00400244),
    "TM": (0x00080031,),
    "DT": (0x0008002A,),
    "AS": (0x00101010,),
    "UI": (0x00200052, 0x00081155),
    "US": (0x00280106, 0x00280107),
    "FD": (0x00189073, 0x00189087),
    "OB": (0x00282000,),
    "UN": (0x00181030, 0x00089998),
}
ELEMENTS = st.sampled_from([(tag, vr) for vr, tags in VRS.items() for tag in tags])
VALUES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [b"20200102", b"101112.5", b"20200102101112", b"012Y", b"1.2.840.10008.1.2", b"1.2.3.4.5", b"12\\-3.5e4"]
    ),
    st.text("ABCÄ \\^=12.", max_size=20).map(lambda text: text.encode("latin-1")),
)


@st.composite
def levels(draw: st.DrawFn, depth: int = 3) -> list[E]:
    """Elements of any value, some with the VR of another, and items below them."""
    made = draw(st.dictionaries(ELEMENTS.map(lambda row: row[0]), st.tuples(ELEMENTS, VALUES), max_size=5))
    own = {tag: vr for vr, tags in VRS.items() for tag in tags}
    found = [E(tag, own[tag] if draw(st.integers(0, 4)) else row[1], value) for tag, (row, value) in made.items()]
    for sequence in (KEPT_SEQUENCE, 0x00081032, 0x00400275) if depth else ():
        if draw(st.booleans()):
            items = draw(st.lists(levels(depth=depth - 1), max_size=2))
            found.append(E(sequence, draw(st.sampled_from(["SQ", "SQ", "UN"])), items, undefined=draw(st.booleans())))
    return sorted(found, key=lambda element: element.tag)


@settings(max_examples=250, deadline=None)
@given(levels(), st.sampled_from(sorted(ENCODINGS)), st.sampled_from(sorted(PROFILES)))
def test_any_data_set(elements, encoding, name):
    both(file(image(*(e for e in elements if e.tag != 0x00100010)), ENCODINGS[encoding]), name)


def test_large_values_and_long_sequences():
    table = [E(0x00283002, "US", struct.pack("<3H", 4096, 0, 12)), E(0x00283006, "OW", bytes(range(256)) * 32)]
    nested = E(KEPT_SEQUENCE, "SQ", [[E(0x00283000, "SQ", [table, table])]] * 50)
    for name, how in ENCODINGS.items():
        assert isinstance(both(file(image(nested), how)), str if name == "deflated" else bytes)


def test_the_way_is_settled_by_the_kind_of_object():
    classes = reference.understood()
    assert "1.2.840.10008.5.1.4.1.1.88.11" in classes
    assert "1.2.840.10008.5.1.4.1.1.2" not in classes
    assert all(handling(uid) == "content" for uid in classes)


def test_a_report_loads_pydicom_and_a_slice_does_not(tmp_path):
    study = samples.ct_study(slices=1, rows=8, columns=8)
    for ds, expected in ((study[0], "False"), (samples.report(study), "True")):
        path = tmp_path / "object"
        path.write_bytes(samples.part10(ds))
        code = (
            "import sys; from pathlib import Path\n"
            "from pacsferry.core.model import Framing, Head, Source\n"
            "from pacsferry.core.pseudonyms import ProjectKeys\n"
            "from pacsferry.plugins.deid.profile import Ps315\n"
            f"data = memoryview(Path({str(path)!r}).read_bytes())\n"
            "Ps315().apply(Source(head=Head(framing=Framing.PART_10), data=data, pseudonym='c', keys=ProjectKeys(b'k' * 32)))\n"
            "print('pydicom' in sys.modules)\n"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == expected
    assert Path(str(path)).exists()
