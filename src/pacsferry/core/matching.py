"""What an archive answered, matched again (PS3.4 C.2.2.2): archives ignore keys, add wildcards, compare loosely."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from .charsets import codecs, terms
from .errors import TransferError
from .model import Match
from .query import KEYS

#: What every archive must match (PS3.4 C.6.1.1, C.6.2.1: U or R): believed where an answer does not repeat it.
REQUIRED = frozenset(
    {"PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"}
    | {"SeriesInstanceUID", "Modality", "SeriesNumber", "SOPInstanceUID", "InstanceNumber"}
)
#: What the level below can tell where the answers of a level do not.
BELOW: Mapping[str, str] = {"ModalitiesInStudy": "Modality"}
_TIME = re.compile(r"(\d{2,6})(\.\d*)?")


def chosen(keys: Mapping[str, str], answers: Sequence[Match]) -> list[Match]:
    """The answers that match. Raises ``TransferError`` for a key of which no answer says anything.

    What the archive must match by the standard is believed where it is not repeated; so is what ``BELOW`` knows, which
    the caller then has to look at (``undecided``).
    """
    if not answers:
        return []
    silent = {word for word in keys if not any(one.many(word) for one in answers)}
    if unknown := sorted(silent - REQUIRED - BELOW.keys()):
        raise TransferError(
            f"the archive's answers do not say {', '.join(unknown)}, so nobody knows what matches",
            code="unmatched",
            retryable=False,
            hint="leave the key out, or ask over another protocol ([find] use)",
        )
    return [one for one in answers if all(_passes(word, wanted, one, silent) for word, wanted in keys.items())]


def _passes(keyword: str, wanted: str, match: Match, silent: Iterable[str]) -> bool:
    """An answer without a value does not match one, unless the archive never tells."""
    fit = fits(keyword, wanted, match)
    if fit is not None:
        return fit
    untold = keyword in silent and keyword not in match.keys
    return bool(match.many(keyword)) or keyword in BELOW or untold or KEYS[keyword].vr == "UI"


def undecided(keys: Mapping[str, str], match: Match) -> dict[str, str]:
    """The keys that the level below has to decide on, under the keyword that they have there."""
    return {BELOW[word]: wanted for word, wanted in keys.items() if word in BELOW and not match.many(word)}


def fits(keyword: str, wanted: str, match: Match) -> bool | None:
    """Whether an answer's values match one key; None where it has none, or none that can be compared."""
    if any(_same(keyword, wanted, got) for got in match.many(keyword)):
        return True
    return False if match.many(keyword) and _could_say(wanted, match) else None


def _could_say(wanted: str, match: Match) -> bool:
    """Whether the answer's character set has the letters; where not, they were lost on the way (seen: Orthanc)."""
    said = match.keys.get("SpecificCharacterSet")
    if wanted.isascii() or said is None:
        return True
    known = [codec for codec in codecs(terms(said.encode("ascii", "replace"))) if codec != "ascii"]
    return all(char.isascii() or any(_writes(codec, char) for codec in known) for char in wanted)


def _writes(codec: str, char: str) -> bool:
    try:
        char.encode(codec)
    except UnicodeError:
        return False
    return True


def _same(keyword: str, wanted: str, got: str) -> bool:
    vr = KEYS[keyword].vr
    if vr == "DA":
        return _in_range(wanted, re.sub(r"\D", "", got))
    if vr == "TM":
        return _at_time(wanted, got)
    if vr == "IS":
        return _whole(got) == _whole(wanted)
    if vr in {"UI", "CS"} and "\\" in wanted:
        return any(_same(keyword, each, got) for each in wanted.split("\\"))
    if vr == "PN":
        return _same_name(wanted, got)
    return _pattern(wanted, any_case=False).fullmatch(got) is not None


def _in_range(wanted: str, got: str) -> bool:
    """Range matching (PS3.4 C.2.2.2.5); an end is as exact as it is written."""
    first, dash, last = wanted.partition("-")
    if not dash:
        return got == wanted
    return (not first or got >= first) and (not last or got[: len(last)] <= last)


def _at_time(wanted: str, got: str) -> bool:
    """A time of day, in any of the forms that archives write: 1113.672 and 11:13:00 too."""
    seen = _TIME.match(got.replace(":", ""))
    if seen is None:
        return False
    if "-" in wanted:
        return _in_range(wanted, seen[0])
    return seen[1].startswith(wanted) if "." not in wanted else float(seen[0]) == float(wanted)


def _whole(text: str) -> int | str:
    """A number as such: "+4" and "04" are 4."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,12}", text) else text


def _same_name(wanted: str, got: str) -> bool:
    """Person names: any group of characters will do, and components that are empty at the end do not count."""
    groups = (got, *got.split("="))
    pattern = _pattern(_trimmed(wanted), any_case=True)
    return any(pattern.fullmatch(form) for group in groups for form in (_plain(group), _trimmed(group)))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _trimmed(name: str) -> str:
    return "=".join(group.rstrip("^ ") for group in _plain(name).split("="))


@lru_cache(maxsize=1024)
def _pattern(value: str, *, any_case: bool) -> re.Pattern[str]:
    """Wildcards of PS3.4 C.2.2.2.4: * and ?; everything else stands for itself."""
    text = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in value)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if any_case else 0))
