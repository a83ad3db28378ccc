"""Nothing planted survives, but where a rule says in so many words that it is kept."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Outcome, Source
from pacsferry.plugins.deid.rules import TEXT_VRS
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import PLACES, E, Planted, corpus, image
from pacsferry.testing.encode import file
from support.choosing import of_preset
from support.cleaning import clean, engine, source, whole

CORPUS = {planted.name: planted for planted in corpus()}


def kept_by_rule() -> dict[int, str]:
    """Text and UIDs that a documented rule keeps: reviewed technical text, and UIDs that name something of a standard."""
    rules = engine().rules.rules
    return {
        rule.tag: rule.source
        for rule in rules
        if rule.source.startswith(("technical: ", "names a ")) and rule.action == "K" and rule.where != "code"
    }


@pytest.mark.parametrize("name", [name for name in CORPUS if name != "behind the data set"])
def test_no_canary_survives(name):
    planted = CORPUS[name]
    left = planted.survivors(whole(clean(planted.data)))
    assert [(f"{one.tag:08X}", one.place) for one in left if one.tag not in kept_by_rule()] == []


#: What each preset lets through beyond technical text and the UIDs of classes and schemes, and why; by source of the
#: rule and VR. Everything else that the corpus plants has to be gone.
EXCEPTIONS: dict[str, dict[tuple[str, str], str]] = {
    "basic": {},
    "research": {
        ("retain-longitudinal-modified-dates", "TM"): "a shift is whole days, so times of day stay",
        ("unlisted date or time", "TM"): "the same, for times that no table lists",
        ("retain-patient-characteristics", "SH"): "EthnicGroup is a characteristic that E.1-1 keeps",
    },
    "tcia": {
        ("retain-longitudinal-modified-dates", "TM"): "a shift is whole days, so times of day stay",
        ("unlisted date or time", "TM"): "the same, for times that no table lists",
        ("retain-patient-characteristics", "SH"): "EthnicGroup is a characteristic that E.1-1 keeps",
        **{
            ("retain-device-identity", vr): "names, numbers and places of devices, which E.1-1 keeps"
            for vr in ("LO", "SH", "ST", "UC", "UT", "UI")
        },
    },
    "strict": {},
}


class Everybody(dict[str, int]):
    """A mapping that knows every patient: so far that no planted day becomes another planted one."""

    def get(self, _token: str, _default: object = None) -> int:
        return -29_200


@pytest.mark.parametrize("preset", EXCEPTIONS)
@pytest.mark.parametrize("name", [name for name in CORPUS if name != "behind the data set"])
def test_no_canary_survives_a_preset_but_where_it_says_so(preset, name):
    planted, by = CORPUS[name], of_preset(preset)
    asked = source(planted.data)
    moved = Source(head=asked.head, data=asked.data, pseudonym=asked.pseudonym, keys=asked.keys, shifts=Everybody())
    left = planted.survivors(whole(by.apply(moved)))
    assert [(f"{one.tag:08X}", one.place) for one in left if not excused(by, preset, one.tag)] == []


def excused(by, preset: str, tag: int) -> bool:
    rule = {rule.tag: rule for rule in by.rules.rules}.get(tag)
    if rule is None:
        return False
    if rule.source.startswith(("technical: ", "names a ")):
        return rule.action == "K" and rule.where != "code"
    return (rule.option or rule.source, rule.vr) in EXCEPTIONS[preset]


def test_every_exception_of_a_preset_is_in_what_it_describes():
    for preset, exceptions in EXCEPTIONS.items():
        by = of_preset(preset)
        text = " ".join(by.describe())
        for option, vr in exceptions:
            kept = [rule for rule in by.rules.rules if (rule.option or rule.source, rule.vr) == (option, vr)]
            assert kept, (preset, option, vr)
            if option.startswith("retain-") and vr != "TM":
                assert not [rule.keyword for rule in kept if rule.keyword not in text]
    assert "times, zones and all intervals stay" in " ".join(of_preset("research").describe())


def test_strict_keeps_nothing_but_uids_of_classes_and_schemes():
    rules = of_preset("strict").rules.rules
    assert not [rule.keyword for rule in rules if rule.source.startswith("technical: ")]
    kept = [rule for rule in rules if rule.vr in TEXT_VRS and rule.action in {"K", "S"}]
    assert {rule.keyword for rule in kept if rule.where == "term"} == {"RescaleType", "ModalityLUTType"}
    assert not [rule.keyword for rule in kept if rule.where != "term"]


def test_what_rules_keep_is_a_short_list_of_technical_text():
    kept = kept_by_rule()
    assert len(kept) < 60
    assert all(len(reason) > len("technical: name") for reason in kept.values())


def test_bytes_behind_the_data_set_hold_the_object():
    with pytest.raises(HeldError) as caught:
        clean(CORPUS["behind the data set"].data)
    assert caught.value.code == "malformed"


def test_every_place_is_planted():
    assert len(CORPUS) > 45
    assert all(len(planted.canaries) >= 1 for planted in CORPUS.values())
    assert sum(len(planted.canaries) for planted in CORPUS.values()) > 15_000
    tokens = [one.token for one in CORPUS["attributes, explicit"].canaries]
    assert len(set(tokens)) == len(tokens)


def test_the_corpus_notices_a_leak():
    planted = CORPUS["private, explicit"]
    assert len(planted.survivors(planted.data)) == len(planted.canaries)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_identified_is_shown_by_repr(place):
    planted = next(one for one in CORPUS.values() if one.name.startswith(place))
    draft = clean(planted.data)
    shown = repr((planted, draft, draft.needles, draft.seen)).encode()
    assert not [one.token for one in planted.canaries if one.token in shown]


@pytest.mark.parametrize(
    "echo",
    [E(0x00181210, "SH", "Lighthouse 3"), E(0x00080070, "LO", "PAT4711"), E(0x00180022, "CS", "LARRY")],
    ids=["name in a kernel", "id in a manufacturer", "name in a code"],
)
def test_the_patients_own_values_in_kept_text_are_held(echo):
    draft = clean(file(image(echo)))
    verdict = ResidualIdentifiers().judge(draft)
    assert (verdict.outcome, verdict.code) == (Outcome.HOLD, "residual-identifier")
    assert "Patient" in verdict.detail
    assert not any(word in verdict.detail for word in ("Lighthouse", "PAT4711", "LARRY"))


def test_planted_objects_are_values():
    assert isinstance(CORPUS["file meta"], Planted)
