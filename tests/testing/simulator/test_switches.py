"""Every quirk has its switch, and what doctor learnt of an archive is replayed by faults that can be ordered."""

import pytest
from pydicom.dataset import Dataset

from pacsferry.app.simulating import known_faults
from pacsferry.core import registry
from pacsferry.core.behaviour import Behaviour, behaviour
from pacsferry.core.quirks import STANDARD, Quirks
from pacsferry.testing.samples import CT, ct_study
from pacsferry.testing.simulator import Fault, Simulator
from pacsferry.testing.simulator.like import faults_like
from pacsferry.testing.simulator.questions import remarks
from pacsferry.testing.simulator.switches import SWITCHES, faults_of
from support.plain_scu import PATIENT_FIND, PLAIN, association, keys

PLUGINS = registry.load(external=False)
KNOWN = known_faults(PLUGINS)
STUDY = ct_study(slices=2, series=2, rows=16, columns=16)
WHOLE = keys("STUDY", StudyInstanceUID=STUDY[0].StudyInstanceUID)


def learnt(**parts):
    return behaviour({"schema": "pacsferry.behaviour", "version": 1, **parts}, "here")


def like(**parts):
    """A simulator that replays what was learnt."""
    return Simulator(STUDY, faults=[Fault.parse(text, KNOWN) for text in faults_like(learnt(**parts))])


def test_every_quirk_has_a_switch():
    assert set(SWITCHES) == set(Quirks.model_fields)


def test_what_the_standard_promises_needs_no_fault():
    assert faults_of(STANDARD) == ["find-no-star:dates=yes"], "PS3.4 C.2.2.2.4 knows no wildcard in a date"
    assert faults_like(Behaviour()) == []


@pytest.mark.parametrize("name", PLUGINS.names("vendor"))
def test_the_quirks_of_every_product_can_be_ordered(name):
    for text in faults_of(PLUGINS.named("vendor", name).quirks):
        assert Fault.parse(text, KNOWN).name in KNOWN


EVERYTHING = {
    "dimse": {
        "services": ["c-find", "c-get", "c-move"],
        "find": {
            "models": ["study"], "levels": ["STUDY", "SERIES"], "parents": True, "wildcards": False, "empty_keys": False,
            "keys": {"PatientSex": "ignored", "AccessionNumber": "contains", "StudyTime": "refused", "StudyDate": "matched"},
            "lacks": ["SOPClassUID"], "cap": 5, "cap_told": True, "charset": "ISO_IR 6", "charset_true": False,
        },
        "get": {"levels": ["STUDY"], "roles": False},
        "move": {"levels": ["STUDY", "SERIES"], "originator": False, "own_title": False, "success_first": True, "pending": False},
        "storage": [{"sop_class": CT, "transfer_syntaxes": ["1.2.840.10008.1.2"]}],
    },
    "dicomweb": {
        "services": ["qido-rs", "wado-rs"], "qido": {"page": 3, "offset": False, "includefield": False},
        "wado": {"levels": ["IMAGE"], "metadata": False, "any_transfer_syntax": False},
    },
    "quirks": {"requires_study_date": True},
}  # fmt: skip


def test_all_that_can_be_learnt_can_be_replayed():
    texts = faults_like(learnt(**EVERYTHING))
    assert {Fault.parse(text, KNOWN).name for text in texts} >= {
        "no-service", "study-root-only", "find-needs-parents", "find-fails", "find-ignores", "find-contains",
        "find-refuses", "find-lacks", "find-literal", "find-needs-values", "find-cap", "find-charset",
        "identifier-mismatch", "no-role", "no-originator", "other-title", "late", "no-pending", "storage-only",
        "find-page", "no-offset", "no-includefield", "http-404", "no-star", "find-needs-date",
    }  # fmt: skip
    assert not any("StudyDate" in text for text in texts), "what is matched is as it should be"


def test_a_level_that_was_not_answered_is_not_answered():
    with like(dimse={"find": {"levels": ["STUDY", "SERIES"]}}) as sim, association(sim) as it:
        study = STUDY[0].StudyInstanceUID
        assert it.find(keys("IMAGE", StudyInstanceUID=study, SOPInstanceUID=""))[0] == [0xA900]
        assert len(it.find(keys("SERIES", StudyInstanceUID=study, SeriesInstanceUID=""))[1]) == 2


def test_a_model_that_was_refused_is_refused():
    with like(dimse={"find": {"models": ["study"]}}) as sim, association(sim) as it, pytest.raises(ValueError):
        it.find(keys("PATIENT", PatientID=""), PATIENT_FIND)


def test_a_key_that_was_ignored_is_ignored():
    with like(dimse={"find": {"keys": {"PatientSex": "ignored"}}}) as sim, association(sim) as it:
        assert len(it.find(keys("STUDY", StudyInstanceUID="", PatientSex="O"))[1]) == 1
    with Simulator(STUDY) as sim, association(sim) as it:
        assert it.find(keys("STUDY", StudyInstanceUID="", PatientSex="O"))[1] == []


def test_roles_that_were_refused_are_refused():
    with like(dimse={"get": {"roles": False}}) as sim, association(sim, [(CT, PLAIN)]) as it:
        assert it.get(WHOLE)[-1] != 0
        assert it.got == []


def test_only_the_syntaxes_that_were_accepted_are_accepted():
    storage = [{"sop_class": CT, "transfer_syntaxes": ["1.2.840.10008.1.2"]}]
    with like(dimse={"storage": storage}) as sim, association(sim, [(CT, PLAIN)]) as it:
        assert it.get(WHOLE)[-1] == 0
    assert {syntax for _, syntax, _ in it.got} == {"1.2.840.10008.1.2"}


def test_a_query_that_was_asked_strangely_is_remarked_on_without_its_values():
    with Simulator(STUDY) as sim, association(sim) as it:
        odd = keys("SERIES", SeriesInstanceUID="", SOPInstanceUID="")
        odd.add_new(0x00091010, "LO", "CANARY")
        it.find(odd)
        (asked,) = sim.log.of("c-find")
    assert set(asked.odd) == {
        "unknown: (0009,1010)", "SOPInstanceUID: not at SERIES level",
        "StudyInstanceUID: missing above SERIES level",
    }  # fmt: skip
    assert not any("CANARY" in one for one in asked.odd)
    assert remarks({"SeriesDate": "2024*"}, [], "STUDY", ()) == ("SeriesDate: wildcard in a DA",)


def test_answers_that_faults_change_are_copies():
    with Simulator(STUDY, faults=["find-odd-values", "find-traversal", "find-counts"]) as sim, association(sim) as it:
        it.find(keys("STUDY", StudyInstanceUID="", StudyTime=""))
        kept: Dataset = sim.holdings.all()[0].header
    assert kept.StudyTime == STUDY[0].StudyTime
