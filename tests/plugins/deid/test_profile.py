"""The profile as others see it: found by name, described, digested, and light to load."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import pacsferry.plugins.deid
from pacsferry.core import registry
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.plugins.deid import reference
from pacsferry.plugins.deid.options import CODES, LATER
from pacsferry.plugins.deid.policy import policy
from pacsferry.plugins.deid.profile import Ps315
from pacsferry.plugins.deid.rules import compile_rules
from pacsferry.plugins.deid.settings import OPTIONS, Ps315Settings
from pacsferry.testing.corpus import image
from pacsferry.testing.encode import E, file
from support.cleaning import KEYS, clean, engine, source, whole

#: What tools/make_deid_tables.py made for edition 2026d; a new edition changes these on purpose.
TABLES = {
    "elements": "f50922d49e13325f",
    "listed": "dd2c207948b3d032",
    "patterns": "eace5d507834019e",
    "types": "cc606b591d35b1d3",
    "pixels": "9653c1848b0d549c",
    "private": "3a3ae924cd7eb15d",
}


def test_it_is_found_by_name():
    offer = registry.load().named("anonymization profile", "ps3.15")
    built = registry.resolve(offer.build)(offer.settings())
    assert built.digest == engine().digest


@pytest.mark.parametrize("option", sorted(LATER))
def test_options_that_need_understanding_are_not_yet_supported(option):
    with pytest.raises(ValidationError, match=f"'{option}' is not yet supported"):
        Ps315Settings(options=(option,))


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in LATER])
def test_every_other_option_is_built_described_and_digested(option):
    built = Ps315(Ps315Settings(options=(option,)))
    assert CODES[option] in built.rules.codes
    assert CODES[option] in " ".join(built.describe())
    assert built.digest != Ps315().digest


def test_an_option_that_ps3_15_does_not_have_is_named():
    with pytest.raises(ValidationError, match="no option named 'keep-all'"):
        Ps315Settings(options=("keep-all",))


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        Ps315Settings.model_validate({"secret": "x"})


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_those_of_the_edition(name):
    table = Path(str(pacsferry.plugins.deid.__file__)).parent / "tables" / f"{name}.tsv"
    assert hashlib.sha256(table.read_bytes()).hexdigest().startswith(TABLES[name])
    assert f"PS3.15 {reference.EDITION}" in table.read_text().splitlines()[0]


def test_the_table_of_the_standard_is_whole():
    assert reference.EDITION == "2026d"
    assert len(reference.listed()) == 653
    assert len(reference.elements()) > 5000


def test_every_row_of_a_table_names_a_tag_once():
    folder = Path(str(pacsferry.plugins.deid.__file__)).parent / "tables"
    for path in folder.glob("*.tsv"):
        if "sentences" in path.name:
            continue
        keys = [line.split("\t")[0] for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(keys) == len(set(keys)), path.name


def test_reviewed_tables_agree_with_the_dictionary():
    listed = reference.listed()
    for name in ("technical", "additions", "roles", "needles", "required"):
        for tag in getattr(reference, name)():
            assert tag in reference.elements(), f"{name} {tag:08X}"
            if name in {"technical", "additions", "roles", "required"}:
                assert tag not in listed, f"{name} {tag:08X}"


def test_the_rules_are_one_picklable_value_with_a_digest():
    rules = compile_rules(policy())
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert rules.digest == compile_rules(policy()).digest == Ps315(Ps315Settings()).digest
    assert len(rules.digest) == 64


def test_another_rule_gives_another_digest(monkeypatch):
    before = compile_rules(policy()).digest
    monkeypatch.setattr(reference, "technical", dict)
    assert compile_rules(policy()).digest != before


def test_the_same_secret_gives_the_same_bytes_and_another_gives_others():
    data = file(image())
    assert whole(Ps315().apply(source(data))) == whole(clean(data))
    other = whole(Ps315().apply(source(data, keys=ProjectKeys(b"o" * 32))))
    assert other != whole(clean(data))


def test_facts_hold_what_is_released_only():
    facts = clean(file(image(E(0x00081030, "LO", "Knee"), E(0x0008103E, "LO", "t1")))).facts
    assert facts.study_uid == KEYS.uid("1.3.6.1.4.1.99999.2.1")
    assert (facts.pseudonym, facts.modality, facts.series_number, facts.instance_number) == ("case0001", "CT", 3, 7)
    assert (facts.study_date, facts.study_description, facts.series_description) == ("", "", "")
    assert (facts.sop_class, facts.transfer_syntax) == ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")


@pytest.mark.parametrize("odd", ["", "x", "1.9", "-4", "1e400", "99999999999999", "3\\4", "nan"])
def test_odd_numbers_do_not_break_the_facts(odd):
    number = clean(file(image(E(0x00200011, "IS", odd)))).facts.series_number
    assert number == {"1.9": 1, "3\\4": 3}.get(odd, 0)


def test_study_id_is_eight_digits_of_the_released_study():
    from support.cleaning import cleaned

    out = cleaned(file(image()))
    assert out.StudyID == hashlib.sha256(out.StudyInstanceUID.encode()).hexdigest()[:8]


def test_cleaning_loads_neither_pydicom_nor_numpy(tmp_path):
    path = tmp_path / "object"
    path.write_bytes(file(image()))
    code = (
        "import sys; from pathlib import Path\n"
        "from pacsferry.core.model import Framing, Head, Source\n"
        "from pacsferry.core.pseudonyms import ProjectKeys\n"
        "from pacsferry.core import peek\n"
        "from pacsferry.plugins.deid.profile import Ps315\n"
        "from pacsferry.plugins.gates.residual import ResidualIdentifiers\n"
        "from pacsferry.plugins.gates.sop_class import SopClass\n"
        f"data = memoryview(Path({str(path)!r}).read_bytes())\n"
        "draft = Ps315().apply(Source(head=Head(framing=Framing.PART_10), data=data, pseudonym='c1', keys=ProjectKeys(b'k' * 32)))\n"
        "assert not any(gate().judge(draft).outcome for gate in (ResidualIdentifiers, SopClass))\n"
        "print([name for name in ('pydicom', 'numpy', 'pynetdicom') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_sentences_fit_the_rules():
    text = " ".join(engine().describe())
    assert "113100" in text
    assert "private" in text
    assert "SequenceName" in text
    assert "Held" in text
