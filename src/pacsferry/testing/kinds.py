"""One small synthetic object of each kind that clinics have most of, as valid as a table makes it; nothing real."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from pydicom import Dataset

from ._kind_tables import DATE, DX, ENHANCED_CT, MG, PET, SC, STRUCTURES, US
from ._multiframe import enhanced_mr
from ._parts import base, code, fill, geometry, meta, phantom_slice, pixels, private_block, sequences, uid
from ._tables import CT_IMAGE, MR_IMAGE

_IMAGE = "1.2.840.10008.5.1.4.1.1."


def _value(value: Any) -> Any:
    """Dictionaries become items, triples of text become codes, lists of them sequences."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping | tuple):
        return [_item(one) for one in value]
    return value


def _item(made_of: Mapping[str, Any] | tuple[str, str, str]) -> Dataset:
    if isinstance(made_of, tuple):
        return code(*made_of)
    item = code(*made_of[""]) if "" in made_of else Dataset()
    fill(item, {keyword: _value(value) for keyword, value in made_of.items() if keyword})
    return item


def _start(number: int, sop_class: str, modality: str, table: Mapping[str, Any] | None = None, **more: Any) -> Dataset:
    """Everything but pixels, of a series of its own in the one study of all kinds."""
    study = uid("kinds")
    series = uid(study, number)
    ds = base(
        _IMAGE + sop_class,
        modality,
        patient_id="QUAY-0007",
        patient_name="Lantern^Mabel",
        accession="ACC0007",
        study_uid=study,
        series_uid=series,
        instance_uid=uid(series, 1),
        date=DATE,
        study_description="One of each",
        series_description=modality,
        series_number=number,
        instance_number=1,
    )
    sequences(ds)
    private_block(ds)
    fill(ds, {keyword: _value(value) for keyword, value in {**(table or {}), **more}.items()})
    return ds


def _picture(ds: Dataset, *, eight: bool = False, stored: int = 12) -> Dataset:
    image = phantom_slice(32, 32, "ct", 0, "kinds")
    pixels(ds, image, stored=stored)
    if eight:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.add_new(0x7FE00010, "OB", np.clip(image / 16, 0, 255).astype("u1").tobytes())
    return meta(ds)


def _slice(number: int, sop_class: str, modality: str, table: Mapping[str, Any]) -> Dataset:
    ds = _start(number, sop_class, modality, table)
    geometry(ds, 0, 5.0, 32)
    return _picture(ds, stored=16 if modality == "PT" else 12)


def ct() -> Dataset:
    """CT (PS3.3 A.3)."""
    return _slice(1, "2", "CT", {**CT_IMAGE, "BodyPartExamined": "ABDOMEN"})


def mr() -> Dataset:
    """MR (PS3.3 A.4)."""
    return _slice(2, "4", "MR", {**MR_IMAGE, "BodyPartExamined": "HEAD"})


def pet() -> Dataset:
    """PET (PS3.3 A.21), with all that an SUV is computed from."""
    return _slice(3, "128", "PT", {**PET, "BodyPartExamined": "WHOLEBODY"})


def us() -> Dataset:
    """Ultrasound (PS3.3 A.6), with a calibrated region."""
    return _picture(_start(4, "6.1", "US", US), eight=True)


def mg() -> Dataset:
    """Digital mammography for presentation (PS3.3 A.27)."""
    return _picture(_start(5, "1.2", "MG", MG))


def dx() -> Dataset:
    """Digital X-ray for presentation (PS3.3 A.26)."""
    return _picture(_start(6, "1.1", "DX", DX))


def sc() -> Dataset:
    """Secondary capture (PS3.3 A.8)."""
    return _picture(_start(7, "7", "OT", SC), eight=True)


def rtstruct() -> Dataset:
    """RT Structure Set (PS3.3 A.19): one region of interest on one slice of ``ct``."""
    frame, image = uid(ct().SeriesInstanceUID, "frame of reference"), ct()
    there = {"ReferencedSOPClassUID": image.SOPClassUID, "ReferencedSOPInstanceUID": image.SOPInstanceUID}
    series = {"SeriesInstanceUID": image.SeriesInstanceUID, "ContourImageSequence": [there]}
    study = {
        "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1",
        "ReferencedSOPInstanceUID": image.StudyInstanceUID,
        "RTReferencedSeriesSequence": [series],
    }
    roi = {
        "ROINumber": 1,
        "ReferencedFrameOfReferenceUID": frame,
        "ROIName": "Bladder of Larry",
        "ROIDescription": "drawn by Larry",
        "ROIGenerationAlgorithm": "MANUAL",
    }
    contour = {
        "ContourImageSequence": [there],
        "ContourGeometricType": "CLOSED_PLANAR",
        "NumberOfContourPoints": 3,
        "ContourData": [0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 10.0, 10.0, 0.0],
    }
    drawn = {"ROIDisplayColor": [255, 0, 0], "ReferencedROINumber": 1, "ContourSequence": [contour]}
    seen = {
        "ObservationNumber": 1,
        "ReferencedROINumber": 1,
        "ROIObservationLabel": "bladder",
        "RTROIInterpretedType": "ORGAN",
        "ROIInterpreter": "Bowsprit^Runa",
    }
    ds = _start(
        8,
        "481.3",
        "RTSTRUCT",
        STRUCTURES,
        ReferencedFrameOfReferenceSequence=[{"FrameOfReferenceUID": frame, "RTReferencedStudySequence": [study]}],
        StructureSetROISequence=[roi],
        ROIContourSequence=[drawn],
        RTROIObservationsSequence=[seen],
        FrameOfReferenceUID=frame,
        PositionReferenceIndicator="",
    )
    return meta(ds)


def enhanced_ct() -> Dataset:
    """Enhanced CT (PS3.3 A.38) of two frames, with functional groups."""
    ds = _start(9, "2.1", "CT", ENHANCED_CT)
    organization, frame = uid("kinds", "dimensions"), uid("kinds", "enhanced frame")
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator, ds.NumberOfFrames = frame, "", 2
    pointer = {"DimensionIndexPointer": 0x00209057, "FunctionalGroupPointer": 0x00209111}
    fill(
        ds,
        {
            "DimensionOrganizationSequence": [_item({"DimensionOrganizationUID": organization})],
            "DimensionIndexSequence": [_item({"DimensionOrganizationUID": organization, **pointer})],
            "PerFrameFunctionalGroupsSequence": [_ct_frame(number) for number in (1, 2)],
        },
    )
    stack = np.stack([phantom_slice(32, 32, "ct", number, "kinds") for number in (1, 2)])
    pixels(ds, stack, stored=12)
    return meta(ds)


def _ct_frame(number: int) -> Dataset:
    moment = f"{DATE}10160{number}"
    return _item(
        {
            "FrameContentSequence": [
                {
                    "StackID": "1",
                    "InStackPositionNumber": number,
                    "DimensionIndexValues": [number],
                    "FrameAcquisitionDateTime": moment,
                    "FrameReferenceDateTime": moment,
                    "FrameAcquisitionDuration": 500.0,
                    "FrameLabel": f"slice {number}",
                }
            ],
            "PlanePositionSequence": [{"ImagePositionPatient": [-90.0, -90.0, float(number)]}],
            "CTPositionSequence": [
                {
                    "TablePosition": float(number),
                    "DataCollectionCenterPatient": [0.0, 0.0, float(number)],
                    "ReconstructionTargetCenterPatient": [0.0, 0.0, float(number)],
                }
            ],
        }
    )


def enhanced_mr_object() -> Dataset:
    """Enhanced MR (PS3.3 A.36) of three frames."""
    return enhanced_mr(
        frames=3,
        rows=16,
        columns=16,
        study_uid=uid("kinds"),
        seed="kinds",
        date=DATE,
        patient_id="QUAY-0007",
        patient_name="Lantern^Mabel",
        accession="ACC0007",
    )


def palette() -> Dataset:
    """Secondary capture in palette colour, with an ICC-free palette of 256 entries (PS3.3 C.7.9)."""
    ds = _start(10, "7", "OT", SC)
    _picture(ds, eight=True)
    ds.PhotometricInterpretation = "PALETTE COLOR"
    entries = struct.pack("<256H", *(number * 257 for number in range(256)))
    for tag in (0x00281101, 0x00281102, 0x00281103):
        ds.add_new(tag, "US", [256, 0, 16])
        ds.add_new(tag + 0x100, "OW", entries)
    return meta(ds)


#: Every kind by name.
KINDS: Final[Mapping[str, Callable[[], Dataset]]] = {
    "CT": ct,
    "MR": mr,
    "PET": pet,
    "US": us,
    "MG": mg,
    "DX": dx,
    "SC": sc,
    "palette": palette,
    "RTSTRUCT": rtstruct,
    "enhanced CT": enhanced_ct,
    "enhanced MR": enhanced_mr_object,
}
