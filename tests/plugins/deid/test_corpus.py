"""Nothing planted survives, but where a rule says in so many words that it is kept."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Outcome
from pacsferry.plugins.gates.residual import ResidualIdentifiers
from pacsferry.testing.corpus import PLACES, E, Planted, corpus, image
from pacsferry.testing.encode import file
from support.cleaning import clean, engine, whole

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
