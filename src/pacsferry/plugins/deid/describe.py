"""Say in sentences what the rules do, from the rules themselves; promises nothing that they do not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from . import reference
from .rules import CID_7050, Rule, RuleSet

_COUNTED = {
    "PS3.15 E.1-1": "that table E.1-1 lists",
    "unlisted text": "unlisted text elements",
    "unlisted date or time": "unlisted dates and times",
}


def sentences(rules: RuleSet) -> Iterator[str]:
    """What is removed, replaced, kept and held."""
    yield (
        f"De-identified by DICOM PS3.15 {rules.edition}: "
        + ", ".join(f"{CID_7050[code]} ({code})" for code in rules.codes)
        + f"; rules {rules.digest[:12]}."
    )
    yield from _removed(rules)
    yield from _replaced()
    yield from _kept(rules)
    yield from _held(rules)


def _count(rules: RuleSet, source: str) -> int:
    return sum(rule.source == source for rule in rules.rules)


def _removed(rules: RuleSet) -> Iterator[str]:
    actions = Counter(rule.action for rule in rules.rules if rule.source == "PS3.15 E.1-1")
    yield (
        f"The rules hold at every depth. Of the elements that E.1-1 lists, {actions['X']} are always removed, {actions['Z']} emptied, "
        f"{actions['D']} replaced by a dummy and {actions['U']} by a new UID; the other {_compound(actions)} are removed, emptied or replaced by "
        "a dummy, whichever is the least that the kind of object (its IOD) allows. Where that is not known, a dummy is written."
    )
    yield "All dates and times are removed, emptied or replaced by a dummy (1900-01-01); patient characteristics (age, sex, size, weight), descriptions, comments, protocol names, institutions, people and device identities go too."
    yield (
        f"What E.1-1 does not list: {_count(rules, 'unlisted text')} text elements, {_count(rules, 'unlisted person name')} person names and "
        f"{_count(rules, 'unlisted date or time')} dates and times are removed; so is every element that PS3.6 does not have and every unknown (UN) value without a rule."
    )
    yield f"Removed too, although E.1-1 does not list them: {_names(rule for rule in rules.rules if rule.source.startswith('added: '))}."
    yield "All private elements are removed, at every depth, with their creators; so are overlays and curves as whole groups, icon images, digital signatures, encrypted, original and modified attributes, group lengths and trailing padding."
    yield "Bytes beyond the pixels that rows, columns, samples, bits and frames ask for are cut off."


def _compound(actions: Counter[str]) -> int:
    return sum(number for action, number in actions.items() if "/" in action)


def _names(rules: Iterator[Rule]) -> str:
    return ", ".join(rule.keyword for rule in rules)


def _replaced() -> Iterator[str]:
    yield "PatientName and PatientID become the pseudonym; StudyID becomes 8 hex digits of SHA-256 of the new study UID."
    yield "UIDs become 2.25. UIDs that derive from the project's secret, the same for the same original, so that references still meet; UIDs that name classes, transfer syntaxes, coding schemes and other things of the standard stay."
    yield "The preamble and the file meta information are made from scratch."
    yield "PatientIdentityRemoved (YES), DeidentificationMethod and its code sequence, and LongitudinalTemporalInformationModified (REMOVED) are written; what earlier tools wrote there is kept where it is recognised. BurnedInAnnotation is never set."
    yield "Uncompressed objects are written in Explicit VR Little Endian, compressed ones keep their syntax; the pixel data itself is not changed."


def _kept(rules: RuleSet) -> Iterator[str]:
    yield "Kept: numbers, coded terms (CS), binary data and sequences that nothing above names. A number, code or UID that is not written as such is emptied, removed or replaced."
    technical = [rule for rule in rules.rules if rule.source.startswith("technical: ")]
    yield f"Kept text, reviewed as technical: {_names(rule for rule in technical if rule.where != 'code')}."
    yield f"Codes keep value, scheme and meaning where the scheme is one of {len(reference.schemes())} published ones; other codes are replaced by a dummy."


def _held(rules: RuleSet) -> Iterator[str]:
    yield "Held, not written: objects that are not well-formed DICOM, that are cut off, that have less pixel data than they say, or whose overlay is drawn into the pixels."
    yield f"Held, not written: objects with sequences deeper than {rules.limits.depth}, more than {rules.limits.elements:,} elements, or a deflated data set that grows more than {rules.limits.inflate_ratio}-fold or beyond {rules.limits.inflate_bytes >> 30} GiB."
    yield "Text inside pixel data is not looked for, and comments inside compressed pixel data are not removed: the sop-class gate holds the kinds of object whose pixels usually carry text."
