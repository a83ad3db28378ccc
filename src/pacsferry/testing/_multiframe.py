"""A synthetic Enhanced MR object: one multi-frame image with functional groups (PS3.3 A.36.2, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydicom import Dataset

from ._parts import base, code, fill, meta, phantom_slice, pixels, uid

ENHANCED_MR: Final = "1.2.840.10008.5.1.4.1.1.4.1"

#: The Enhanced MR Image and MR Pulse Sequence Modules (PS3.3 C.8.13.1, C.8.13.4), those elements that are needed.
_IMAGE: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "T1", "NONE"],
    "PatientPosition": "HFS",
    "AcquisitionDuration": 184.0,
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
    "AcquisitionContrast": "T1",
    "ContentQualification": "PRODUCT",
    "ResonantNucleus": "1H",
    "KSpaceFiltering": "NONE",
    "MagneticFieldStrength": 1.5,
    "ApplicableSafetyStandardAgency": "IEC",
    "ApplicableSafetyStandardDescription": "60601-2-33",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
    "PositionReferenceIndicator": "",
    "AcquisitionContextSequence": [],
    "PulseSequenceName": "gre3d",
    "MRAcquisitionType": "3D",
    "EchoPulseSequence": "GRADIENT",
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "EchoPlanarPulseSequence": "NO",
    "SaturationRecovery": "NO",
    "SpectrallySelectedSuppression": "NONE",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "SegmentedKSpaceTraversal": "SINGLE",
    "CoverageOfKSpace": "FULL",
    "NumberOfKSpaceTrajectories": 1,
}

#: Functional groups that all frames share (PS3.3 table A.36-2): sequence keyword to its one item.
_SHARED: Final[Mapping[str, Mapping[str, Any]]] = {
    "PlaneOrientationSequence": {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]},
    "FrameAnatomySequence": {"FrameLaterality": "U"},
    "PixelValueTransformationSequence": {"RescaleIntercept": 0, "RescaleSlope": 1, "RescaleType": "US"},
    "FrameVOILUTSequence": {"WindowCenter": 600, "WindowWidth": 1200},
    "MRImageFrameTypeSequence": {
        "FrameType": ["ORIGINAL", "PRIMARY", "T1", "NONE"],
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "VolumeBasedCalculationTechnique": "NONE",
        "ComplexImageComponent": "MAGNITUDE",
        "AcquisitionContrast": "T1",
    },
    "MRTimingAndRelatedParametersSequence": {
        "RepetitionTime": 20,
        "FlipAngle": 25,
        "EchoTrainLength": 1,
        "RFEchoTrainLength": 0,
        "GradientEchoTrainLength": 1,
        "GradientOutputType": "DB_DT",
        "GradientOutput": 0.0,
        "SpecificAbsorptionRateSequence": [
            {"SpecificAbsorptionRateDefinition": "IEC_WHOLE_BODY", "SpecificAbsorptionRateValue": 0.2}
        ],
        "OperatingModeSequence": [{"OperatingModeType": "STATIC FIELD", "OperatingMode": "IEC_NORMAL"}],
    },
    "MREchoSequence": {"EffectiveEchoTime": 4.6},
    "MRModifierSequence": {
        "InversionRecovery": "NO",
        "FlowCompensation": "NONE",
        "Spoiling": "RF",
        "T2Preparation": "NO",
        "SpectrallySelectedExcitation": "NONE",
        "SpatialPresaturation": "NONE",
        "PartialFourier": "NO",
        "ParallelAcquisition": "NO",
    },
    "MRImagingModifierSequence": {
        "MagnetizationTransfer": "NONE",
        "BloodSignalNulling": "NO",
        "Tagging": "NONE",
        "TransmitterFrequency": 63.87,
        "PixelBandwidth": 150.0,
    },
    "MRReceiveCoilSequence": {
        "ReceiveCoilName": "Head_8",
        "ReceiveCoilManufacturerName": "Ferryworks",
        "ReceiveCoilType": "VOLUME",
        "QuadratureReceiveCoil": "NO",
    },
    "MRTransmitCoilSequence": {
        "TransmitCoilName": "Body",
        "TransmitCoilManufacturerName": "Ferryworks",
        "TransmitCoilType": "BODY",
    },
    "MRAveragesSequence": {"NumberOfAverages": 1.0},
    "MRFOVGeometrySequence": {
        "InPlanePhaseEncodingDirection": "ROW",
        "MRAcquisitionFrequencyEncodingSteps": 256,
        "MRAcquisitionPhaseEncodingStepsInPlane": 256,
        "MRAcquisitionPhaseEncodingStepsOutOfPlane": 12,
        "PercentSampling": 100.0,
        "PercentPhaseFieldOfView": 100.0,
    },
}


def enhanced_mr(
    *,
    frames: int,
    rows: int,
    columns: int,
    study_uid: str,
    seed: object,
    date: str,
    patient_id: str,
    patient_name: str,
    accession: str,
) -> Dataset:
    """The object; see ``samples.multi_frame``."""
    series_uid = uid(study_uid, "series", 1)
    ds = base(
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
    fill(ds, _IMAGE)
    ds.AcquisitionDateTime = f"{date}101602"
    ds.FrameOfReferenceUID = uid(series_uid, "frame of reference")
    ds.NumberOfFrames = frames
    _functional_groups(ds, frames, rows)
    stack = np.stack([phantom_slice(rows, columns, "mr", index, (seed, study_uid, index)) for index in range(frames)])
    pixels(ds, stack, stored=12)
    return meta(ds)


def _item(table: Mapping[str, Any]) -> Dataset:
    """A sequence item; a list of tables in it is a sequence again."""
    item = Dataset()
    fill(item, {keyword: _nested(value) for keyword, value in table.items()})
    return item


def _nested(value: Any) -> Any:
    many = value if isinstance(value, list) else [value]
    return [_item(one) for one in many] if isinstance(many[0], Mapping) else value


def _functional_groups(ds: Dataset, frames: int, rows: int) -> None:
    shared = _item({keyword: [table] for keyword, table in _SHARED.items()})
    shared.PixelMeasuresSequence = [_item({"SliceThickness": 1.0, "PixelSpacing": [round(256 / rows, 6)] * 2})]
    shared.FrameAnatomySequence[0].AnatomicRegionSequence = [code("69536005", "SCT", "Head")]
    dimensions = uid(ds.SeriesInstanceUID, "dimensions")
    index = {"DimensionIndexPointer": 0x00209057, "FunctionalGroupPointer": 0x00209111}
    ds.DimensionOrganizationSequence = [_item({"DimensionOrganizationUID": dimensions})]
    ds.DimensionIndexSequence = [_item({"DimensionOrganizationUID": dimensions, **index})]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [_frame(ds, number) for number in range(frames)]


def _frame(ds: Dataset, number: int) -> Dataset:
    moment = f"{ds.StudyDate}1016{number % 60:02d}"
    content = {
        "StackID": "1",
        "InStackPositionNumber": number + 1,
        "DimensionIndexValues": [number + 1],
        "FrameAcquisitionDateTime": moment,
        "FrameReferenceDateTime": moment,
        "FrameAcquisitionDuration": 15.0,
    }
    position = {"ImagePositionPatient": [-128.0, -128.0, float(number)]}
    return _item({"FrameContentSequence": [_item(content)], "PlanePositionSequence": [_item(position)]})
