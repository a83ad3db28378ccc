import re

import pytest

from pacsferry.core import registry
from pacsferry.core.model import Subject
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.strict import NoSettings

KEYS = ProjectKeys(b"s" * 32)


def built(name):
    return registry.resolve(registry.load(external=False).named("pseudonym source", name).build)(NoSettings())


def subjects(count, start=0):
    return [
        Subject(token=KEYS.subject(f"PAT{n}", "", "1.2"), patient_id=f"PAT{n}") for n in range(start, start + count)
    ]


def test_cases_count_on_from_the_first_number():
    assert built("cases").name(subjects(3), 9, KEYS) == ["case0009", "case0010", "case0011"]


def test_cases_grow_beyond_four_digits():
    assert built("cases").name(subjects(2), 9999, KEYS) == ["case9999", "case10000"]


def test_a_keyed_name_depends_on_secret_and_patient_only():
    source = built("keyed-hash")
    one, two = source.name(subjects(2), 1, KEYS)
    assert source.name(subjects(1, start=1), 77, KEYS) == [two]
    assert one != two
    assert source.name(subjects(1), 1, ProjectKeys(b"t" * 32)) != [one]


def test_a_keyed_name_says_nothing_of_the_identity():
    subject = Subject(token="0123456789abcdef", patient_id="PAT0", issuer="HOSP", accession="A1")
    bare = Subject(token="0123456789abcdef")
    assert built("keyed-hash").name([subject], 1, KEYS) == built("keyed-hash").name([bare], 1, KEYS)


def test_thousands_of_keyed_names_are_plain_and_apart():
    names = built("keyed-hash").name(subjects(5000), 1, KEYS)
    assert len(set(names)) == 5000
    assert all(re.fullmatch(r"p[a-z2-7]{16}", name) for name in names)
    assert {len({name[place] for name in names}) for place in range(1, 17)} == {32}


@pytest.mark.parametrize("name", ["cases", "keyed-hash"])
def test_nobody_to_name_gives_no_names(name):
    assert list(built(name).name([], 1, KEYS)) == []
