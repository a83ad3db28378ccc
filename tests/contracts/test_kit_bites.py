"""The contracts catch bad plugins: one plugin per sin, and the test that must fail for it."""

import hashlib
import logging
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from pacsferry.core.errors import StoreError, TransferError
from pacsferry.core.model import Framing, Head, Level, Match, Outcome, Ping, Receipt, Tally, Traits, Verdict
from pacsferry.core.ports import Offer, Proof, Vendor
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.quirks import Quirks
from pacsferry.core.strict import NoSettings, Strict
from pacsferry.testing import contracts
from pacsferry.testing.contracts import deidentifier, drafts, kit
from pacsferry.testing.samples import part10
from pacsferry.testing.simulator import Simulator

CAUGHT = (AssertionError, pytest.fail.Exception)
KEYS = ProjectKeys(b"k" * 32)


def offer(build, settings=NoSettings):
    return Offer(name="bad", summary="bad on purpose", build=build, settings=settings)


def caught(test, *arguments, **named):
    with pytest.raises(CAUGHT):
        test(*arguments, **named)


# --- transports -----------------------------------------------------------------------------------------------------


@pytest.fixture
def held():
    with Simulator(kit.studies()) as sim:
        studies = {}
        for one in sim.holdings.all():
            studies.setdefault(one.study, []).append(one)
        return list(studies.values())


class Honest:
    """Brings what it is asked for, out of thin air."""

    traits = Traits(takes=frozenset({Level.STUDY, Level.SERIES, Level.IMAGE}), protocol="thin-air")

    def __init__(self, held):
        self.held = held

    def answer(self, wanted):
        for one in (one for study in self.held for one in study):
            series = wanted.series in (None, one.series)
            if one.study == wanted.study and series and (not wanted.instances or one.instance in wanted.instances):
                yield one

    def give(self, one, wanted, sink):
        head = Head(framing=Framing.PART_10, sop_instance=one.instance, wanted=wanted)
        return sink.accept(head, [one.data])

    def fetch(self, wanted, sink):
        for one in self.answer(wanted):
            if self.give(one, wanted, sink) is Receipt.NO_SPACE:
                return Tally(code="no-space")
        return Tally()

    def ping(self):
        return Ping(service="thin air", address="here", seconds=0.0)

    def close(self):
        pass


class Forgetful(Honest):
    def answer(self, wanted):
        return list(super().answer(wanted))[1:]


class Twice(Honest):
    def answer(self, wanted):
        return [one for one in super().answer(wanted) for _ in "12"]


class WholeStudy(Honest):
    """The fault of a predecessor: asks for more than was wanted."""

    def answer(self, wanted):
        return super().answer(replace(wanted, series=None, instances=()))


class Recoding(Honest):
    def give(self, one, wanted, sink):
        ds = dcmread(BytesIO(one.data))
        ds.PatientComments = "touched"
        return sink.accept(Head(framing=Framing.PART_10), [part10(ds)])


class Nameless(Honest):
    def give(self, one, wanted, sink):
        return sink.accept(Head(framing=Framing.DATA_SET), [one.data_set(one.transfer_syntax)])


class Deaf(Honest):
    def fetch(self, wanted, sink):
        super().fetch(wanted, sink)
        return Tally()


class Swallowing(Honest):
    def give(self, one, wanted, sink):
        try:
            return super().give(one, wanted, sink)
        except StoreError:
            return None


class Easily(Honest):
    """Gives up at the first refusal."""

    def give(self, one, wanted, sink):
        receipt = super().give(one, wanted, sink)
        if receipt is Receipt.UNEXPECTED:
            raise TransferError("refused", code="unexpected")
        return receipt


class Shared(Honest):
    """Keeps the sink of the last caller."""

    def fetch(self, wanted, sink):
        self.sink = sink
        time.sleep(0.1)
        return super().fetch(wanted, self.sink)


class Optimist(Honest):
    """Says nothing when nobody answers."""

    def fetch(self, wanted, sink):
        return Tally(completed=wanted.expected)


class Spooling(Honest):
    def give(self, one, wanted, sink):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(one.data)
        return super().give(one, wanted, sink)


class Talking(Honest):
    def give(self, one, wanted, sink):
        logging.getLogger("bad").debug("got %s", one.header.PatientName)
        return super().give(one, wanted, sink)


class Hanging(Honest):
    def fetch(self, wanted, sink):
        threading.Event().wait(30)


TRANSPORT = contracts.TransportContract()


def test_the_honest_one_passes(held):
    honest = Honest(held)
    TRANSPORT.test_it_brings_every_instance_once(honest, held)
    TRANSPORT.test_the_bytes_are_those_of_the_archive(honest, held)
    TRANSPORT.test_no_space_is_no_success(honest, held)
    TRANSPORT.test_an_error_of_the_sink_surfaces(honest, held)
    TRANSPORT.test_requests_at_once_do_not_mix(honest, held)


@pytest.mark.parametrize("bad", [Forgetful, Twice, WholeStudy])
def test_a_transport_that_brings_something_else_is_caught(held, bad):
    caught(TRANSPORT.test_it_brings_every_instance_once, bad(held), held)


@pytest.mark.parametrize("bad", [Recoding, Nameless])
def test_a_transport_that_touches_the_bytes_is_caught(held, bad):
    caught(TRANSPORT.test_the_bytes_are_those_of_the_archive, bad(held), held)


def test_a_transport_that_does_not_hear_no_is_caught(held):
    caught(TRANSPORT.test_no_space_is_no_success, Deaf(held), held)


def test_a_transport_that_swallows_the_sinks_error_is_caught(held):
    caught(TRANSPORT.test_an_error_of_the_sink_surfaces, Swallowing(held), held)


def test_a_transport_that_gives_up_is_caught(held):
    with pytest.raises((*CAUGHT, TransferError)):
        TRANSPORT.test_what_the_sink_refuses_stops_nothing(Easily(held), held)


def test_a_transport_that_mixes_requests_is_caught(held):
    caught(TRANSPORT.test_requests_at_once_do_not_mix, Shared(held), held)


def test_a_transport_that_is_not_there_and_says_so_to_nobody_is_caught(held):
    build = offer(lambda archive, settings: Optimist(held))
    gone = SimpleNamespace(close=lambda: None)
    caught(TRANSPORT.test_an_archive_that_is_not_there_is_an_error, build, None, NoSettings(), held, gone)


@pytest.mark.parametrize("bad", [Spooling, Talking])
def test_a_transport_that_leaves_traces_is_caught(held, bad, tmp_path, monkeypatch, caplog, capfd):
    test = TRANSPORT.test_it_leaves_no_file_and_says_nothing
    caught(test, bad(held), held, tmp_path, monkeypatch, caplog, capfd)


def test_a_call_that_hangs_is_caught(held):
    caught(kit.in_time, lambda: Hanging(held).fetch(None, None), seconds=0.2)


# --- finders --------------------------------------------------------------------------------------------------------


class EmptyOnFailure:
    """The fault of a predecessor: a failed query reads as "not found"."""

    protocol = "dimse"

    def find(self, query):
        return iter(())

    def ping(self):
        return Ping(service="none", address="none", seconds=0.0)

    def close(self):
        pass


class Repeating(EmptyOnFailure):
    def find(self, query):
        one = Match(level=Level.STUDY, keys={"StudyInstanceUID": "1.2.3"})
        return iter([one, one])


FINDER = contracts.FinderContract()


def test_a_finder_that_calls_failure_nothing_is_caught():
    with Simulator() as sim:
        caught(FINDER.test_a_failure_is_an_error_and_no_empty_list, EmptyOnFailure(), sim, "find-fails")
        caught(FINDER.test_an_archive_that_is_not_there_is_an_error, EmptyOnFailure(), sim)


def test_a_finder_that_repeats_itself_is_caught():
    with Simulator() as sim:
        caught(FINDER.test_answers_are_not_repeated, Repeating(), sim)


# --- anonymization profiles -----------------------------------------------------------------------------------------


class PassThrough:
    """Calls the object safe and changes nothing but what names it."""

    digest = "d"

    def __init__(self, settings=None):
        self.calls = 0

    def describe(self):
        return ["Nothing."]

    def change(self, ds):
        ds.PatientID = ds.PatientName = "case0042"

    def apply(self, source):
        self.calls += 1
        ds = dcmread(BytesIO(source.data))
        self.change(ds)
        draft = drafts.clean(parts=[part10(ds)], header=[0], text_spans=[])
        return replace(draft, facts=replace(draft.facts, study_uid=ds.StudyInstanceUID))


class InPlace(PassThrough):
    def apply(self, source):
        source.data[-4:] = b"zzzz"
        return super().apply(source)


class Clock(PassThrough):
    def change(self, ds):
        ds.DeidentificationMethod = f"at {time.monotonic_ns()}"


class ByChance(PassThrough):
    def change(self, ds):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()


class Blabbing(PassThrough):
    def apply(self, source):
        raise ValueError(f"cannot handle {dcmread(BytesIO(source.data)).PatientName}")


DEID = contracts.DeidentifierContract()
SAMPLE = ("CT", deidentifier.SAMPLES["CT"]())


def test_a_profile_that_leaks_is_caught():
    caught(DEID.test_no_identifier_survives, PassThrough(), KEYS, SAMPLE)


def test_a_profile_whose_file_is_not_what_it_says_is_caught():
    caught(DEID.test_it_writes_a_whole_file, PassThrough(), KEYS, SAMPLE)


def test_a_profile_that_works_in_place_is_caught():
    caught(DEID.test_the_input_is_not_touched, InPlace(), KEYS, SAMPLE)


@pytest.mark.parametrize("bad", [Clock, ByChance])
def test_a_profile_that_depends_on_the_hour_is_caught(bad):
    caught(DEID.test_the_same_again, offer(bad), NoSettings(), bad(), KEYS, SAMPLE)


def test_a_profile_that_hides_nothing_of_what_it_gives_gates_is_caught():
    blind = PassThrough()
    blind.apply = lambda source: drafts.clean(needles=[])
    caught(DEID.test_the_draft_tells_gates_where_to_look, blind, KEYS, SAMPLE)


def test_a_profile_that_raises_something_else_is_caught():
    with pytest.raises(ValueError, match="cannot handle"):
        DEID.test_what_is_broken_is_held(Blabbing(), KEYS, "cut in the pixels")
    caught(DEID.test_what_is_broken_is_held, PassThrough(), KEYS, "cut in the pixels")


def test_an_exception_that_quotes_the_patient_is_caught():
    with pytest.raises(ValueError, match="cannot handle") as error:
        Blabbing().apply(deidentifier.source(SAMPLE[1], KEYS))
    caught(kit.without_canaries, *kit.chain(error.value))


# --- gates, layouts, pseudonyms, reports, vendors --------------------------------------------------------------------


class Judge:
    def __init__(self, settings=None):
        self.seen = 0

    def judge(self, draft):
        self.seen += 1
        return self.say(draft)


class Fickle(Judge):
    def say(self, draft):
        return Verdict.hold("mood") if self.seen % 2 else Verdict.allow()


class Speechless(Judge):
    def say(self, draft):
        return Verdict(outcome=Outcome.HOLD)


class Indiscreet(Judge):
    def say(self, draft):
        return Verdict.hold("found", draft.needles[0].text if draft.needles else "")


class Lenient(Judge):
    def say(self, draft):
        return Verdict.allow()


class Strictest(Judge):
    def say(self, draft):
        return Verdict.hold("no")


class Wiping(Judge):
    def say(self, draft):
        draft.parts[0][:4] = b"oops"
        return Verdict.allow()


GATE = contracts.GateContract()
CLEAN = [drafts.clean()]


def test_bad_gates_are_caught():
    caught(GATE.test_what_is_clean_passes, Strictest(), CLEAN)
    caught(GATE.test_what_it_is_for_is_stopped, Lenient(), [drafts.leaking()])
    caught(GATE.test_every_verdict_has_its_reason, Speechless(), CLEAN, [])
    caught(GATE.test_every_verdict_has_its_reason, Indiscreet(), CLEAN, [])
    caught(GATE.test_the_same_draft_gets_the_same_verdict, offer(Fickle), NoSettings(), Fickle(), CLEAN, [])
    caught(GATE.test_it_changes_nothing, Wiping(), CLEAN)


class Layouter:
    def __init__(self, settings=None, rule=None):
        self.count = 0
        self.rule = rule or type(self).rule

    def place(self, facts):
        self.count += 1
        return PurePosixPath(self.rule(self, facts))


class ByNumber(Layouter):
    """The fault of a predecessor: series with equal numbers share a folder."""

    def rule(self, facts):
        return f"{facts.pseudonym}/{facts.series_number}/{facts.instance_number:05}.dcm"


class ByText(Layouter):
    def rule(self, facts):
        return f"{facts.pseudonym}/{facts.series_description}/{facts.instance_uid}.dcm"


class Counting(Layouter):
    def rule(self, facts):
        return f"{facts.pseudonym}/{self.count}.dcm"


class Unsorted(Layouter):
    def rule(self, facts):
        digest = hashlib.sha256(facts.instance_uid.encode()).hexdigest()
        return f"{facts.pseudonym}/{facts.instance_number}-{digest}.dcm"


LAYOUT = contracts.LayoutContract()


def test_bad_layouts_are_caught():
    caught(LAYOUT.test_two_instances_never_share_a_path, ByNumber())
    caught(LAYOUT.test_hostile_facts_give_a_plain_path_or_hold, ByText(), "series_description", "../../etc/passwd")
    caught(LAYOUT.test_the_same_facts_the_same_path, offer(Counting), NoSettings(), Counting())
    caught(LAYOUT.test_files_sort_by_their_number, Unsorted())


class Naming:
    def __init__(self, settings=None, rule=None):
        self.count = 0

    def name(self, subjects, first, keys):
        self.count += 1
        return [self.rule(one, first + n) for n, one in enumerate(subjects)]


class ByPatient(Naming):
    def rule(self, subject, number):
        return subject.patient_id


class SameForAll(Naming):
    def rule(self, subject, number):
        return "case"


class WithSpaces(Naming):
    def rule(self, subject, number):
        return f"case {number}"


class Remembering(Naming):
    def rule(self, subject, number):
        return f"case{number}-{self.count}"


NAMES = contracts.PseudonymSourceContract()


def test_bad_pseudonyms_are_caught():
    caught(NAMES.test_nothing_of_the_patient_is_in_a_name, ByPatient(), KEYS)
    caught(NAMES.test_one_plain_name_per_subject, SameForAll(), KEYS)
    caught(NAMES.test_one_plain_name_per_subject, WithSpaces(), KEYS)
    caught(NAMES.test_the_same_again, offer(Remembering), NoSettings(), Remembering(), KEYS)


class Report:
    def __init__(self, settings=None):
        self.known = []

    def write(self, summary):
        self.known += [row.accession for row in summary.rows]
        return self.files(summary)


class Gossip(Report):
    def files(self, summary):
        return {"reports/x.txt": "\n".join(filter(None, self.known)).encode()}


class Dated(Report):
    def files(self, summary):
        return {"reports/x.txt": str(time.monotonic_ns()).encode()}


class Climbing(Report):
    def files(self, summary):
        return {"../x.txt": b"x"}


class RawHtml(Report):
    def files(self, summary):
        return {"reports/x.html": "".join(row.description or "" for row in summary.rows).encode()}


class RawCsv(Report):
    def files(self, summary):
        return {"reports/x.csv": "\n".join(f"{row.description or ''}" for row in summary.rows).encode()}


class Mute(Report):
    def files(self, summary):
        return {}


REPORT = contracts.ReportContract()


def test_bad_reports_are_caught():
    caught(REPORT.test_a_released_report_links_to_nobody, Gossip())
    caught(REPORT.test_the_same_again, offer(Dated), NoSettings(), Dated(), identified=False)
    caught(REPORT.test_names_of_files_are_plain, Climbing(), identified=False)
    caught(REPORT.test_text_from_the_archive_stays_text, RawHtml(), identified=False)
    caught(REPORT.test_text_from_the_archive_stays_text, RawCsv(), identified=True)
    caught(REPORT.test_it_writes_something_for_somebody, Mute())


def test_bad_vendors_are_caught():
    contract = contracts.VendorContract()
    hearsay = Vendor(name="acme", summary="Acme", quirks=Quirks(study_root_only=True))
    caught(contract.test_every_quirk_has_evidence, hearsay)
    caught(contract.test_evidence_is_for_a_quirk, Vendor(name="a", summary="A", quirks=Quirks(), evidence={"x": "y"}))
    caught(contract.test_the_offer_says_what_it_is, Vendor(name="acme", summary=" ", quirks=Quirks()))
    shapeless = replace(hearsay, wrap_finder=lambda archive, finder: object())
    with pytest.raises(AttributeError):
        contract.test_wrappers_keep_the_shape(shapeless)


class Harmless:
    """A fault that spoils nothing."""

    def refuse(self, request):
        return None

    def answers(self, request, answers):
        return answers

    def objects(self, request, objects):
        return objects


class Meddling(Harmless):
    def answers(self, request, answers):
        for one in answers:
            one.AccessionNumber = "X"
        return answers


class Wordy(Harmless):
    def refuse(self, request):
        return 70_000

    def objects(self, request, objects):
        return [None for _ in objects]


class NoDefault(Strict):
    keep: int


def test_bad_faults_are_caught():
    contract = contracts.MisbehaviourContract()
    caught(contract.test_something_is_amiss, Harmless())
    caught(contract.test_answers_are_data_sets_and_the_archives_own_stay_as_they_are, Meddling())
    caught(contract.test_a_refusal_is_a_status, Wordy())
    caught(contract.test_objects_are_bytes, Wordy())
    with pytest.raises(ValueError):
        contract.test_every_parameter_can_be_written_and_has_a_default(offer(Harmless, NoDefault))


# --- web auths ------------------------------------------------------------------------------------------------------


class Key:
    """Sends a key."""

    proof = Proof.HEADERS
    fields = {"X-Api-Key": "correct-horse-battery"}

    def headers(self, method, url):
        return self.fields

    def renew(self, refused):
        return False

    def secure(self, context):
        pass


class Modest(Key):
    proof = Proof.NONE


class Empty(Key):
    fields = {}


class Split(Key):
    fields = {"X-Api-Key": "a\r\nX-Other: b"}


class Steering(Key):
    fields = {"Host": "elsewhere.invalid"}


class Hopeful(Key):
    def renew(self, refused):
        return True


class Trusting(Key):
    def secure(self, context):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE


class Talkative(Key):
    def __repr__(self):
        return f"Key({self.fields})"


def test_bad_web_auths_are_caught():
    contract = contracts.WebAuthContract()
    settings = NoSettings()
    for test in (contract.test_it_says_where_its_proof_goes, contract.test_header_fields_are_header_fields):
        test(Key())
    contract.test_a_refusal_is_answered_honestly(Key())
    contract.test_certificates_stay_required(Key())
    contract.test_several_threads_may_ask(Key())
    contract.test_no_secret_is_shown(Key(), settings)
    caught(contract.test_it_says_where_its_proof_goes, Modest())
    caught(contract.test_it_says_where_its_proof_goes, Empty())
    caught(contract.test_header_fields_are_header_fields, Split())
    caught(contract.test_header_fields_are_header_fields, Steering())
    caught(contract.test_a_refusal_is_answered_honestly, Hopeful())
    caught(contract.test_certificates_stay_required, Trusting())
    caught(contract.test_no_secret_is_shown, Talkative(), settings)


class Loose(Strict):
    model_config = {"extra": "allow"}


def test_bad_offers_are_caught():
    contract = contracts.Contract()
    caught(contract.test_settings_are_strict, offer(Judge, Loose))
    caught(contract.test_the_offer_says_what_it_is, replace(offer(Judge), api=2))
    caught(contract.test_the_offer_says_what_it_is, replace(offer(Judge), name=" "))


def test_a_contract_without_an_offer_says_what_to_override(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "from pacsferry.testing.contracts import LayoutContract\nclass TestMine(LayoutContract): pass\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(tmp_path / "test_mine.py")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "override the fixture `offer`" in told.stdout
