"""Splits a multipart/related answer into its parts while it comes; a part without its end boundary is an error.

RFC 2046 5.1 over a stream, in linear time and with one chunk in memory. It refuses what it cannot be sure of: no
closing boundary, no boundary at all, header blocks without end, lengths that do not fit, encodings it did not ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Buffer

MAX_PREAMBLE = 16 * 1024
MAX_HEADERS = 16 * 1024
MAX_EPILOGUE = 64 * 1024
#: RFC 2046 allows 70 characters; Orthanc's DICOMweb plugin 1.7 sends 72.
MAX_BOUNDARY = 256
#: White space that transport may have added after a boundary (RFC 2046 5.1.1).
MAX_PADDING = 256

_PARAMETER = re.compile(r';\s*([!#$%&*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s"]*)\s*')
_MEDIA_TYPE = re.compile(r"\s*([!#$&^_.+0-9A-Za-z-]+/[!#$&^_.+0-9A-Za-z-]+)\s*")
_DIGITS = re.compile(r"[0-9]{1,19}")
_LINE_END = re.compile(rb"[ \t]*\r?\n")
_BLANK = b" \t"
_PLAIN_ENCODINGS = ("", "binary", "8bit", "7bit", "identity")

#: The next bytes of the body, as many as there are; nothing at its end. Raises ``TransferError``.
Read = Callable[[], bytes]


def _bad(what: str) -> NoReturn:
    raise TransferError(f"the archive's multipart answer is wrong: {what}", code="bad-answer") from None


def _cut(what: str) -> NoReturn:
    raise TransferError(f"the archive's multipart answer ended {what}", code="truncated") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A Content-Type: ``type/subtype`` in lower case and its parameters, names in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def media_type(value: str) -> MediaType:
    """Parse a Content-Type field (RFC 9110 8.3). An unreadable one has an empty name; what follows junk is ignored."""
    start = _MEDIA_TYPE.match(value)
    if start is None:
        return MediaType(name="")
    found: dict[str, str] = {}
    at = start.end()
    while one := _PARAMETER.match(value, at):
        text = re.sub(r"\\(.)", r"\1", one[2][1:-1]) if one[2].startswith('"') else one[2]
        found.setdefault(one[1].lower(), text)
        at = one.end()
    return MediaType(name=start[1].lower(), parameters=found)


def boundary_of(kind: MediaType) -> bytes:
    """The boundary of a multipart answer. Raises ``TransferError`` where there is none that could be one."""
    text = kind.parameters.get("boundary", "").rstrip(" ")
    if not text or len(text) > MAX_BOUNDARY or not (text.isascii() and text.isprintable()):
        _bad("its Content-Type names no usable boundary")
    return text.encode("ascii")


@dataclass(slots=True)
class Part:
    """One body part. ``chunks`` can be read once; it raises ``TransferError`` unless the end boundary comes."""

    headers: Mapping[str, str]
    chunks: Iterator[Buffer] = field(repr=False)
    complete: bool = False

    @property
    def media_type(self) -> MediaType:
        """Its Content-Type; an empty name where it has none."""
        return media_type(self.headers.get("content-type", ""))

    def drain(self) -> None:
        """Read what is left. Raises ``TransferError`` also where an earlier error of ``chunks`` was swallowed."""
        for _ in self.chunks:
            pass
        if not self.complete:
            _cut("in the middle of a part")


def alone(chunks: Iterator[bytes]) -> Part:
    """An answer that is one object, without an envelope; it is complete where HTTP says that it is."""
    part = Part(headers={}, chunks=iter(()))
    part.chunks = _marking(part, chunks)
    return part


def _marking(part: Part, chunks: Iterator[bytes]) -> Iterator[Buffer]:
    yield from chunks
    part.complete = True


class _Stream:
    """The bytes not yet used: ``data[at:]``, and whatever ``read`` gives after."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.data = b""
        self.at = 0
        self.ended = False

    def more(self) -> bool:
        """Add the next bytes to what is left; False at the end."""
        chunk = b"" if self.ended else self._read()
        self.ended = not chunk
        if chunk:
            self.data = self.data[self.at :] + chunk if self.at < len(self.data) else chunk
            self.at = 0
        return bool(chunk)

    def line(self, limit: int, what: str) -> tuple[bytes, bool]:
        """One line of at most ``limit`` bytes without its end, and whether that was CRLF."""
        searched = 0
        while (end := self.data.find(b"\n", self.at + searched)) < 0:
            searched = len(self.data) - self.at
            if searched > limit:
                _bad(f"{what} is too long")
            if not self.more():
                _cut(f"before the end of {what}")
        if end - self.at > limit:
            _bad(f"{what} is too long")
        line = self.data[self.at : end]
        self.at = end + 1
        return line.removesuffix(b"\r"), line.endswith(b"\r")


class Multipart:
    """An answer of several parts, read once: ``for part in multipart``. Each part must be read before the next."""

    def __init__(self, read: Read, boundary: bytes) -> None:
        self._stream = _Stream(read)
        self._dashed = b"--" + boundary
        self._closed = False

    def __iter__(self) -> Iterator[Part]:
        self._preamble()
        while not self._closed:
            headers, crlf = self._headers()
            part = Part(headers=headers, chunks=iter(()))
            part.chunks = self._body(part, crlf)
            yield part
            part.drain()

    def epilogue(self) -> None:
        """Read to the end of the body. More than a little there means that the closing boundary was none."""
        stream = self._stream
        left = MAX_EPILOGUE - (len(stream.data) - stream.at)
        while left >= 0:
            stream.at = len(stream.data)
            if not stream.more():
                return
            left -= len(stream.data)
        _bad("it goes on after the closing boundary")

    def _preamble(self) -> None:
        """Skip to the first boundary line; an answer without parts is one, an answer without a boundary is not."""
        left = MAX_PREAMBLE
        while True:
            line, _ = self._first_line(left)
            if line.startswith(self._dashed):
                rest = line[len(self._dashed) :]
                if not rest.strip(_BLANK):
                    return
                if rest.startswith(b"--") and not rest[2:].strip(_BLANK):
                    self._closed = True
                    return
            left -= len(line) + 1

    def _first_line(self, limit: int) -> tuple[bytes, bool]:
        """A line of the preamble; only a closing boundary may stand without a line end at the end of the body."""
        try:
            return self._stream.line(limit, "the preamble")
        except TransferError:
            stream = self._stream
            if stream.ended and stream.data[stream.at :] == self._dashed + b"--":
                stream.at = len(stream.data)
                return self._dashed + b"--", True
            raise

    def _headers(self) -> tuple[Mapping[str, str], bool]:
        """Header fields by lower-case name, and whether this part's lines end with CRLF."""
        fields: dict[str, str] = {}
        name, left = "", MAX_HEADERS
        while True:
            line, crlf = self._stream.line(left, "a part's header")
            left -= len(line) + 2
            if not line:
                break
            text = line.decode("latin-1")
            if text[0] in " \t" and name:
                fields[name] += " " + text.strip()
                continue
            name, colon, value = text.partition(":")
            name = name.strip().lower()
            if not colon or not name or (name in fields and fields[name] != value.strip()):
                _bad("a part's header cannot be read")
            fields[name] = value.strip()
        if fields.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
            _bad("a part is encoded, which was not asked for")
        if fields.get("content-encoding", "").lower() not in ("", "identity"):
            _bad("a part is compressed, which was not asked for")
        return fields, crlf

    def _body(self, part: Part, crlf: bool) -> Iterator[Buffer]:
        """The bytes of one part. It ends only after its end boundary, and then says so in ``part.complete``."""
        length = part.headers.get("content-length")
        if length is None:
            yield from self._searched(b"\r\n" + self._dashed if crlf else b"\n" + self._dashed)
        elif _DIGITS.fullmatch(length):
            yield from self._counted(int(length))
        else:
            _bad("a part's Content-Length is no number")
        part.complete = True

    def _counted(self, left: int) -> Iterator[Buffer]:
        """Exactly ``left`` bytes, whatever they look like, and then a boundary."""
        stream = self._stream
        while left:
            if stream.at == len(stream.data) and not stream.more():
                _cut("in the middle of a part")
            upto = min(len(stream.data), stream.at + left)
            left -= upto - stream.at
            piece = _slice(stream.data, stream.at, upto)
            stream.at = upto
            yield piece
        line = b"\n" + self._dashed
        while len(stream.data) - stream.at < len(line) + 1:
            if not stream.more():
                _cut("in the middle of a part")
        at = stream.at + (stream.data[stream.at] == 0x0D)
        if not stream.data.startswith(line, at) or not self._delimits(at, len(line)):
            _bad("a part's Content-Length does not fit")

    def _searched(self, line: bytes) -> Iterator[Buffer]:
        """Bytes up to the next ``line`` that is a whole boundary line; anything like it is data."""
        stream, begin = self._stream, 0
        while True:
            at = stream.data.find(line, stream.at + begin)
            if at < 0:
                yield from self._pass(_possible(stream.data, stream.at, line))
                begin = 0
                if not stream.more():
                    _cut("in the middle of a part")
                continue
            yield from self._pass(at)
            if self._delimits(stream.at, len(line)):
                return
            begin = 1

    def _pass(self, upto: int) -> Iterator[Buffer]:
        """Give the bytes before ``upto``."""
        stream = self._stream
        if upto > stream.at:
            piece = _slice(stream.data, stream.at, upto)
            stream.at = upto
            yield piece

    def _delimits(self, at: int, length: int) -> bool:
        """Whether the boundary at ``at`` ends its line, or closes the answer; then the stream stands after it."""
        stream = self._stream
        stream.at = at
        while True:
            after = stream.at + length
            closing = stream.data.startswith(b"--", after)
            start = after + 2 * closing
            if end := _LINE_END.match(stream.data, start, start + MAX_PADDING):
                self._closed, stream.at = closing, end.end()
                return True
            rest = stream.data[start : start + MAX_PADDING]
            if len(rest) == MAX_PADDING or (rest.strip(_BLANK) not in (b"", b"\r") and rest != b"-"):
                return False
            if not stream.more():
                if not closing:
                    _cut("in a boundary")
                self._closed, stream.at = True, len(stream.data)
                return True


def _slice(data: bytes, start: int, end: int) -> Buffer:
    return data if start == 0 and end == len(data) else memoryview(data)[start:end]


def _possible(data: bytes, start: int, line: bytes) -> int:
    """Where a boundary line that is cut off by the end of ``data`` may begin; the end of ``data`` if nowhere."""
    at = max(start, len(data) - len(line) + 1)
    while (at := data.find(line[:1], at)) >= 0:
        if line.startswith(data[at:]):
            return at
        at += 1
    return len(data)
