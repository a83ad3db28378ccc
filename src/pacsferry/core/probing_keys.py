"""Which keys ``doctor`` tries, as a table: a value that nothing has, and what it means when the key is not matched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .model import Level

#: Short enough for every VR that it is tried in (SH: 16 characters, CS: capitals and digits).
_NOBODY: Final = "ZZ0PACSFERRY0ZZ"
_HERE: Final = "answers are filtered again here, so nothing wrong is taken; narrow a query by date as well"
_WHOLE: Final = "the archive is asked for all of a date range, and the answers are filtered here: keep ranges short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A key to try. ``nobody`` is a value that nothing has ("": a new UID); ``otherwise`` what to do where not matched.

    ``quirk`` is the one that says that it is filtered here only; without it ``unmatched`` does. ``may_stall`` marks a
    key at which archives are known to fall silent.
    """

    level: Level
    keyword: str
    nobody: str = _NOBODY
    otherwise: str = _HERE
    quirk: str = ""
    may_stall: bool = False

    def quirks(self, use: str) -> dict[str, object]:
        """What the profile must say for each use. An ignored key does no harm: answers are filtered here anyway."""
        if self.quirk:
            return {self.quirk: use == "matched"}
        return {"unmatched": [self.keyword]} if use == "refused" and self.keyword != "StudyInstanceUID" else {}


TRIED: Final[tuple[Trial, ...]] = (
    Trial(level=Level.STUDY, keyword="StudyDate", nobody="21000101", otherwise="ask by accession number or patient"),
    Trial(level=Level.STUDY, keyword="StudyInstanceUID", nobody=""),
    Trial(level=Level.STUDY, keyword="AccessionNumber", otherwise=_WHOLE),
    Trial(level=Level.STUDY, keyword="PatientID", otherwise=_WHOLE),
    Trial(level=Level.STUDY, keyword="PatientName"),
    Trial(level=Level.STUDY, keyword="PatientBirthDate", nobody="21000101"),
    Trial(level=Level.STUDY, keyword="StudyDescription"),
    Trial(level=Level.STUDY, keyword="ModalitiesInStudy", nobody="ZZ0PF", quirk="modality_matching"),
    Trial(level=Level.STUDY, keyword="StudyTime", nobody="235959.999999", quirk="time_matching", may_stall=True),
    Trial(level=Level.SERIES, keyword="Modality", nobody="ZZ0PF"),
    Trial(level=Level.SERIES, keyword="SeriesNumber", nobody="987654321"),
    Trial(level=Level.SERIES, keyword="SeriesDescription"),
)

#: Identifiers that some archives match by any part of them, and in which wildcards are tried.
CONTAINABLE: Final = ("AccessionNumber", "PatientID")
