"""The rules, compiled from tables into one immutable, picklable value with a digest; nothing here sees a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from . import reference

#: Grows with every change of the engine that changes what is written.
ENGINE = 1

TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
TEMPORAL_VRS = frozenset({"DA", "DT", "TM"})

#: What can be done to an element: the codes of E.1-1, and three of our own.
ACTIONS = {
    "K": "kept; a sequence is entered and the same rules hold in it",
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy",
    "U": "UID replaced, the same one everywhere",
    "U*": "sequence entered, UIDs in it replaced",
    "P": "replaced by the pseudonym",
    "H": "replaced by 8 hex digits of SHA-256 of the new study UID",
    "W": "written by us",
}

#: Elements of the top level that are written whether or not they were there (PS3.15 E.1.1, PS3.3 C.12.1.1.1).
WRITTEN = {
    0x00100010: ("P", "the pseudonym"),
    0x00100020: ("P", "the pseudonym"),
    0x00120062: ("W", "YES"),
    0x00120063: ("W", "appended to what recognised earlier tools wrote"),
    0x00120064: ("W", "appended to earlier codes of CID 7050"),
    0x00200010: ("H", "an empty StudyID would merge studies"),
    0x00280303: ("W", "what became of dates and times"),
}

#: CID 7050, the codes of the profile and its options (PS3.16).
CID_7050 = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113102": "Clean Recognizable Visual Features Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
    "113112": "Retain Institution Identity Option",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an object may cost: depth of sequences, elements, and the size of an inflated data set."""

    depth: int = 64
    elements: int = 1_000_000
    inflate_ratio: int = 100
    inflate_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done to one element and why. ``where`` is any, item or code (see tables/technical.tsv).

    ``most`` is the greatest number of values that PS3.6 allows, 0 for any number.
    """

    tag: int
    keyword: str
    vr: str
    action: str
    source: str
    where: str = "any"
    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules of one de-identification. What has no rule (private, unknown, PS3.6 does not have it) is removed."""

    edition: str
    engine: int
    rules: tuple[Rule, ...]
    codes: tuple[str, ...]
    method: str
    temporal: str
    digest: str
    limits: Limits = Limits()


#: How much an IOD demands of an attribute (PS3.5 7.4), and what an action leaves of it.
_DEMANDS = {"3": 0, "2": 1, "2C": 1, "1": 2, "1C": 2}
_LEAVES = {"X": 0, "Z": 1, "D": 2, "U*": 2}


def resolve(action: str, kind: str | None) -> str:
    """One action of a compound one (PS3.15 E.3.1): the first that leaves what the IOD demands.

    ``kind`` is the attribute's type in the IOD, "3" where the IOD does not have it, None where nothing is known; the
    condition of a conditional type is taken as met.
    """
    choices = action.split("/")
    demand = 2 if kind is None else _DEMANDS[kind]
    return next((choice for choice in choices if _LEAVES.get(choice, 2) >= demand), choices[-1])


def type_of(tag: int, sop_class: str) -> str | None:
    """The attribute's type in the class's IOD, for attributes with a compound action."""
    attributes = reference.types().get(sop_class)
    return None if attributes is None else attributes.get(tag, "3")


def compile_basic() -> RuleSet:
    """The Basic profile."""
    rules = tuple(_rule(tag, vr, keyword, most) for tag, (vr, keyword, most) in sorted(reference.elements().items()))
    codes, method, temporal = ("113100",), f"PS3.15 {reference.EDITION} Basic Profile, pacsferry", "REMOVED"
    digest = hashlib.sha256()
    for line in _canonical(rules, codes, method, temporal):
        digest.update(line.encode() + b"\n")
    return RuleSet(
        edition=reference.EDITION,
        engine=ENGINE,
        rules=rules,
        codes=codes,
        method=method,
        temporal=temporal,
        digest=digest.hexdigest(),
    )


def _canonical(rules: tuple[Rule, ...], *rest: object) -> Iterator[str]:
    """Everything that decides what is written, line by line."""
    yield f"pacsferry deid {ENGINE} {reference.EDITION} {rest}"
    yield from (f"{rule.tag:08X} {rule.vr} {rule.action} {rule.where} {rule.most}" for rule in rules)
    for uid, attributes in sorted(reference.types().items()):
        yield f"{uid} {sorted(attributes.items())}"
    for facts in (reference.schemes(), reference.pixel_classes(), reference.needles(), Limits.__slots__):
        yield repr(sorted(facts))
    yield repr(Limits())


def _rule(tag: int, vr: str, keyword: str, most: int) -> Rule:
    action, source, where = _decide(tag, vr)
    return Rule(tag=tag, keyword=keyword, vr=vr, action=action, source=source, where=where, most=most)


def _decide(tag: int, vr: str) -> tuple[str, str, str]:
    """Action, source and place of one element; the first table that knows it decides."""
    if tag in WRITTEN:
        return WRITTEN[tag][0], WRITTEN[tag][1], "any"
    if tag in reference.listed():
        action = reference.listed()[tag]
        # Some D rows are UIDs: a dummy must be unique, which is what U gives.
        return ("U" if vr == "UI" and action == "D" else action), "PS3.15 E.1-1", "any"
    if tag in reference.additions():
        return reference.additions()[tag][0], f"added: {reference.additions()[tag][1]}", "any"
    if tag in reference.technical():
        where, reason = reference.technical()[tag]
        return "K", f"technical: {reason}", where
    return *_by_vr(tag, vr), "any"


def _by_vr(tag: int, vr: str) -> tuple[str, str]:
    """What becomes of an element that no table lists."""
    if vr == "UI":
        role = reference.roles().get(tag)
        return ("K", f"names a {role}") if role else ("U", "unlisted UID")
    if vr == "PN":
        return "X", "unlisted person name"
    if vr in TEXT_VRS:
        return "X", "unlisted text"
    if vr in TEMPORAL_VRS:
        return "X", "unlisted date or time"
    if vr in {"UN", "OB"}:
        return "X", "unlisted bytes"
    return "K", "unlisted sequence" if vr == "SQ" else "unlisted number, code or data"
