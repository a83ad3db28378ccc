"""The rules, compiled from tables into one immutable, picklable value with a digest; nothing here sees a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from . import claims as said
from . import options as o
from . import reference
from .dates import STAND_INS, YEARS, Shifts
from .policy import Policy
from .policy_rules import Override

#: Grows with every change of the engine that changes what is written.
ENGINE = 4

TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
TEMPORAL_VRS = frozenset({"DA", "DT", "TM"})

#: What can be done to an element: the codes of E.1-1, and ours.
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
    "S": "its date is moved by the patient's shift",
    "V": "set to a value of the profile",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an object may cost: depth of sequences, elements, and the size of an inflated data set."""

    depth: int = 64
    elements: int = 1_000_000
    inflate_ratio: int = 100
    inflate_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done to one element and why. ``where`` is any, item, code or term (see tables/technical.tsv).

    ``most`` is the greatest number of values that PS3.6 allows, 0 for any number. ``spare`` is done where a value that
    should be kept or moved is not of its VR; ``value`` is what action V writes; ``option`` is whose action it is.
    """

    tag: int
    keyword: str
    vr: str
    action: str
    source: str
    where: str = "any"
    most: int = 0
    spare: str = "X"
    value: str = ""
    option: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateRule:
    """What is done to element ``number`` of the blocks of one creator in one group; VR "" where nobody says it."""

    creator: str
    group: int
    number: int
    vr: str
    action: str
    source: str
    most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules of one de-identification. What has no rule (private, unknown, PS3.6 does not have it) is removed.

    ``overrides`` are rules that hold in some objects or in some items only; ``spoiled`` says by index which claims
    ("basic" or an option) each of them breaks. ``private`` are rules of private elements; ``strangers`` says what
    becomes of private ("private") and unknown ("unknown") elements that no rule names: keep, clean or remove.
    ``codes`` and ``method`` are those of an object that no override touches; see ``claims``.
    """

    edition: str
    engine: int
    rules: tuple[Rule, ...]
    codes: tuple[str, ...]
    method: str
    temporal: str
    digest: str
    limits: Limits = Limits()
    policy: Policy = field(default_factory=Policy)
    overrides: tuple[Override, ...] = ()
    spoiled: tuple[frozenset[str], ...] = ()
    broken: frozenset[str] = frozenset()
    private: tuple[PrivateRule, ...] = ()
    strangers: tuple[tuple[str, str], ...] = ()
    shifts: Shifts | None = None

    def spoils(self, override: Override) -> frozenset[str]:
        """What cannot be claimed of an object that a rule of the profile touches: "basic" or options."""
        return _spoils(override, self.policy)

    def claims(self, active: Iterable[int] = ()) -> tuple[tuple[str, ...], str]:
        """Codes of CID 7050 and DeidentificationMethod for an object in which these overrides are active."""
        active = tuple(active)
        broken = self.broken.union(*(self.spoiled[at] for at in active))
        own = [one for one in self.policy.overrides if one.plain or one in map(self.overrides.__getitem__, active)]
        return said.claims(self.policy, broken, own=bool(own))


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


def compile_rules(wanted: Policy) -> RuleSet:
    """The rules of a policy. Equal policies give equal rules and digests."""
    made = _with_overrides([_rule(tag, row, wanted) for tag, row in sorted(_elements(wanted).items())], wanted)
    regions = tuple(_graphics(wanted))
    overrides = (*regions, *(one for one in wanted.overrides if not one.plain))
    spoiled = tuple(frozenset[str]() if one in regions else _spoils(one, wanted) for one in overrides)
    plain = (_spoils(one, wanted) for one in wanted.overrides if one.plain)
    broken = frozenset(o.yielded(wanted.options)).union(_kinds_break(wanted), *plain)
    private = tuple(_safe(wanted))
    codes, method = said.claims(wanted, broken, own=any(one.plain for one in wanted.overrides))
    temporal = said.temporal(made, wanted)
    strangers = tuple((kind, wanted.unlisted[kind]) for kind in ("private", "unknown"))
    digest = hashlib.sha256()
    for line in _canonical(made, codes, method, temporal, overrides, private, strangers, wanted.shifts):
        digest.update(line.encode() + b"\n")
    return RuleSet(
        edition=reference.EDITION,
        engine=ENGINE,
        rules=made,
        codes=codes,
        method=method,
        temporal=temporal,
        digest=digest.hexdigest(),
        policy=wanted,
        overrides=overrides,
        spoiled=spoiled,
        broken=broken,
        private=private,
        strangers=strangers,
        shifts=wanted.shifts,
    )


def _canonical(rules: tuple[Rule, ...], *rest: object) -> Iterator[str]:
    """Everything that decides what is written, line by line."""
    yield f"pacsferry deid {ENGINE} {reference.EDITION} {rest}"
    for rule in rules:
        yield f"{rule.tag:08X} {rule.vr} {rule.action} {rule.where} {rule.most} {rule.spare} {rule.value}"
    for uid, attributes in sorted(reference.types().items()):
        yield f"{uid} {sorted(attributes.items())}"
    for facts in (reference.schemes(), reference.pixel_classes(), reference.needles(), reference.encoders()):
        yield repr(sorted(facts))
    yield repr([(tag, sorted(words)) for tag, words in sorted(reference.terms().items())])
    yield repr((Limits(), sorted(STAND_INS), YEARS))


# --- one element


def _elements(wanted: Policy) -> Mapping[int, tuple[str, str, int]]:
    """Overlay planes have rules where a rule of the profile names them; else they go as a whole."""
    named = {tag for one in wanted.overrides for tag in one.tags}
    return {**reference.elements(), **{tag: row for tag, row in reference.known().items() if tag in named}}


def _rule(tag: int, row: tuple[str, str, int], wanted: Policy) -> Rule:
    vr, keyword, most = row
    action, source, where = _decide(tag, vr, wanted)
    chosen = o.decide(reference.options().get(tag, {}), wanted.options)
    if chosen is None or action == "W":
        return Rule(tag=tag, keyword=keyword, vr=vr, action=action, source=source, where=where, most=most)
    kept, option = chosen
    if kept == "S" and vr == "OB":
        kept = action  # a time stamp of bytes cannot be moved
    source = f"PS3.15 E.1-1, {option}"
    return Rule(tag=tag, keyword=keyword, vr=vr, action=kept, source=source, most=most, spare=action, option=option)


def _decide(tag: int, vr: str, wanted: Policy) -> tuple[str, str, str]:
    """Action, source and place of one element, options aside; the first table that knows it decides."""
    if tag in WRITTEN:
        return WRITTEN[tag][0], WRITTEN[tag][1], "any"
    if tag in reference.listed():
        action = reference.listed()[tag]
        # Some D rows are UIDs: a dummy must be unique, which is what U gives.
        return ("U" if vr == "UI" and action == "D" else action), "PS3.15 E.1-1", "any"
    if tag in reference.additions():
        return reference.additions()[tag][0], f"added: {reference.additions()[tag][1]}", "any"
    if tag in reference.technical():
        return _technical(tag, wanted)
    overlay = tag in reference.overlays()
    return ("X", _OVERLAYS, "any") if overlay else (*_unlisted(tag, vr, wanted), "any")


def _unlisted(tag: int, vr: str, wanted: Policy) -> tuple[str, str]:
    """What becomes of an element that no table lists; text that some kind of object must have is never just removed."""
    action, source = by_vr(tag, vr, wanted.unlisted)
    if action == "X" and tag in reference.required():
        return reference.required()[tag][0], f"required text: {reference.required()[tag][1]}"
    return action, source


_OVERLAYS = "PS3.15 E.1-1: overlays, whole planes"


def _technical(tag: int, wanted: Policy) -> tuple[str, str, str]:
    where, reason = reference.technical()[tag]
    if wanted.unlisted["technical"] == "remove":
        action = reference.technical_removed().get(tag, "X")
        if action == "term":
            return "K", "technical text is removed too, but for terms of PS3.3", "term"
        return action, "technical text is removed too", where
    return "K", f"technical: {reason}", where


def by_vr(tag: int, vr: str, unlisted: Mapping[str, str]) -> tuple[str, str]:
    """What becomes of an element that no table lists."""
    kind = _KINDS.get(vr, "text" if vr in TEXT_VRS else "dates" if vr in TEMPORAL_VRS else "")
    if kind == "uids" and (role := reference.roles().get(tag)):
        return "K", f"names a {role}"
    if not kind:
        return "K", "unlisted sequence" if vr == "SQ" else "unlisted number, code or data"
    what, actions = _UNLISTED[kind]
    return actions[unlisted[kind]], f"unlisted {what}"


_KINDS = {"UI": "uids", "PN": "pn", "UN": "unknown", "OB": "unknown"}
_UNLISTED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "uids": ("UID", {"keep": "K", "clean": "U", "remove": "X"}),
    "pn": ("person name", {"remove": "X"}),
    "text": ("text", {"keep": "K", "remove": "X"}),
    "dates": ("date or time", {"keep": "K", "clean": "S", "remove": "X"}),
    "unknown": ("bytes", {"keep": "K", "remove": "X"}),
}


# --- rules of the profile


def _with_overrides(rules: Iterable[Rule], wanted: Policy) -> tuple[Rule, ...]:
    """The profile's own rules that hold everywhere, laid over the others; of several the last one counts."""
    over = {tag: one for one in wanted.overrides if one.plain for tag in one.tags}
    return tuple(overridden(rule, over[rule.tag]) if rule.tag in over else rule for rule in rules)


def overridden(rule: Rule, override: Override) -> Rule:
    """A rule with the action of an override; what it did before is done where a value cannot be kept."""
    spare = rule.spare if rule.action in {"K", "S"} else rule.action
    letter = override.letter
    return replace(
        rule,
        # A dummy UID must be unique, which is what U gives.
        action="U" if (letter, rule.vr) == ("D", "UI") else letter,
        source=f"rule {override.text} of the profile",
        where="any",
        spare="X" if spare in {"W", "P", "H"} else spare,
        value=override.value,
        option="",
    )


def _graphics(wanted: Policy) -> Iterator[Override]:
    """Clean Graphics keeps overlay planes of type R, regions of interest; without their words (PS3.3 C.9.2)."""
    if not wanted.has(o.GRAPHICS):
        return
    for tag, (_, keyword, _, action) in reference.overlays().items():
        if action == "K":
            kind = ((tag & 0xFFFF0000 | 0x40, ("R",)),)
            yield Override(text=f"{keyword} of a region of interest", action="keep", tags=(tag,), when=kind)


def _spoils(override: Override, wanted: Policy) -> frozenset[str]:
    """What cannot be claimed of an object that a rule of the profile touches."""
    found: set[str] = set()
    if override.creator:
        listed = (override.creator, override.group, override.number) in reference.private()
        if override.action == "keep" and not (listed and wanted.has(o.PRIVATE)):
            found.add(o.BASIC)
        if override.action != "keep" and listed:
            found.add(o.PRIVATE)
    for tag in override.tags:
        found |= _spoils_element(tag, override, wanted)
    if override.opens and any(_closed(tag, wanted) for tag in override.path):
        found.add(o.BASIC)
    return frozenset(found)


def _closed(tag: int, wanted: Policy) -> bool:
    """Whether what stands in a sequence never stays as it is without a rule of the profile."""
    vr, keyword, most = reference.known()[tag]
    return "K" not in (action := _rule(tag, (vr, keyword, most), wanted).action) and "U*" not in action


def _spoils_element(tag: int, override: Override, wanted: Policy) -> set[str]:
    vr, keyword, most = reference.known()[tag]
    before = _rule(tag, (vr, keyword, most), wanted)
    letter = override.letter
    if before.option:
        return set() if letter == before.action else {before.option}
    listed = tag in reference.listed() or tag in reference.overlays()
    weaker = letter in {"K", "S"} and listed and before.action not in {"K", letter}
    return {o.BASIC} if weaker else set()


def _kinds_break(wanted: Policy) -> frozenset[str]:
    """Private elements are a row of E.1-1; unknown ones may be private ones of somebody who did not know."""
    return frozenset({o.BASIC} if "keep" in {wanted.unlisted["private"], wanted.unlisted["unknown"]} else ())


def _safe(wanted: Policy) -> Iterator[PrivateRule]:
    """Private elements that PS3.15 table E.3.10-1 calls safe."""
    if wanted.unlisted["private"] == "remove":
        return
    for (creator, group, number), (vr, most, _) in sorted(reference.private().items()):
        if vr == "UN":
            continue  # the table does not say what it is
        source = "PS3.15 E.3.10-1: safe private"
        # That an element is safe does not make its UID one that nobody can look up (E.3.9).
        action = by_vr(0, vr, wanted.unlisted)[0] if vr == "UI" else "K"
        yield PrivateRule(creator=creator, group=group, number=number, vr=vr, action=action, source=source, most=most)
