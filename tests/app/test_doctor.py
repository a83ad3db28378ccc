"""``doctor`` against archives that behave, and misbehave to order: what it says, and that its profile then works."""

import socket
import threading
import time
import tomllib

import pytest

from pacsferry import app
from pacsferry.app.doctor import Asked, Limits, doctor
from pacsferry.app.opening import plugins
from pacsferry.core.behaviour import behaviour
from pacsferry.core.errors import ConfigError, InterruptedRun, OutsideHours
from pacsferry.core.events import HostAudit
from pacsferry.core.ports import Standing
from pacsferry.testing.simulator import Simulator
from pacsferry.testing.simulator.like import faults_like
from support.doctoring import CANARIES, SHORT, Practice, by_probe, holdings

OBJECTS = holdings()
PERSONALITIES = ("ge", "fuji-synapse", "google-healthcare", "vna-async", "dcm4chee")


@pytest.fixture
def practice(tmp_path):
    return Practice(tmp_path)


def wrong(found):
    return {one.probe for one in found.findings if one.status is Standing.FAILED}


# --- the profile works


def test_an_archive_by_the_book_is_asked_little_and_gets_a_profile_without_quirks(practice):
    with Simulator(OBJECTS) as sim:
        found = practice.simulated(sim)
        _polite(sim)
        written = tomllib.loads(practice.profile.read_text())
        loaded = practice.load("ACC000", "ACC011")
        uids = {one.study for one in sim.holdings.all()}
    assert (found.status, found.transports) == ("ok", ("wado-rs", "c-get", "c-move"))
    assert [one["use"] for one in written["transport"]] == ["wado-rs", "c-get", "c-move"]
    assert "quirks" not in written["archive"]
    assert all(line.ok for line in app.check(str(practice.profile)))
    assert (loaded.exit_code, [row.stored for row in loaded.rows]) == (0, [2, 2])
    told = repr(found) + found.letter + (found.profile or "") + repr(found.behaviour.document())
    assert not any(canary in told for canary in (*CANARIES, *uids, "202405"))
    _audited()


def _polite(sim):
    assert len(sim.log.of("c-find")) < 70
    assert len(sim.log.of("qido-rs")) < 70
    assert len(sim.log.of("associate")) < 15
    assert 0 < len(sim.log.sent("c-get")) <= 5
    assert len({one.study for one in sim.log.of("c-get", "c-move", "wado-rs")}) == 1


def _audited():
    with HostAudit() as audit:
        (event,) = [one for one in audit.events() if one.action == "doctor"]
    assert event.outcome == "ok"
    assert event.details["transports"] == ["wado-rs", "c-get", "c-move"]


@pytest.mark.parametrize("name", PERSONALITIES)
def test_profiles_for_personalities_load_what_is_asked_for(practice, name):
    personality = plugins().named("vendor", name).personality
    assert personality
    with Simulator(OBJECTS, faults=personality) as sim:
        found = practice.simulated(sim)
        assert found.profile is not None
        loaded = practice.load("ACC000", "ACC001", "ACC011")
        again = practice.load("ACC002", project="dimse", sets=('transport=[{ use = "c-move" }]',))
    assert (loaded.exit_code, [row.stored for row in loaded.rows]) == (0, [2, 2, 2])
    assert (again.exit_code, [row.stored for row in again.rows]) == (0, [2])


ODD = {
    "find-cap:limit=10": {"result_limit": 10},
    "find-literal": {"wildcards": False},
    "study-root-only": {"study_root_only": True},
    "no-includefield": {"includefield": False},
    "no-star": {"any_transfer_syntax": False},
    "find-refuses:keyword=StudyTime": {"time_matching": False},
    "find-refuses:keyword=StudyDescription": {"unmatched": ["StudyDescription"]},
    "find-refuses:keyword=AvailableTransferSyntaxUID,asked=true": {"available_transfer_syntax": False},
    "identifier-mismatch:level=IMAGE": {"image_level_retrieve": False},
}
ODDER = {
    "find-needs-date": {"requires_study_date": True},
    "find-needs-values": {"universal_star": True},
    "find-ignores:keyword=ModalitiesInStudy": {"modality_matching": False},
    "find-page:default=100,most=5": {},
}


@pytest.mark.parametrize("orders", [ODD, ODDER])
def test_quirks_are_found_and_written_and_then_a_load_completes(practice, orders):
    with Simulator(OBJECTS, faults=orders) as sim:
        found = practice.simulated(sim)
        written = tomllib.loads(practice.profile.read_text())["archive"]["quirks"]
        for quirks in orders.values():
            assert quirks.items() <= found.quirks.items()
            assert quirks.items() <= written.items()
        loaded = practice.load("ACC000", "ACC011")
    assert (loaded.exit_code, [row.stored for row in loaded.rows]) == (0, [2, 2])


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ("login-page", ("c-get", "c-move")),
        ("no-role", ("wado-rs", "c-move")),
    ],
)
def test_what_does_not_work_is_left_out_of_the_profile(practice, fault, left):
    with Simulator(OBJECTS, faults=[fault]) as sim:
        found = practice.simulated(sim)
        assert (found.status, found.transports) == ("incomplete", left)
        loaded = practice.load("ACC003")
    assert (loaded.exit_code, loaded.rows[0].transports) == (0, (left[0],))


def test_a_finder_that_cannot_be_relied_on_is_replaced_by_the_other(practice):
    with Simulator(OBJECTS, faults=["find-fails:verb=qido-rs"]) as sim:
        practice.simulated(sim)
        written = tomllib.loads(practice.profile.read_text())
        assert written["find"] == {"use": "c-find"}
        assert written["transport"][0] == {"use": "wado-rs"}
        assert practice.load("ACC003").exit_code == 0


def test_where_study_root_is_unknown_patient_root_is_asked_over_and_written(practice):
    with Simulator(OBJECTS, faults=["patient-root-only"]) as sim:
        found = practice.simulated(sim, dicomweb=None)
        written = tomllib.loads(practice.profile.read_text())
        loaded = practice.load("ACC000")
    told = by_probe(found)
    assert (
        told["dimse.models"].text == "queries of the Study Root model are not accepted; the Patient Root model is used"
    )
    assert {told[name].status for name in ("dimse.get.retrieve", "dimse.move.retrieve")} == {Standing.OK}
    assert written["find"] == {"use": "c-find", "model": "patient"}
    assert written["transport"] == [{"use": "c-get", "model": "patient"}, {"use": "c-move", "model": "patient"}]
    assert faults_like(found.behaviour)[0] == "patient-root-only"
    assert (loaded.exit_code, loaded.rows[0].stored) == (0, 2)


# --- C-MOVE back to us


def test_an_unknown_move_destination_is_told_and_stands_in_the_letter(practice):
    with Simulator(OBJECTS) as sim:
        found = practice.simulated(sim, register=False, dicomweb=None)
    told = by_probe(found)["dimse.move.destination"]
    assert "does not know PACSFERRY" in told.text
    assert f"port {practice.port}" in told.advice
    assert "does not know PACSFERRY" in " ".join(found.letter.split())
    assert found.transports == ("c-get",)


def test_without_a_receiver_c_move_is_not_tried_and_says_what_to_give(practice):
    with Simulator(OBJECTS) as sim:
        found = practice.simulated(sim, receiver=None)
        assert sim.log.of("c-move") == []
    assert "--receiver" in by_probe(found)["dimse.move"].advice
    assert found.transports == ("wado-rs", "c-get")


# --- reachability


def test_a_name_that_nobody_knows_is_told_from_a_closed_port(practice):
    found = practice.examine("SIM@no-such-host.invalid:104")
    assert (found.status, found.reachable) == ("failed", False)
    assert "cannot be resolved" in by_probe(found)["dimse.reach"].text
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        found = practice.examine(f"SIM@127.0.0.1:{closed.getsockname()[1]}")
    assert "refused" in by_probe(found)["dimse.reach"].text
    assert found.profile is None


def test_something_that_accepts_and_says_nothing_ends_within_the_limits(practice):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        found = practice.examine(f"SIM@127.0.0.1:{silent.getsockname()[1]}")
    assert found.reachable is False
    assert "dimse.association" in wrong(found)
    assert time.monotonic() - begun < 15


def test_tls_where_none_was_expected_is_recognised(practice):
    with Simulator(OBJECTS, faults=["tls-expected"]) as sim:
        found = practice.simulated(sim, dicomweb=None)
    assert any("TLS" in one.text for one in found.findings if one.status is Standing.FAILED)
    assert found.reachable is False


def test_a_rejected_association_names_the_ae_titles_and_asks_for_nothing_more(practice):
    with Simulator(OBJECTS, faults=["reject"]) as sim:
        found = practice.simulated(sim, dicomweb=None)
        assert len(sim.log.of("associate")) == 1
    assert "registered" in by_probe(found)["dimse.association"].advice


# --- politeness and privacy


def test_without_retrieval_nothing_is_retrieved(practice):
    with Simulator(OBJECTS) as sim:
        found = practice.simulated(sim, limits=Limits(pause=0.0, retrieve=False))
        assert sim.log.of("c-get", "c-move", "wado-rs") == []
    assert found.status == "ok"


# --- ends


def test_a_stop_keeps_what_was_learnt_so_far(practice):
    stop = threading.Event()
    with Simulator(OBJECTS, faults=["find-pause:seconds=0.3"]) as sim:
        threading.Timer(1.0, stop.set).start()
        begun = time.monotonic()
        found = doctor(Asked(dimse=f"SIM@127.0.0.1:{sim.dimse_port}", sets=(SHORT,)), Limits(pause=0.0), stop=stop)
    assert (found.ended, found.status) == ("interrupted", "interrupted")
    assert time.monotonic() - begun < 5
    assert by_probe(found)["dimse.echo"].status is Standing.OK


def test_the_time_is_bounded_whatever_the_archive_does(practice):
    with Simulator(OBJECTS, faults=["find-pause:seconds=0.3"]) as sim:
        begun = time.monotonic()
        found = practice.simulated(sim, dicomweb=None, limits=Limits(pause=0.0, seconds=1.5))
    assert found.ended == "time"
    assert time.monotonic() - begun < 6


# --- what was learnt


def test_outside_the_archives_hours_nothing_is_asked_unless_that_is_said(practice, monkeypatch):
    warned = []
    monkeypatch.setattr("pacsferry.app.doctor.turn.warn_once", warned.append)
    day = ("tue", "fri")[time.localtime().tm_wday in (0, 1, 2)]  # never today, nor tomorrow
    stopped = threading.Event()
    stopped.set()
    with Simulator(OBJECTS[:2]) as sim:
        practice.sets = (SHORT, f'budget.hours=["{day}"]')
        with pytest.raises(OutsideHours) as caught:
            practice.simulated(sim, limits=Limits(wait=False))
        asked = Asked(dimse=f"SIM@127.0.0.1:{sim.dimse_port}", sets=practice.sets)
        with pytest.raises(InterruptedRun):
            doctor(asked, stop=stopped)
        assert sim.log.of("associate", "c-find", "qido-rs") == []
        practice.sets = (*practice.sets, "budget.hours=[]")
        assert practice.simulated(sim, limits=Limits(wait=False, pause=0.0, retrieve=False)).reachable
    assert "--set budget.hours=[] asks now" in str(caught.value.hint)
    assert len(warned) == 1
    assert "waiting until" in warned[0]


def test_what_was_learnt_can_be_replayed_and_is_learnt_again(practice):
    odd = ("find-cap:limit=10", "find-ignores:keyword=ModalitiesInStudy", "no-includefield", "no-star")
    with Simulator(OBJECTS, faults=odd) as sim:
        first = practice.simulated(sim).behaviour
    with Simulator(OBJECTS, faults=faults_like(behaviour(first.document(), "it"))) as sim:
        second = practice.simulated(sim).behaviour
    assert second.quirks == first.quirks
    assert second.document()["dicomweb"] == first.document()["dicomweb"]


# --- words


@pytest.mark.parametrize(
    "text", ["SIM", "SIM@host", "@host:104", "SIM@host:port", "SIM@ho st:104", "A" * 17 + "@h:104"]
)
def test_an_address_that_is_none_is_refused_before_any_contact(text):
    with pytest.raises(ConfigError, match="--dimse"):
        doctor(Asked(dimse=text))


def test_titles_that_look_like_numbers_and_ipv6_are_taken():
    settings = Asked(dimse="1234@[::1]:104", receiver="A@B@host:11112").settings()
    assert 'archive.dimse.ae_title="1234"' in settings
    assert 'archive.dimse.host="::1"' in settings
    assert 'archive.dimse.receiver.ae_title="A@B"' in settings


def test_no_archive_at_all_is_refused():
    with pytest.raises(ConfigError, match="no archive"):
        doctor(Asked())


def test_addresses_go_over_those_of_a_profile(practice, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'extends = "research-base"\n[archive]\nname = "mine"\n[archive.dimse]\nhost = "192.0.2.1"\nport = 104\n'
        'ae_title = "OLD"\ncalling_ae_title = "US"\n[[transport]]\nuse = "c-get"\n[layout]\nuse = "cases"\n'
    )
    with Simulator(OBJECTS) as sim:
        found = practice.simulated(sim, site="./mine.toml", receiver=None, dicomweb=None)
    written = tomllib.loads(practice.profile.read_text())
    assert found.status == "ok"
    assert written["extends"] == "./mine.toml"
    assert written["archive"]["name"] == "mine"
    assert written["archive"]["dimse"]["host"] == "127.0.0.1"
    assert written["archive"]["dimse"]["calling_ae_title"] == "US"
