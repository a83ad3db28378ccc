"""Synthetic studies with fictitious patients, the same for the same arguments; nothing real and nothing downloaded.

Every study is a list of ``pydicom.Dataset`` with file meta, ready for the simulator, ``part10`` or a de-identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydicom import Dataset
from pydicom.uid import UID

from ._encodings import PACKAGED, encapsulated, implicit, loaded, packaged, reheaded, rle, transplant, two_patients
from ._multiframe import ENHANCED_MR, enhanced_mr
from ._parts import ROOT, base, code, fill, geometry, meta, part10, phantom_slice, pixels, private_block, sequences, uid
from ._tables import CT_IMAGE, MR_IMAGE

__all__ = [
    "BASIC_TEXT_SR", "CT", "ENHANCED_MR", "MR", "PACKAGED", "ROOT", "SECONDARY_CAPTURE", "compressed_study",
    "ct_study", "demo_studies", "encapsulated", "implicit", "mr_study", "multi_frame", "packaged", "part10",
    "reheaded", "report", "rle", "secondary_capture", "two_patients", "uid",
]  # fmt: skip

CT: Final = "1.2.840.10008.5.1.4.1.1.2"
MR: Final = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"


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
            CT_IMAGE,
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
            MR_IMAGE,
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
            ds = base(
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
            fill(ds, table)
            geometry(ds, index, float(table["SliceThickness"]), rows)
            ds.BodyPartExamined = "ABDOMEN" if modality == "CT" else "HEAD"
            sequences(ds)
            if private:
                private_block(ds)
            pixels(
                ds,
                phantom_slice(rows, columns, modality.lower(), index, (seed, study_uid, number, index)),
                stored=12,
            )
            yield meta(ds)


# --- other kinds --------------------------------------------------------------------------------------------------


def _like(study: Sequence[Dataset], sop_class: str, modality: str, *, number: int, description: str) -> Dataset:
    """A new object of another series in the study of ``study[0]``."""
    first = study[0]
    series_uid = uid(first.StudyInstanceUID, "series", number)
    return base(
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
    image = phantom_slice(256, 256, "ct", 0, "screen") / 16
    image[8:20, 8:120] = 255
    pixels(ds, image, stored=8)
    ds.BitsAllocated = 8
    ds.add_new(0x7FE00010, "OB", np.clip(image, 0, 255).astype("u1").tobytes())
    return meta(ds)


def report(study: Sequence[Dataset], *, number: int = 90) -> Dataset:
    """A Basic Text SR in the study of ``study[0]`` that names the patient in its text (PS3.3 A.35.1)."""
    ds = _like(study, BASIC_TEXT_SR, "SR", number=number, description="Report")
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic imaging report")]
    finding = Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "TEXT"
    finding.ConceptNameCodeSequence = [code("121071", "DCM", "Finding")]
    finding.TextValue = f"{ds.PatientName.given_name} {ds.PatientName.family_name} shows no acute findings."
    ds.ContentSequence = [finding]
    ds.PerformedProcedureCodeSequence = []
    ds.ReferencedPerformedProcedureStepSequence = []
    return meta(ds)


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
    return [
        enhanced_mr(
            frames=frames,
            rows=rows,
            columns=columns,
            study_uid=study_uid or uid("enhanced study", patient_id, accession, seed),
            seed=seed,
            date=date,
            patient_id=patient_id,
            patient_name=patient_name,
            accession=accession,
        )
    ]


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
    source = loaded(kind)
    grey = int(source.SamplesPerPixel) == 1
    modality = "CT" if source.SOPClassUID == CT else "MR"
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
        transplant(ds, source)
    return study


# --- sets ---------------------------------------------------------------------------------------------------------


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
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid(ds.SeriesInstanceUID, 1))
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
