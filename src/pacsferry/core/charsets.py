"""Decode text by its SpecificCharacterSet (PS3.3 C.12.1.1.2); broken bytes are read as Latin-1, never refused."""

from __future__ import annotations

import re
from functools import lru_cache

#: Defined term to Python's codec, for character sets without code extensions.
CODECS = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "iso8859-11",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}

#: What follows ESC, Python's codec, and what that codec wants to see first (PS3.3 tables C.12-3 and C.12-4).
ESCAPES = {
    b"(B": ("ascii", b""),
    b"(J": ("shift_jis", b""),
    b")I": ("shift_jis", b""),
    b"-A": ("latin-1", b""),
    b"-B": ("iso8859-2", b""),
    b"-C": ("iso8859-3", b""),
    b"-D": ("iso8859-4", b""),
    b"-L": ("iso8859-5", b""),
    b"-G": ("iso8859-6", b""),
    b"-F": ("iso8859-7", b""),
    b"-H": ("iso8859-8", b""),
    b"-M": ("iso8859-9", b""),
    b"-b": ("iso8859-15", b""),
    b"-T": ("iso8859-11", b""),
    b"$B": ("iso2022_jp", b"\x1b$B"),
    b"$(D": ("iso2022_jp_2", b"\x1b$(D"),
    b"$)C": ("euc_kr", b""),
    b"$)A": ("gb2312", b""),
}
#: Codecs of the multi-byte sets that only code extensions reach.
_MULTI_BYTE = {"ISO_IR 87": "iso2022_jp", "ISO_IR 159": "iso2022_jp_2", "ISO_IR 149": "euc_kr", "ISO_IR 58": "gb2312"}
_TERM = re.compile(r"ISO[ _]?(?:2022[ _])?IR[ _]?(\d+)")


@lru_cache(maxsize=256)
def terms(value: bytes) -> tuple[str, ...]:
    """The defined terms of a SpecificCharacterSet as it stands in a data set, spelled without code extensions."""
    text = value.decode("ascii", "replace").strip(" \0").upper()
    return tuple(_TERM.sub(r"ISO_IR \1", part.strip(" \0")) for part in text.split("\\"))


@lru_cache(maxsize=256)
def known(value: bytes) -> bool:
    """Whether every term is one of the standard."""
    return all(term in CODECS or term in _MULTI_BYTE for term in terms(value))


def decode(value: bytes, charset: tuple[str, ...]) -> str:
    """Decode one value. An unknown character set is read as Latin-1, which gives every byte a character."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    codec = CODECS.get(charset[0] if charset else "", "latin-1")
    first, *rest = value.split(b"\x1b")
    return _decoded(first, codec) + "".join(_escaped(part) for part in rest)


def _decoded(value: bytes, codec: str) -> str:
    """By the codec if it can, else as Latin-1 so that what is there can at least be looked for."""
    try:
        return value.decode("latin-1" if codec == "ascii" else codec)
    except UnicodeError:
        return value.decode("latin-1")


def _escaped(part: bytes) -> str:
    for size in (2, 3):
        if part[:size] in ESCAPES:
            codec, prefix = ESCAPES[part[:size]]
            return _decoded_multi(prefix + part[size:], codec, len(prefix))
    return part.decode("latin-1")


def _decoded_multi(value: bytes, codec: str, prefix: int) -> str:
    """What follows an escape sequence; delimiters end a multi-byte set, and Python's codecs take them as ASCII."""
    try:
        return value.decode(codec)
    except UnicodeError:
        return value[prefix:].decode("latin-1")


def codecs(charset: tuple[str, ...]) -> tuple[str, ...]:
    """Python's codecs for the terms that are known."""
    both = CODECS | _MULTI_BYTE
    return tuple(both[term] for term in charset if term in both)
