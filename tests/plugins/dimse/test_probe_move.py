"""What a C-MOVE back to us shows: unknown, refused, dropped, misnamed or turned away, each in its own words."""

import socket
import threading

import pytest

from pacsferry.core.archive import Archive, Dimse, Receiver, Timeouts
from pacsferry.core.model import Wanted
from pacsferry.core.ports import Standing
from pacsferry.plugins.dimse.move import CMove
from pacsferry.plugins.dimse.probe_move import Trial
from pacsferry.plugins.dimse.settings import MoveSettings
from pacsferry.testing.contracts.kit import free_port
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Simulator
from support.listeners import black_hole

OBJECTS = ct_study(slices=2, rows=16, columns=16)
SAMPLES = (
    Wanted(
        study=OBJECTS[0].StudyInstanceUID,
        series=OBJECTS[0].SeriesInstanceUID,
        instances=(OBJECTS[0].SOPInstanceUID,),
        sop_classes=frozenset({OBJECTS[0].SOPClassUID}),
        expected=1,
    ),
)


def probed(sim, *, port=None, samples=SAMPLES, stall=2.0, quiet=1.0, **receiver):
    """The findings by their names within ``dimse.move``."""
    own = Receiver(port=port or free_port(), **receiver)
    archive = Archive(
        dimse=Dimse(host=sim.host, port=sim.dimse_port, ae_title=sim.ae_title, receiver=own),
        timeouts=Timeouts(connect=2.0, stall=stall, quiet=quiet),
    )
    transport = CMove(archive, MoveSettings())
    try:
        return {one.probe.removeprefix("dimse.move."): one for one in transport.probe(samples)}
    finally:
        transport.close()


def registered(sim, **more):
    port = free_port()
    sim.register("PACSFERRY", "127.0.0.1", port)
    return probed(sim, port=port, **more)


def test_what_works_says_so_and_everything_besides():
    with Simulator(OBJECTS) as sim:
        found = registered(sim)
    assert {one.status for one in found.values()} == {Standing.OK}
    assert found["retrieve"].serves is True
    assert found["originator"].behaviour == {"dimse.move.originator": True}
    assert found["order"].behaviour == {"dimse.move.success_first": False}
    assert found["sender"].behaviour == {"dimse.move.own_title": True}


def test_an_unknown_destination_names_title_port_and_status():
    with Simulator(OBJECTS) as sim:
        (told,) = probed(sim, port=11555).values()
    assert told.probe == "dimse.move.destination"
    assert "does not know PACSFERRY as a move destination (status 0xA801)" in told.text
    assert "port 11555" in told.advice
    assert told.serves is False


def test_an_unknown_destination_is_recognised_behind_a_vague_status(monkeypatch):
    """Some archives (Orthanc) have one status for everything; a title that nobody has gets the same."""
    monkeypatch.setattr(Trial, "unheard_of", lambda _trial, _sample: 0xC000)
    with Simulator(OBJECTS, faults=["destination-unknown:status=0xC000"]) as sim:
        (told,) = registered(sim).values()
    assert told.probe == "dimse.move.destination"
    assert "PACSFERRY is not registered in the archive, or with another host or port" in told.text
    assert "0xC000" in told.text


def test_a_closed_port_is_refused_at_once():
    with Simulator(OBJECTS) as sim, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        sim.register("PACSFERRY", *closed.getsockname())
        (told,) = probed(sim).values()
    assert told.probe == "dimse.move.reach"
    assert "refused at once" in told.text
    assert "another host or port" in told.advice


def test_a_firewall_that_drops_packets_takes_its_time():
    with black_hole() as address, Simulator(OBJECTS) as sim:
        sim.register("PACSFERRY", *address)
        (told,) = probed(sim, port=11556, stall=3.0).values()
    assert told.probe == "dimse.move.reach"
    assert "firewall that drops packets" in told.text
    assert "open TCP port 11556" in told.advice


def test_a_wrong_ae_title_is_named():
    port = free_port()
    with Simulator(OBJECTS) as sim, Renaming(port, b"PACSFERRY       ", b"ELSEWHERE       ") as relay:
        sim.register("PACSFERRY", "127.0.0.1", relay.port)
        (told,) = probed(sim, port=port).values()
    assert told.probe == "dimse.move.title"
    assert "called ELSEWHERE, and our receiver is PACSFERRY" in told.text


def test_success_without_anybody_coming_is_told():
    with Simulator(OBJECTS, faults=["nothing:verb=c-move"]) as sim:
        (told,) = registered(sim).values()
    assert told.probe == "dimse.move.sent"
    assert "says success, and nobody came" in told.text


def test_a_request_that_is_refused_is_no_matter_of_the_way_back():
    with Simulator(OBJECTS, faults=["identifier-mismatch:verb=c-move"]) as sim:
        (told,) = registered(sim).values()
    assert told.probe == "dimse.move.retrieve"
    assert "0xA900" in told.text
    assert "resume" not in told.advice


def test_images_after_success_say_how_long_to_wait():
    with Simulator(OBJECTS, faults=["late:seconds=0.3"]) as sim:
        found = registered(sim, quiet=3.0)
    assert found["order"].status is Standing.WARNING
    assert found["order"].quirks["late_images"] >= 30


def test_images_without_an_originator_are_noticed():
    with Simulator(OBJECTS, faults=["no-originator"]) as sim:
        assert registered(sim)["originator"].behaviour == {"dimse.move.originator": False}


def test_a_title_that_our_rules_would_turn_away_is_let_in_by_the_profile():
    with Simulator(OBJECTS, faults=["other-title"]) as sim:
        found = registered(sim, calling_ae_titles=("SIM",))
    assert found["sender"].status is Standing.WARNING
    titles = found["sender"].profile["archive.dimse.receiver.calling_ae_titles"]
    assert "SIM" in titles
    assert len(titles) == 2


def test_an_address_that_our_rules_would_turn_away_is_let_in_by_the_profile():
    with Simulator(OBJECTS) as sim:
        found = registered(sim, allow=("192.0.2.7",))
    assert found["sender"].profile == {"archive.dimse.receiver.allow": ["192.0.2.7/32", "127.0.0.1/32"]}


def test_a_port_that_is_taken_is_our_own_trouble_and_nobody_is_asked():
    with socket.create_server(("127.0.0.1", 0)) as taken, Simulator(OBJECTS) as sim:
        (told,) = probed(sim, port=taken.getsockname()[1]).values()
        assert sim.log.of("c-move") == []
    assert told.probe == "dimse.move.receiver"
    assert "cannot listen" in told.text


def test_a_receiver_that_only_this_machine_can_reach_is_told_to_a_remote_archive():
    from pacsferry.plugins.dimse.probe_move import _local

    own = Receiver(host="127.0.0.1")
    (told,) = _local(Archive(dimse=Dimse(host="192.0.2.1", port=104, ae_title="X", receiver=own)))
    assert "no other machine can reach" in told.text
    assert list(_local(Archive(dimse=Dimse(host="127.0.0.1", port=104, ae_title="X", receiver=own)))) == []


@pytest.mark.parametrize(
    ("faults", "status", "serves"),
    [((), Standing.UNKNOWN, None), (("no-service:service=c-move",), Standing.FAILED, False)],
)
def test_without_samples_it_is_only_asked_whether_there_is_c_move(faults, status, serves):
    with Simulator(OBJECTS, faults=faults) as sim:
        (told,) = registered(sim, samples=()).values()
        assert (len(sim.log.of("associate")), sim.log.of("c-move")) == (1, [])
    assert (told.status, told.serves) == (status, serves)


@pytest.mark.parametrize("fault", ["truncated-object", "duplicate"])
def test_what_comes_is_counted_and_kept_nowhere(fault, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Simulator(OBJECTS, faults=[fault]) as sim:
        assert registered(sim)["retrieve"].serves is True
    assert list(tmp_path.iterdir()) == []


class Renaming:
    """A relay that changes the called AE title of an association request; a context manager."""

    def __init__(self, to, was, now):
        self._to, self._was, self._now = to, was, now
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        for one in self._open:
            one.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
                ours = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._open += [client, ours]
            ours.sendall(client.recv(65536).replace(self._was, self._now, 1))
            for source, sink in ((client, ours), (ours, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
