"""What a retrieval is to send, after the faults of the data have been at it; for both protocols, pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pacsferry.core.model import Requested
from pacsferry.core.ports import Misbehaviour
from pacsferry.testing.samples import part10, uid

from .answers import CLIMBING
from .faults import Spoiled
from .holdings import Stored, store


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One object to send: ``number`` counts the instances asked for from 1; an extra one is not counted."""

    number: int
    stored: Stored
    extra: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """All pieces in order, and what was left out."""

    pieces: Sequence[Piece]
    dropped: Sequence[Stored]


def load(batch: Iterable[Stored], spoiled: Spoiled, others: Iterable[Stored]) -> Cargo:
    """The pieces for ``batch``; ``others`` is where strangers come from."""
    batch = list(batch)
    strangers = [one for one in others if one.study not in {two.study for two in batch}]
    pieces: list[Piece] = []
    dropped: list[Stored] = []
    for number, stored in enumerate(batch, 1):
        if spoiled.at("drop", number):
            dropped.append(stored)
        else:
            pieces += _spoil(number, stored, spoiled, strangers)
    return Cargo(pieces=pieces, dropped=dropped)


def acted(cargo: Cargo, requested: Requested, actors: Iterable[Misbehaviour]) -> Cargo:
    """``cargo`` after the faults of plugins have been at it; what they did not touch keeps its number."""
    for actor in actors:
        known = {bytes(piece.stored.data): piece for piece in cargo.pieces}
        given = [bytes(piece.stored.data) for piece in cargo.pieces]
        sent = [known.get(data) or _foreign(data, cargo) for data in actor.objects(requested, given)]
        gone = [piece.stored for data, piece in known.items() if piece not in sent and not piece.extra]
        cargo = Cargo(pieces=sent, dropped=[*cargo.dropped, *gone])
    return cargo


def _foreign(data: bytes, cargo: Cargo) -> Piece:
    """What a plugin made: an object of its own, or bytes that are none under the name of the first."""
    try:
        return Piece(number=0, stored=store(data), extra=True)
    except Exception:
        return Piece(number=0, stored=_copy(cargo.pieces[0].stored, data), extra=True)


def _spoil(number: int, stored: Stored, spoiled: Spoiled, strangers: Sequence[Stored]) -> Iterator[Piece]:
    stranger = spoiled.at("stranger", number)
    if not (stranger and stranger["instead"]):
        changed = _changed(number, stored, spoiled)
        yield Piece(number=number, stored=changed)
        if spoiled.at("duplicate", number):
            yield Piece(number=number, stored=changed, extra=True)
    if stranger:
        odd = strangers[0] if strangers else _rewritten(stored, _as_stranger)
        yield Piece(number=number, stored=odd, extra=not stranger["instead"])


def _changed(number: int, stored: Stored, spoiled: Spoiled) -> Stored:
    fault = spoiled.at("other-patient", number)
    if fault and (fault["nth"] or number % 2 == 0):
        stored = _rewritten(stored, _as_other_patient)
    for name, change in _CHANGES.items():
        if spoiled.at(name, number):
            stored = change(stored)
    return stored


def _rewritten(stored: Stored, change: Callable[[Dataset], None]) -> Stored:
    ds = dcmread(BytesIO(stored.data))
    change(ds)
    return store(part10(ds))


def _as_other_patient(ds: Dataset) -> None:
    ds.PatientID, ds.PatientName = f"{ds.get('PatientID', '')}-B", "Other^Patient"


def _as_stranger(ds: Dataset) -> None:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(ds, keyword, uid("stranger", ds[keyword].value))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientID, ds.PatientName, ds.AccessionNumber = "STRANGER-77", "Stranger^Unasked", "STRANGER77"


def _as_wrong_uid(ds: Dataset) -> None:
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid("wrong", ds.SOPInstanceUID))


def _wrong_uid(stored: Stored) -> Stored:
    """Another SOP Instance UID inside than the protocol and the file meta group announce."""
    changed = _rewritten(stored, _as_wrong_uid)
    return _copy(stored, bytes(stored.data[: stored.start]) + bytes(changed.data[changed.start :]))


def _climbing(stored: Stored) -> Stored:
    """A SOP Instance UID that climbs out of a folder, wherever the protocol or the object says one."""
    ds = dcmread(BytesIO(stored.data))
    for holder, keyword in ((ds, "SOPInstanceUID"), (ds.file_meta, "MediaStorageSOPInstanceUID")):
        holder[keyword]._value = CLIMBING  # noqa: SLF001 - the setter would check it
    data = part10(ds)
    start = 144 + int.from_bytes(data[140:144], "little")
    return replace(stored, source=memoryview(data), start=start, instance=CLIMBING)


def _truncated(stored: Stored) -> Stored:
    return _copy(stored, bytes(stored.data[: stored.start + (len(stored.data) - stored.start) // 2]))


def _copy(stored: Stored, data: bytes) -> Stored:
    return replace(stored, source=memoryview(data))


_CHANGES: Final[Mapping[str, Callable[[Stored], Stored]]] = {
    "wrong-uid": _wrong_uid,
    "traversal": _climbing,
    "truncated-object": _truncated,
}
