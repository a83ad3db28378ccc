"""What is recalled of earlier objects is what would have been found; nothing of one object gets into another."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core.encoding import EXPLICIT
from pacsferry.core.errors import HeldError
from pacsferry.plugins.deid import recall, subject
from pacsferry.plugins.deid.engine import Engine
from pacsferry.plugins.deid.recall import Memory
from pacsferry.plugins.deid.rules import Limits
from pacsferry.plugins.deid.scan import Scanner
from pacsferry.testing import samples
from pacsferry.testing.corpus import corpus, image
from pacsferry.testing.encode import ENCODINGS, E, file
from pacsferry.testing.kinds import KINDS
from plugins.deid.test_two_paths import PROFILES, levels
from support.cleaning import source

SERIES = samples.ct_study(slices=40, rows=8, columns=8)


def told(made, data):
    """All that is said of an object, or why it was held."""
    try:
        draft = made.apply(source(data))
    except HeldError as err:
        return err.code
    spans = list(draft.text_spans), list(draft.own_spans), list(draft.header)
    return b"".join(draft.parts), spans, draft.charset, draft.facts, draft.seen, draft.needles


def twin(data, seed):
    """The same object with other values of the same length in a few of its elements."""
    made, chance = bytearray(data), random.Random(seed)
    try:
        body = subject.read(source(data), Limits())
    except HeldError:
        return data
    start = len(data) - len(body.scanner.data)
    if start < 0:
        return data  # deflated
    short = [one for one in body.elements if 0 < one[4] - one[3] <= 64 and not one[5]]
    for one in chance.sample(short, min(len(short), 3)):
        at = start + chance.randrange(one[3], one[4])
        if chr(made[at]).isalnum():
            made[at] = ord(chance.choice("0123456789")) if chr(made[at]).isdigit() else ord(chance.choice("ABCDEFGH"))
    return bytes(made)


def compare(objects, name="basic"):
    """One engine sees all, as often as it takes to recall them; the other meets each for the first time."""
    rules = PROFILES[name].rules
    warm, cold = Engine(rules), Engine(rules)
    for data in objects:
        cold._memory = Memory()
        assert told(warm, data) == told(cold, data)
    return warm


@pytest.mark.parametrize("name", PROFILES)
def test_the_images_of_a_series(name):
    warm = compare([samples.part10(ds) for ds in SERIES] * 2, name)
    assert any(one.layout and one.layout._stretches for one in warm._memory._known)


@pytest.mark.parametrize("name", PROFILES)
def test_every_object_that_we_have_and_its_twins(name):
    objects = [one.data for one in corpus()] + [samples.part10(make()) for make in KINDS.values()]
    for number, data in enumerate(each for each in objects if len(each) < 300_000):
        one, other = data, twin(data, number)
        compare([one, other, one, other], name)


@settings(max_examples=40, deadline=None)
@given(levels(), st.sampled_from(sorted(ENCODINGS)), st.sampled_from(sorted(PROFILES)), st.integers())
def test_any_data_set_and_its_twins(elements, encoding, name, seed):
    data = file(image(*(e for e in elements if e.tag != 0x00100010)), ENCODINGS[encoding])
    twins = [data, *(twin(data, seed + at) for at in range(4))]
    compare([*twins, *twins], name)


def test_another_patient_with_values_of_the_same_length_gets_nothing_of_the_first():
    first, second = (
        file(image(E(0x00100020, "LO", number), E(0x00101040, "LO", street), E(0x00100030, "DA", born)))
        for number, street, born in ((b"PAT-0001", b"Elm 12", b"19500102"), (b"PAT-0002", b"Oak 77", b"19330304"))
    )
    warm = compare([first, first, first, second, second, first, second, second, first])
    texts = {needle.text for needle in warm.apply(source(second)).needles}
    assert "PAT-0002" in texts
    assert "PAT-0001" not in texts


def test_a_sequence_without_a_length_that_differs_is_looked_for_anew():
    item = [[E(0x00080100, "SH", b"A1"), E(0x00080102, "SH", b"DCM")]]
    other = [[E(0x00080100, "SH", b"A1")], [E(0x00080104, "LO", b"")]]
    objects = [
        file(image(E(0x00081032, "SQ", items, undefined=True), E(0x00200013, "IS", b"%02d" % number)))
        for number, items in enumerate((item, item, other, item, other, other))
    ]
    compare(objects * 2)


def test_so_many_are_remembered_and_no_more():
    memory = Memory()
    for size in range(2, 2 * recall.LAYOUTS + 40, 2):
        data = memoryview(b"\x08\0\x60\0CS" + size.to_bytes(2, "little") + b"X" * size)
        for _ in range(2):
            found = Scanner(data, Limits()).elements(0, len(data), EXPLICIT, 0)
            memory.learn(data, EXPLICIT, found, lambda found=found: found)
    assert len(memory._known) == recall.LAYOUTS
