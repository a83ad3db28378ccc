"""What is in the objects of ``kinds``, by kind: attributes beside those that every image of the samples has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ._parts import uid

DATE: Final = "20240517"

PET: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "SeriesType": ["WHOLE BODY", "IMAGE"],
    "Units": "BQML",
    "CountsSource": "EMISSION",
    "NumberOfSlices": 1,
    "CorrectedImage": ["NORM", "DTIM", "ATTN", "SCAT", "DECY"],
    "RandomsCorrectionMethod": "DLYD",
    "AttenuationCorrectionMethod": "CT-derived mu map",
    "ScatterCorrectionMethod": "Model based",
    "DecayCorrection": "START",
    "ReconstructionMethod": "OSEM3D 4i8s",
    "CollimatorType": "NONE",
    "FrameReferenceTime": 1200.0,
    "ActualFrameDuration": 120000,
    "DecayFactor": 1.02,
    "ImageIndex": 1,
    "LossyImageCompression": "00",
    "RescaleIntercept": 0,
    "RescaleSlope": 1.5,
    "SliceThickness": 3.0,
    "EnergyWindowRangeSequence": [{"EnergyWindowLowerLimit": 435, "EnergyWindowUpperLimit": 650}],
    "PatientOrientationCodeSequence": [("102538003", "SCT", "recumbent")],
    "PatientGantryRelationshipCodeSequence": [("102540008", "SCT", "headfirst")],
    "RadiopharmaceuticalInformationSequence": [
        {
            "Radiopharmaceutical": "Fluorodeoxyglucose F^18^",
            "RadiopharmaceuticalStartTime": "091500",
            "RadiopharmaceuticalStartDateTime": f"{DATE}091500",
            "RadionuclideTotalDose": 254000000.0,
            "RadionuclideHalfLife": 6586.2,
            "RadionuclidePositronFraction": 0.967,
            "RadionuclideCodeSequence": [("77004003", "SCT", "^18^Fluorine")],
            "RadiopharmaceuticalCodeSequence": [("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
        }
    ],
}
_PROJECTION: Final[Mapping[str, Any]] = {
    "BurnedInAnnotation": "NO",
    "PresentationIntentType": "FOR PRESENTATION",
    "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1,
    "RescaleIntercept": 0,
    "RescaleSlope": 1,
    "RescaleType": "US",
    "PresentationLUTShape": "IDENTITY",
    "LossyImageCompression": "00",
    "WindowCenter": 2048,
    "WindowWidth": 4096,
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": [0.1, 0.1],
    "DetectorType": "DIRECT",
    "DetectorID": "DET-88-17",
    "DetectorDescription": "flat panel in room 3",
    "DetectorConfiguration": "AREA",
    "DateOfLastDetectorCalibration": "20240501",
    "TimeOfLastDetectorCalibration": "070000",
    "AcquisitionContextSequence": [],
    "KVP": 70,
    "ExposureInuAs": 2400,
}
MG: Final[Mapping[str, Any]] = {
    **_PROJECTION,
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
    "BodyPartExamined": "BREAST",
    "ImageLaterality": "R",
    "PositionerType": "MAMMOGRAPHIC",
    "OrganExposed": "BREAST",
    "BreastImplantPresent": "NO",
    "PartialView": "NO",
    "ViewCodeSequence": [{"": ("399368009", "SCT", "medio-lateral oblique"), "ViewModifierCodeSequence": []}],
    "AnatomicRegionSequence": [("76752008", "SCT", "Breast")],
}
DX: Final[Mapping[str, Any]] = {
    **_PROJECTION,
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
    "BodyPartExamined": "CHEST",
    "ImageLaterality": "U",
    "ViewPosition": "PA",
    "PositionerType": "NONE",
    "ViewCodeSequence": [("399348003", "SCT", "postero-anterior")],
    "AnatomicRegionSequence": [("51185008", "SCT", "Chest")],
}
US: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "ABDOMINAL"],
    "PatientOrientation": "",
    "Laterality": "",
    "LossyImageCompression": "00",
    "TransducerData": ["C5-1", "", ""],
    "SequenceOfUltrasoundRegions": [
        {
            "RegionSpatialFormat": 1,
            "RegionDataType": 1,
            "RegionFlags": 0,
            "RegionLocationMinX0": 2,
            "RegionLocationMinY0": 4,
            "RegionLocationMaxX1": 29,
            "RegionLocationMaxY1": 29,
            "PhysicalUnitsXDirection": 3,
            "PhysicalUnitsYDirection": 3,
            "PhysicalDeltaX": 0.025,
            "PhysicalDeltaY": 0.025,
        }
    ],
}
SC: Final[Mapping[str, Any]] = {
    "ConversionType": "WSD",
    "ImageType": ["DERIVED", "SECONDARY"],
    "PatientOrientation": "",
    "Laterality": "",
    "SecondaryCaptureDeviceManufacturer": "Ferryworks",
    "SecondaryCaptureDeviceID": "GRAB-7",
    "DateOfSecondaryCapture": DATE,
    "TimeOfSecondaryCapture": "101700",
}
_CT_FRAME: Final = {
    "FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
}
ENHANCED_CT: Final[Mapping[str, Any]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ContentQualification": "PRODUCT",
    "AcquisitionDateTime": f"{DATE}101602",
    "AcquisitionDuration": 4.2,
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "PresentationLUTShape": "IDENTITY",
    "AcquisitionContextSequence": [],
    "PatientPosition": "HFS",
    "SharedFunctionalGroupsSequence": [
        {
            "CTImageFrameTypeSequence": [_CT_FRAME],
            "PlaneOrientationSequence": [{"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}],
            "PixelMeasuresSequence": [{"SliceThickness": 1.0, "PixelSpacing": [0.5, 0.5]}],
            "FrameAnatomySequence": [
                {"FrameLaterality": "U", "AnatomicRegionSequence": [("818981001", "SCT", "Abdomen")]}
            ],
            "PixelValueTransformationSequence": [{"RescaleIntercept": -1024, "RescaleSlope": 1, "RescaleType": "HU"}],
            "FrameVOILUTSequence": [
                {"WindowCenter": 40, "WindowWidth": 400, "WindowCenterWidthExplanation": "SOFT TISSUE"}
            ],
            "CTAcquisitionTypeSequence": [
                {"AcquisitionType": "SPIRAL", "ConstantVolumeFlag": "NO", "FluoroscopyFlag": "NO"}
            ],
            "CTAcquisitionDetailsSequence": [
                {
                    "RotationDirection": "CW",
                    "RevolutionTime": 0.5,
                    "SingleCollimationWidth": 0.6,
                    "TotalCollimationWidth": 38.4,
                    "TableHeight": 150.0,
                    "GantryDetectorTilt": 0.0,
                    "DataCollectionDiameter": 500.0,
                }
            ],
            "IrradiationEventIdentificationSequence": [{"IrradiationEventUID": uid("kinds", "event")}],
            "CTTableDynamicsSequence": [{"TableSpeed": 46.0, "TableFeedPerRotation": 23.0, "SpiralPitchFactor": 0.6}],
            "CTGeometrySequence": [{"DistanceSourceToDetector": 1085.6, "DistanceSourceToDataCollectionCenter": 595.0}],
            "CTReconstructionSequence": [
                {
                    "ReconstructionAlgorithm": "FILTER_BACK_PROJ",
                    "ConvolutionKernel": "B30f",
                    "ConvolutionKernelGroup": "SOFT_TISSUE",
                    "ReconstructionDiameter": 360.0,
                    "ReconstructionAngle": 360.0,
                    "ImageFilter": "B30",
                    "ReconstructionPixelSpacing": [0.5, 0.5],
                }
            ],
            "CTExposureSequence": [
                {
                    "ExposureTimeInms": 500.0,
                    "XRayTubeCurrentInmA": 200.0,
                    "ExposureInmAs": 100.0,
                    "ExposureModulationType": "NONE",
                    "CTDIvol": 8.1,
                }
            ],
            "CTXRayDetailsSequence": [
                {
                    "KVP": 120.0,
                    "FocalSpots": [0.7],
                    "FilterType": "WEDGE",
                    "FilterMaterial": ["ALUMINUM"],
                    "CalciumScoringMassFactorPatient": 0.7,
                }
            ],
        }
    ],
}
STRUCTURES: Final[Mapping[str, Any]] = {
    "StructureSetLabel": "Prostate plan",
    "StructureSetName": "by Larry",
    "StructureSetDescription": "contoured by Larry",
    "StructureSetDate": DATE,
    "StructureSetTime": "101700",
    "ApprovalStatus": "UNAPPROVED",
}
