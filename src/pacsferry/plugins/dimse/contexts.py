"""Which presentation contexts to propose for C-GET, and which next when something did not come; pure, nothing is sent.

One context carries one transfer syntax, and the archive chooses it (PS3.8 7.1.1.13). So an instance stored in another
syntax fails unless the archive transcodes, or another context fits. Some archives pick the context that fits the
instance (Orthanc), some the first one accepted for its class (dcmqrscp); for those the next association leaves out what
was first in this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts, StoragePresentationContexts

from .association import EXPLICIT, IMPLICIT

#: Context ids are the odd numbers of one byte (PS3.8 9.3.2.2), and one is for the request itself.
SLOTS = 127

UNCOMPRESSED = (EXPLICIT, IMPLICIT)

_BASE = "1.2.840.10008.1.2."
#: Encapsulated syntaxes, the likely ones first (PS3.6 Table A-1). Deflated ones are not asked for: they only cost.
COMPRESSED = tuple(
    _BASE + tail
    for tail in (
        *("4.70", "4.90", "4.50", "4.80", "4.91", "5", "4.51", "4.57", "4.81", "4.201", "4.202", "4.203"),
        *("4.102", "4.103", "4.104", "4.100", "4.101", "4.105", "4.106", "4.107", "4.108"),
        *("4.92", "4.93", "4.110", "4.111", "4.112"),
        *("4.100.1", "4.101.1", "4.102.1", "4.103.1", "4.104.1", "4.105.1", "4.106.1"),
    )
)

_COMMON = tuple(str(context.abstract_syntax) for context in StoragePresentationContexts)
_ALL = tuple(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
#: Retired image classes of which archives are full: ultrasound, nuclear medicine, biplane (PS3.6 Table A-1).
_RETIRED = tuple("1.2.840.10008.5.1.4.1.1." + tail for tail in ("6", "3", "5", "12.3"))
#: Every storage class that pynetdicom knows, those that DCMTK proposes first.
STANDARD = tuple(dict.fromkeys((*_COMMON, *_RETIRED, *_ALL)))
#: Classes with pixels that have no "Image" in their names.
_PIXELS_WITHOUT_NAME = ("Segmentation", "Video", "Photography", "Microscopy", "Secondary Capture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One presentation context to propose: a storage class and the syntaxes in order of preference."""

    sop_class: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a proposal, in the order of context ids; ``accepted`` is the syntax chosen, or None."""

    proposal: Proposal
    accepted: str | None
    unknown_class: bool = False


def may_be_compressed(sop_class: str) -> bool:
    """Whether objects of the class may have encapsulated pixels; private and unknown classes may."""
    uid = UID(sop_class)
    name = uid.name
    return name == sop_class or "Image" in name or any(word in name for word in _PIXELS_WITHOUT_NAME)


class Negotiation:
    """What to propose next, for one request.

    ``classes``: those known to be in it, most important first. ``stored``: pairs of class and transfer syntax that the
    archive says it has (AvailableTransferSyntaxUID): these come first, the others all the same have their turn.
    ``plain``: never ask for anything compressed.
    """

    def __init__(self, classes: Iterable[str], stored: Iterable[tuple[str, str]] = (), *, plain: bool = False) -> None:
        pairs = frozenset(stored)
        self._plain = plain
        self._open: dict[str, list[tuple[str, ...]]] = {
            sop_class: [UNCOMPRESSED] if plain else _turns(sop_class, {x for one, x in pairs if one == sop_class})
            for sop_class in dict.fromkeys(classes)
        }
        self._classes = tuple(self._open)
        self._fresh = set(self._classes)

    @property
    def exhausted(self) -> bool:
        """Whether every syntax of every class had its turn."""
        return not any(self._open.values())

    @property
    def unasked(self) -> bool:
        """Whether there are classes that had no turn at all yet: more of them than one association takes."""
        return bool(self._fresh)

    def uncompressed(self, delivered: Iterable[tuple[str, str]] = ()) -> Negotiation | None:
        """The last resort for archives that accept compressed syntaxes and then fail to send.

        It is for classes of which nothing was ``delivered``; None where there are none, or this is it already.
        """
        came = {sop_class for sop_class, _ in delivered}
        left = [sop_class for sop_class in self._classes if sop_class not in came]
        return Negotiation(left, plain=True) if left and not self._plain else None

    def proposals(self) -> list[Proposal]:
        """Up to 127 contexts: one syntax each where there is room, else the rest of a class in one."""
        waiting = [sop_class for sop_class, items in self._open.items() if items]
        waiting.sort(key=lambda sop_class: sop_class not in self._fresh)
        chosen = waiting[:SLOTS]
        self._fresh.difference_update(chosen)
        room = {sop_class: SLOTS // len(chosen) for sop_class in chosen}
        return [
            Proposal(sop_class=sop_class, syntaxes=syntaxes)
            for sop_class in chosen
            for syntaxes in _fit(self._open[sop_class], room[sop_class])
        ]

    def learn(self, answers: Sequence[Answer], delivered: Iterable[tuple[str, str]]) -> None:
        """Strike what had its turn: what was refused, the first context of each class, and what was delivered."""
        first: set[str] = set()
        # DCMTK says "abstract syntax not supported" of a syntax too, so one refusal alone means nothing.
        for sop_class in {a.proposal.sop_class for a in answers} - {
            a.proposal.sop_class for a in answers if not a.unknown_class
        }:
            self._open[sop_class] = []
        for answer in answers:
            sop_class, chosen = answer.proposal.sop_class, answer.accepted
            if chosen is None or answer.proposal.syntaxes == UNCOMPRESSED:
                self._strike(sop_class, answer.proposal.syntaxes)
            elif sop_class not in first:
                self._strike(sop_class, (chosen,))
            if chosen is not None:
                first.add(sop_class)
        for sop_class, syntax in delivered:
            self._strike(sop_class, (syntax,))

    def _strike(self, sop_class: str, syntaxes: tuple[str, ...]) -> None:
        items = self._open.get(sop_class, [])
        gone = set(syntaxes)
        self._open[sop_class] = [item for item in items if not gone.issuperset(item)]


def _turns(sop_class: str, stored: set[str]) -> list[tuple[str, ...]]:
    """The contexts of a class in the order of their turns, one compressed syntax each.

    Where all of it is stored compressed, that comes before what an archive would have to make first.
    """
    known = [syntax for syntax in COMPRESSED if syntax in stored]
    if not known and not may_be_compressed(sop_class):
        return [UNCOMPRESSED]
    first = [(syntax,) for syntax in known]
    others = [(syntax,) for syntax in COMPRESSED if syntax not in stored]
    if stored <= set(known) and known:
        return [*first, UNCOMPRESSED, *others]
    return [UNCOMPRESSED, *first, *others]


def _fit(items: list[tuple[str, ...]], room: int) -> list[tuple[str, ...]]:
    if len(items) <= room:
        return items
    head, tail = items[: room - 1], items[room - 1 :]
    if tail[0] == UNCOMPRESSED:
        return [*head, UNCOMPRESSED]
    # Uncompressed and compressed in one context: the archive would take one of them for everything.
    return [*head, tuple(syntax for item in tail if item != UNCOMPRESSED for syntax in item)]


def classes_for(found: Iterable[str], configured: Sequence[str]) -> list[str]:
    """The classes found, or where none were: those of the profile, then every standard one."""
    return sorted(found) or [*configured, *STANDARD]
