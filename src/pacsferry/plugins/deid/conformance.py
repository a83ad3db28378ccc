"""The conformance statement of PS3.15 E.1.1, in Markdown, from the compiled rules; adds no claim of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

from . import options as o
from .claims import CID_7050
from .dates import Shifts
from .rules import WRITTEN, PrivateRule, Rule, RuleSet

Paths = Iterable[tuple[tuple[int, ...], tuple[Rule, ...]]]

#: Action to heading, in the order of the statement; what is kept and what is inserted have parts of their own.
_HEADINGS: Mapping[str, str] = {
    "X": "Removed",
    "Z": "Emptied",
    "D": "Replaced by a dummy",
    "U": "Replaced by a new UID",
    "U*": "Sequences that are kept with new UIDs in them",
    "S": "Dates and times that are moved",
    "P": "Replaced by the pseudonym",
    "V": "Set to a value of the profile",
}
#: Sources of more elements than anybody reads; they are counted here, and listed by ``describe --table``.
_COUNTED = frozenset({"not on the list", "unlisted number, code or data", "unlisted sequence"})
_PLACES = {
    "any": "",
    "item": " (in items only)",
    "code": " (in codes of published schemes only)",
    "term": " (terms of PS3.3 only)",
}
_LETTERS = "K kept, or entered where it is a sequence; U new UID; S moved; Z emptied; X removed; P pseudonym"


def statement(rules: RuleSet, *, title: str, paths: Paths = ()) -> str:
    """The statement. ``paths`` are rules of items of one sequence only, by the tags that lead there."""
    template = (files(__package__) / "tables" / "conformance.md").read_text(encoding="utf-8")
    facts = {
        "title": title,
        "edition": rules.edition,
        "digest": rules.digest,
        "engine": rules.engine,
        "codes": _codes(rules),
        "method": "; ".join(rules.method.split("\\")),
        "temporal": rules.temporal,
        "shifts": _shifts(rules.shifts),
        "changed": "\n".join(_changed(rules)),
        "inserted": "".join(_inserted(rules)),
        "kept": "\n".join(_kept(rules)),
        "paths": _paths(list(paths), {rule.tag: rule.keyword for rule in rules.rules}),
        "own": _own(rules),
        "private": _private(rules.private),
        "depth": rules.limits.depth,
        "elements": f"{rules.limits.elements:,}",
    }
    return template.format_map(facts)


def _codes(rules: RuleSet) -> str:
    if not rules.codes:
        return "No code of CID 7050 is written.\n"
    rows = "".join(f"| {code} | {CID_7050[code]} |\n" for code in rules.codes)
    names = sorted(rules.broken & set(o.CODES))
    broken = "".join(f"- {name}: applied with exceptions, so its code is not written.\n" for name in names)
    return f"| code (CID 7050) | profile or option |\n|---|---|\n{rows}\n{broken}"


def _shifts(shifts: Shifts | None) -> str:
    if shifts is None:
        return "Dates are not moved."
    if shifts.mapped:
        return (
            "All dates of one patient move by the same number of days, which a table of the site gives for each "
            "patient; all of a patient whom it does not name is held. Times of day stay, and so does every interval."
        )
    unit = "days" if shifts.unit == 1 else f"steps of {shifts.unit} days"
    return (
        f"All dates of one patient move by the same number of days, from {shifts.low} to {shifts.high} in {unit}, "
        "drawn with the project's secret. Times of day stay, and so does every interval."
    )


def _changed(rules: RuleSet) -> Iterator[str]:
    """What is removed or replaced: simple actions by heading, compound ones as they stand."""
    for action, heading in _HEADINGS.items():
        yield from _section(heading, (rule for rule in rules.rules if rule.action == action))
    for action in sorted({rule.action for rule in rules.rules if "/" in rule.action}):
        heading = f"{action}: the first of them that leaves what the IOD demands"
        yield from _section(heading, (rule for rule in rules.rules if rule.action == action))


def _section(heading: str, rules: Iterable[Rule]) -> Iterator[str]:
    chosen = list(rules)
    if chosen:
        yield f"## {heading}\n\n" + "\n".join(_by_source(chosen))


def _by_source(rules: list[Rule]) -> Iterator[str]:
    """One list per reason; very long ones are counted."""
    for source in dict.fromkeys(map(_reason, rules)):
        own = [rule for rule in rules if _reason(rule) == source]
        if source in _COUNTED:
            counts = Counter(rule.vr for rule in own)
            told = ", ".join(f"{number} {vr}" for vr, number in sorted(counts.items()))
            yield f"*{source}*: {len(own)} elements ({told}).\n"
        else:
            yield f"*{source}*: {', '.join(map(_name, own))}.\n"


def _reason(rule: Rule) -> str:
    """The reason without the example that it names."""
    return rule.source.partition(", as in ")[0]


def _name(rule: Rule) -> str:
    value = f" = {rule.value}" if rule.action == "V" else ""
    place = _PLACES[rule.where] if rule.action == "K" else ""
    return f"{rule.keyword or 'no keyword'} {_tag(rule.tag)}{place}{value}"


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _inserted(rules: RuleSet) -> Iterator[str]:
    for rule in rules.rules:
        if rule.tag in WRITTEN and rule.action == WRITTEN[rule.tag][0]:
            yield f"| {rule.keyword} {_tag(rule.tag)} | {WRITTEN[rule.tag][1]} |\n"


def _kept(rules: RuleSet) -> Iterator[str]:
    kept = [rule for rule in rules.rules if rule.action == "K"]
    yield from _section("Kept because of an option", (rule for rule in kept if rule.option))
    yield from _section("Kept", (rule for rule in kept if not rule.option))


def _paths(paths: list[tuple[tuple[int, ...], tuple[Rule, ...]]], keywords: Mapping[int, str]) -> str:
    """What holds in the items of some sequences only."""
    lines = [
        f"- {'/'.join(keywords[tag] for tag in path)}: " + ", ".join(f"{rule.keyword} ({rule.action})" for rule in own)
        for path, own in paths
        if own
    ]
    if not lines:
        return ""
    head = f"## In the items of sequences\n\nEverything else in them is removed. {_LETTERS}.\n\n"
    return head + "\n".join(lines) + "\n\n"


def _own(rules: RuleSet) -> str:
    if not rules.overrides:
        return ""
    lines = (f"- {one.text}: {one.action}{' (conditional)' if one.when else ''}" for one in rules.overrides)
    return "## Rules that hold in some objects or items only\n\n" + "\n".join(lines) + "\n\n"


def _private(safe: Iterable[PrivateRule]) -> str:
    """The safe private attributes, by creator (PS3.15 E.3.10)."""
    by_creator: dict[str, list[str]] = {}
    for one in safe:
        by_creator.setdefault(one.creator, []).append(f"({one.group:04X},xx{one.number:02X})")
    if not by_creator:
        return "All are removed, at every depth, with their creators."
    lines = (f"- {creator}: {', '.join(elements)}" for creator, elements in by_creator.items())
    return "These are safe and kept, with their creators; all others are removed, at every depth.\n\n" + "\n".join(
        lines
    )
