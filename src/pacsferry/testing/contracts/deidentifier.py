"""The contract of anonymization profiles: identifiers gone, input untouched, same bytes again, doubt is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any, Final

import pytest
from pydicom import Dataset, dcmread

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Framing, Head, Keys, Source
from pacsferry.core.ports import Deidentifier, Offer
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import compressed_study, ct_study, implicit, mr_study, multi_frame, part10, report, rle

from .kit import ACCESSION, NAME, PATIENT, Contract, build, chain, without_canaries

_WHO: Final = {"patient_id": PATIENT, "patient_name": NAME, "accession": ACCESSION}
_SMALL: Final = {"rows": 16, "columns": 16}


def _ct() -> list[Dataset]:
    return ct_study(slices=2, **_SMALL, **_WHO)  # type: ignore[arg-type]


#: Objects that most profiles handle; a profile may hold any of them, but not leak it.
SAMPLES: Final[Mapping[str, Callable[[], Dataset]]] = {
    "CT": lambda: _ct()[0],
    "CT, implicit": lambda: implicit(_ct())[0],
    "CT, RLE": lambda: rle(_ct())[0],
    "MR": lambda: mr_study(slices=1, **_SMALL, **_WHO)[0],  # type: ignore[arg-type]
    "MR, JPEG 2000": lambda: compressed_study("jpeg2000-lossless", slices=1, **_WHO)[0],
    "Enhanced MR": lambda: multi_frame(frames=2, **_SMALL, **_WHO)[0],  # type: ignore[arg-type]
    "Basic Text SR": lambda: report(_ct()),
}

#: What is broken in each is held, whatever the profile.
MALFORMED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "noise": lambda data: bytes(byte ^ 0xA5 for byte in data[:4096]),
    "cut in the header": lambda data: data[: len(data) // 3],
    "cut in the pixels": lambda data: data[:-64],
    "a length beyond the end": lambda data: data.replace(
        b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00LO\xfe\xff" + b"x" * 6, 1
    ),
}

#: Patient and order values of the samples, each of which identifies.
IDENTIFIERS: Final = (
    b"CANARY",
    b"Canarybird",
    b"Yellowina",
    b"Lobster Lane",
    b"0147221",
    b"BRINE-99871",
    b"Sandpiper",
    b"Pearl",
    b"Halyard",
    b"Capstan",
    b"Bowsprit",
    b"Mizzen",
    b"ADM-771-12",
    b"SPS-2210",
    b"RP-88123",
)


class DeidentifierContract(Contract):
    """Override ``offer``.

    ``must_handle`` names the samples that the profile is made for; ``kept`` lists the identifiers that it keeps on
    purpose (and says so in ``describe``).
    """

    #: Keys of ``SAMPLES`` that must not be held.
    must_handle: tuple[str, ...] = ("CT",)
    #: Members of ``IDENTIFIERS`` that are kept on purpose.
    kept: tuple[bytes, ...] = ()

    @pytest.fixture
    def deidentifier(self, offer: Offer[Any], settings: Strict) -> Deidentifier:
        """The profile under test."""
        made: Deidentifier = build(offer, settings)
        return made

    @pytest.fixture(params=list(SAMPLES))
    def sample(self, request: pytest.FixtureRequest) -> tuple[str, Dataset]:
        """Each sample, with its name."""
        return str(request.param), SAMPLES[str(request.param)]()

    def _draft(self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]) -> Draft:
        name, ds = sample
        try:
            return deidentifier.apply(source(ds, keys))
        except HeldError as error:
            assert name not in self.must_handle, f"{name} must not be held"
            assert error.code, "a held instance has a reason code"
            without_canaries(*chain(error))
            pytest.skip(f"held: {error.code}")

    def test_no_identifier_survives(self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]) -> None:
        written = joined(self._draft(deidentifier, keys, sample))
        original = sample[1]
        uids = [
            str(original[word].value).encode() for word in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        ]
        for identifier in (*IDENTIFIERS, *uids):
            if identifier not in self.kept:
                assert identifier not in written, "an identifier of the input is in the output"

    def test_it_writes_a_whole_file(self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]) -> None:
        draft = self._draft(deidentifier, keys, sample)
        written = joined(draft)
        assert written[:132] == b"\0" * 128 + b"DICM", "the preamble is zeroed (PS3.10 7.1)"
        ds = dcmread(BytesIO(written))
        facts = draft.facts
        assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == facts.instance_uid
        assert ds.StudyInstanceUID == facts.study_uid
        assert ds.SeriesInstanceUID == facts.series_uid
        assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == facts.sop_class
        assert ds.file_meta.TransferSyntaxUID == facts.transfer_syntax
        assert ds.PatientID == facts.pseudonym == "case0042"
        assert str(ds.PatientName) == "case0042"
        assert ds.PatientIdentityRemoved == "YES"
        assert "DeidentificationMethod" in ds or "DeidentificationMethodCodeSequence" in ds

    def test_pixels_stay_as_they_are(self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]) -> None:
        ds = dcmread(BytesIO(joined(self._draft(deidentifier, keys, sample))))
        assert ds.get("PixelData") == sample[1].get("PixelData")

    def test_the_input_is_not_touched(
        self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]
    ) -> None:
        data = bytearray(part10(sample[1]))
        before = bytes(data)
        given = Source(head=Head(framing=Framing.PART_10), data=memoryview(data), pseudonym="case0042", keys=keys)
        with suppress(HeldError):
            deidentifier.apply(given)
        assert bytes(data) == before

    def test_the_same_again(
        self, offer: Offer[Any], settings: Strict, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]
    ) -> None:
        first = joined(self._draft(deidentifier, keys, sample))
        assert joined(self._draft(deidentifier, keys, sample)) == first, "no clock, no counter, no chance"
        another: Deidentifier = build(offer, settings)
        assert joined(self._draft(another, keys, sample)) == first, "any worker writes the same bytes"
        assert another.digest == deidentifier.digest != ""

    def test_framing_makes_no_difference(self, deidentifier: Deidentifier, keys: Keys) -> None:
        ds = SAMPLES["CT"]()
        draft = self._draft(deidentifier, keys, ("CT", ds))
        bare = deidentifier.apply(source(ds, keys, framing=Framing.DATA_SET))
        assert joined(bare) == joined(draft), "over DIMSE and over DICOMweb the same file"

    def test_references_stay_consistent(self, deidentifier: Deidentifier, keys: Keys) -> None:
        first, second = (self._draft(deidentifier, keys, ("CT", ds)).facts for ds in _ct())
        assert (first.study_uid, first.series_uid) == (second.study_uid, second.series_uid)
        assert first.instance_uid != second.instance_uid

    def test_the_draft_tells_gates_where_to_look(
        self, deidentifier: Deidentifier, keys: Keys, sample: tuple[str, Dataset]
    ) -> None:
        draft = self._draft(deidentifier, keys, sample)
        size = len(header(draft))
        assert list(draft.header) == sorted(set(draft.header)), "indices of header parts, in order"
        assert all(0 <= index < len(draft.parts) for index in draft.header)
        ends = [0, *(point for span in draft.text_spans for point in span), size]
        assert ends == sorted(ends), "text spans are in order, within the header, and do not overlap"
        kinds = {needle.kind for needle in draft.needles}
        assert "PatientName" in kinds, "the patient's name is a needle"
        assert "PatientID" in kinds, "the patient's id is a needle"
        assert draft.seen.patient_id.strip() == PATIENT
        assert draft.seen.instance_uid == str(sample[1].SOPInstanceUID)
        without_canaries(repr(draft), repr(list(draft.needles)), repr(draft.seen))

    @pytest.mark.parametrize("damage", MALFORMED)
    def test_what_is_broken_is_held(self, deidentifier: Deidentifier, keys: Keys, damage: str) -> None:
        data = MALFORMED[damage](part10(SAMPLES["CT"]()))
        given = Source(head=Head(framing=Framing.PART_10), data=memoryview(data), pseudonym="case0042", keys=keys)
        with pytest.raises(HeldError) as caught:
            deidentifier.apply(given)
        assert caught.value.code
        without_canaries(*chain(caught.value))

    def test_it_says_what_it_does(self, deidentifier: Deidentifier) -> None:
        sentences = list(deidentifier.describe())
        assert sentences, "describe is what the user sees before anything is loaded"
        assert all(sentence.strip() for sentence in sentences)
        assert sentences == list(deidentifier.describe())


def source(ds: Dataset, keys: Keys, *, framing: Framing = Framing.PART_10) -> Source:
    """``ds`` as it would arrive."""
    data = part10(ds)
    if framing is Framing.PART_10:
        return Source(head=Head(framing=framing), data=memoryview(data), pseudonym="case0042", keys=keys)
    head = Head(
        framing=framing,
        transfer_syntax=str(ds.file_meta.TransferSyntaxUID),
        sop_class=str(ds.SOPClassUID),
        sop_instance=str(ds.SOPInstanceUID),
    )
    start = 144 + int.from_bytes(data[140:144], "little")
    return Source(head=head, data=memoryview(data)[start:], pseudonym="case0042", keys=keys)


def joined(draft: Draft) -> bytes:
    """The whole file of a draft."""
    return b"".join(bytes(part) for part in draft.parts)


def header(draft: Draft) -> bytes:
    """The header parts of a draft."""
    return b"".join(bytes(draft.parts[index]) for index in draft.header)
