"""Say in sentences what the rules do, from the rules themselves; promises nothing that they do not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from . import reference
from .rules import CID_7050, Rule, RuleSet


def sentences(rules: RuleSet) -> Iterator[str]:
    """What is removed, replaced, kept and held."""
    facts = _facts(rules)
    return (sentence.format_map(facts) for sentence in reference.sentences())


def _facts(rules: RuleSet) -> dict[str, object]:
    actions = Counter(rule.action for rule in _by_source(rules, "PS3.15"))
    sources = Counter(rule.source for rule in rules.rules)
    limits = rules.limits
    return {
        "edition": rules.edition,
        "profile": ", ".join(f"{CID_7050[code]} ({code})" for code in rules.codes),
        "digest": rules.digest[:12],
        "removed": actions["X"],
        "emptied": _names(rule for rule in _by_source(rules, "PS3.15") if rule.action == "Z"),
        "dummies": actions["D"],
        "compound": sum(number for action, number in actions.items() if "/" in action),
        "added": _names(_by_source(rules, "added: ")),
        "text": sources["unlisted text"],
        "names": sources["unlisted person name"],
        "dates": sources["unlisted date or time"],
        "bytes": sources["unlisted bytes"],
        "temporal": rules.temporal,
        "method": rules.method,
        "codes": ", ".join(rules.codes),
        "technical": _names(rule for rule in _by_source(rules, "technical: ") if rule.where != "code"),
        "schemes": len(reference.schemes()),
        "depth": limits.depth,
        "elements": limits.elements,
        "ratio": limits.inflate_ratio,
        "gib": limits.inflate_bytes >> 30,
    }


def _by_source(rules: RuleSet, start: str) -> Iterator[Rule]:
    return (rule for rule in rules.rules if rule.source.startswith(start))


def _names(rules: Iterable[Rule]) -> str:
    return ", ".join(rule.keyword for rule in rules)
