"""Every built-in of every kind passes the contract that third parties have to pass; one without a run fails here."""

import pytest

from pacsferry.core import registry
from pacsferry.testing import contracts
from pacsferry.testing.contracts import drafts
from pacsferry.testing.contracts.kit import ACCESSION, NAME, PATIENT, TIMEOUTS, archive_of, contract_study
from pacsferry.testing.samples import BASIC_TEXT_SR, SECONDARY_CAPTURE, mr_study, rle
from pacsferry.testing.simulator import Simulator
from support.listeners import Listener
from support.peers import need_dcmtk

BUILTINS = registry.load(external=False)


#: Transports that start a program of a Debian package.
PROGRAMS = {"dcmtk-getscu": "getscu", "dcmtk-movescu": "movescu"}


def offers(kind, *names, leave=()):
    """One parameter per built-in of a kind, or for some of them."""
    chosen = names or tuple(name for name in BUILTINS.names(kind) if name not in leave)
    return pytest.fixture(params=chosen)(lambda _, request: BUILTINS.named(kind, request.param))


def two_studies(*, compressed):
    mr = mr_study(slices=2, rows=32, columns=32, patient_id=PATIENT, patient_name=NAME, accession=ACCESSION + "2")
    return [*contract_study(), *mr[:2], *(rle(mr[2:]) if compressed else mr[2:])]


class TestFinders(contracts.FinderContract):
    offer = offers("finder")


class TestTransports(contracts.TransportContract):
    offer = offers("transport", leave=PROGRAMS)


class TestTransportsOfDcmtk(contracts.TransportContract):
    offer = offers("transport", *PROGRAMS)

    @pytest.fixture
    def sim(self, offer):
        """getscu proposes uncompressed syntaxes and leaves the rest to the next transport."""
        need_dcmtk(PROGRAMS[offer.name])
        with Simulator(two_studies(compressed=offer.name != "dcmtk-getscu")) as sim:
            yield sim

    @pytest.fixture
    def archive(self, sim):
        """A program takes a while to start where others are busy, and says nothing until then."""
        return archive_of(sim, timeouts=TIMEOUTS.model_copy(update={"stall": 9.0}))


class TestAnonymizationProfiles(contracts.DeidentifierContract):
    offer = offers("anonymization profile")
    must_handle = ("CT", "CT, implicit", "CT, RLE", "MR", "MR, JPEG 2000", "Enhanced MR")


class TestPseudonymSources(contracts.PseudonymSourceContract):
    offer = offers("pseudonym source")


class TestGates(contracts.GateContract):
    offer = offers("gate")

    @pytest.fixture
    def stopped(self, offer):
        return {
            "residual-identifiers": [drafts.leaking()],
            "sop-class": [drafts.of_class(BASIC_TEXT_SR, "SR")],
            "burned-in": [drafts.of_class(SECONDARY_CAPTURE, "OT", burned_in_annotation="YES")],
        }[offer.name]


class TestLayouts(contracts.LayoutContract):
    offer = offers("layout")


class TestReports(contracts.ReportContract):
    offer = offers("report")


class TestVendors(contracts.VendorContract):
    offer = offers("vendor")


class TestFaults(contracts.MisbehaviourContract):
    offer = offers("fault")


class TestWebAuths(contracts.WebAuthContract):
    offer = offers("web auth")

    @pytest.fixture
    def settings(self, offer, web_secrets):
        return offer.settings(**web_secrets[offer.name])


class TestObservers(contracts.ObserverContract):
    offer = offers("observer")

    @pytest.fixture
    def listener(self):
        with Listener("tcp") as one:
            yield one

    @pytest.fixture
    def settings(self, offer, listener):
        return {"syslog": lambda: offer.settings(address=listener.address)}[offer.name]()

    @pytest.fixture
    def heard(self, listener):
        return lambda: [one["seq"] for one in listener.documents(5)]


RUNS = {
    "finder": TestFinders,
    "transport": TestTransports,
    "anonymization profile": TestAnonymizationProfiles,
    "pseudonym source": TestPseudonymSources,
    "gate": TestGates,
    "layout": TestLayouts,
    "report": TestReports,
    "vendor": TestVendors,
    "web auth": TestWebAuths,
    "fault": TestFaults,
    "observer": TestObservers,
}


def test_no_built_in_is_broken():
    assert not BUILTINS.broken


def test_every_kind_has_a_contract_and_a_run():
    assert set(registry.KINDS) == set(contracts.CONTRACTS) == set(RUNS)
    assert all(issubclass(run, contracts.CONTRACTS[kind]) for kind, run in RUNS.items())


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_kind_has_a_built_in(kind):
    assert BUILTINS.names(kind), "a hook without a built-in that uses it is not a hook yet"
