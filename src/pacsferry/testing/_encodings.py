"""The same study in other encodings, and pydicom's own test files under new headers; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, ImplicitVRLittleEndian, RLELossless

from ._parts import meta, uid

#: A file that ships inside pydicom, by the transfer syntax of its pixel data.
PACKAGED: Final[Mapping[str, str]] = {
    "rle": "MR_small_RLE.dcm",
    "jpeg2000-lossless": "MR_small_jp2klossless.dcm",
    "jpeg2000": "693_J2KI.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-extended": "JPEG-lossy.dcm",
    "jpeg-baseline": "SC_rgb_jpeg_dcmtk.dcm",
    "jpeg-lossless": "SC_rgb_jpeg_gdcm.dcm",
    "ct": "CT_small.dcm",
    "mr": "MR_small.dcm",
    "big-endian": "MR_small_bigendian.dcm",
    "deflated": "image_dfl.dcm",
    "us": "examples_rgb_color.dcm",
    "us-multi-frame": "examples_ybr_color.dcm",
    "sr": "test-SR.dcm",
    "rt-struct": "rtstruct.dcm",
    "rt-plan": "rtplan.dcm",
    "rt-dose": "rtdose.dcm",
    "ecg": "waveform_ecg.dcm",
    "segmentation": "liver_1frame.dcm",
}


def implicit(study: Iterable[Dataset]) -> list[Dataset]:
    """The same study, to be written as Implicit VR Little Endian."""
    return [meta(deepcopy(ds), ImplicitVRLittleEndian) for ds in study]


def rle(study: Iterable[Dataset]) -> list[Dataset]:
    """The same study with its pixel data RLE Lossless (PS3.5 G), by pydicom's own encoder."""
    done = []
    for original in study:
        ds = deepcopy(original)
        ds.compress(RLELossless, generate_instance_uid=False)
        done.append(ds)
    return done


@lru_cache(maxsize=32)
def loaded(name: str) -> Dataset:
    path = get_testdata_file(PACKAGED.get(name, name), download=False)
    if not isinstance(path, str | Path):
        raise FileNotFoundError(f"pydicom does not ship {name!r}")
    ds = dcmread(path, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:  # an old file without the group that PS3.10 wants
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def packaged(name: str) -> Dataset:
    """A copy of a file that ships inside pydicom: a key of ``PACKAGED`` or its file name."""
    return deepcopy(loaded(name))


#: Image Pixel Module and what goes with it (PS3.3 C.7.6.3).
_PIXEL_MODULE: Final = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "RescaleIntercept", "RescaleSlope", "PixelData",
)  # fmt: skip


def transplant(ds: Dataset, source: Dataset) -> None:
    """Give ``ds`` the pixel module and the transfer syntax of ``source``."""
    for keyword in _PIXEL_MODULE:
        if keyword in source:
            ds[keyword] = deepcopy(source[keyword])
        elif keyword in ds:
            del ds[keyword]
    meta(ds, source.file_meta.TransferSyntaxUID)


def encapsulated(ds: Dataset, frames: Sequence[bytes], transfer_syntax: str = JPEG2000) -> Dataset:
    """A copy of ``ds`` with ``frames`` as its encapsulated pixel data; they need not decode."""
    ds = deepcopy(ds)
    ds.add_new(0x7FE00010, "OB", encapsulate(list(frames)))
    ds["PixelData"].is_undefined_length = True
    return meta(ds, transfer_syntax)


def reheaded(
    ds: Dataset, *, patient_id: str, patient_name: str, accession: str, study_uid: str | None = None, date: str = ""
) -> Dataset:
    """A copy of a foreign object as one of a fictitious patient, with new UIDs; for pydicom's own test files."""
    ds = deepcopy(ds)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientID, ds.PatientName, ds.AccessionNumber = patient_id, patient_name, accession
    original = (ds.get("StudyInstanceUID", ""), ds.get("SeriesInstanceUID", ""), ds.get("SOPInstanceUID", ""))
    ds.StudyInstanceUID = study_uid or uid("reheaded", patient_id, accession)
    ds.SeriesInstanceUID = uid(ds.StudyInstanceUID, *original[:2])
    ds.SOPInstanceUID = uid(ds.SeriesInstanceUID, *original)
    if date:
        ds.StudyDate = date
    return meta(ds, ds.file_meta.TransferSyntaxUID)


def two_patients(study: Iterable[Dataset], *, patient_id: str, patient_name: str) -> list[Dataset]:
    """The same study as an archive may hold it after a mix-up: every second object is of another patient."""
    mixed = [deepcopy(ds) for ds in study]
    for ds in mixed[1::2]:
        ds.PatientID, ds.PatientName = patient_id, patient_name
    return mixed
