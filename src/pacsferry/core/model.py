"""The nouns that cross the hooks: frozen, small, and without behaviour that does I/O.

Values that come from a patient's data (``Match.keys``, ``Seen``, ``Needle``) are kept out of ``repr`` so that no
log line, assertion or traceback can print them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# These are nouns of the model too; plugins find all of them here.
from .results import Evidence as Evidence  # noqa: PLC0414
from .results import Row as Row  # noqa: PLC0414
from .results import Status as Status  # noqa: PLC0414
from .results import StoredInstance as StoredInstance  # noqa: PLC0414
from .results import Summary as Summary  # noqa: PLC0414

#: Anything that gives bytes without copying.
Buffer = bytes | bytearray | memoryview


class Level(enum.StrEnum):
    """Query/Retrieve levels (PS3.4 C.3)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Keys to match at one level. ``keys`` maps DICOM keywords to values in C-FIND syntax (PS3.4 C.2.2.2).

    Dates are ``YYYYMMDD`` or a range ``YYYYMMDD-YYYYMMDD``, open at either end. The identifiers of the levels
    above (``StudyInstanceUID`` …) are keys like any other. ``wants`` are further keywords to return. ``expected`` is
    how many answers the archive itself counts (None: not known): a finder that has them all need not ask for more.
    """

    level: Level
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    wants: tuple[str, ...] = ()
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One answer of an archive at one level: keyword to text; several values are joined by a backslash.

    Identified: everything in ``keys`` came from the archive. Keywords that the answer lacks are absent.
    """

    level: Level
    keys: Mapping[str, str] = field(repr=False)

    def text(self, keyword: str) -> str:
        """The value without padding, or an empty string."""
        return self.keys.get(keyword, "").strip(" \0")

    def number(self, keyword: str) -> int | None:
        """The value as a whole number, or None where it is absent or no number."""
        text = self.text(keyword)
        return int(text) if text.isdecimal() else None

    def many(self, keyword: str) -> tuple[str, ...]:
        """The values of a multi-valued element."""
        return tuple(part.strip(" \0") for part in self.text(keyword).split("\\") if part.strip(" \0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a transport is asked for: a study, a series of it, or instances of one series.

    ``sop_classes`` are those found in the answers (empty: not known), ``syntaxes`` pairs of SOP class and transfer
    syntax that the archive says it has (AvailableTransferSyntaxUID; empty: not known); ``expected`` is how many
    instances should come (None: not known). ``nearline`` says that the archive has to bring it back from slow storage
    first. UIDs are original ones, as the archive knows them.
    """

    study: str
    series: str | None = None
    instances: tuple[str, ...] = ()
    sop_classes: frozenset[str] = frozenset()
    syntaxes: frozenset[tuple[str, str]] = frozenset()
    expected: int | None = None
    nearline: bool = False

    @property
    def level(self) -> Level:
        """The level to ask at."""
        if self.instances:
            return Level.IMAGE
        return Level.SERIES if self.series else Level.STUDY


class Framing(enum.StrEnum):
    """How the bytes of an arrival are wrapped."""

    DATA_SET = "data-set"
    PART_10 = "part-10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the protocol says of an object before its bytes are looked at.

    A C-STORE knows the transfer syntax, class and instance (``Framing.DATA_SET``); a WADO-RS part is a PS3.10 file
    that says so itself (``Framing.PART_10``). ``wanted`` is the request that it answers, where the protocol can tell.
    """

    framing: Framing
    transfer_syntax: str | None = None
    sop_class: str | None = None
    sop_instance: str | None = None
    wanted: Wanted | None = None


class Receipt(enum.Enum):
    """The sink's answer to one object, with the C-STORE status that a receiver gives for it (PS3.4 B.2.3)."""

    KEPT = 0x0000
    DUPLICATE = 0x0000 | 0x10000  # told apart from KEPT; the peer gets 0x0000 for both
    UNEXPECTED = 0x0124
    NO_SPACE = 0xA700

    @property
    def dimse_status(self) -> int:
        """The status for the C-STORE response."""
        return self.value & 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the peer says it did. Never believed: the ledger decides what came.

    ``completed``/``failed``/``warned`` are the counters of the final response (None: it has none); ``code`` is a
    reason code of ``core.reasons`` for whatever the peer says is missing ("" when it says all went well).
    """

    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a transport promises; the contracts check it.

    ``takes`` are the levels that ``fetch`` accepts; ``protocol`` is the family whose finder fits it ("dimse",
    "dicomweb"); ``needs_listener`` says that it opens a port on this host.
    """

    takes: frozenset[Level]
    protocol: str
    needs_listener: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """What a simulated archive is asked: ``verb`` ("c-find", "wado-rs" …), level, and what is named or matched."""

    verb: str
    level: str = ""
    study: str = ""
    series: str = ""
    instances: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """An archive answered: which service, at which address, in how many seconds."""

    service: str
    address: str
    seconds: float


class Keys(Protocol):
    """What derives from the project's secret (``core.pseudonyms.ProjectKeys``); the same value for the same input."""

    def uid(self, original: str) -> str:
        """The released UID, ``2.25.`` and at most 64 characters."""

    def subject(self, patient_id: str, issuer: str, study_uid: str) -> str:
        """A keyed token of the patient (of the study where the id is empty), safe to write anywhere."""

    def draw(self, purpose: str, *parts: str) -> int:
        """A 256 bit number that depends on the secret, ``purpose`` and ``parts``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One object as it arrived, and what is known of it: identified, untrusted, only inside a worker.

    ``pseudonym`` replaces PatientID and PatientName. ``data`` is the mapped arrival. ``shifts`` are days by patient's
    token where a mapping gives them (``core.shifts.days_of``), None where the secret does.
    """

    head: Head
    data: memoryview = field(repr=False)
    pseudonym: str
    keys: Keys = field(repr=False)
    shifts: Mapping[str, int] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is released of one instance: all that layouts, manifests and reports may know. Nothing original.

    ``references`` are the released UIDs of the instances that it refers to, each once: whether they are in the project
    is for reports to say, and none is ever taken out.
    """

    pseudonym: str
    study_uid: str
    series_uid: str
    instance_uid: str
    sop_class: str
    transfer_syntax: str
    modality: str = ""
    study_date: str = ""
    study_description: str = ""
    series_description: str = ""
    series_number: int = 0
    instance_number: int = 0
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What gates may ask of the object as it came. Identified: never leaves the worker."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    instance_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    sop_class: str
    modality: str = ""
    series_description: str = field(default="", repr=False)
    burned_in_annotation: str = ""
    image_type: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """An identifier of the object as it came, which must not be found in what goes out.

    ``text`` is decoded; ``kind`` names the element it came from by keyword ("PatientName"), for the reason, which
    says the kind and never the text. ``whole_value`` asks for a match of a whole element value only.
    """

    kind: str
    text: str = field(repr=False)
    whole_value: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A de-identified object that no gate has judged yet.

    ``parts`` are the bytes of the whole PS3.10 file in order; ``header`` says which of them are header, the rest is
    bulk data passed on as it came. ``text_spans`` are (start, end) in the joined header bytes of values with a text
    VR, in ascending order. ``charset`` is the SpecificCharacterSet (PS3.3 C.12.1.1.2) of the output, values in order.
    ``own_spans`` are spans of what the de-identifier wrote of itself and did not copy (pseudonym, new UIDs, constants),
    so that no gate takes them for the patient's.
    """

    parts: Sequence[Buffer] = field(repr=False)
    header: Sequence[int] = field(repr=False)
    text_spans: Sequence[tuple[int, int]] = field(repr=False)
    charset: tuple[str, ...]
    facts: Facts
    seen: Seen
    needles: Sequence[Needle] = field(repr=False)
    own_spans: Sequence[tuple[int, int]] = field(default=(), repr=False)


class Outcome(enum.IntEnum):
    """What a gate says, strictest last."""

    ALLOW = 0
    EXCLUDE = 1
    HOLD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A gate's answer; ``code`` is a reason code ("" when allowed), ``detail`` names elements, never values."""

    outcome: Outcome
    code: str = ""
    detail: str = ""

    @classmethod
    def allow(cls) -> Verdict:
        """Let it pass."""
        return cls(outcome=Outcome.ALLOW)

    @classmethod
    def exclude(cls, code: str, detail: str = "") -> Verdict:
        """Not wanted by the profile: counted, done, never missing."""
        return cls(outcome=Outcome.EXCLUDE, code=code, detail=detail)

    @classmethod
    def hold(cls, code: str, detail: str = "") -> Verdict:
        """Not safe to store."""
        return cls(outcome=Outcome.HOLD, code=code, detail=detail)

    @classmethod
    def strictest(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The first of the strictest; allowed when there is none."""
        return max(verdicts, key=lambda verdict: verdict.outcome, default=cls.allow())


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a pseudonym is for. ``token`` is keyed and safe; the rest is identified."""

    token: str
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    accession: str = field(default="", repr=False)
