"""Findings are collected politely and added up; whatever a prober raises is one more finding."""

import threading

import pytest

from pacsferry.core.doctor import Candidate, Round, learnt, quirks_of, settings_of, signs_of
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Wanted
from pacsferry.core.ports import Finding, Prober, Standing

SAMPLE = Wanted(study="1.2", series="1.2.3", instances=("1.2.3.4",), expected=1)


def found(probe="x", status=Standing.OK, **more):
    return Finding(probe=probe, status=status, text=more.pop("text", "text"), **more)


class Tool:
    """A prober that tells what it was told to, and then raises."""

    def __init__(self, *findings, raises=None):
        self.findings, self.raises, self.closed, self.given = findings, raises, 0, ()

    def probe(self, samples=()):
        self.given = tuple(samples)
        yield from self.findings
        if self.raises is not None:
            raise self.raises

    def close(self):
        self.closed += 1


def candidate(tool, name="c-find"):
    return Candidate(name=name, service="dimse", build=lambda: tool)


def examined(*tools, **more):
    round_ = Round(pause=0.0, **more)
    for number, tool in enumerate(tools):
        round_.examine(candidate(tool, f"tool-{number}"), lambda _: None)
    return round_


def test_a_tool_with_probe_is_a_prober():
    assert isinstance(Tool(), Prober)
    assert not isinstance(object(), Prober)


def test_samples_of_a_finder_go_to_the_transports_and_nowhere_else():
    finder, transport = Tool(found(samples=(SAMPLE,))), Tool(found())
    round_ = examined(finder, transport)
    assert transport.given == (SAMPLE,)
    assert "1.2.3.4" not in repr(round_.findings)


def test_every_tool_is_closed_whatever_it_raises():
    tools = [Tool(raises=ValueError("Canary^Anna")), Tool(raises=TransferError("gone", code="aborted"))]
    round_ = examined(*tools)
    assert [tool.closed for tool in tools] == [1, 1]
    assert [one.status for one in round_.findings] == [Standing.FAILED, Standing.FAILED]
    assert "ValueError" in round_.findings[0].text
    assert "Canary" not in repr(round_.findings)


def test_a_tool_that_cannot_be_built_is_not_tried_and_says_why():
    def build():
        raise ConfigError("archive.dimse.receiver is missing", hint="add it")

    round_ = Round(pause=0.0)
    round_.examine(Candidate(name="c-move", service="dimse", build=build), lambda _: None)
    (told,) = round_.findings
    assert (told.status, told.advice) == (Standing.UNKNOWN, "add it")
    assert "receiver" in told.text


def test_a_finder_without_probe_is_no_error():
    class Plain:
        def close(self):
            pass

    (told,) = examined(Plain()).findings
    assert told.status is Standing.UNKNOWN


def test_a_stop_ends_between_two_findings():
    stop = threading.Event()

    class Stopping(Tool):
        def probe(self, samples=()):
            yield found("first")
            stop.set()
            yield found("second")
            yield found("never")

    round_ = examined(Stopping(), Tool(found("another")), stop=stop)
    assert [one.probe for one in round_.findings] == ["first", "second", "dimse.tool-0", "dimse.tool-1"]


def test_a_deadline_ends_it_too():
    round_ = examined(Tool(found()), deadline=0.0)
    assert [one.status for one in round_.findings] == [Standing.UNKNOWN]


@pytest.mark.parametrize(
    ("serving", "chosen"),
    [
        ({"c-move": True, "c-get": True, "wado-rs": True}, ["wado-rs", "c-get", "c-move"]),
        ({"wado-rs": False, "c-get": True, "c-move": None}, ["c-get"]),
        ({"wado-rs": None, "c-get": False, "c-move": None}, ["wado-rs", "c-move"]),
        ({"acme": True, "wado-rs": True}, ["acme", "wado-rs"]),
        ({"c-get": False}, []),
    ],
)
def test_what_works_comes_in_the_order_of_what_works_best(serving, chosen):
    assert Round(serving=serving).transports() == chosen


def test_one_service_that_lacks_something_decides_for_the_archive():
    told = [found(quirks={"wildcards": True, "requires_study_date": False})]
    told += [found(quirks={"wildcards": False, "requires_study_date": True})]
    for order in (told, told[::-1]):
        assert quirks_of(order) == {"wildcards": False, "requires_study_date": True}


def test_lists_of_quirks_add_up_and_unknown_ones_are_left_out():
    told = [found(quirks={"unmatched": ["PatientName"], "telepathy": True}), found(quirks={"unmatched": ["StudyID"]})]
    assert quirks_of(told) == {"unmatched": ["PatientName", "StudyID"]}


def test_what_was_learnt_is_a_document_that_simulate_reads():
    told = [
        found(behaviour={"dimse.services": ["c-echo"], "dimse.find.cap": 100}),
        found(behaviour={"dimse.services": ["c-echo", "c-get"], "dimse.find.keys.PatientName": "ignored"}),
        found(quirks={"result_limit": 100}),
    ]
    made = learnt(told).document()
    assert made["dimse"] == {
        "services": ["c-echo", "c-get"],
        "find": {"cap": 100, "keys": {"PatientName": "ignored"}},
    }
    assert made["quirks"] == {"result_limit": 100}


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError):
        learnt([found(behaviour={"dimse.find.colour": "blue"})])


def test_settings_and_signs_are_collected():
    told = [found(profile={"archive.charset": "ISO_IR 192"}), found(signs={"server": "x"})]
    assert settings_of(told) == {"archive.charset": "ISO_IR 192"}
    assert signs_of(told) == {"server": "x"}
