"""Case numbers: one per subject, in the order asked for, never twice."""

from __future__ import annotations

import pytest

from pacsferry.core.errors import PluginError, RefusedError
from pacsferry.core.ledger import Ledger
from pacsferry.core.model import Subject
from support.ledgers import numbered, python, said, subjects


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as one:
        yield one


def test_new_subjects_are_numbered_in_the_order_given(ledger):
    assert ledger.number_subjects(subjects("b", "a"), numbered) == {"b": "case0001", "a": "case0002"}


def test_a_known_subject_keeps_its_case(ledger):
    ledger.number_subjects(subjects("a", "b"), numbered)
    asked = []

    def name(new, first):
        asked.append(([one.token for one in new], first))
        return numbered(new, first)

    assert ledger.number_subjects(subjects("c", "a"), name) == {"c": "case0003", "a": "case0001"}
    assert ledger.number_subjects(subjects("a"), name) == {"a": "case0001"}
    assert asked == [(["c"], 3)]


def test_a_subject_given_twice_is_one_case(ledger):
    assert ledger.number_subjects(subjects("a", "a", "b"), numbered) == {"a": "case0001", "b": "case0002"}


def test_numbers_outlive_the_process(ledger, tmp_path):
    ledger.number_subjects(subjects("a"), numbered)
    with Ledger.open(tmp_path / "ledger.db") as again:
        assert again.number_subjects(subjects("b"), numbered) == {"b": "case0002"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["case0001"], "gave 1 name"),
        (["a", "b", "c"], "gave 3 name"),
        (["../x", "b"], "not plain"),
        (["", "b"], "not plain"),
        (["a b", "b"], "not plain"),
        (["x" * 65, "b"], "not plain"),
        (["Reports", "b"], "reserved"),
        (["same", "same"], "another subject has"),
        (["same", "SAME"], "another subject has"),
        (["Case0001", "b"], "another subject has"),
    ],
)
def test_a_name_that_makes_no_folder_of_its_own_is_refused(ledger, names, told):
    ledger.number_subjects(subjects("known"), numbered)
    with pytest.raises(PluginError, match=told) as caught:
        ledger.number_subjects(subjects("x", "y"), lambda _new, _first: names)
    assert not any(name in str(caught.value) for name in names if len(name) > 1)
    assert ledger.number_subjects(subjects("x"), numbered) == {"x": "case0002"}


def test_a_source_that_fails_numbers_nobody(ledger):
    def fail(_new, _first):
        raise PluginError("out of names")

    with pytest.raises(PluginError, match="out of names"):
        ledger.number_subjects(subjects("a"), fail)
    assert ledger.number_subjects(subjects("b"), numbered) == {"b": "case0001"}


def test_more_cases_than_approved_are_refused_as_a_whole(ledger):
    ledger.number_subjects(subjects("a", "b"), numbered, limit=3)
    with pytest.raises(RefusedError, match="has 2 case") as caught:
        ledger.number_subjects(subjects("c", "d"), numbered, limit=3)
    assert caught.value.exit_code == 7
    assert ledger.number_subjects(subjects("a", "b", "c"), numbered, limit=3)["c"] == "case0003"


def test_what_is_known_is_no_reason_to_refuse(ledger):
    ledger.number_subjects(subjects("a", "b"), numbered)
    assert len(ledger.number_subjects(subjects("a", "b"), numbered, limit=1)) == 2


def test_the_link_goes_to_the_linkage_table(ledger):
    ledger.number_subjects([Subject(token="p", patient_id="PID", issuer="I")], numbered)
    ledger.number_subjects([Subject(token="q", accession="ACC")], numbered)
    from pacsferry.core.ledger_schema import linkage

    with ledger._store.read() as conn:
        rows = {
            (row.kind, row.key, row.case_id, row.patient_id, row.accession) for row in conn.execute(linkage.select())
        }
    assert rows == {("patient", "p", "case0001", "PID", ""), ("accession", "q", "case0002", "", "ACC")}


def test_processes_that_number_at_once_give_each_number_once(ledger, tmp_path):
    code = """
        import sys
        from support.ledgers import *
        with Ledger.open(sys.argv[1], create=False) as ledger:
            print("ready", flush=True)
            sys.stdin.readline()
            mine = sys.argv[2]
            for n in range(12):
                shared = ledger.number_subjects(subjects(f"shared{n}", f"{mine}{n}"), numbered)
                print(shared[f"shared{n}"], shared[f"{mine}{n}"])
    """
    racers = [python(code, tmp_path / "ledger.db", name, folder=tmp_path) for name in ("left", "right")]
    for one in racers:
        assert one.stdout.readline() == "ready\n"
    for one in racers:
        one.stdin.write("\n")
        one.stdin.flush()
    left, right = ([line.split() for line in said(one).splitlines()] for one in racers)
    assert [shared for shared, _ in left] == [shared for shared, _ in right]
    names = [shared for shared, _ in left] + [own for _, own in left] + [own for _, own in right]
    assert sorted(names) == [f"case{n:04d}" for n in range(1, 37)]
    assert ledger.check_chain().ok
