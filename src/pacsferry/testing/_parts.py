"""The pieces that synthetic studies are made of: UIDs, modules, private blocks, phantom pixels, file meta."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ._tables import ELLIPSES, EQUIPMENT, PATIENT, STUDY

#: Root of the UIDs made here: pydicom's, whose holder lets anybody use it for tests.
ROOT: Final = "1.2.826.0.1.3680043.8.498."


def uid(*parts: object) -> str:
    """A valid UID that depends on ``parts`` only."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return ROOT + str(int.from_bytes(digest[:15], "big"))


def part10(ds: Dataset, transfer_syntax: str | None = None) -> bytes:
    """The PS3.10 file of ``ds``, with its own syntax or another uncompressed one (pixel data are not recoded)."""
    ds = deepcopy(ds) if transfer_syntax else ds
    if transfer_syntax:
        ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def fill(ds: Dataset, *tables: Mapping[str, Any]) -> None:
    for table in tables:
        for keyword, value in table.items():
            setattr(ds, keyword, value)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def sequences(ds: Dataset) -> None:
    """Identifiers at depth: other ids, the order behind the procedure, an issuer, references to another image."""
    other, request, issuer, image = Dataset(), Dataset(), Dataset(), Dataset()
    other.PatientID, other.TypeOfPatientID = f"OLD-{ds.PatientID}", "TEXT"
    issuer.LocalNamespaceEntityID = "QUAYSIDE-RIS"
    request.AccessionNumber = ds.AccessionNumber
    request.RequestedProcedureID = "RP-88123"
    request.RequestedProcedureDescription = "CT Abdomen"
    request.ScheduledProcedureStepID = "SPS-2210"
    request.ScheduledProcedureStepDescription = "Abdomen"
    image.ReferencedSOPClassUID = ds.SOPClassUID
    image.ReferencedSOPInstanceUID = uid(ds.StudyInstanceUID, "localizer")
    ds.OtherPatientIDsSequence = [other]
    ds.IssuerOfAccessionNumberSequence = [issuer]
    ds.RequestAttributesSequence = [request]
    ds.ReferencedImageSequence = [image]
    ds.ProcedureCodeSequence = [code("P5-08000", "SRT", "CT of abdomen")]


def private_block(ds: Dataset) -> None:
    """A private block with text, a number, a blob, and a sequence whose item names the patient."""
    block = ds.private_block(0x0029, "FERRYWORKS SCOW 64", create=True)
    item = Dataset()
    item.PatientName = ds.PatientName
    item.add_new(0x00290010, "LO", "FERRYWORKS SCOW 64")
    item.add_new(0x00291001, "LO", f"copy of {ds.PatientID}")
    block.add_new(0x01, "LO", f"raw {ds.PatientID}")
    block.add_new(0x02, "DS", "1.25")
    block.add_new(0x03, "OB", f"{ds.PatientName}".encode().ljust(64, b"\0"))
    block.add_new(0x04, "SQ", [item])


def meta(ds: Dataset, syntax: str = str(ExplicitVRLittleEndian)) -> Dataset:
    """(Re)make the file meta group for ``ds``."""
    group = FileMetaDataset()
    group.FileMetaInformationVersion = b"\0\1"
    group.MediaStorageSOPClassUID = ds.SOPClassUID
    group.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    group.TransferSyntaxUID = UID(syntax)
    group.ImplementationClassUID = UID(uid("implementation"))
    group.ImplementationVersionName = "FERRY_SAMPLES"
    group.SourceApplicationEntityTitle = "BRINECT01"
    ds.file_meta = group
    return ds


def pixels(ds: Dataset, frames: npt.NDArray[Any], *, stored: int, signed: bool = False) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = frames.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, stored, stored - 1
    ds.PixelRepresentation = int(signed)
    ds.add_new(0x7FE00010, "OW", frames.astype("<i2" if signed else "<u2").tobytes())


@lru_cache(maxsize=8)
def _phantom(rows: int, columns: int, kind: str) -> npt.NDArray[Any]:
    """A body with organs (ct, as HU + 1024) or a head with ventricles (mr), as a float image."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = np.zeros((rows, columns))
    for value, cx, cy, a, b in ELLIPSES[kind]:
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1] = value
    return image


def phantom_slice(rows: int, columns: int, kind: str, index: int, seed: object) -> npt.NDArray[Any]:
    """One slice: the phantom, a lesion that wanders through the stack, and noise that depends on ``seed``."""
    image = _phantom(rows, columns, kind).copy()
    size = max(2, rows // 24)
    top = rows // 3 + (index * 5) % max(1, rows // 4)
    image[top : top + size, columns // 3 : columns // 3 + size] += 120
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}".encode()).digest()[:8], "big"))
    noise = rng.integers(-18, 19, size=image.shape, dtype=np.int16)
    clipped: npt.NDArray[Any] = np.clip(image + noise, 0, 4095)
    return clipped


def base(  # one argument per thing that tells studies apart
    sop_class: str,
    modality: str,
    *,
    patient_id: str,
    patient_name: str,
    accession: str,
    study_uid: str,
    series_uid: str,
    instance_uid: str,
    date: str,
    study_description: str,
    series_description: str,
    series_number: int,
    instance_number: int,
) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = UID(sop_class), UID(instance_uid)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
    ds.PatientID, ds.PatientName, ds.AccessionNumber = patient_id, patient_name, accession
    fill(ds, PATIENT, STUDY, EQUIPMENT)
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = ds.AcquisitionDate = ds.InstanceCreationDate = date
    ds.PerformedProcedureStepStartDate = date
    ds.SeriesTime = ds.AcquisitionTime = "101602.100000"
    ds.ContentTime = ds.InstanceCreationTime = f"1017{instance_number % 60:02d}"
    ds.Modality, ds.StudyDescription, ds.SeriesDescription = modality, study_description, series_description
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = series_number, instance_number, 1
    ds.OperatorsName = "Mizzen^Tora"
    ds.PerformingPhysicianName = "Bowsprit^Runa"
    ds.ProtocolName = study_description
    return ds


def geometry(ds: Dataset, index: int, spacing: float, rows: int) -> None:
    ds.FrameOfReferenceUID = uid(ds.SeriesInstanceUID, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.ImagePositionPatient = [-180.0, -180.0, round(index * spacing, 3)]
    ds.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ds.PixelSpacing = [round(360.0 / rows, 6)] * 2
    ds.SliceLocation = round(index * spacing, 3)
