"""Say in sentences what the rules do, from the rules themselves; promises nothing that they do not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from . import options as o
from . import reference
from .claims import CID_7050
from .policy_rules import Override
from .rules import Rule, RuleSet

#: What the Basic profile removes, and the option under which it stays.
_WHAT = (
    ("descriptions, comments, protocol names, people other than the patient, addresses", ""),
    ("institutions", "retain-institution-identity"),
    ("devices", o.DEVICE),
    ("dates and times", o.FULL_DATES),
    ("age, size and weight", "retain-patient-characteristics"),
)
_VERBS = {
    "keep": "is kept",
    "remove": "is removed",
    "empty": "is emptied",
    "dummy": "is replaced by a dummy",
    "uid": "gets a new UID",
    "shift": "is moved by the patient's shift",
    "pseudonym": "becomes the pseudonym",
    "set": "is set to a value of the profile",
}


def sentences(rules: RuleSet) -> Iterator[str]:
    """What is removed, replaced, kept and held; then each rule of the profile's own."""
    facts, said = _facts(rules), _said(rules)
    for sentence, when in reference.sentences():
        if not when or when in said:
            yield sentence.format_map(facts)
    yield from (own(one, rules.spoils(one)) for one in rules.policy.overrides)


def _said(rules: RuleSet) -> set[str]:
    """The conditions of sentences that hold."""
    policy = rules.policy
    said = {*policy.options, *(f"{kind}={wish}" for kind, wish in policy.unlisted.items())}
    said |= {"shifts", "mapped" if rules.shifts.mapped else "drawn"} if rules.shifts else set()
    said |= {"unclaimed"} if rules.broken else set()
    said |= {"dates-over-device"} if o.yielded(policy.options) else set()
    return said | (set() if policy.has(o.GRAPHICS) else {"graphics=remove"})


def own(override: Override, spoiled: Collection[str]) -> str:
    """One rule of the profile, with its conditions, and what it costs: "basic" or options that are not claimed."""
    named = {tag: row[1] for tag, row in reference.known().items()}
    parts = [f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {named.get(tag, '')}".rstrip() for tag, _ in override.when]
    when = " and ".join(
        f"{part} is {' or '.join(wanted)}" for part, (_, wanted) in zip(parts, override.when, strict=True)
    )
    where = f"Rule of the profile: {override.text} {_VERBS[override.action]}{f', where {when}' if when else ''}."
    if spoiled:
        where += f" This is an exception: {_names_of(spoiled)} cannot be claimed {'there' if when else 'any more'}."
    if override.action == "keep" and any(tag in reference.needles() for tag in override.tags):
        where += " It identifies, and the gate residual-identifiers does not look for what is kept."
    return where


def _names_of(names: Iterable[str]) -> str:
    return ", ".join(f"{CID_7050[o.CODES[name]]} ({o.CODES[name]})" for name in sorted(names))


def _facts(rules: RuleSet) -> dict[str, object]:
    listed = list(_by_source(rules, "PS3.15 E.1-1"))
    actions = Counter(rule.action for rule in listed if not rule.option)
    kinds = Counter(rule.source for rule in rules.rules)
    limits, policy, shifts = rules.limits, rules.policy, rules.shifts
    return {
        **{option: _names(rule for rule in listed if rule.option == option) for option in o.OPTIONS},
        "edition": rules.edition,
        "profile": ", ".join(f"{CID_7050[code]} ({code})" for code in rules.codes) or "with exceptions",
        "unclaimed": _names_of(rules.broken),
        "digest": rules.digest[:12],
        "removed": actions["X"],
        "what": ", ".join(words for words, option in _WHAT if not _stays(option, policy.options)),
        "emptied": _names(rule for rule in listed if rule.action == "Z"),
        "dummies": actions["D"],
        "compound": sum(number for action, number in actions.items() if "/" in action),
        "full_dates": sum(rule.option == o.FULL_DATES for rule in listed),
        "moved": sum(rule.option == o.MODIFIED_DATES for rule in listed),
        "low": shifts.choices()[0] if shifts else 0,
        "high": shifts.choices()[-1] if shifts else 0,
        "unit": "weeks" if shifts and shifts.unit == 7 else "days",
        "safe": len(rules.private),
        "added": _names(_by_source(rules, "added: ")),
        "text": kinds["unlisted text"],
        "names": kinds["unlisted person name"],
        "dates": kinds["unlisted date or time"],
        "bytes": kinds["unlisted bytes"],
        "temporal": rules.temporal,
        "method": rules.method.replace("\\", "; "),
        "codes": ", ".join(rules.codes) or "none",
        "technical": _names(rule for rule in _by_source(rules, "technical: ") if rule.where != "code"),
        "schemes": len(reference.schemes()),
        "required": sum(rule.source.startswith("required text") for rule in rules.rules),
        "encoders": ", ".join(reference.encoders()),
        "depth": limits.depth,
        "elements": limits.elements,
        "ratio": limits.inflate_ratio,
        "gib": limits.inflate_bytes >> 30,
    }


def _stays(option: str, chosen: Iterable[str]) -> bool:
    return option in chosen or (option == o.FULL_DATES and o.MODIFIED_DATES in chosen)


def _by_source(rules: RuleSet, start: str) -> Iterator[Rule]:
    return (rule for rule in rules.rules if rule.source.startswith(start))


def _names(rules: Iterable[Rule]) -> str:
    return ", ".join(rule.keyword for rule in rules)


# --- element by element


def table(rules: RuleSet) -> Iterator[tuple[str, str, str, str, str]]:
    """Tag "(gggg,eeee)", keyword, VR, action and its source, for every element that has a rule."""
    for rule in rules.rules:
        yield f"({rule.tag >> 16:04X},{rule.tag & 0xFFFF:04X})", rule.keyword, rule.vr, rule.action, rule.source
    for one in rules.private:
        where = f'"{one.creator}"({one.group:04X},xx{one.number:02X})'
        yield where, reference.private()[one.creator, one.group, one.number][2], one.vr, one.action, one.source
    for override in rules.overrides:
        source = "Clean Graphics" if override not in rules.policy.overrides else "rule of the profile"
        when = " and ".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) = {' or '.join(w)}" for tag, w in override.when)
        yield override.text, "", "", override.letter, f"{source}{f' where {when}' if when else ''}"
    yield from _patterns(rules)


def _patterns(rules: RuleSet) -> Iterator[tuple[str, str, str, str, str]]:
    wish = dict(rules.strangers)
    private = "K" if wish.get("private") == "keep" else "X"
    yield "(gggg,eeee) with odd gggg", "", "", private, "PS3.15 E.1-1: private"
    yield "(50xx,xxxx)", "", "", "X", "PS3.15 E.1-1: curves"
    yield "(60xx,xxxx)", "", "", "X", "PS3.15 E.1-1: overlays, whole planes"
    yield "(0002,xxxx)", "", "", "W", "file meta information is made from scratch"
    yield "(FFFA,FFFA)", "", "", "X", "digital signatures"
    yield "(FFFC,FFFC)", "", "", "X", "padding"
    yield "any other", "", "", "K" if wish.get("unknown") == "keep" else "X", "not in PS3.6"
