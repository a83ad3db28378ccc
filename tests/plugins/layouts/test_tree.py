import dataclasses
import hashlib
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacsferry.core import places, registry
from pacsferry.core.model import Facts
from pacsferry.core.strict import NoSettings

FACTS = Facts(
    pseudonym="case0001",
    study_uid="2.25.1",
    series_uid="2.25.2",
    instance_uid="2.25.3",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    transfer_syntax="1.2.840.10008.1.2.1",
    modality="CT",
    study_date="20240517",
    series_number=3,
    instance_number=12,
)

any_facts = st.builds(
    Facts,
    pseudonym=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True),
    study_uid=st.from_regex(r"2\.25\.[1-9][0-9]{0,37}", fullmatch=True),
    series_uid=st.from_regex(r"2\.25\.[1-9][0-9]{0,37}", fullmatch=True),
    instance_uid=st.from_regex(r"2\.25\.[1-9][0-9]{0,37}", fullmatch=True),
    sop_class=st.just("1.2"),
    transfer_syntax=st.just("1.2"),
    study_date=st.one_of(st.just(""), st.just("20240517"), st.text(max_size=12)),
    series_number=st.integers(),
    instance_number=st.integers(),
)


def built(name):
    return registry.resolve(registry.load(external=False).named("layout", name).build)(NoSettings())


def hexed(uid):
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def changed(**fields):
    return dataclasses.replace(FACTS, **fields)


def test_cases_has_a_folder_per_case_study_and_series():
    expected = f"case0001/20240517-{hexed('2.25.1')}/003-{hexed('2.25.2')}/00012-{hexed('2.25.3')}.dcm"
    assert built("cases").place(FACTS) == PurePosixPath(expected)


@pytest.mark.parametrize("date", ["", "2024", "2024-05-17", "../../..", "٢٠٢٤٠٥١٧", "20240517 "])
def test_what_is_no_date_is_eight_zeros(date):
    assert built("cases").place(changed(study_date=date)).parts[1].startswith("00000000-")


@pytest.mark.parametrize(
    ("number", "series", "file"),
    [
        (0, "000", "00000"),
        (-7, "000", "00000"),
        (1234567, "1234567", "1234567"),
        (2**31 - 1, "2147483647", "2147483647"),
        (10**300, "000", "00000"),
    ],
)
def test_numbers_no_archive_may_send_sort_first_and_big_ones_stay_whole(number, series, file):
    path = built("cases").place(changed(series_number=number, instance_number=number))
    assert path.parts[2].partition("-")[0] == series
    assert path.name.partition("-")[0] == file


def test_flat_puts_everything_into_one_folder_and_sorts_like_cases():
    many = [
        changed(pseudonym=f"case000{case}", series_uid=f"2.25.2{case}{series}", series_number=series,
                instance_uid=f"2.25.3{case}{series}{image}", instance_number=image)
        for case in (1, 2) for series in (1, 2, 10) for image in (1, 2, 10, 100)
    ]  # fmt: skip
    cases, flat = built("cases"), built("flat")
    assert {len(flat.place(facts).parts) for facts in many} == {1}
    assert sorted(many, key=lambda f: str(flat.place(f))) == sorted(many, key=lambda f: str(cases.place(f)))


@pytest.mark.parametrize("name", ["cases", "flat"])
@given(facts=any_facts)
@settings(deadline=None, max_examples=60)
def test_every_path_is_plain_whatever_the_facts(name, facts):
    assert places.plain(built(name).place(facts))


@pytest.mark.parametrize("name", ["cases", "flat"])
@given(facts=any_facts, uid=st.from_regex(r"2\.25\.[1-9][0-9]{0,37}", fullmatch=True))
@settings(deadline=None, max_examples=60)
def test_two_instances_never_share_a_path(name, facts, uid):
    other = dataclasses.replace(facts, instance_uid=uid)
    layout = built(name)
    assert (layout.place(facts) == layout.place(other)) == (facts.instance_uid == uid)
