"""The multipart reader: nothing is lost, nothing is cut, whatever the bytes and however they come."""

from __future__ import annotations

import itertools
import re
import time
import tracemalloc

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pacsferry.core.errors import TransferError
from pacsferry.plugins.dicomweb.multipart import MAX_HEADERS, MAX_PREAMBLE, Multipart, boundary_of, media_type

B = b"B"
quick = settings(deadline=None, max_examples=150)

#: Pieces that look like what the reader looks for.
LURES = [
    b"\r\n--B",
    b"\r\n--B-",
    b"\r\n--BB",
    b"\r\n--B x",
    b"--B--",
    b"\n--B",
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"B",
    b" ",
]
pieces = st.lists(st.one_of(st.sampled_from(LURES), st.binary(max_size=40)), max_size=12)
contents = pieces.map(b"".join)


def delimited(content: bytes, style: bytes = b"\r\n") -> bool:
    """Whether the content has a boundary line in it, which no reader could tell from a real one."""
    return bool(re.search(re.escape(style) + rb"--B(--)?[ \t]*\r?(\n|$)", content + style))


plain = contents.filter(lambda content: not delimited(content))


def message(parts, *, style=b"\r\n", length=False, preamble=b"", epilogue=b"") -> bytes:
    text = preamble
    for part in parts:
        size = b"Content-Length: %d" % len(part) + style if length else b""
        text += b"--B" + style + b"Content-Type: application/dicom" + style + size + style + part + style
    return text + b"--B--" + style + epilogue


def split(text: bytes, cuts) -> list[bytes]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


def reader(chunks, boundary=B) -> Multipart:
    left = iter(chunks)
    return Multipart(lambda: next(left, b""), boundary)


def read(chunks, boundary=B) -> list[bytes]:
    """All parts; those that were complete before an error are in ``error.parts``."""
    multipart, parts = reader(chunks, boundary), []
    try:
        for part in multipart:
            body = b"".join(bytes(chunk) for chunk in part.chunks)
            assert part.complete
            parts.append(body)
        multipart.epilogue()
    except TransferError as err:
        err.parts = parts
        raise
    return parts


cuts = st.lists(st.integers(0, 10_000), max_size=30)


@quick
@given(parts=st.lists(plain, max_size=4), cuts=cuts)
@example(parts=[b"\r\n--BB", b"\r\n--B-"], cuts=[40, 41, 42])
@example(parts=[b"", b"\r", b"\r\n"], cuts=list(range(200)))
def test_parts_come_whole_however_they_are_chunked(parts, cuts):
    assert read(split(message(parts), cuts)) == parts


@quick
@given(parts=st.lists(contents, max_size=4), cuts=cuts)
@example(parts=[b"x\r\n--B--\r\ny", b"\r\n--B\r\n\r\n"], cuts=[])
def test_a_part_with_a_length_may_hold_the_very_boundary(parts, cuts):
    assert read(split(message(parts, length=True), cuts)) == parts


@quick
@given(parts=st.lists(contents.filter(lambda content: not delimited(content, b"\n")), max_size=4), cuts=cuts)
def test_lines_may_end_with_a_line_feed_only(parts, cuts):
    assert read(split(message(parts, style=b"\n"), cuts)) == parts


@quick
@given(parts=st.lists(plain, min_size=1, max_size=4), cuts=cuts, end=st.integers(0, 10_000), length=st.booleans())
def test_an_answer_cut_anywhere_is_an_error_and_never_a_short_answer(parts, cuts, end, length):
    assume(not any(b"\r\n--B--" in part for part in parts) or length)
    text = message(parts, length=length)
    text = text[: end % (len(text) - 2)]  # the very last line end is not needed
    with pytest.raises(TransferError) as caught:
        read(split(text, cuts))
    assert caught.value.code in ("truncated", "bad-answer")
    assert caught.value.parts == parts[: len(caught.value.parts)]


@quick
@given(parts=st.lists(plain, max_size=3), preamble=st.binary(max_size=60), epilogue=st.binary(max_size=60), cuts=cuts)
def test_preamble_and_epilogue_are_no_parts(parts, preamble, epilogue, cuts):
    assume(b"--B" not in preamble)
    assert read(split(message(parts, preamble=preamble + b"\r\n", epilogue=epilogue), cuts)) == parts


@settings(deadline=None, max_examples=300)
@given(
    text=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.one_of(
                st.sampled_from([*LURES, b"--B\r\n", b"Content-Length: 5\r\n", b"\r\n\r\n"]), st.binary(max_size=9)
            ),
            max_size=30,
        ).map(b"".join),
    ),
    cuts=cuts,
)
def test_no_bytes_raise_anything_but_a_transfer_error(text, cuts):
    try:
        read(split(text, cuts))
    except TransferError as err:
        assert err.code in ("truncated", "bad-answer")  # noqa: PT017 - it may also not raise


@quick
@given(text=st.text(max_size=120))
def test_no_content_type_raises_anything_but_a_transfer_error(text):
    kind = media_type(text)
    try:
        assert boundary_of(kind)
    except TransferError as err:
        assert err.code == "bad-answer"  # noqa: PT017 - it may also not raise


@pytest.mark.parametrize(
    ("field", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('multipart/related;boundary="a b;c=\\"d"; type="application/dicom"', b'a b;c="d'),
        ("Multipart/Related ; BOUNDARY = abc ; start=x", b"abc"),
        ("multipart/related; boundary=" + "b" * 72, b"b" * 72),
    ],
)
def test_boundaries_quoted_or_not(field, boundary):
    kind = media_type(field)
    assert kind.name == "multipart/related"
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "field",
    [
        "multipart/related",
        "multipart/related; boundary=",
        'multipart/related; boundary="é"',
        "multipart/related; boundary=" + "x" * 300,
    ],
)
def test_a_missing_boundary_is_a_bad_answer(field):
    with pytest.raises(TransferError) as caught:
        boundary_of(media_type(field))
    assert caught.value.code == "bad-answer"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "truncated"),
        (b"no boundary at all\r\n", "truncated"),
        (b"--B", "truncated"),
        (b"--B\r\n", "truncated"),
        (b"--B\r\n\r\nabc", "truncated"),
        (b"--B\r\n\r\nabc\r\n--B", "truncated"),
        (b"--B\r\n\r\nabc\r\n--B-", "truncated"),
        (b"--B\r\n\r\nabc\r\n--B\r\n", "truncated"),
        (b"--B\r\nContent-Length: 9\r\n\r\nabc\r\n--B--\r\n", "truncated"),
        (b"--B\r\nContent-Length: 2\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nContent-Length: -1\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nContent-Encoding: gzip\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nno colon\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\nX: " + b"x" * MAX_HEADERS + b"\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\n" + b"Y: y\r\n" * MAX_HEADERS + b"\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"x" * (MAX_PREAMBLE + 9) + b"\r\n--B\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"x\r\n" * MAX_PREAMBLE + b"--B\r\n\r\nabc\r\n--B--\r\n", "bad-answer"),
        (b"--B\r\n\r\nabc\r\n--B--\r\n" + b"y" * 100_000, "bad-answer"),
    ],
)
def test_what_cannot_be_trusted_is_an_error(text, code):
    for chunks in ([text], split(text, range(1, len(text), 7))):
        with pytest.raises(TransferError) as caught:
            read(chunks)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"--B--", []),
        (b"--B--\r\n", []),
        (b"--B\r\n\r\n\r\n--B--", [b""]),
        (b"--B  \t\r\n\r\nabc\r\n--B \r\n\r\nd\r\n--B-- \r\n", [b"abc", b"d"]),
        (b"--B\r\nX: a\r\n  b\r\n\r\nabc\r\n--B--", [b"abc"]),
        (b"\r\n--B\r\n\r\nabc\r\n--B--", [b"abc"]),
        (b"--B\r\n\r\na\n--B--\nb\r\n--B--", [b"a\n--B--\nb"]),
    ],
)
def test_odd_but_sound_answers(text, parts):
    for chunks in ([text], [text[n : n + 1] for n in range(len(text))]):
        assert read(chunks) == parts


def test_a_part_that_was_not_read_is_skipped_and_the_next_one_is_right():
    multipart = reader([message([b"a" * 1000, b"b"])])
    seen = [
        next(part.chunks, b"") and b"" if number == 0 else b"".join(bytes(c) for c in part.chunks)
        for number, part in enumerate(multipart)
    ]
    assert seen == [b"", b"b"]


def test_an_error_that_a_sink_swallows_comes_back():
    def failing():
        yield b"--B\r\n\r\nabc"
        raise TransferError("cut", code="truncated")

    left = failing()
    part = next(iter(Multipart(lambda: next(left, b""), B)))
    with pytest.raises(TransferError):
        b"".join(bytes(c) for c in part.chunks)
    with pytest.raises(TransferError):
        part.drain()


@pytest.mark.parametrize(
    "unit", [b"\r\n--Bx", b"\r", b"\r\n--B--x", b"\r\n--B x", b"\r\n--B" + b" " * 300, b"\n", bytes(8)], ids=repr
)
def test_time_grows_with_the_length_only(unit):
    def seconds(size: int) -> float:
        body = unit * (size // len(unit)) + b"x"
        text = b"--B\r\n\r\n" + body + b"\r\n--B--"
        chunks = [text[n : n + 4096] for n in range(0, len(text), 4096)]
        begun = time.process_time()
        assert sum(map(len, read(chunks))) == len(body)
        return time.process_time() - begun

    assert seconds(800_000) < 20 * seconds(100_000) + 0.5


def test_memory_is_a_few_chunks_whatever_the_length_of_a_part():
    chunk = bytes(range(256)) * 1024

    def body():
        yield b"--B\r\n\r\n"
        for _ in range(400):
            yield chunk
        yield b"\r\n--B--\r\n"

    tracemalloc.start()
    left, total = body(), 0
    for part in Multipart(lambda: next(left, b""), B):
        for piece in part.chunks:
            total += len(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 400 * len(chunk)
    assert peak < 4 * len(chunk)
