"""How long one request goes on: tries with jitter, Retry-After, and archives that read from tape."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pacsferry.core.archive import Archive, Dicomweb, Timeouts
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Wanted
from pacsferry.core.reasons import REASONS
from pacsferry.plugins.dicomweb import WadoSettings
from pacsferry.plugins.dicomweb.patience import Patience, RefusedRequest, retry_after
from pacsferry.plugins.dicomweb.retrieve import Wado
from pacsferry.plugins.dicomweb.statuses import STATUS, Then, meaning
from support.scripted_http import HANG, RELATED, answer, in_turn, related, study

OBJECTS = [b"DICM" + bytes([n]) * 1000 for n in range(3)]
TAPE = Wanted(study="1.2.3", nearline=True)


def refusal(status: int, *, after: float | None = None) -> RefusedRequest:
    return RefusedRequest("no", status=status, code="x", retryable=True, retry_after=after)


def patience(**more) -> Patience:
    return Patience(**{"max_tries": 4, "max_wait": 10, "nearline": 100, **more})


@pytest.fixture
def tape():
    """A transport that waits for tapes for so long."""
    made = []

    def build(url: str, *, nearline: float, stall: float = 0.3, **settings) -> Wado:
        archive = Archive(
            name="t", dicomweb=Dicomweb(url=url), timeouts=Timeouts(connect=5, stall=stall, nearline=nearline)
        )
        made.append(Wado(archive, WadoSettings(**{"max_tries": 2, "max_wait": 0.4, **settings})))
        return made[-1]

    yield build
    for one in made:
        one.close()


def fails(wado: Wado, wanted: Wanted, sink) -> TransferError:
    with pytest.raises(TransferError) as caught:
        wado.fetch(wanted, sink)
    return caught.value


# The table.


def test_every_status_of_the_table_has_a_reason_that_is_known():
    assert {meant.code for meant in STATUS.values()} <= REASONS.keys()


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (429, Then.AGAIN),
        (503, Then.AGAIN),
        (202, Then.AGAIN),
        (406, Then.FORM),
        (204, Then.LEVEL),
        (206, Then.LEVEL),
        (404, Then.LEVEL),
        (413, Then.LEVEL),
        (409, Then.RUNG),
        (401, Then.CONFIGURATION),
        (403, Then.CONFIGURATION),
        (418, Then.RUNG),
        (599, Then.RUNG),
    ],
)
def test_statuses_are_sorted(status, then):
    assert meaning(status).then is then


# The pause.


def test_pauses_grow_and_are_never_twice_the_same():
    first = {patience().pause(refusal(503)) for _ in range(20)}
    assert len(first) > 10
    assert all(0.25 <= seconds <= 0.5 for seconds in first)
    one = patience(max_tries=9)
    pauses = [one.pause(refusal(500)) for _ in range(8)]
    assert max(pauses) <= 10
    assert pauses[5] > 4


def test_retry_after_is_never_cut_short():
    assert all(5 <= patience().pause(refusal(503, after=5)) <= 5.5 for _ in range(20))


@pytest.mark.parametrize(
    "err", [refusal(503, after=11), refusal(404), refusal(401), TransferError("x", code="stalled")]
)
def test_what_would_fail_again_is_not_tried_again(err):
    with pytest.raises(TransferError) as caught:
        patience().pause(err)
    assert caught.value is err


def test_a_date_in_the_past_is_now_and_nonsense_is_nothing():
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    future = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after(past) == 0
    assert 85 < retry_after(future) <= 90
    assert [retry_after(text) for text in (None, "", "soon", "-5", "1e3", "9" * 30)] == [None] * 6


# From tape.


def test_an_archive_that_says_not_yet_is_asked_until_it_is_there(serve, tape, basket):
    not_yet = [answer(503, Retry_After="0")]
    server = serve(in_turn(not_yet, [answer(202)], not_yet, not_yet, not_yet, [study(OBJECTS)]))
    assert tape(server.url, nearline=20).fetch(TAPE, basket).completed == 3
    assert len(server.requests) == 6


def test_a_retry_after_that_is_longer_than_the_usual_wait_is_kept_for_a_tape(serve, tape, basket):
    server = serve(in_turn([answer(503, Retry_After="1")], [study(OBJECTS)]))
    begun = time.monotonic()
    assert tape(server.url, nearline=20).fetch(TAPE, basket).completed == 3
    assert 1 <= time.monotonic() - begun < 5


def test_202_is_waited_out_even_where_nobody_said_that_it_is_on_tape(serve, tape, basket):
    server = serve(in_turn([answer(202)], [answer(202)], [answer(202)], [study(OBJECTS)]))
    assert tape(server.url, nearline=20).fetch(Wanted(study="1.2.3"), basket).completed == 3


def test_a_tape_that_never_comes_ends_within_its_own_limit(serve, tape, basket):
    server = serve(lambda _: [answer(202)])
    begun = time.monotonic()
    err = fails(tape(server.url, nearline=1.5), TAPE, basket)
    assert (err.code, err.retryable) == ("nearline", True)
    assert time.monotonic() - begun < 4
    assert len(server.requests) > 2


def test_a_promise_beyond_the_limit_is_not_waited_for(serve, tape, basket):
    server = serve(lambda _: [answer(503, Retry_After="3600")])
    begun = time.monotonic()
    err = fails(tape(server.url, nearline=2), TAPE, basket)
    assert (err.code, err.retry_after) == ("nearline", 3600)
    assert time.monotonic() - begun < 1


def test_an_archive_may_be_silent_before_its_first_byte_while_it_reads_a_tape(serve, tape, basket):
    server = serve(lambda _: [1.0, study(OBJECTS)])
    assert tape(server.url, nearline=20).fetch(TAPE, basket).completed == 3
    assert fails(tape(server.url, nearline=20), Wanted(study="1.2.3"), basket).code == "stalled"


def test_but_not_afterwards(serve, tape, basket):
    body = related(OBJECTS)
    server = serve(lambda _: [0.6, answer(200, length=len(body), Content_Type=RELATED), body[:1500], HANG])
    begun = time.monotonic()
    assert fails(tape(server.url, nearline=30), TAPE, basket).code == "stalled"
    assert time.monotonic() - begun < 3


def test_one_tape_that_never_comes_ends_the_wait_for_all_its_instances(serve, tape, basket):
    server = serve(lambda _: [answer(202)])
    wanted = Wanted(study="1.2", series="1.3", instances=("1.4", "1.5", "1.6"), nearline=True)
    begun = time.monotonic()
    assert fails(tape(server.url, nearline=1), wanted, basket).code == "nearline"
    assert time.monotonic() - begun < 2.5


def test_other_troubles_of_a_tape_are_as_short_as_ever(serve, tape, basket):
    server = serve(lambda _: [answer(500)])
    assert fails(tape(server.url, nearline=60), TAPE, basket).code == "http-error"
    assert len(server.requests) == 2


# Levels and forms that are known beforehand.


def test_an_archive_that_serves_instances_only_is_asked_for_nothing_else(serve, wado, basket):
    from pacsferry.core.model import Level
    from pacsferry.core.quirks import Quirks

    server = serve(lambda _: [study(OBJECTS[:1])])
    transport = wado(server.url, quirks=Quirks(retrieve_levels=("instance",)))
    assert transport.traits.takes == {Level.IMAGE}
    assert fails(transport, Wanted(study="1.2.3"), basket).code == "not-supported"
    assert server.requests == []
    assert transport.fetch(Wanted(study="1.2", series="1.3", instances=("1.4", "1.5")), basket).completed == 2


def test_only_forms_that_the_archive_is_known_to_take_are_asked_for(serve, wado, basket):
    from pacsferry.core.model import Level
    from pacsferry.core.quirks import Quirks

    one, many = "application/dicom; transfer-syntax=*", 'multipart/related; type="application/dicom"'
    server = serve(lambda _: [answer(406)])
    transport = wado(server.url, quirks=Quirks(accept=(one, many)))
    fails(transport, Wanted(study="1.2.3"), basket)
    fails(transport, Wanted(study="1.2", series="1.3", instances=("1.4",)), basket)
    assert [request.headers["accept"] for request in server.requests] == [many, one, many]
    assert wado(server.url, quirks=Quirks(accept=(one,))).traits.takes == {Level.IMAGE}
