"""Synthetic studies with fictitious patients, the same for the same arguments; nothing real and nothing downloaded.

Every study is a list of ``pydicom.Dataset`` with file meta, ready for the simulator, for ``part10`` or for a de-identifier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

#: Root of the UIDs made here: pydicom's, whose holder lets anybody use it for tests.
ROOT: Final = "1.2.826.0.1.3680043.8.498."

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

CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"


def uid(*parts: object) -> str:
    """A valid UID that depends on ``parts`` only."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return ROOT + str(int.from_bytes(digest[:15], "big"))


# --- patients and studies -----------------------------------------------------------------------------------------

_PATIENT: Final[Mapping[str, Any]] = {
    "IssuerOfPatientID": "QUAYSIDE",
    "PatientBirthDate": "19480302",
    "PatientSex": "F",
    "PatientAge": "076Y",
    "PatientSize": 1.66,
    "PatientWeight": 61.0,
    "PatientAddress": "7 Lobster Lane, Brinehaven",
    "PatientTelephoneNumbers": "+00 555 0147221",
    "OtherPatientIDs": "BRINE-99871",
    "PatientMotherBirthName": "Sandpiper",
    "EthnicGroup": "Selkie",
    "Occupation": "Lamp keeper",
    "PatientComments": "Prefers to be called Pearl",
    "PatientState": "walks with a stick",
    "AdditionalPatientHistory": "Fall from the harbour wall",
}

_STUDY: Final[Mapping[str, Any]] = {
    "StudyTime": "101530.250000",
    "ReferringPhysicianName": "Halyard^Ingmar",
    "PhysiciansOfRecord": "Capstan^Oda",
    "NameOfPhysiciansReadingStudy": "Bowsprit^Runa",
    "StudyID": "4711",
    "AdmissionID": "ADM-771-12",
    "RequestedProcedureDescription": "CT Abdomen",
    "RequestingPhysician": "Halyard^Ingmar",
    "RequestingService": "Tidal Medicine",
    "CurrentPatientLocation": "Ward Pontoon 3",
    "PerformedProcedureStepID": "PPS-20931",
    "PerformedProcedureStepStartTime": "101500",
    "PerformedProcedureStepDescription": "Abdomen native",
    "TimezoneOffsetFromUTC": "+0100",
}

_EQUIPMENT: Final[Mapping[str, Any]] = {
    "Manufacturer": "Ferryworks",
    "InstitutionName": "Brinehaven General Infirmary",
    "InstitutionAddress": "1 Pier Road, Brinehaven",
    "StationName": "BRINECT01",
    "InstitutionalDepartmentName": "Radiology",
    "ManufacturerModelName": "Scow 64",
    "DeviceSerialNumber": "FW-000417",
    "SoftwareVersions": "3.1.4",
    "SpatialResolution": 0.6,
    "DateOfLastCalibration": "20240501",
    "TimeOfLastCalibration": "070000",
}

_CT_IMAGE: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ScanOptions": "HELICAL MODE",
    "KVP": 120,
    "DataCollectionDiameter": 500,
    "ReconstructionDiameter": 360,
    "DistanceSourceToDetector": 1099.3,
    "DistanceSourceToPatient": 630.0,
    "GantryDetectorTilt": 0,
    "TableHeight": 152.5,
    "RotationDirection": "CW",
    "ExposureTime": 600,
    "XRayTubeCurrent": 210,
    "Exposure": 126,
    "FilterType": "BODY FILTER",
    "GeneratorPower": 25,
    "FocalSpots": 0.7,
    "ConvolutionKernel": "STANDARD",
    "PatientPosition": "FFS",
    "RevolutionTime": 0.6,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 91.67,
    "TableFeedPerRotation": 55.0,
    "SpiralPitchFactor": 1.375,
    "CTDIvol": 8.1,
    "ContrastBolusAgent": "Iodinated 350",
    "ContrastBolusRoute": "IV",
    "ContrastBolusVolume": 90,
    "RescaleIntercept": -1024,
    "RescaleSlope": 1,
    "RescaleType": "HU",
    "WindowCenter": [40, -500],
    "WindowWidth": [400, 1500],
    "WindowCenterWidthExplanation": ["SOFT", "LUNG"],
    "SliceThickness": 5.0,
}

_MR_IMAGE: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"],
    "ScanningSequence": "SE",
    "SequenceVariant": "SK",
    "ScanOptions": "PFP",
    "MRAcquisitionType": "2D",
    "SequenceName": "se2d1",
    "SliceThickness": 4.0,
    "RepetitionTime": 520,
    "EchoTime": 11,
    "NumberOfAverages": 2,
    "ImagingFrequency": 63.87,
    "ImagedNucleus": "1H",
    "EchoNumbers": 1,
    "MagneticFieldStrength": 1.5,
    "SpacingBetweenSlices": 4.4,
    "NumberOfPhaseEncodingSteps": 256,
    "EchoTrainLength": 1,
    "PercentSampling": 100,
    "PercentPhaseFieldOfView": 100,
    "PixelBandwidth": 150,
    "TransmitCoilName": "Body",
    "ReceiveCoilName": "Head_8",
    "InPlanePhaseEncodingDirection": "ROW",
    "FlipAngle": 90,
    "SAR": 0.21,
    "PatientPosition": "HFS",
    "WindowCenter": 600,
    "WindowWidth": 1200,
}


def _fill(ds: Dataset, *tables: Mapping[str, Any]) -> None:
    for table in tables:
        for keyword, value in table.items():
            setattr(ds, keyword, value)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _sequences(ds: Dataset) -> None:
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
    ds.ProcedureCodeSequence = [_code("P5-08000", "SRT", "CT of abdomen")]


def _private(ds: Dataset) -> None:
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


def _meta(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """(Re)make the file meta group for ``ds``."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "FERRY_SAMPLES"
    meta.SourceApplicationEntityTitle = "BRINECT01"
    ds.file_meta = meta
    return ds


def _pixels(ds: Dataset, frames: np.ndarray[Any, Any], *, stored: int, signed: bool = False) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = frames.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, stored, stored - 1
    ds.PixelRepresentation = int(signed)
    ds.add_new(0x7FE00010, "OW", frames.astype("<i2" if signed else "<u2").tobytes())


@lru_cache(maxsize=8)
def _phantom(rows: int, columns: int, kind: str) -> np.ndarray[Any, Any]:
    """A body with organs (ct, as HU + 1024) or a head with ventricles (mr), as a float image."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = np.zeros((rows, columns))
    for value, cx, cy, a, b in _ELLIPSES[kind]:
        image[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1] = value
    return image


#: value, centre (x, y), half axes; later ones cover earlier ones
_ELLIPSES: Final[Mapping[str, Sequence[tuple[float, float, float, float, float]]]] = {
    "ct": (
        (930, 0, 0, 0.86, 0.64),
        (1070, 0, 0, 0.80, 0.58),
        (1125, -0.34, -0.10, 0.38, 0.32),
        (1090, 0.42, -0.16, 0.22, 0.24),
        (1180, -0.40, 0.26, 0.12, 0.14),
        (1180, 0.40, 0.26, 0.12, 0.14),
        (1600, 0, 0.36, 0.12, 0.12),
        (1044, 0, 0.40, 0.04, 0.04),
        (1230, 0, 0.16, 0.06, 0.06),
        (40, 0.20, -0.34, 0.12, 0.06),
    ),
    "mr": (
        (820, 0, 0, 0.66, 0.84),
        (90, 0, 0, 0.60, 0.78),
        (560, 0, 0, 0.56, 0.74),
        (640, -0.26, 0.05, 0.20, 0.46),
        (640, 0.26, 0.05, 0.20, 0.46),
        (180, -0.10, -0.08, 0.07, 0.24),
        (180, 0.10, -0.08, 0.07, 0.24),
        (900, 0.22, 0.30, 0.07, 0.06),
    ),
}


def _slice(rows: int, columns: int, kind: str, index: int, seed: object) -> np.ndarray[Any, Any]:
    """One slice: the phantom, a lesion that wanders through the stack, and noise that depends on ``seed``."""
    image = _phantom(rows, columns, kind).copy()
    size = max(2, rows // 24)
    top = rows // 3 + (index * 5) % max(1, rows // 4)
    image[top : top + size, columns // 3 : columns // 3 + size] += 120
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}".encode()).digest()[:8], "big"))
    noise = rng.integers(-18, 19, size=image.shape, dtype=np.int16)
    return np.clip(image + noise, 0, 4095)


def _base(  # one argument per thing that tells studies apart
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
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, instance_uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
    ds.PatientID, ds.PatientName, ds.AccessionNumber = patient_id, patient_name, accession
    _fill(ds, _PATIENT, _STUDY, _EQUIPMENT)
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


def _geometry(ds: Dataset, index: int, spacing: float, rows: int) -> None:
    ds.FrameOfReferenceUID = uid(ds.SeriesInstanceUID, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.ImagePositionPatient = [-180.0, -180.0, round(index * spacing, 3)]
    ds.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ds.PixelSpacing = [round(360.0 / rows, 6)] * 2
    ds.SliceLocation = round(index * spacing, 3)


def ct_study(
    *,
    slices: int = 10,
    rows: int = 512,
    columns: int = 512,
    series: int = 1,
    patient_id: str = "QUAY-0001",
    patient_name: str = "Quayside^Pearl^Anemone",
    accession: str = "ACC0001",
    study_uid: str | None = None,
    seed: object = 0,
    date: str = "20240517",
    study_description: str = "CT Abdomen",
    private: bool = True,
) -> list[Dataset]:
    """A CT study of ``series`` x ``slices`` axial images (12 bit in 16, about 2 x rows x columns bytes each).

    Each has some 140 elements (the CT Image IOD, PS3.3 A.3), sequences, and a private block unless told otherwise.
    """
    return list(
        _stack(
            CT,
            "CT",
            _CT_IMAGE,
            slices=slices,
            rows=rows,
            columns=columns,
            series=series,
            names=("native", "arterial", "venous", "late"),
            private=private,
            seed=seed,
            patient_id=patient_id,
            patient_name=patient_name,
            accession=accession,
            study_uid=study_uid or uid("ct study", patient_id, accession, seed),
            date=date,
            study_description=study_description,
        )
    )


def mr_study(
    *,
    slices: int = 8,
    rows: int = 256,
    columns: int = 256,
    series: int = 2,
    patient_id: str = "QUAY-0002",
    patient_name: str = "Driftwood^Bo",
    accession: str = "ACC0002",
    study_uid: str | None = None,
    seed: object = 0,
    date: str = "20240603",
    study_description: str = "MR Head",
    private: bool = True,
) -> list[Dataset]:
    """An MR study of ``series`` x ``slices`` images (the MR Image IOD, PS3.3 A.4)."""
    return list(
        _stack(
            MR,
            "MR",
            _MR_IMAGE,
            slices=slices,
            rows=rows,
            columns=columns,
            series=series,
            names=("T1 SE", "T2 TSE", "FLAIR", "DWI"),
            private=private,
            seed=seed,
            patient_id=patient_id,
            patient_name=patient_name,
            accession=accession,
            study_uid=study_uid or uid("mr study", patient_id, accession, seed),
            date=date,
            study_description=study_description,
        )
    )


def _stack(  # the one loop behind CT and MR
    sop_class: str,
    modality: str,
    table: Mapping[str, Any],
    *,
    slices: int,
    rows: int,
    columns: int,
    series: int,
    names: Sequence[str],
    private: bool,
    seed: object,
    study_uid: str,
    **about: str,
) -> Iterator[Dataset]:
    for number in range(1, series + 1):
        series_uid = uid(study_uid, "series", number)
        for index in range(slices):
            ds = _base(
                sop_class,
                modality,
                study_uid=study_uid,
                series_uid=series_uid,
                instance_uid=uid(series_uid, "instance", index + 1),
                series_description=names[(number - 1) % len(names)],
                series_number=number,
                instance_number=index + 1,
                patient_id=about["patient_id"],
                patient_name=about["patient_name"],
                accession=about["accession"],
                date=about["date"],
                study_description=about["study_description"],
            )
            _fill(ds, table)
            _geometry(ds, index, float(table["SliceThickness"]), rows)
            ds.BodyPartExamined = "ABDOMEN" if modality == "CT" else "HEAD"
            _sequences(ds)
            if private:
                _private(ds)
            _pixels(
                ds,
                _slice(rows, columns, modality.lower(), index, (seed, study_uid, number, index)),
                stored=12,
            )
            yield _meta(ds)


# --- other kinds --------------------------------------------------------------------------------------------------


def _like(study: Sequence[Dataset], sop_class: str, modality: str, *, number: int, description: str) -> Dataset:
    """A new object of another series in the study of ``study[0]``."""
    first = study[0]
    series_uid = uid(first.StudyInstanceUID, "series", number)
    return _base(
        sop_class,
        modality,
        patient_id=first.PatientID,
        patient_name=str(first.PatientName),
        accession=first.AccessionNumber,
        study_uid=first.StudyInstanceUID,
        series_uid=series_uid,
        instance_uid=uid(series_uid, "instance", 1),
        date=first.StudyDate,
        study_description=first.StudyDescription,
        series_description=description,
        series_number=number,
        instance_number=1,
    )


def secondary_capture(study: Sequence[Dataset], *, number: int = 99) -> Dataset:
    """A screenshot in the study of ``study[0]``, with bright bars where a name would be burned in."""
    ds = _like(study, SECONDARY_CAPTURE, "OT", number=number, description="Screen save")
    ds.ConversionType, ds.ImageType = "WSD", ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation, ds.PatientOrientation, ds.Laterality = "YES", "", ""
    image = _phantom(256, 256, "ct") / 16
    image[8:20, 8:120] = 255
    _pixels(ds, image, stored=8)
    ds.BitsAllocated = 8
    ds.add_new(0x7FE00010, "OB", np.clip(image, 0, 255).astype("u1").tobytes())
    return _meta(ds)


def report(study: Sequence[Dataset], *, number: int = 90) -> Dataset:
    """A Basic Text SR in the study of ``study[0]`` that names the patient in its text (PS3.3 A.35.1)."""
    ds = _like(study, BASIC_TEXT_SR, "SR", number=number, description="Report")
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    finding = Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "TEXT"
    finding.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
    finding.TextValue = f"{ds.PatientName.given_name} {ds.PatientName.family_name} shows no acute findings."
    ds.ContentSequence = [finding]
    ds.PerformedProcedureCodeSequence = []
    ds.ReferencedPerformedProcedureStepSequence = []
    return _meta(ds)


def multi_frame(
    *,
    frames: int = 12,
    rows: int = 128,
    columns: int = 128,
    patient_id: str = "QUAY-0003",
    patient_name: str = "Shingle^Otto",
    accession: str = "ACC0003",
    study_uid: str | None = None,
    seed: object = 0,
    date: str = "20240611",
) -> list[Dataset]:
    """An Enhanced MR study of one multi-frame object with functional groups (PS3.3 A.36.2, C.7.6.16)."""
    study_uid = study_uid or uid("enhanced study", patient_id, accession, seed)
    series_uid = uid(study_uid, "series", 1)
    ds = _base(
        ENHANCED_MR,
        "MR",
        patient_id=patient_id,
        patient_name=patient_name,
        accession=accession,
        study_uid=study_uid,
        series_uid=series_uid,
        instance_uid=uid(series_uid, "instance", 1),
        date=date,
        study_description="MR Head",
        series_description="3D T1 enhanced",
        series_number=1,
        instance_number=1,
    )
    ds.ImageType, ds.PatientPosition = ["ORIGINAL", "PRIMARY", "T1", "NONE"], "HFS"
    ds.AcquisitionDateTime, ds.AcquisitionDuration = f"{date}101602", 184.0
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.ComplexImageComponent, ds.AcquisitionContrast, ds.ContentQualification = "MAGNITUDE", "T1", "PRODUCT"
    ds.ResonantNucleus, ds.KSpaceFiltering, ds.MagneticFieldStrength = "1H", "NONE", 1.5
    ds.ApplicableSafetyStandardAgency, ds.ApplicableSafetyStandardDescription = "IEC", "60601-2-33"
    ds.BurnedInAnnotation, ds.LossyImageCompression, ds.PresentationLUTShape = "NO", "00", "IDENTITY"
    ds.FrameOfReferenceUID = uid(series_uid, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.AcquisitionContextSequence = []
    ds.NumberOfFrames = frames
    _functional_groups(ds, frames, rows)
    stack = np.stack([_slice(rows, columns, "mr", index, (seed, study_uid, index)) for index in range(frames)])
    _pixels(ds, stack, stored=12)
    return [_meta(ds)]


def _functional_groups(ds: Dataset, frames: int, rows: int) -> None:
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.SliceThickness, measures.PixelSpacing = 1.0, [round(256 / rows, 6)] * 2
    orientation.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    organization, index = Dataset(), Dataset()
    organization.DimensionOrganizationUID = uid(ds.SeriesInstanceUID, "dimensions")
    index.DimensionOrganizationUID = organization.DimensionOrganizationUID
    index.DimensionIndexPointer, index.FunctionalGroupPointer = 0x00209057, 0x00209111
    ds.DimensionOrganizationSequence, ds.DimensionIndexSequence = [organization], [index]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_frame(ds, number) for number in range(frames)]


def _frame(ds: Dataset, number: int) -> Dataset:
    item, content, position = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number + 1, [number + 1]
    content.FrameAcquisitionDateTime = f"{ds.StudyDate}1016{number % 60:02d}"
    content.FrameReferenceDateTime, content.FrameAcquisitionDuration = content.FrameAcquisitionDateTime, 15.0
    position.ImagePositionPatient = [-128.0, -128.0, float(number)]
    item.FrameContentSequence, item.PlanePositionSequence = [content], [position]
    return item


# --- encodings ----------------------------------------------------------------------------------------------------


def part10(ds: Dataset, transfer_syntax: str | None = None) -> bytes:
    """The PS3.10 file of ``ds``, with its own syntax or another uncompressed one (pixel data are not recoded)."""
    ds = deepcopy(ds) if transfer_syntax else ds
    if transfer_syntax:
        ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def implicit(study: Iterable[Dataset]) -> list[Dataset]:
    """The same study, to be written as Implicit VR Little Endian."""
    return [_meta(deepcopy(ds), ImplicitVRLittleEndian) for ds in study]


def rle(study: Iterable[Dataset]) -> list[Dataset]:
    """The same study with its pixel data RLE Lossless (PS3.5 G), by pydicom's own encoder."""
    done = []
    for original in study:
        ds = deepcopy(original)
        ds.compress(RLELossless, generate_instance_uid=False)
        done.append(ds)
    return done


@lru_cache(maxsize=32)
def _packaged(name: str) -> Dataset:
    path = get_testdata_file(PACKAGED.get(name, name), download=False)
    if not isinstance(path, str | Path):
        raise FileNotFoundError(f"pydicom does not ship {name!r}")
    return dcmread(path)


def packaged(name: str) -> Dataset:
    """A copy of a file that ships inside pydicom: a key of ``PACKAGED`` or its file name."""
    return deepcopy(_packaged(name))


def compressed_study(
    kind: str = "jpeg2000-lossless",
    *,
    slices: int = 3,
    patient_id: str = "QUAY-0004",
    patient_name: str = "Kelp^Marina",
    accession: str = "ACC0004",
    study_uid: str | None = None,
    seed: object = 0,
) -> list[Dataset]:
    """An MR or CT study whose pixel data are those of one of pydicom's files, as they are, under new headers.

    ``kind`` is a key of ``PACKAGED``: rle, jpeg2000, jpeg2000-lossless, jpeg-ls, jpeg-extended, jpeg-baseline,
    jpeg-lossless, us, us-multi-frame ... Each slice carries the same pixels. Colour images become Secondary Capture.
    """
    pixels = _packaged(kind)
    grey = int(pixels.SamplesPerPixel) == 1
    modality = "CT" if pixels.SOPClassUID == CT else "MR"
    make = ct_study if modality == "CT" else mr_study
    study = make(
        slices=slices,
        rows=8,
        columns=8,
        series=1,
        patient_id=patient_id,
        patient_name=patient_name,
        accession=accession,
        study_uid=study_uid or uid("compressed study", kind, patient_id, accession, seed),
        seed=seed,
    )
    for ds in study:
        if not grey:
            ds.SOPClassUID, ds.Modality, ds.ConversionType = SECONDARY_CAPTURE, "OT", "WSD"
            ds.PatientOrientation, ds.Laterality = "", ""
        _transplant(ds, pixels)
    return study


#: Image Pixel Module and what goes with it (PS3.3 C.7.6.3).
_PIXEL_MODULE: Final = ["SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod", "RescaleIntercept", "RescaleSlope", "PixelData"]


def _transplant(ds: Dataset, pixels: Dataset) -> None:
    """Give ``ds`` the pixel module and the transfer syntax of ``pixels``."""
    for keyword in _PIXEL_MODULE:
        if keyword in pixels:
            ds[keyword] = deepcopy(pixels[keyword])
        elif keyword in ds:
            del ds[keyword]
    _meta(ds, pixels.file_meta.TransferSyntaxUID)


def encapsulated(ds: Dataset, frames: Sequence[bytes], transfer_syntax: str = JPEG2000) -> Dataset:
    """A copy of ``ds`` with ``frames`` as its encapsulated pixel data; they need not decode."""
    ds = deepcopy(ds)
    ds.add_new(0x7FE00010, "OB", encapsulate(list(frames)))
    ds["PixelData"].is_undefined_length = True
    return _meta(ds, transfer_syntax)


# --- sets ---------------------------------------------------------------------------------------------------------


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
    return _meta(ds, ds.file_meta.TransferSyntaxUID)


def demo_studies() -> list[Dataset]:
    """The studies of ``pacsferry demo``: what loads, and a report and a screenshot that will be held.

    ======== ============================================= =========
    ACC0001  CT of two series, 24 slices each              QUAY-0001
    ACC0002  MR of two series, with a report               QUAY-0002
    ACC0003  Enhanced multi-frame MR                       QUAY-0003
    ACC0004  MR in JPEG 2000 Lossless                      QUAY-0004
    ACC0005  CT in RLE Lossless, with a screenshot         QUAY-0001
    ACC0006  pydicom's CT_small                            QUAY-0005
    ACC0007  pydicom's MR_small, JPEG-LS and RLE           QUAY-0006
    ======== ============================================= =========
    """
    first = ct_study(slices=24, rows=256, columns=256, series=2)
    head = mr_study(slices=12)
    follow_up = rle(
        ct_study(slices=6, rows=256, columns=256, accession="ACC0005", date="20240829", seed=5, private=False)
    )
    small = reheaded(
        packaged("ct"), patient_id="QUAY-0005", patient_name="Cormorant^Nils", accession="ACC0006", date="20240702"
    )
    shapes = [
        reheaded(
            packaged(kind), patient_id="QUAY-0006", patient_name="Plover^Ada", accession="ACC0007", date="20240719"
        )
        for kind in ("jpeg-ls", "rle")
    ]
    for number, ds in enumerate(shapes, 1):
        ds.SeriesInstanceUID = uid(ds.StudyInstanceUID, "series", number)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid(ds.SeriesInstanceUID, 1)
        ds.SeriesNumber = number
    return [
        *first,
        *head,
        report(head),
        *multi_frame(),
        *compressed_study("jpeg2000-lossless", slices=4),
        *follow_up,
        secondary_capture(follow_up),
        small,
        *shapes,
    ]
