"""The objects of a simulator, kept as they are encoded, and queries over them; nothing here speaks a protocol."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pacsferry.testing.samples import part10, uid

from .matching import matches, values

#: Levels from the top, with the keyword that identifies an entity of each.
UNIQUE: Final[Mapping[str, str]] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
LEVELS: Final = tuple(UNIQUE)

#: Attributes of the lower levels, which a query above them does not match on (PS3.4 C.6.2.1).
_BELOW: Final[Mapping[str, tuple[str, ...]]] = {
    "SERIES": (
        "Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime",
        "BodyPartExamined", "Laterality", "ProtocolName", "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime", "StationName", "NumberOfSeriesRelatedInstances",
    ),
    "IMAGE": (
        "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ContentDate", "ContentTime", "ImageType", "Rows",
        "Columns", "NumberOfFrames",
    ),
}  # fmt: skip
_UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

Given = Dataset | bytes | Path | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object: its header parsed, its bytes as they came (a PS3.10 file, whose data set begins at ``start``).

    ``source`` has them, or is the file that does: it is mapped when it is asked for, so that no folder is too large.
    """

    header: Dataset = field(repr=False)
    source: memoryview | Path = field(repr=False)
    start: int
    study: str
    series: str
    instance: str
    sop_class: str
    transfer_syntax: str

    @property
    def data(self) -> memoryview:
        """The PS3.10 file as it came."""
        return self.source if isinstance(self.source, memoryview) else _mapped(self.source)

    def file(self, transfer_syntax: str | None = None) -> bytes | memoryview:
        """The PS3.10 file, as it is or in another uncompressed syntax."""
        if transfer_syntax in (None, self.transfer_syntax):
            return self.data
        return part10(dcmread(BytesIO(self.data)), transfer_syntax)

    def data_set(self, transfer_syntax: str) -> bytes | memoryview:
        """The data set without the file meta group, as it is or in another uncompressed syntax."""
        if transfer_syntax == self.transfer_syntax:
            return self.data[self.start :]
        return store(self.file(transfer_syntax)).data_set(transfer_syntax)

    def syntaxes(self) -> tuple[str, ...]:
        """The transfer syntaxes it can be had in, its own first."""
        if self.transfer_syntax not in _UNCOMPRESSED:
            return (self.transfer_syntax,)
        return (self.transfer_syntax, *(one for one in _UNCOMPRESSED if one != self.transfer_syntax))


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def store(given: Given | memoryview) -> Stored:
    """Take in a data set, a PS3.10 file in memory, or the path of one (mapped, not read)."""
    if isinstance(given, Dataset):
        given = part10(given)
    source: memoryview | Path
    if isinstance(given, str | Path):
        source = Path(given)
        header = dcmread(given, stop_before_pixels=True)
    else:
        source = memoryview(given)
        header = dcmread(BytesIO(given), stop_before_pixels=True)
    start = 132 + 12 + int(header.file_meta.FileMetaInformationGroupLength)
    return Stored(
        header=header,
        source=source,
        start=start,
        study=str(header.get("StudyInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        instance=str(header.SOPInstanceUID),
        sop_class=str(header.SOPClassUID),
        transfer_syntax=str(header.file_meta.TransferSyntaxUID),
    )


class Holdings:
    """What the archive has. Thread-safe."""

    def __init__(self, objects: Iterable[Given | Stored] = ()) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, Stored] = {}
        #: Studies that have been brought from slow storage.
        self.recalled: set[str] = set()
        for one in objects:
            self.add(one)

    def add(self, given: Given | Stored) -> Stored:
        """Take one more object; a known SOP Instance UID replaces the old one."""
        stored = given if isinstance(given, Stored) else store(given)
        with self._lock:
            self._objects[stored.instance] = stored
        return stored

    def remove(self, *, study: str = "", series: str = "", instance: str = "") -> None:
        """Forget what matches all that is given."""
        gone = {
            one.instance for one in self.select(study=study, series=series, instances=(instance,) if instance else ())
        }
        with self._lock:
            self._objects = {uid: one for uid, one in self._objects.items() if uid not in gone}

    def grow(self, study: str, count: int) -> None:
        """Let ``count`` more instances of a study appear, like its last one."""
        for number in range(count):
            members = self.select(study=study)
            if members:
                ds = dcmread(BytesIO(members[-1].data))
                ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid("grown", members[-1].instance))
                ds.InstanceNumber = len(members) + number + 1
                self.add(ds)

    def all(self) -> list[Stored]:
        """Every object, in the order they came."""
        with self._lock:
            return list(self._objects.values())

    def select(
        self, *, patient: str = "", study: str = "", series: str = "", instances: Iterable[str] = ()
    ) -> list[Stored]:
        """The objects below what is given; several UIDs are joined by a backslash."""
        keys = {"PatientID": patient, "StudyInstanceUID": study, "SeriesInstanceUID": series}
        keys["SOPInstanceUID"] = "\\".join(instances)
        asked = {keyword: value for keyword, value in keys.items() if value}
        return [one for one in self.all() if all(matches(one.header, *key) for key in asked.items())]

    def find(self, level: str, keys: Mapping[str, str], wants: Iterable[str]) -> Iterator[Dataset]:
        """One data set per entity of ``level`` that matches ``keys``, with the keywords of both (PS3.4 C.2.2.2)."""
        wants = {*keys, *wants, *(UNIQUE[one] for one in LEVELS[1 : LEVELS.index(level) + 1]), UNIQUE[level]}
        for members in self._entities(level, keys):
            ds = _entity(level, members)
            if all(matches(ds, *key) for key in keys.items() if not _below(level, key[0])):
                yield _answer(ds, level, wants)

    def _entities(self, level: str, keys: Mapping[str, str]) -> Iterable[list[Stored]]:
        """The objects of each entity of ``level``, below the UIDs given, in the order they came."""
        above = [(UNIQUE[one], keys[UNIQUE[one]]) for one in LEVELS[: LEVELS.index(level)] if keys.get(UNIQUE[one])]
        groups: dict[str, list[Stored]] = {}
        for stored in self.all():
            if all(matches(stored.header, *key) for key in above):
                groups.setdefault("\\".join(values(stored.header, UNIQUE[level])), []).append(stored)
        return groups.values()


def _entity(level: str, members: list[Stored]) -> Dataset:
    """The attributes of an entity: those of its first object, and what is counted over all (PS3.4 C.3.4)."""
    ds = Dataset()
    ds.update(members[0].header)
    ds.InstanceAvailability = "ONLINE"
    if level in ("PATIENT", "STUDY"):
        prefix = "Patient" if level == "PATIENT" else "Study"
        setattr(ds, f"NumberOf{prefix}RelatedSeries", len({one.series for one in members}))
        setattr(ds, f"NumberOf{prefix}RelatedInstances", len(members))
        ds.ModalitiesInStudy = sorted({str(one.header.get("Modality", "")) for one in members} - {""})
        ds.SOPClassesInStudy = sorted({one.sop_class for one in members})
    if level == "PATIENT":
        ds.NumberOfPatientRelatedStudies = len({one.study for one in members})
    if level == "SERIES":
        ds.NumberOfSeriesRelatedInstances = len(members)
    if level == "IMAGE":
        ds.AvailableTransferSyntaxUID = UID(members[0].transfer_syntax)
    return ds


def _below(level: str, keyword: str) -> bool:
    """Whether a keyword belongs to a level below ``level``."""
    lower = LEVELS[LEVELS.index(level) + 1 :]
    return any(keyword in _BELOW.get(one, ()) for one in lower)


def _answer(ds: Dataset, level: str, wants: Iterable[str]) -> Dataset:
    answer = Dataset()
    if "SpecificCharacterSet" in ds:
        answer.SpecificCharacterSet = ds.SpecificCharacterSet
    for keyword in wants:
        tag = tag_for_keyword(keyword)
        if tag is None or keyword == "SpecificCharacterSet":
            continue
        if tag in ds and not _below(level, keyword):
            answer[tag] = ds[tag]
        else:
            answer.add_new(tag, dictionary_VR(tag), None)
    return answer
