"""Look for the patient's identifiers in the very header bytes that would be written; names the kind, never the text."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from pacsferry.core import charsets
from pacsferry.core.encoding import EXPLICIT, ITEM, ITEM_END, SEQUENCE_END, header
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Needle, Verdict
from pacsferry.core.strict import NoSettings

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_UID = re.compile(r"\d+(\.\d+){3,}")
_UIDS = re.compile(rb"\d+(?:\.\d+){3,}")
_WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
#: From this many UIDs on it is quicker to take all UIDs of the header than to look for each.
_MANY = 32


@cache
def common_words() -> frozenset[str]:
    """Words that are names of people too and say nothing as a part of a value."""
    text = (files(__package__) / "common_words.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a needle is looked for: ``bytes`` in lower case, as part of text only, as whole values only."""

    encoded: tuple[bytes, ...]
    text_only: bool
    whole: bool
    uid: bool
    wide: bool


@lru_cache(maxsize=8192)
def _form(text: str, whole: bool, charset: tuple[str, ...]) -> _Form:
    """A needle in every encoding, case and composition that could stand in the output."""
    uid = _UID.fullmatch(text) is not None
    return _Form(
        encoded=(text.encode("ascii"),) if uid else tuple(sorted(_encodings(text, charset))),
        text_only=_NUMBER.fullmatch(text) is not None,
        whole=whole or text.casefold() in common_words(),
        uid=uid,
        wide=_WIDE.search(text) is not None,
    )


def _encodings(text: str, charset: tuple[str, ...]) -> set[bytes]:
    cases = {text, text.lower(), text.upper(), text.title()}
    written = {unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD")}
    found = set()
    for codec in {"utf-8", "latin-1", *charsets.codecs(charset)}:
        for each in written:
            try:
                # What ends a Japanese multi-byte run need not stand right behind the word.
                found.add(each.encode(codec).removesuffix(b"\x1b(B").lower())
            except UnicodeError:
                continue
    return found - {b""}


class ResidualIdentifiers:
    """The gate ``residual-identifiers``."""

    def __init__(self, settings: NoSettings | None = None) -> None:
        """There is nothing to set."""

    def judge(self, draft: Draft) -> Verdict:
        """Hold the object if any needle is left where the de-identifier copied something."""
        whole = b"".join(draft.parts[at] for at in draft.header)
        hay = _Hay(whole, whole.lower(), draft.text_spans, draft.own_spans)
        few = sum("." in needle.text for needle in draft.needles) <= _MANY
        uids = frozenset[bytes]() if few else frozenset(_UIDS.findall(whole))
        for needle in draft.needles:
            form = _form(needle.text, needle.whole_value, draft.charset)
            if form.uid and not few and form.encoded[0] not in uids:
                continue
            at = next(hay.hits(form), None)
            if at is not None:
                return Verdict.hold("residual-identifier", f"{_kind(needle)} in {_where(draft, whole, at)}")
        return Verdict.allow()


def _kind(needle: Needle) -> str:
    return needle.kind or "an identifier"


class _Hay:
    """The header to be written, and what in it is text and what is ours."""

    def __init__(
        self, whole: bytes, folded: bytes, text: Sequence[tuple[int, int]], ours: Sequence[tuple[int, int]]
    ) -> None:
        self._whole, self._folded, self._text, self._ours = whole, folded, text, ours

    def hits(self, form: _Form) -> Iterator[int]:
        """Where a needle stands, as a word or as a value, in what was copied."""
        if form.whole:
            yield from self._values(form)
            return
        for encoded in form.encoded:
            at = self._folded.find(encoded)
            while at >= 0:
                end = at + len(encoded)
                if self._is_word(at, end, form) and not _span(self._ours, at, end):
                    yield at
                at = self._folded.find(encoded, at + 1)

    def _values(self, form: _Form) -> Iterator[int]:
        for start, end in self._text:
            if any(value.strip(b" \0") in form.encoded for value in self._folded[start:end].split(b"\\")):
                yield start

    def _is_word(self, at: int, end: int, form: _Form) -> bool:
        span = _span(self._text, at, end)
        if form.text_only and not span:
            return False
        start, stop = span or (0, len(self._whole))
        before = self._whole[at - 1 : at] if at > start else b""
        after = self._whole[end : end + 2] if span is None else self._whole[end : min(end + 2, stop)]
        if form.uid:
            return not (before.isdigit() or before == b".") and not after[:1].isdigit() and not _goes_on(after)
        return not _letter(before, wide=form.wide) and not (
            _letter(after[:1], wide=form.wide) and not (span is None and _next_element(after))
        )


def _goes_on(after: bytes) -> bool:
    return after[:1] == b"." and after[1:].isdigit()


def _letter(byte: bytes, *, wide: bool) -> bool:
    """Whether a neighbour makes the needle part of a longer word; scripts without spaces have no such neighbours."""
    return byte.isalnum() or (byte >= b"\x80" and not wide)


def _next_element(after: bytes) -> bool:
    """Whether what follows is a group number: no text has a NUL behind a letter (PS3.5 7.1)."""
    return after[1:] == b"\0" or after in {b"\xfe\xff", b"\xe0\x7f"}


def _span(spans: Sequence[tuple[int, int]], at: int, end: int) -> tuple[int, int] | None:
    """The span that holds a stretch of the header."""
    found = bisect_right(spans, (at, 1 << 62)) - 1
    if found < 0 or spans[found][1] < end:
        return None
    return spans[found]


def _where(draft: Draft, whole: bytes, at: int) -> str:
    """The keyword of the element that holds an offset of the joined header, as far as it can be told."""
    try:
        tag = _tag_at(whole, _bulk_borders(draft), at)
    except HeldError:
        return "the header"
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _bulk_borders(draft: Draft) -> set[int]:
    """Offsets of the joined header at which a value was left out as bulk."""
    borders, size, wanted = set(), 0, set(draft.header)
    for number, part in enumerate(draft.parts):
        if number in wanted:
            size += len(part)
        else:
            borders.add(size)
    return borders


def _tag_at(whole: bytes, borders: set[int], at: int) -> int:
    """Walk the header flat: sequences and items are entered, values in the bulk take no room."""
    pos, tag = 132, 0
    while pos <= at:
        tag, vr, length, value = header(whole, pos, EXPLICIT)
        inner = vr == b"SQ" or tag in {ITEM, ITEM_END, SEQUENCE_END} or value in borders
        pos = value if inner else value + length
    return tag
