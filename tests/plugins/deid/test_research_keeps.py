"""What research needs of an object is still there under the preset ``research``, read back with another library."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from pacsferry.plugins.deid.dates import Shifts
from pacsferry.profiles.presets import names
from pacsferry.testing import samples
from pacsferry.testing.corpus import image
from pacsferry.testing.encode import E, file
from support.choosing import cleaned_by, draft_by, of_preset
from support.cleaning import KEYS, whole

PET = "1.2.840.10008.5.1.4.1.1.128"
US = "1.2.840.10008.5.1.4.1.1.6.1"
NEEDED = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "DimensionIndexValues",
    "StackID", "InStackPositionNumber", "TemporalPositionIndex", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "WindowCenter", "WindowWidth", "FrameAcquisitionNumber", "DiffusionBValue", "DiffusionGradientOrientation",
    "DiffusionDirectionality", "EffectiveEchoTime", "KVP", "ExposureTimeInms", "RevolutionTime", "SpiralPitchFactor",
    "ReconstructionDiameter", "ConvolutionKernel", "DimensionIndexPointer", "FunctionalGroupPointer", "FrameType",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "PixelPresentation", "FlipAngle",
)  # fmt: skip


def found(ds: Dataset) -> list[tuple[str, Any]]:
    return [(each.keyword, each.value) for each in ds.iterall() if each.keyword in NEEDED]


@pytest.mark.parametrize("name", ["eCT_Supplemental.dcm", "liver_1frame.dcm", "CT_small.dcm", "MR_small.dcm"])
@pytest.mark.parametrize("preset", ["basic", "research", "tcia"])
def test_geometry_of_enhanced_and_plain_images_stays(name, preset):
    data = Path(str(get_testdata_file(name))).read_bytes()
    before, after = dcmread(Path(str(get_testdata_file(name)))), cleaned_by(preset, data)
    assert len(found(before)) > 5
    assert found(after) == found(before)
    assert after.PixelData == before.PixelData
    assert (after.pixel_array == before.pixel_array).all()


@pytest.mark.parametrize("preset", ["basic", "research", "tcia", "strict"])
def test_geometry_of_an_enhanced_mr_stays_frame_by_frame(preset):
    (before,) = samples.multi_frame(rows=16, columns=16)
    after = cleaned_by(preset, samples.part10(before))
    words = {"RescaleType", "ConvolutionKernel", "StackID"} if preset == "strict" else set()
    kept = [pair for pair in found(before) if pair[0] not in words]
    assert len(kept) > 20
    assert [pair for pair in found(after) if pair[0] not in words] == kept


def pet() -> bytes:
    isotope = [
        E(0x00180031, "LO", "FDG"),
        E(0x00181071, "DS", "0"),
        E(0x00181072, "TM", "233000.000"),
        E(0x00181074, "DS", "370000000"),
        E(0x00181075, "DS", "6586.2"),
        E(0x00181076, "DS", "0.97"),
        E(0x00181078, "DT", "20200101233000.000000"),
        E(
            0x00540300,
            "SQ",
            [[E(0x00080100, "SH", "C-111A1"), E(0x00080102, "SH", "SRT"), E(0x00080104, "LO", "^18^F")]],
        ),
    ]
    philips = [
        E(0x70530010, "LO", "Philips PET Private Group"),
        E(0x70531000, "DS", "0.000551"),
        E(0x70531009, "DS", "1.5"),
    ]
    return file(
        image(
            E(0x00080060, "CS", "PT"),
            E(0x00080021, "DA", "20200102"),
            E(0x00080031, "TM", "003000"),
            E(0x00080022, "DA", "20200102"),
            E(0x00080032, "TM", "004500.5"),
            E(0x00101020, "DS", "1.8"),
            E(0x00101030, "DS", "70.5"),
            E(0x00281052, "DS", "0"),
            E(0x00281053, "DS", "2.5"),
            E(0x00540016, "SQ", [sorted(isotope, key=lambda one: one.tag)]),
            E(0x00541001, "CS", "BQML"),
            E(0x00541102, "CS", "START"),
            E(0x00541300, "DS", "1000"),
            E(0x00541321, "DS", "1.02"),
            *philips,
            sop_class=PET,
        )
    )


def test_standardized_uptake_values_can_be_computed():
    out = cleaned_by("research", pet())
    (isotope,) = out.RadiopharmaceuticalInformationSequence
    assert (out.PatientWeight, out.PatientSize, out.Units, out.DecayCorrection) == (70.5, 1.8, "BQML", "START")
    assert (isotope.RadionuclideTotalDose, isotope.RadionuclideHalfLife) == (370000000, 6586.2)
    assert isotope.RadionuclidePositronFraction == 0.97
    assert isotope.RadionuclideCodeSequence[0].CodeValue == "C-111A1"
    assert (out[0x70531000].value, out[0x70531009].value) == (0.000551, 1.5)
    days = Shifts().of(KEYS, KEYS.subject("PAT4711", "", ""))
    # Injected half an hour before midnight, scanned after it: the interval stays, over the border of the day.
    assert (isotope.RadiopharmaceuticalStartTime, out.SeriesTime) == ("233000.000", "003000")
    before = calendar(isotope.RadiopharmaceuticalStartDateTime[:8])
    assert (calendar(out.SeriesDate) - before).days == 1
    assert (before - calendar("20200101")).days == days
    assert out.AcquisitionTime == "004500.5"


def calendar(text: str) -> Any:
    return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007


def test_ultrasound_stays_calibrated():
    region = [
        E(0x00186012, "US", 1), E(0x00186014, "US", 1), E(0x00186016, "UL", 2), E(0x00186018, "UL", 0),
        E(0x0018601A, "UL", 0), E(0x0018601C, "UL", 7), E(0x0018601E, "UL", 7), E(0x00186024, "US", 3),
        E(0x00186026, "US", 3), E(0x0018602C, "FD", b"\x9a\x99\x99\x99\x99\x99\xb9\x3f"),
        E(0x0018602E, "FD", b"\x9a\x99\x99\x99\x99\x99\xb9\x3f"),
    ]  # fmt: skip
    out = cleaned_by("research", file(image(E(0x00186011, "SQ", [region]), sop_class=US)))
    (kept,) = out.SequenceOfUltrasoundRegions
    assert (kept.PhysicalDeltaX, kept.PhysicalDeltaY, kept.PhysicalUnitsXDirection) == (0.1, 0.1, 3)
    assert (kept.RegionLocationMaxX1, kept.RegionDataType) == (7, 1)


def test_diffusion_b_values_and_gradients_stay_public_and_private():
    three = b"\0\0\0\0\0\0\xf0\x3f" + bytes(16)
    public = [E(0x00189087, "FD", three[:8]), E(0x00189089, "FD", three), E(0x00189075, "CS", "DIRECTIONAL")]
    siemens = [E(0x00190010, "LO", "SIEMENS MR HEADER"), E(0x0019100C, "IS", "800"), E(0x0019100E, "FD", three)]
    ge = [E(0x00430010, "LO", "GEMS_PARM_01"), E(0x00431039, "IS", "800\\8\\0\\0")]
    philips = [E(0x20010010, "LO", "Philips Imaging DD 001"), E(0x20011003, "FL", b"\0\0\x48\x44")]
    sequence = E(0x00189117, "SQ", [[*reversed(public[:1]), *siemens]])
    out = cleaned_by("research", file(image(*public, *siemens, *ge, *philips, sequence)))
    assert (out.DiffusionBValue, list(out.DiffusionGradientOrientation)) == (1, [1, 0, 0])
    assert (out[0x0019100C].value, list(out[0x0019100E].value)) == (800, [1, 0, 0])
    assert list(out[0x00431039].value) == [800, 8, 0, 0]
    assert out[0x20011003].value == 800
    (item,) = out.MRDiffusionSequence
    assert (item.DiffusionBValue, item[0x0019100C].value) == (1, 800)


def test_palettes_and_look_up_tables_stay():
    table = bytes(range(256)) * 2
    shape = b"\0\1\0\0\x10\0"
    palette = [E(0x00281101 + at, "US", shape) for at in range(3)] + [
        E(0x00281201 + at, "OW", table) for at in range(3)
    ]
    voi = [E(0x00283002, "US", shape), E(0x00283003, "LO", "BONE"), E(0x00283006, "OW", table)]
    modality = [E(0x00283002, "US", shape), E(0x00283004, "LO", "HU"), E(0x00283006, "OW", table)]
    window = [E(0x00281050, "DS", "40\\400"), E(0x00281051, "DS", "80\\2000"), E(0x00281055, "LO", "SOFT\\BONE")]
    luts = [E(0x00283010, "SQ", [voi]), E(0x00283000, "SQ", [modality])]
    out = cleaned_by("research", file(image(*palette, *luts, *window)))
    assert out.RedPaletteColorLookupTableData == out.BluePaletteColorLookupTableData == table
    assert list(out.GreenPaletteColorLookupTableDescriptor) == [256, 0, 16]
    assert bytes(out.VOILUTSequence[0][0x00283006].value) == table
    assert (out.VOILUTSequence[0].LUTExplanation, out.ModalityLUTSequence[0].ModalityLUTType) == ("BONE", "HU")
    assert (list(out.WindowCenter), list(out.WindowWidth)) == ([40, 400], [80, 2000])
    assert list(out.WindowCenterWidthExplanation) == ["SOFT", "BONE"]


def test_what_converters_sort_by_stays_usable():
    out = cleaned_by("research", file(image(E(0x00200012, "IS", "4"))))
    assert (out.SeriesNumber, out.AcquisitionNumber, out.InstanceNumber) == (3, 4, 7)
    assert out.StudyID == hashlib.sha256(out.StudyInstanceUID.encode()).hexdigest()[:8]


@pytest.mark.parametrize("preset", names())
def test_a_preset_gives_the_same_bytes_again(preset):
    data = pet()
    first = whole(draft_by(preset, data))
    of_preset.cache_clear()
    assert whole(draft_by(preset, data)) == first
