"""QIDO-RS against a server that does to order what real ones do by accident."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Level, Query
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.dicomweb.answers import match, rows
from support.scripted_http import CLOSE, HANG, answer, in_turn

TAGS = {
    "StudyInstanceUID": ("0020000D", "UI"),
    "SeriesInstanceUID": ("0020000E", "UI"),
    "SOPInstanceUID": ("00080018", "UI"),
    "PatientID": ("00100020", "LO"),
    "IssuerOfPatientID": ("00100021", "LO"),
    "PatientName": ("00100010", "PN"),
    "AccessionNumber": ("00080050", "SH"),
    "ModalitiesInStudy": ("00080061", "CS"),
    "NumberOfStudyRelatedInstances": ("00201208", "IS"),
}


def row(**values) -> dict:
    found = {}
    for keyword, value in values.items():
        tag, vr = TAGS[keyword]
        found[tag] = {"vr": vr, "Value": value if isinstance(value, list) else [value]}
    return found


def study(number: int, patient: str = "P1") -> dict:
    return row(StudyInstanceUID=f"1.2.{number}", PatientID=patient)


def page(rows_, status: int = 200, **headers) -> bytes:
    return answer(status, json.dumps(rows_).encode(), Content_Type="application/dicom+json", **headers)


def paged(all_rows, *, cap: int = 10**6, **headers):
    """An archive that knows limit and offset, and never gives more than ``cap``."""

    def script(request):
        start, limit = int(request.param("offset") or 0), int(request.param("limit"))
        return [page(all_rows[start : start + min(cap, limit)], **headers)]

    return script


def uids(finder, query=None) -> list[str]:
    return [found.text("StudyInstanceUID") for found in finder.find(query or Query(level=Level.STUDY))]


def fails(finder, query=None) -> TransferError:
    with pytest.raises(TransferError) as caught:
        list(finder.find(query or Query(level=Level.STUDY)))
    return caught.value


# What is asked.


def test_keys_become_parameters_and_usual_fields_are_asked_for(serve, qido):
    server = serve(lambda _: [page([])])
    keys = {"AccessionNumber": "A&B=1#?", "StudyDate": "20200101-", "PatientName": "Müller*", "StudyDescription": ""}
    assert uids(qido(server.url), Query(level=Level.STUDY, keys=keys, wants=("ReferringPhysicianName",))) == []
    request = server.requests[0]
    assert request.path == "/dicom-web/studies"
    assert request.param("AccessionNumber") == "A&B=1#?"
    assert request.param("StudyDate") == "20200101-"
    assert request.param("PatientName") == "Müller*"
    assert request.param("StudyDescription") is None
    fields = {value for name, value in request.params if name == "includefield"}
    assert {
        "StudyDescription",
        "ReferringPhysicianName",
        "NumberOfStudyRelatedInstances",
        "ModalitiesInStudy",
        "InstanceAvailability",
    } <= fields
    assert request.headers["host"] == server.origin.removeprefix("http://")
    assert request.headers["accept-encoding"] == "identity"


def test_wildcards_are_not_escaped_and_a_space_is_no_plus(serve, qido):
    server = serve(lambda _: [page([])])
    uids(qido(server.url), Query(level=Level.STUDY, keys={"PatientID": "A*B?/:", "StudyDescription": "a b+c"}))
    target = server.requests[0].target
    assert "PatientID=A*B?/:" in target
    assert "StudyDescription=a%20b%2Bc" in target


def test_an_archive_that_does_not_decode_is_asked_in_plainer_words(serve, qido):
    rows_ = [
        row(StudyInstanceUID=f"1.2.{n}", PatientName={"Alphabetic": name})
        for n, name in enumerate(["Müller^X", "Möller^X", "M^X"])
    ]

    def undecoded(request):
        plain = "PatientName=M*ller*X" in request.target and not request.param("offset")
        return [page(rows_ if plain else [])]

    server = serve(undecoded)
    query = Query(level=Level.STUDY, keys={"PatientName": "MÜLLER^X"})
    assert (
        uids(qido(server.url), query)
        == []
        == uids(qido(server.url), Query(level=Level.STUDY, keys={"PatientName": "Ü^"}))
    )
    query = Query(level=Level.STUDY, keys={"PatientName": "Müller^X"})
    assert uids(qido(server.url), query) == ["1.2.0"]


def test_an_archive_without_wildcards_has_understood_the_first_question(serve, qido):
    server = serve(lambda request: [answer(400) if "*" in request.target else page([])])
    assert uids(qido(server.url), Query(level=Level.STUDY, keys={"AccessionNumber": "A B"})) == []


@pytest.mark.parametrize(
    ("level", "keys", "path"),
    [
        (Level.SERIES, {"StudyInstanceUID": "1.2"}, "/studies/1.2/series"),
        (Level.SERIES, {}, "/series"),
        (Level.IMAGE, {"StudyInstanceUID": "1.2"}, "/studies/1.2/instances"),
        (Level.IMAGE, {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}, "/studies/1.2/series/1.3/instances"),
        (Level.IMAGE, {"SeriesInstanceUID": "1.3"}, "/instances"),
        (Level.STUDY, {"StudyInstanceUID": "1.2"}, "/studies"),
    ],
)
def test_uids_of_the_levels_above_go_into_the_path(serve, qido, level, keys, path):
    server = serve(lambda _: [page([])])
    assert list(qido(server.url).find(Query(level=level, keys=keys))) == []
    request = server.requests[0]
    assert request.path == "/dicom-web" + path
    in_query = {name for name, _ in request.params} & set(keys)
    assert in_query == {keyword for keyword, uid in keys.items() if uid not in path.split("/")}


@pytest.mark.parametrize("uid", ["../x", "1.2/3", "..", "a"])
def test_a_uid_that_is_none_never_gets_into_an_address(serve, qido, uid):
    server = serve(lambda _: [page([])])
    err = fails(qido(server.url), Query(level=Level.SERIES, keys={"StudyInstanceUID": uid}))
    assert err.code == "bad-answer"
    assert server.requests == []


def test_lists_are_asked_one_by_one(serve, qido):
    def script(request):
        number = request.param("StudyInstanceUID").rpartition(".")[2]
        return [page([study(int(number))] if not request.param("offset") else [])]

    server = serve(script)
    query = Query(level=Level.STUDY, keys={"StudyInstanceUID": "1.2.1\\1.2.2", "ModalitiesInStudy": "CT\\MR"})
    assert uids(qido(server.url), query) == ["1.2.1", "1.2.2"]
    asked = {(r.param("StudyInstanceUID"), r.param("ModalitiesInStudy")) for r in server.requests}
    assert asked == {("1.2.1", "CT"), ("1.2.1", "MR"), ("1.2.2", "CT"), ("1.2.2", "MR")}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(level=Level.STUDY), "19000101-"),
        (Query(level=Level.STUDY, keys={"StudyDate": ""}), "19000101-"),
        (Query(level=Level.STUDY, keys={"StudyDate": "20200101"}), "20200101"),
        (Query(level=Level.SERIES, keys={"StudyInstanceUID": "1.2"}), None),
        (Query(level=Level.PATIENT), "19000101-"),
    ],
)
def test_the_quirk_adds_a_date_where_none_was_asked_for(serve, qido, query, expected):
    server = serve(lambda _: [page([])])
    list(qido(server.url, quirks=Quirks(requires_study_date=True)).find(query))
    assert server.requests[0].param("StudyDate") == expected


def test_an_archive_without_instance_queries_is_not_asked(serve, qido):
    server = serve(lambda _: [page([])])
    finder = qido(server.url, quirks=Quirks(image_level_find=False))
    assert fails(finder, Query(level=Level.IMAGE)).code == "not-supported"
    assert server.requests == []


def test_a_word_that_is_no_keyword_is_an_error_and_not_ignored(serve, qido):
    server = serve(lambda _: [page([study(1)])])
    for query in (Query(level=Level.STUDY, keys={"AcessionNumber": "1"}), Query(level=Level.STUDY, wants=("Foo",))):
        with pytest.raises(ConfigError, match="no keyword"):
            list(qido(server.url).find(query))
    assert server.requests == []


# What is answered.


def test_values_become_text():
    keep = frozenset(
        ("PatientName", "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "StudyInstanceUID", "PatientID")
    )
    answered = row(
        StudyInstanceUID="1.2.3 ",
        PatientName={"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
        ModalitiesInStudy=["CT", None, "SR"],
        NumberOfStudyRelatedInstances=12.0,
    )
    found = match(
        answered | {"00100020": {"vr": "LO"}, "00091001": {"vr": "LO", "Value": ["x"]}}, Level.STUDY, {}, keep
    )
    assert dict(found.keys) == {
        "StudyInstanceUID": "1.2.3 ",
        "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "ModalitiesInStudy": "CT\\\\SR",
        "NumberOfStudyRelatedInstances": "12",
        "PatientID": "",
    }
    assert found.many("ModalitiesInStudy") == ("CT", "SR")
    assert found.number("NumberOfStudyRelatedInstances") == 12


def test_a_name_without_its_first_group_keeps_its_places():
    answered = row(StudyInstanceUID="1.2", PatientName={"Ideographic": "山田"})
    assert (
        match(answered, Level.STUDY, {}, frozenset(("StudyInstanceUID", "PatientName"))).text("PatientName") == "=山田"
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["0020000D", "00100010", "vr", "Value", "Alphabetic", "UI", "zzz"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(value=json_values)
@example(value=[{"0020000D": {"vr": [], "Value": ["1.2"]}}])
def test_no_json_raises_anything_but_a_transfer_error(value):
    try:
        for one in rows(value):
            found = match(one, Level.STUDY, {}, frozenset(("StudyInstanceUID", "PatientName")))
            assert found.text("StudyInstanceUID")
    except TransferError as err:
        assert err.code == "bad-answer"  # noqa: PT017 - it may also not raise


def test_half_a_surrogate_pair_can_still_be_written_down():
    answered = json.loads(
        '{"0020000D": {"Value": ["1.2"]}, "00100020": {"Value": ["A\\ud800", {"Alphabetic": "\\udfff"}]}}'
    )
    text = match(answered, Level.STUDY, {}, frozenset(("StudyInstanceUID", "PatientID"))).text("PatientID")
    assert text.encode("utf-8") == b"A?\\?"


def test_only_what_was_asked_for_is_kept(serve, qido):
    full = row(StudyInstanceUID="1.2", PatientName={"Alphabetic": "CANARY^NAME"}, PatientID="P")
    found = list(qido(serve(paged([full])).url).find(Query(level=Level.STUDY)))
    assert "PatientName" not in found[0].keys
    found = list(qido(serve(paged([full])).url).find(Query(level=Level.STUDY, wants=("PatientName",))))
    assert found[0].text("PatientName") == "CANARY^NAME"
    assert "CANARY" not in repr(found)


def test_parents_that_the_answer_lacks_come_from_the_question(serve, qido):
    server = serve(paged([row(SOPInstanceUID="1.4")]))
    query = Query(level=Level.IMAGE, keys={"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"})
    (found,) = qido(server.url).find(query)
    assert (found.text("StudyInstanceUID"), found.text("SeriesInstanceUID")) == ("1.2", "1.3")


def test_one_study_of_two_patients_is_two_answers(serve, qido):
    server = serve(paged([study(1, "P1"), study(1, "P2"), study(1, "P1")]))
    assert uids(qido(server.url)) == ["1.2.1", "1.2.1"]


def test_patients_are_what_the_studies_say(serve, qido):
    everything = [study(n, f"P{n // 4}") for n in range(10)]
    server = serve(paged(everything, cap=3))
    found = list(qido(server.url).find(Query(level=Level.PATIENT)))
    assert [one.text("PatientID") for one in found] == ["P0", "P1", "P2"]
    assert all("StudyInstanceUID" not in one.keys for one in found)


# Pages.


@pytest.mark.parametrize("cap", [1, 3, 7, 10, 100])
@pytest.mark.parametrize("page_size", [1, 5, 10, 1000])
def test_all_pages_are_asked_for_whatever_the_archives_cap(serve, qido, cap, page_size):
    server = serve(paged([study(n) for n in range(10)], cap=cap))
    assert uids(qido(server.url, settings={"page_size": page_size})) == [f"1.2.{n}" for n in range(10)]


def test_no_page_more_is_asked_for_when_as_many_came_as_the_archive_counts(serve, qido):
    server = serve(paged([study(number) for number in range(7)]))
    assert len(uids(qido(server.url), Query(level=Level.STUDY, expected=7))) == 7
    assert len(server.requests) == 1


@pytest.mark.parametrize(("expected", "cap"), [(7, 5), (9, 100), (5, 100)])
def test_a_count_that_does_not_fit_ends_nothing(serve, qido, expected, cap):
    server = serve(paged([study(number) for number in range(7)], cap=cap))
    assert len(uids(qido(server.url), Query(level=Level.STUDY, expected=expected))) == 7
    assert len(server.requests) > 1


def test_a_count_ends_nothing_where_the_archive_says_that_there_is_more(serve, qido):
    server = serve(in_turn([page([study(1)], Warning="299 x: 1 more results")], [page([study(2)])], [page([])]))
    assert len(uids(qido(server.url), Query(level=Level.STUDY, expected=1))) == 2


def test_a_page_beyond_the_end_may_be_a_204(serve, qido):
    server = serve(in_turn([page([study(1)])], [answer(204)]))
    assert uids(qido(server.url)) == ["1.2.1"]


def test_nothing_at_all(serve, qido):
    for nothing in (answer(204), page([]), answer(200)):
        assert uids(qido(serve(lambda _, it=nothing: [it]).url)) == []


def test_an_archive_that_ignores_limit_and_offset_ends(serve, qido):
    server = serve(lambda _: [page([study(n) for n in range(5)])])
    assert uids(qido(server.url, settings={"page_size": 3})) == [f"1.2.{n}" for n in range(5)]
    assert len(server.requests) == 2


def test_an_archive_that_cuts_off_and_ignores_the_offset_is_an_error(serve, qido):
    server = serve(lambda _: [page([study(n) for n in range(3)])])
    assert fails(qido(server.url, settings={"page_size": 3})).code == "capped"


def test_an_archive_that_says_it_has_more_and_gives_no_more_is_an_error(serve, qido):
    warning = "299 x: There are 7 additional results that can be requested"
    server = serve(in_turn([page([study(1)], Warning=warning)], [page([])]))
    assert fails(qido(server.url)).code == "capped"


def test_a_warning_of_more_is_followed(serve, qido):
    warning = "299 x: The number of results exceeded the maximum. Additional results can be requested."
    server = serve(in_turn([page([study(1)], Warning=warning)], [page([study(2)])], [page([])]))
    assert uids(qido(server.url)) == ["1.2.1", "1.2.2"]


def test_a_warning_of_something_else_is_not(serve, qido):
    server = serve(paged([study(1)], Warning="299 x: The fuzzymatching parameter is not supported."))
    assert uids(qido(server.url)) == ["1.2.1"]


def test_an_endless_archive_is_stopped(serve, qido):
    def endless(request):
        start = int(request.param("offset") or 0)
        return [page([study(start + n) for n in range(10)])]

    finder = qido(serve(endless).url, settings={"max_answers": 50})
    assert fails(finder).code == "bad-answer"


def test_a_failure_on_a_later_page_is_an_error(serve, qido):
    server = serve(in_turn([page([study(1)])], [answer(404)]))
    finder = qido(server.url)
    answers = finder.find(Query(level=Level.STUDY))
    assert next(answers).text("StudyInstanceUID") == "1.2.1"
    with pytest.raises(TransferError):
        next(answers)


def test_fields_that_the_archive_does_not_know_are_left_out(serve, qido):
    everything = paged([study(1)])

    def picky(request):
        return [answer(400)] if request.param("includefield") else everything(request)

    server = serve(picky)
    finder = qido(server.url)
    assert uids(finder) == uids(finder) == ["1.2.1"]
    assert [bool(request.param("includefield")) for request in server.requests] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_pages_that_are_too_large_for_the_archive_are_made_smaller(serve, qido):
    everything = paged([study(n) for n in range(300)])

    def picky(request):
        return [answer(400)] if int(request.param("limit")) > 200 else everything(request)

    assert len(uids(qido(serve(picky).url))) == 300


# Failures are never "no studies".


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "http-error"),
        (401, "http-401"),
        (403, "http-403"),
        (404, "http-404"),
        (406, "http-406"),
        (410, "not-found"),
        (500, "http-error"),
        (503, "http-503"),
    ],
)
def test_a_refusal_is_an_error(serve, qido, status, code):
    err = fails(qido(serve(lambda _: [answer(status, b"[]")]).url, settings={"max_tries": 1}))
    assert err.code == code
    assert "archive.dicomweb.url" in str(err)


def test_a_passing_trouble_is_waited_out(serve, qido):
    server = serve(in_turn([answer(503, Retry_After="0")], [page([study(1)])], [page([])]))
    assert uids(qido(server.url)) == ["1.2.1"]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[",
        b"[1]",
        b'"x"',
        b"3",
        b"[{}, {}",
        b"\xff\xfe",
        b'[{"00100020": 1}]',
        b'[{"0020000D": {"vr": "UI"}}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_an_error(serve, qido, body):
    assert fails(qido(serve(lambda _: [answer(200, body)]).url)).code == "bad-answer"


def test_a_cut_answer_is_an_error(serve, qido):
    body = json.dumps([study(n) for n in range(9)]).encode()
    finder = qido(serve(lambda _: [answer(200, body[:200], length=len(body)), CLOSE]).url)
    assert fails(finder).code == "truncated"
    finder = qido(serve(lambda _: [answer(200, body[:200], length=None), CLOSE]).url)
    assert fails(finder).code == "bad-answer"


def test_a_silent_archive_is_left_within_the_stall_limit(serve, qido):
    assert fails(qido(serve(lambda _: [HANG]).url, stall=0.5)).code == "stalled"
    assert fails(qido(serve(lambda _: [answer(200, b"[", length=99), HANG]).url, stall=0.5)).code == "stalled"


def test_an_endless_page_is_an_error(serve, qido):
    server = serve(lambda _: [answer(200, length=None), *[b"[" + b" " * 65536] * 40, CLOSE])
    assert fails(qido(server.url, settings={"max_page": "1MB"})).code == "bad-answer"


def test_compression_that_nobody_asked_for_is_refused(serve, qido):
    server = serve(lambda _: [answer(200, b"\x1f\x8b" + bytes(99), Content_Encoding="gzip")])
    assert fails(qido(server.url)).code == "bad-answer"


def test_a_redirect_elsewhere_is_not_followed(serve, qido):
    other = serve(lambda _: [page([study(1)])])
    server = serve(lambda _: [answer(307, Location=other.url + "/studies")])
    assert fails(qido(server.url)).code == "http-redirect"
    assert other.requests == []


def test_a_redirect_within_the_origin_is_followed(serve, qido):
    everything = paged([study(1)])

    def moved(request):
        here = request.path.startswith("/new")
        return everything(request) if here else [answer(307, Location=request.target.replace("/dicom-web", "/new"))]

    assert uids(qido(serve(moved).url)) == ["1.2.1"]


# Several at once, and the end.


def test_several_threads_ask_at_once(serve, qido):
    def mine(request):
        number = int(request.param("AccessionNumber"))
        more = {"Warning": "299 x: 3 additional results"} if number % 2 and not request.param("offset") else {}
        return [page([study(number)] if not request.param("offset") else [], **more)]

    finder, found, failed = qido(serve(mine).url), {}, []

    def ask(number: int) -> None:
        try:
            found[number] = uids(finder, Query(level=Level.STUDY, keys={"AccessionNumber": str(number)}))
        except TransferError:
            failed.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {n: [f"1.2.{n}"] for n in range(0, 12, 2)}
    assert sorted(failed) == list(range(1, 12, 2))


def test_ping_and_close(serve, qido):
    server = serve(lambda _: [page([])])
    finder = qido(server.url)
    assert finder.ping().service == "QIDO-RS"
    assert finder.ping().address == server.url
    finder.close()
    finder.close()
    assert fails(finder).code == "interrupted"


def test_qido_may_have_its_own_root(serve, qido):
    server = serve(lambda _: [page([])])
    uids(qido("", qido=f"{server.origin}/q", wado="http://127.0.0.1:1/w"))
    assert server.requests[0].path == "/q/studies"


# What is known of the archive beforehand.


def test_the_quirk_says_how_many_answers_come_at_once(serve, qido):
    server = serve(paged([study(n) for n in range(25)], cap=10))
    assert len(uids(qido(server.url, quirks=Quirks(page_size=10)))) == 25
    assert {request.param("limit") for request in server.requests} == {"10"}


def test_the_quirk_says_that_no_fields_may_be_asked_for(serve, qido):
    server = serve(paged([study(1)]))
    assert uids(qido(server.url, quirks=Quirks(includefield=False))) == ["1.2.1"]
    assert all(request.param("includefield") is None for request in server.requests)


@pytest.mark.parametrize(
    ("quirks", "field"),
    [
        (Quirks(available_transfer_syntax=False), "AvailableTransferSyntaxUID"),
        (Quirks(availability=False), "InstanceAvailability"),
        (Quirks(unasked=("SOPClassUID",)), "SOPClassUID"),
    ],
)
def test_the_quirk_says_which_field_is_better_not_asked_for(serve, qido, quirks, field):
    server = serve(paged([row(SOPInstanceUID="1.2.3", StudyInstanceUID="1.2")]))
    for level in (Level.STUDY, Level.IMAGE):
        list(qido(server.url, quirks=quirks).find(Query(level=level, keys={"StudyInstanceUID": "1.2"})))
    fields = {value for request in server.requests for name, value in request.params if name == "includefield"}
    assert field not in fields
    assert fields


def test_a_field_that_not_every_archive_knows_is_left_out_before_all_are(serve, qido):
    everything = paged([study(1)])

    def picky(request):
        odd = ("includefield", "AvailableTransferSyntaxUID"), ("includefield", "InstanceAvailability")
        return [answer(400)] if set(odd) & set(request.params) else everything(request)

    server = serve(picky)
    assert uids(qido(server.url)) == ["1.2.1"]
    last = {value for name, value in server.requests[-1].params if name == "includefield"}
    assert "NumberOfStudyRelatedInstances" in last
    assert "InstanceAvailability" not in last


@pytest.mark.parametrize(("most", "code"), [(20, "capped"), (30, None), (29, None)])
def test_what_lies_behind_the_highest_offset_is_no_end(serve, qido, most, code):
    def script(request):
        start = int(request.param("offset") or 0)
        return [answer(400) if start > most else page([study(n) for n in range(start, min(start + 10, 35))])]

    finder = qido(serve(script).url, quirks=Quirks(max_offset=most), settings={"page_size": 10})
    if code is None and most == 30:
        assert len(uids(finder)) == 35
    else:
        assert fails(finder).code == "capped"


@pytest.mark.parametrize(
    ("count", "expected", "whole"),
    [(100, None, False), (500, None, False), (256, None, False), (137, None, True), (100, 100, True)],
)
def test_a_page_that_repeats_itself_and_has_a_round_number_of_answers_is_not_believed(
    serve, qido, count, expected, whole
):
    """It knows neither limit nor offset: what it gives may be all there is, or all it ever gives."""
    server = serve(lambda _: [page([study(n) for n in range(count)])])
    query = Query(level=Level.STUDY, expected=expected)
    if whole:
        assert len(uids(qido(server.url), query)) == count
    else:
        assert fails(qido(server.url), query).code == "capped"


def test_an_archive_that_gives_its_default_page_whatever_is_asked_for_loses_nothing(serve, qido):
    def hundred(request):
        start = int(request.param("offset") or 0)
        return [page([study(n) for n in range(start, min(start + 100, 250))]) if start < 250 else answer(204)]

    assert len(uids(qido(serve(hundred).url))) == 250
