"""WADO-RS against a server that does to order what real ones do by accident."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pacsferry.core.archive import Archive, Dicomweb
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.fitting import fit
from pacsferry.core.model import Framing, Level, Receipt, Wanted
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.dicomweb import WadoSettings
from pacsferry.plugins.dicomweb.retrieve import AS_STORED, FORMS, SINGLE, Wado
from support.scripted_http import CLOSE, HANG, LAST_CHUNK, RELATED, RESET, answer, chunked, in_turn, related, study

STUDY = Wanted(study="1.2.3")
ONE = Wanted(study="1.2.3", series="1.2.4", instances=("1.2.5",))
OBJECTS = [b"DICM" + bytes([n]) * 1000 for n in range(3)]


def fails(wado: Wado, wanted: Wanted, sink) -> TransferError:
    with pytest.raises(TransferError) as caught:
        wado.fetch(wanted, sink)
    return caught.value


def several(*uids: str) -> Wanted:
    return Wanted(study="1.2.3", series="1.2.4", instances=uids)


# What comes, comes whole.


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.IMAGE])
def test_each_level_has_its_address(serve, wado, basket, level):
    server = serve(lambda _: [study(OBJECTS[:1])])
    wanted = {Level.STUDY: STUDY, Level.SERIES: Wanted(study="1.2.3", series="1.2.4"), Level.IMAGE: ONE}[level]
    tally = wado(server.url).fetch(wanted, basket)
    path = {Level.STUDY: "", Level.SERIES: "/series/1.2.4", Level.IMAGE: "/series/1.2.4/instances/1.2.5"}[level]
    assert server.requests[0].path == "/dicom-web/studies/1.2.3" + path
    assert (tally.completed, tally.failed, tally.code, basket.kept) == (1, None, "", OBJECTS[:1])
    assert basket.heads[0].framing is Framing.PART_10
    assert basket.heads[0].wanted is wanted


def test_it_asks_for_objects_as_stored_and_for_no_compression(serve, wado, basket):
    server = serve(lambda _: [study(OBJECTS)])
    wado(server.url).fetch(STUDY, basket)
    headers = server.requests[0].headers
    assert headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == server.origin.removeprefix("http://")
    assert "authorization" not in headers


def test_a_body_may_come_in_chunks_of_any_size(serve, wado, basket):
    body = related(OBJECTS)
    pieces = [body[n : n + 7] for n in range(0, len(body), 7)]
    server = serve(lambda _: [*chunked(pieces, Content_Type=RELATED), LAST_CHUNK])
    assert wado(server.url).fetch(STUDY, basket).completed == 3
    assert basket.kept == OBJECTS


def test_a_body_may_end_with_its_connection(serve, wado, basket):
    head = answer(200, length=None, Content_Type=RELATED, Connection="close")
    server = serve(lambda _: [head, related(OBJECTS), CLOSE])
    assert wado(server.url).fetch(STUDY, basket).completed == 3


def test_a_server_that_keeps_the_connection_open_after_the_end_is_not_waited_for(serve, wado, basket):
    head = answer(200, length=None, Content_Type=RELATED, Connection="close")
    server = serve(lambda _: [head, related(OBJECTS), HANG])
    begun = time.monotonic()
    assert wado(server.url, stall=20).fetch(STUDY, basket).completed == 3
    assert time.monotonic() - begun < 5


def test_one_object_may_come_without_an_envelope(serve, wado, basket):
    server = serve(lambda _: [answer(200, OBJECTS[0], Content_Type="application/dicom")])
    assert wado(server.url).fetch(ONE, basket).completed == 1
    assert basket.kept == OBJECTS[:1]


def test_a_slow_answer_that_moves_is_not_stopped(serve, wado, basket):
    body = related(OBJECTS)
    slow = [act for n in range(0, len(body), 400) for act in (body[n : n + 400], 0.2)]
    server = serve(lambda _: [answer(200, length=len(body), Content_Type=RELATED), *slow])
    begun = time.monotonic()
    assert wado(server.url, stall=1).fetch(STUDY, basket).completed == 3
    assert time.monotonic() - begun > 1


def test_the_connection_is_used_again(serve, wado, basket):
    ports = []
    server = serve(lambda _: [study(OBJECTS[:1])])
    transport = wado(server.url)
    accepted = len(server._lines)
    for _ in range(5):
        transport.fetch(ONE, basket)
        ports.append(len(server._lines) - accepted)
    assert ports == [1] * 5


# What ends too early is an error, and its last object is not kept.


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("framing", ["none", "length", "chunked"])
@pytest.mark.parametrize("at", ["in a part", "between parts"])
def test_a_cut_answer_is_an_error(serve, wado, basket, end, framing, at):
    whole = related(OBJECTS)
    cut = len(related(OBJECTS[:2], close=False)) + (0 if at == "between parts" else 500)
    if framing == "chunked":
        acts = chunked([whole[:cut]], Content_Type=RELATED)
    else:
        length = None if framing == "none" else len(whole)
        acts = [answer(200, length=length, Content_Type=RELATED), whole[:cut]]
    server = serve(lambda _: [*acts, 0.2, end])
    err = fails(wado(server.url), STUDY, basket)
    assert err.code in ("truncated", "aborted")
    assert err.retryable
    assert basket.kept == OBJECTS[: len(basket.kept)]
    # A reset may destroy what was not read yet; an orderly end does not.
    if end == CLOSE:
        assert len(basket.kept) >= 1


def test_a_chunked_answer_that_ends_well_as_http_but_without_its_boundary_is_an_error(serve, wado, basket):
    cut = related(OBJECTS[:2], close=False)
    server = serve(lambda _: [*chunked([cut], Content_Type=RELATED), LAST_CHUNK])
    assert fails(wado(server.url), STUDY, basket).code == "truncated"
    # Without the next boundary nobody knows whether the second one was whole.
    assert basket.kept == OBJECTS[:1]
    assert basket.broken == 1


def test_a_single_object_shorter_than_its_length_is_an_error(serve, wado, basket):
    server = serve(lambda _: [answer(200, OBJECTS[0], length=2000, Content_Type="application/dicom"), CLOSE])
    assert fails(wado(server.url), ONE, basket).code == "truncated"
    assert basket.kept == []


@pytest.mark.parametrize("silent", ["before the answer", "in the middle", "in a boundary"])
def test_a_silent_server_is_left_within_the_stall_limit(serve, wado, basket, silent):
    body = related(OBJECTS)
    sent = {"before the answer": None, "in the middle": 1500, "in a boundary": len(body) - 8}[silent]
    acts = [] if sent is None else [answer(200, length=len(body), Content_Type=RELATED), body[:sent]]
    server = serve(lambda _: [*acts, HANG])
    begun = time.monotonic()
    assert fails(wado(server.url, stall=0.7), STUDY, basket).code == "stalled"
    assert 0.6 < time.monotonic() - begun < 3
    assert len(basket.kept) == {None: 0, 1500: 1}.get(sent, 2)


def test_nobody_there_is_said_at_once(wado, basket, serve):
    server = serve(lambda _: [])
    server.stop()
    begun = time.monotonic()
    err = fails(wado(server.url), STUDY, basket)
    assert err.code == "unreachable"
    assert time.monotonic() - begun < 2


# What the archive says.


def test_nothing_there_is_said_as_not_found(serve, wado, basket):
    server = serve(lambda _: [b"HTTP/1.1 204 No Content\r\n\r\n"])
    tally = wado(server.url).fetch(STUDY, basket)
    assert (tally.completed, tally.code) == (0, "not-found")


def test_a_partial_answer_is_kept_and_said(serve, wado, basket):
    server = serve(lambda _: [study(OBJECTS[:2], status=206)])
    tally = wado(server.url).fetch(STUDY, basket)
    assert (tally.completed, tally.code, basket.kept) == (2, "partial-answer", OBJECTS[:2])


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (304, "http-error", False),
        (400, "http-error", False),
        (401, "http-401", False),
        (403, "http-403", False),
        (404, "http-404", True),
        (405, "not-supported", False),
        (406, "http-406", False),
        (409, "http-error", False),
        (410, "not-found", True),
        (501, "not-supported", False),
        (505, "http-error", True),
    ],
)
def test_a_refusal_has_its_code_and_is_not_repeated(serve, wado, basket, status, code, retryable):
    server = serve(lambda _: [answer(status, b"PatientName: SECRET^CANARY")])
    err = fails(wado(server.url), STUDY, basket)
    assert (err.code, err.retryable) == (code, retryable)
    assert len(server.requests) == (len(FORMS) if status in (400, 406) else 1)
    assert "CANARY" not in str(err)
    assert "1.2.3" not in str(err)


def test_406_falls_back_form_by_form(serve, wado, basket):
    given = []

    def picky(request):
        given.append(request.headers["accept"])
        return [study(OBJECTS) if request.headers["accept"] == FORMS[2] else answer(406)]

    assert wado(serve(picky).url).fetch(STUDY, basket).completed == 3
    assert given == list(FORMS)


def test_a_single_instance_falls_back_to_application_dicom(serve, wado, basket):
    def picky(request):
        plain = request.headers["accept"] == "application/dicom"
        return [answer(200, OBJECTS[0], Content_Type="application/dicom") if plain else answer(406)]

    server = serve(picky)
    assert wado(server.url).fetch(ONE, basket).completed == 1
    assert [request.headers["accept"] for request in server.requests] == [*FORMS, *SINGLE]


def test_what_an_archive_never_gave_is_asked_for_last(serve, wado, basket):
    def picky(request):
        return [answer(406) if request.headers["accept"] == AS_STORED else study(OBJECTS)]

    server = serve(picky)
    transport = wado(server.url)
    for _ in range(4):
        transport.fetch(STUDY, basket)
    asked = [request.headers["accept"] == AS_STORED for request in server.requests]
    assert asked == [True, False, True, False, False, False]


def test_one_study_that_cannot_be_given_as_stored_does_not_transcode_the_others(serve, wado, basket):
    def picky(request):
        odd = request.path.endswith("/9.9") and request.headers["accept"] == AS_STORED
        return [answer(406) if odd else study(OBJECTS)]

    server = serve(picky)
    transport = wado(server.url)
    for uid in ("1.2.3", "9.9", "9.9", "9.9", "1.2.4"):
        transport.fetch(Wanted(study=uid), basket)
    assert server.requests[-1].headers["accept"] == AS_STORED


def test_the_quirk_says_not_to_ask_for_any_transfer_syntax(serve, wado, basket):
    server = serve(lambda _: [answer(406)])
    fails(wado(server.url, quirks=Quirks(any_transfer_syntax=False)), ONE, basket)
    asked = [request.headers["accept"] for request in server.requests]
    assert asked == [*FORMS[1:], "application/dicom"]


# Patience.


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_waited_out(serve, wado, basket, status):
    server = serve(in_turn([answer(status)], [answer(status)], [study(OBJECTS)]))
    assert wado(server.url).fetch(STUDY, basket).completed == 3
    assert len(server.requests) == 3


def test_a_reset_before_the_answer_is_tried_again(serve, wado, basket):
    server = serve(in_turn([RESET], [CLOSE], [study(OBJECTS)]))
    assert wado(server.url).fetch(STUDY, basket).completed == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(serve, wado, basket, form):
    when = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    server = serve(in_turn([answer(503, Retry_After=when)], [study(OBJECTS)]))
    begun = time.monotonic()
    assert wado(server.url).fetch(STUDY, basket).completed == 3
    assert 0.8 < time.monotonic() - begun < 4


def test_a_longer_wait_than_allowed_is_for_the_caller(serve, wado, basket):
    server = serve(lambda _: [answer(429, Retry_After="3600")])
    err = fails(wado(server.url, max_wait=5), STUDY, basket)
    assert (err.code, err.retry_after, len(server.requests)) == ("http-429", 3600, 1)


@pytest.mark.parametrize("value", ["soon", "-1", "", "1e9", "Wed, 99 Foo 2020", "9" * 40])
def test_a_senseless_retry_after_does_no_harm(serve, wado, basket, value):
    server = serve(in_turn([answer(503, Retry_After=value)], [study(OBJECTS)]))
    assert wado(server.url).fetch(STUDY, basket).completed == 3


def test_tries_are_counted(serve, wado, basket):
    server = serve(lambda _: [answer(503, Retry_After="0")])
    assert fails(wado(server.url, max_tries=3), STUDY, basket).code == "http-503"
    assert len(server.requests) == 3


# Several instances.


def test_an_instance_that_is_gone_does_not_stop_the_others(serve, wado, basket):
    server = serve(lambda request: [answer(404) if request.path.endswith("/5.2") else study(OBJECTS[:1])])
    tally = wado(server.url).fetch(several("5.1", "5.2", "5.3"), basket)
    assert (tally.completed, tally.failed, tally.code) == (2, 1, "http-404")


def test_when_no_instance_comes_that_is_an_error(serve, wado, basket):
    server = serve(lambda _: [answer(404)])
    assert fails(wado(server.url), several("5.1", "5.2"), basket).code == "http-404"


def test_a_cut_instance_does_not_stop_the_others_but_three_in_a_row_do(serve, wado, basket):
    cut = [answer(200, related(OBJECTS[:1])[:300], length=2000, Content_Type=RELATED), CLOSE]
    server = serve(in_turn(cut, [study(OBJECTS[:1])], cut, cut, cut))
    err = fails(wado(server.url), several("5.1", "5.2", "5.3", "5.4", "5.5", "5.6"), basket)
    assert err.code == "truncated"
    assert len(server.requests) == 5
    assert basket.kept == OBJECTS[:1]


def test_an_archive_that_only_stumbles_is_not_asked_for_every_instance(serve, wado, basket):
    server = serve(lambda _: [answer(500)])
    assert fails(wado(server.url, max_tries=1), several(*(f"5.{n}" for n in range(99))), basket).code == "http-error"
    assert len(server.requests) == 3


def test_an_archive_that_wants_a_pause_gets_it(serve, wado, basket):
    server = serve(in_turn([study(OBJECTS[:1])], [answer(429, Retry_After="999")]))
    err = fails(wado(server.url), several("5.1", "5.2", "5.3"), basket)
    assert (err.code, err.retry_after, len(server.requests)) == ("http-429", 999, 2)


def test_credentials_missing_for_one_are_missing_for_all(serve, wado, basket):
    server = serve(lambda _: [answer(401)])
    assert fails(wado(server.url), several("5.1", "5.2"), basket).code == "http-401"
    assert len(server.requests) == 1


def test_instances_need_their_series(serve, wado, basket):
    server = serve(lambda _: [study(OBJECTS)])
    assert fails(wado(server.url), Wanted(study="1.2.3", instances=("1.2",)), basket).code == "not-supported"


# What must not be believed, followed or sent.


@pytest.mark.parametrize(
    "uid", ["../../secret", "1.2/3", "1.2?x=1", "..", ".", "", "1" * 65, "1.2.3\r\nX: y", "1.2%2f", "abc"]
)
def test_a_uid_that_is_none_never_gets_into_an_address(serve, wado, basket, uid):
    server = serve(lambda _: [study(OBJECTS)])
    for wanted in (
        Wanted(study=uid),
        Wanted(study="1.2", series=uid),
        Wanted(study="1.2", series="1.3", instances=(uid,)),
    ):
        if uid or wanted.study == "":
            assert fails(wado(server.url), wanted, basket).code == "bad-answer"
    assert server.requests == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>log in</html>"),
        ("application/json", b"{}"),
        ("", b"DICM"),
        ("multipart/related", b"--x--"),
    ],
)
def test_an_answer_of_another_type_is_a_bad_answer(serve, wado, basket, kind, body):
    server = serve(lambda _: [answer(200, body, **({"Content_Type": kind} if kind else {}))])
    assert fails(wado(server.url), STUDY, basket).code == "bad-answer"
    assert basket.kept == []


def test_a_part_of_another_type_is_a_bad_answer(serve, wado, basket):
    body = related(OBJECTS).replace(b"application/dicom", b"application/dicom+json")
    server = serve(lambda _: [answer(200, body, Content_Type=RELATED)])
    assert fails(wado(server.url), STUDY, basket).code == "bad-answer"
    assert basket.kept == []


def test_compression_that_nobody_asked_for_is_refused(serve, wado, basket):
    server = serve(lambda _: [answer(200, b"\x1f\x8b" + bytes(100), Content_Type=RELATED, Content_Encoding="gzip")])
    assert fails(wado(server.url), STUDY, basket).code == "bad-answer"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed(serve, wado, basket, status):
    def moved(request):
        return [
            study(OBJECTS) if request.path.startswith("/new") else answer(status, b"x" * 100, Location="/new/place")
        ]

    assert wado(serve(moved).url).fetch(STUDY, basket).completed == 3


def test_a_redirect_elsewhere_is_not_followed(serve, wado, basket):
    other = serve(lambda _: [study(OBJECTS)])
    server = serve(lambda _: [answer(302, Location=f"{other.url}/studies/1.2.3")])
    err = fails(wado(server.url), STUDY, basket)
    assert (err.code, err.retryable) == ("http-redirect", False)
    assert "archive.dicomweb.url" in str(err.hint)
    assert other.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/x",
        "//elsewhere.invalid/x",
        "http://u:p@127.0.0.1/x",
        "ftp://x/",
        "http://[",
        "http://127.0.0.1:99999/",
    ],
)
def test_odd_redirects_are_not_followed(serve, wado, basket, location):
    server = serve(lambda _: [answer(302, Location=location)])
    assert fails(wado(server.url), STUDY, basket).code == "http-redirect"
    assert len(server.requests) == 1


def test_a_redirect_in_a_circle_ends(serve, wado, basket):
    server = serve(lambda _: [answer(302, Location="/again")])
    assert fails(wado(server.url), STUDY, basket).code == "http-redirect"
    assert len(server.requests) < 6


def test_nothing_of_the_environment_is_sent(serve, wado, basket, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password hunter2\n")
    netrc.chmod(0o600)
    elsewhere = serve(lambda _: [answer(500)])
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, elsewhere.origin)
    server = serve(lambda _: [answer(200, related(OBJECTS), Content_Type=RELATED, Set_Cookie="a=b")])
    wado(server.url).fetch(STUDY, basket)
    assert "authorization" not in server.requests[0].headers
    assert elsewhere.requests == []


def test_the_profiles_proxy_is_used(serve, basket):
    proxy = serve(lambda _: [study(OBJECTS)])
    archive = Archive(name="x", dicomweb=Dicomweb(url="http://archive.invalid/dicom-web", proxy=proxy.origin))
    transport = Wado(archive, WadoSettings())
    assert transport.fetch(STUDY, basket).completed == 3
    transport.close()
    assert proxy.requests[0].target == "http://archive.invalid/dicom-web/studies/1.2.3"


@pytest.mark.parametrize(
    "junk",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    ],
)
def test_what_is_no_http_is_an_error(serve, wado, basket, junk):
    server = serve(lambda _: [junk, CLOSE])
    assert fails(wado(server.url, max_tries=1), STUDY, basket).code in ("aborted", "bad-answer", "truncated")


# The sink.


def test_no_space_ends_the_fetch(serve, wado, basket):
    server = serve(lambda _: [study(OBJECTS)])
    basket._answers = [Receipt.KEPT, Receipt.NO_SPACE]
    assert fails(wado(server.url), STUDY, basket).code == "no-space"
    assert len(basket.kept) == 2


def test_what_the_sink_refuses_or_does_not_read_is_passed_over(serve, wado):
    class Lazy:
        seen = 0

        def accept(self, _head, chunks):
            self.seen += 1
            return Receipt.UNEXPECTED

    lazy = Lazy()
    assert wado(serve(lambda _: [study(OBJECTS)]).url).fetch(STUDY, lazy).completed == 3
    assert lazy.seen == 3


def test_a_sink_that_swallows_an_error_changes_nothing(serve, wado):
    class Deaf:
        def accept(self, _head, chunks):
            with contextlib.suppress(TransferError):
                list(chunks)
            return Receipt.KEPT

    head = answer(200, length=None, Content_Type=RELATED, Connection="close")
    server = serve(lambda _: [head, related(OBJECTS[:1])[:200], CLOSE])
    assert fails(wado(server.url), STUDY, Deaf()).code == "truncated"
    server = serve(lambda _: [answer(200, b"x" * 9, length=99, Content_Type="application/dicom"), CLOSE])
    assert fails(wado(server.url), ONE, Deaf()).code == "truncated"


def test_an_error_of_the_sink_passes_through(serve, wado):
    class Broken:
        def accept(self, _head, _chunks):
            raise ZeroDivisionError

    server = serve(lambda _: [study(OBJECTS)])
    with pytest.raises(ZeroDivisionError):
        wado(server.url).fetch(STUDY, Broken())


# Life and death.


@pytest.mark.parametrize("where", ["before the answer", "in the middle", "in a pause"])
def test_close_ends_a_fetch_under_way(serve, wado, basket, where):
    acts = {
        "before the answer": [HANG],
        "in the middle": [answer(200, length=9999, Content_Type=RELATED), related(OBJECTS)[:500], HANG],
        "in a pause": [answer(503, Retry_After="4")],
    }[where]
    transport = wado(serve(lambda _: acts).url, stall=30)
    caught = []
    thread = threading.Thread(target=lambda: caught.append(fails(transport, STUDY, basket)))
    thread.start()
    time.sleep(0.4)
    begun = time.monotonic()
    transport.close()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - begun < 2
    assert caught[0].code == "interrupted"
    transport.close()
    assert fails(transport, STUDY, basket).code == "interrupted"


def test_several_threads_fetch_at_once(serve, wado, basket):
    server = serve(lambda request: [study([request.path.encode() * 100])])
    transport = wado(server.url)
    threads = [threading.Thread(target=transport.fetch, args=(Wanted(study=f"1.{n}"), basket)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(basket.kept) == sorted(f"/dicom-web/studies/1.{n}".encode() * 100 for n in range(12))


def test_ping_asks_for_one_study(serve, wado):
    server = serve(lambda _: [answer(200, b"[]", Content_Type="application/dicom+json")])
    ping = wado(server.url).ping()
    assert (ping.service, ping.address) == ("QIDO-RS", server.url)
    assert ping.seconds >= 0
    assert server.requests[0].target == "/dicom-web/studies?limit=1"


@pytest.mark.parametrize(("status", "code"), [(404, "http-404"), (401, "http-401"), (500, "http-error")])
def test_ping_fails_where_nothing_is_served(serve, wado, status, code):
    with pytest.raises(TransferError) as caught:
        wado(serve(lambda _: [answer(status)]).url, max_tries=1).ping()
    assert caught.value.code == code


def test_ping_of_a_root_that_only_retrieves(serve, wado):
    server = serve(lambda _: [answer(404)])
    assert wado("", wado=server.url).ping().service == "WADO-RS"
    server = serve(lambda _: [answer(401)])
    with pytest.raises(TransferError):
        wado("", wado=server.url).ping()


def test_each_service_may_have_its_own_root(serve, wado, basket):
    server = serve(lambda _: [study(OBJECTS)])
    wado("", qido="http://127.0.0.1:1/q", wado=f"{server.origin}/w/").fetch(STUDY, basket)
    assert server.requests[0].path == "/w/studies/1.2.3"


@pytest.mark.parametrize(
    ("web", "key"), [(None, "archive.dicomweb.url"), (Dicomweb(qido="http://h/q"), "archive.dicomweb.wado")]
)
def test_a_missing_root_names_the_key(web, key):
    with pytest.raises(ConfigError, match="archive.dicomweb.url is missing") as caught:
        Wado(Archive(name="x", dicomweb=web), WadoSettings())
    assert key in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http://[::1/x", "http://.example/x"])
def test_a_root_that_is_no_address_names_the_key(url):
    def build():
        web = fit(Dicomweb, {"url": "http://h/x", "wado": url}, "archive.dicomweb")
        return Wado(Archive(name="x", dicomweb=web), WadoSettings())

    with pytest.raises(ConfigError, match=r"archive\.dicomweb\.wado: write"):
        build()
