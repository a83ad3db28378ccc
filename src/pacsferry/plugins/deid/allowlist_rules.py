"""Compile a list of what survives into rules: named elements by their kind, everything else removed at every depth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from . import reference
from .allowlist import Framed, frame
from .claims import OWN_RULES
from .dates import Shifts
from .policy import Policy
from .policy_rules import Override
from .rules import ENGINE, TEMPORAL_VRS, WRITTEN, Limits, Rule, RuleSet, overridden

#: Why an element goes that nothing names.
NOT_LISTED = "not on the list"
_ACCESSION = 0x00080050
#: What carries the meaning of an image that has it: without it the rest would be read wrongly.
NEEDED = {
    0x52009229: "functional groups of a multi-frame image",
    0x52009230: "functional groups of a multi-frame image",
    0x00620002: "segments",
    0x0040A730: "content of a report",
}
#: Palettes, needed where PhotometricInterpretation says PALETTE COLOR (PS3.3 C.7.9).
PALETTE = frozenset({0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222, 0x00281223})

Paths = Mapping[tuple[int, ...], Mapping[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a profile asks for. ``kept`` is path to tag to reason, with an entry for each path on the way.

    ``moving``: dates of the list move by ``shifts``; else only those move that a rule of the profile moves.
    """

    name: str
    kept: Paths
    raw: frozenset[int] = frozenset()
    shifts: Shifts | None = None
    moving: bool = False
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Compiled: ``top`` has the rules of the top level, ``paths`` those of items, ``elsewhere`` of all other items."""

    top: RuleSet
    paths: tuple[tuple[tuple[int, ...], tuple[Rule, ...]], ...]
    elsewhere: tuple[Rule, ...]
    named: frozenset[int]

    @property
    def digest(self) -> str:
        return self.top.digest


def compile_allowlist(wanted: Wanted) -> Allowed:
    """The rules of a list. Equal lists give equal rules and digests."""
    plain = {tag: one for one in wanted.overrides if one.plain for tag in one.tags}
    rest = tuple(_rest(tag) for tag in sorted({*reference.elements(), *_named_overlays(wanted)}))
    elsewhere = _laid(rest, plain)
    top = _laid((_top(rule, wanted) for rule in rest), plain)
    paths = tuple((path, _laid(_level(rest, wanted, path), plain)) for path in sorted(wanted.kept) if path)
    overrides = tuple(one for one in wanted.overrides if not one.plain)
    temporal = _temporal([*top, *(rule for _, rules in paths for rule in rules)], overrides)
    method = f"Allowlist {wanted.name}, pacsferry{chr(92) + OWN_RULES if plain else ''}"
    digest = hashlib.sha256()
    for line in _canonical(top, paths, elsewhere, (method, temporal, wanted.shifts, overrides)):
        digest.update(line.encode() + b"\n")
    rules = RuleSet(
        edition=reference.EDITION,
        engine=ENGINE,
        rules=top,
        codes=(),
        method=method,
        temporal=temporal,
        digest=digest.hexdigest(),
        policy=Policy(unlisted=_kinds(wanted), shifts=wanted.shifts, overrides=wanted.overrides),
        overrides=overrides,
        spoiled=tuple(frozenset[str]() for _ in overrides),
        broken=frozenset({"basic"}),
        shifts=wanted.shifts,
    )
    named = frozenset(wanted.kept[()]) | _roots(wanted.kept) | {tag for one in plain.values() for tag in opened(one)}
    return Allowed(top=rules, paths=paths, elsewhere=elsewhere, named=named)


def opened(one: Override) -> frozenset[int]:
    """Elements of the top level of which a rule of the profile keeps something."""
    if one.action == "remove":
        return frozenset()
    return frozenset(one.path[:1] or one.tags)


def _laid(rules: Iterable[Rule], plain: Mapping[int, Override]) -> tuple[Rule, ...]:
    """The profile's own rules that hold everywhere, laid over the others."""
    return tuple(overridden(rule, plain[rule.tag]) if rule.tag in plain else rule for rule in rules)


def _named_overlays(wanted: Wanted) -> frozenset[int]:
    """Planes have rules where a rule of the profile names them; else they go as a whole."""
    return frozenset(tag for one in wanted.overrides for tag in one.tags if tag in reference.overlays())


def _kinds(wanted: Wanted) -> dict[str, str]:
    """What becomes of a private element that a rule keeps, by its kind: dates and UIDs as the list has them."""
    return {**Policy().unlisted, "dates": "clean" if wanted.moving else "remove"}


def _top(rule: Rule, wanted: Wanted) -> Rule:
    """What holds at the top level."""
    if rule.tag in WRITTEN:
        return replace(rule, action=WRITTEN[rule.tag][0], source=WRITTEN[rule.tag][1])
    found = _named(rule, wanted, ()) or _container(rule, wanted, ())
    if found is None and (one := _framed().get(rule.tag)) is not None:
        action = _undated(rule.tag) if rule.vr in TEMPORAL_VRS else one.action
        found = replace(rule, action=action, source=f"every list: {one.reason}")
    return found or rule


@cache
def _framed() -> Mapping[int, Framed]:
    return {one.tag: one for one in frame()}


def _roots(kept: Paths) -> frozenset[int]:
    """Sequences of the top level in which something is named."""
    return frozenset(path[0] for path in kept if path)


def _rest(tag: int) -> Rule:
    vr, keyword, most = reference.known()[tag]
    return Rule(tag=tag, keyword=keyword, vr=vr, action="X", source=NOT_LISTED, most=most)


def _level(elsewhere: tuple[Rule, ...], wanted: Wanted, path: tuple[int, ...]) -> Iterator[Rule]:
    """What holds in the items of one sequence, where it differs from what holds in any."""
    by_tag = {rule.tag: rule for rule in elsewhere}
    below = {other[-1] for other in wanted.kept if other and other[:-1] == path}
    for tag in sorted(below | set(wanted.kept[path])):
        rule = by_tag[tag]
        found = _named(rule, wanted, path) or _container(rule, wanted, path)
        if found is not None:
            yield found


def _container(rule: Rule, wanted: Wanted, path: tuple[int, ...]) -> Rule | None:
    """A sequence in which something is named."""
    if (*path, rule.tag) not in wanted.kept:
        return None
    return replace(rule, action="K", source="holds what the list names")


def _named(rule: Rule, wanted: Wanted, path: tuple[int, ...]) -> Rule | None:
    """A named element: as it is, or by the policy of its kind."""
    reason = wanted.kept.get(path, {}).get(rule.tag)
    if reason is None:
        return None
    kept = replace(rule, action="K", source=f"list {wanted.name}: {reason}", where=_where(rule.tag, path))
    if rule.tag in WRITTEN:
        return replace(kept, action=WRITTEN[rule.tag][0]) if path else None
    if rule.tag in wanted.raw:
        return replace(kept, source=f"{kept.source}; raw, as the profile asks")
    return _by_kind(kept, wanted)


def _by_kind(kept: Rule, wanted: Wanted) -> Rule:
    """UIDs, orders and dates follow a policy of their own, whatever the list says."""
    if kept.tag == _ACCESSION:
        return replace(kept, action="Z")
    if kept.vr == "UI" and kept.tag not in reference.roles():
        return replace(kept, action="U")
    if kept.vr in TEMPORAL_VRS:
        bare = _undated(kept.tag)
        return replace(kept, action="S", spare=bare) if wanted.moving else replace(kept, action=bare)
    return kept


def _undated(tag: int) -> str:
    """What the Basic profile makes of a date or time: what the IOD demands is there, the date is not."""
    return reference.listed().get(tag, "X")


def _where(tag: int, path: tuple[int, ...]) -> str:
    """Parts of codes are looked at as such inside items."""
    where, _ = reference.technical().get(tag, ("any", ""))
    return where if path and where == "code" else "any"


def _temporal(rules: Iterable[Rule], overrides: Iterable[Override]) -> str:
    """(0028,0303) (PS3.3 C.7.1.1): what is the most that is left of any date."""
    found = {rule.action for rule in rules if rule.vr in {"DA", "DT"}}
    found |= {one.letter for one in overrides if set(one.vrs) & {"DA", "DT"}}
    return "UNMODIFIED" if "K" in found else "MODIFIED" if "S" in found else "REMOVED"


def _canonical(
    top: Sequence[Rule],
    paths: Sequence[tuple[tuple[int, ...], Sequence[Rule]]],
    elsewhere: Sequence[Rule],
    rest: tuple[object, ...],
) -> Iterator[str]:
    """Everything that decides what is written, line by line."""
    yield f"pacsferry allowlist {ENGINE} {reference.EDITION} {rest}"
    for path, rules in (((), top), *paths):
        at = "/".join(f"{tag:08X}" for tag in path)
        for rule in rules:
            yield f"{at} {rule.tag:08X} {rule.vr} {rule.action} {rule.where} {rule.most} {rule.spare} {rule.value}"
    yield repr([(rule.tag, rule.action, rule.value) for rule in elsewhere if rule.action != "X"])
    for uid, attributes in sorted(reference.types().items()):
        yield f"{uid} {sorted(attributes.items())}"
    for facts in (reference.schemes(), reference.pixel_classes(), reference.needles(), NEEDED, PALETTE):
        yield repr(sorted(facts))
    yield repr(Limits())
