"""De-identified objects for gates to judge: a clean one, and one in which an identifier survived."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pydicom import Dataset
from pydicom.uid import generate_uid

from pacsferry.core.model import Draft, Facts, Needle, Seen
from pacsferry.testing.samples import CT, ct_study, part10, uid

from .kit import ACCESSION, NAME, PATIENT


def clean(**changes: Any) -> Draft:
    """A CT slice without a trace of its patient; ``changes`` replace fields of the draft."""
    return replace(_draft(_deidentified()), **changes)


def leaking(keyword: str = "StudyDescription", text: str = f"CT of {NAME.partition('^')[0]}") -> Draft:
    """The same with an identifier left in one element."""
    ds = _deidentified()
    setattr(ds, keyword, text)
    return _draft(ds)


def of_class(sop_class: str, modality: str, **seen: Any) -> Draft:
    """The same under another SOP class; ``seen`` are further fields of ``Draft.seen``."""
    ds = _deidentified()
    ds.SOPClassUID, ds.Modality = sop_class, modality
    draft = _draft(ds)
    return replace(draft, seen=replace(draft.seen, **seen))


def _original() -> Dataset:
    return ct_study(slices=1, rows=8, columns=8, patient_id=PATIENT, patient_name=NAME, accession=ACCESSION)[0]


def _deidentified() -> Dataset:
    """A stand-in for a de-identifier: a new object with what may stay."""
    original, ds = _original(), Dataset()
    for keyword in ("SOPClassUID", "Modality", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        ds[keyword] = original[keyword]
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation", "KVP", "PixelData"):
        ds[keyword] = original[keyword]
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientID = ds.PatientName = "case0042"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (uid("released", part) for part in "abc")
    ds.SeriesNumber, ds.InstanceNumber, ds.PatientIdentityRemoved = 1, 1, "YES"
    ds.file_meta = original.file_meta
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = generate_uid(entropy_srcs=["kit"])
    del ds.file_meta.SourceApplicationEntityTitle
    return ds


def _draft(ds: Dataset) -> Draft:
    written = part10(ds)
    at = written.index(b"\xe0\x7f\x10\x00") + 12
    head = written[:at]
    return Draft(
        parts=[head, written[at:]],
        header=[0],
        text_spans=_spans(head),
        charset=("ISO_IR 192",),
        facts=_facts(ds),
        seen=_seen(ds),
        needles=_needles(),
    )


def _spans(head: bytes) -> list[tuple[int, int]]:
    """Values with a text VR: enough of a parser for what this module writes."""
    found = re.finditer(rb"(?:LO|SH|PN|UC|CS|AE)(..)", head[132:], re.DOTALL)
    spans = [(132 + one.end(), 132 + one.end() + int.from_bytes(one[1], "little")) for one in found]
    return [span for span in spans if span[1] <= len(head)]


def _facts(ds: Dataset) -> Facts:
    return Facts(
        pseudonym="case0042",
        study_uid=ds.StudyInstanceUID,
        series_uid=ds.SeriesInstanceUID,
        instance_uid=ds.SOPInstanceUID,
        sop_class=str(ds.SOPClassUID),
        transfer_syntax=str(ds.file_meta.TransferSyntaxUID),
        modality=str(ds.Modality),
        series_number=1,
        instance_number=1,
    )


def _seen(ds: Dataset) -> Seen:
    original = _original()
    return Seen(
        study_uid=original.StudyInstanceUID,
        series_uid=original.SeriesInstanceUID,
        instance_uid=original.SOPInstanceUID,
        patient_id=PATIENT,
        issuer=original.IssuerOfPatientID,
        sop_class=str(ds.SOPClassUID),
        modality=str(ds.Modality),
        series_description=original.SeriesDescription,
        burned_in_annotation="NO",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL") if ds.SOPClassUID == CT else ("DERIVED", "SECONDARY"),
    )


def _needles() -> list[Needle]:
    original = _original()
    names = [part for part in re.split(r"[\^ ]", NAME) if part]
    return [
        *(Needle(kind="PatientName", text=name) for name in names),
        Needle(kind="PatientID", text=PATIENT),
        Needle(kind="AccessionNumber", text=ACCESSION),
        Needle(kind="StudyInstanceUID", text=original.StudyInstanceUID),
    ]
