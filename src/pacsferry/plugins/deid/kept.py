"""Note which stretches of a compressed frame stay and which go; copies nothing, decodes nothing."""

from __future__ import annotations

import re
from functools import cache

from pacsferry.core.model import Buffer

from . import reference

_VERSION = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}"


class Kept:
    """One pass over one frame, front to back."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._pieces: list[Buffer] = []
        self._start = 0
        self._changed = False

    def replace(self, start: int, end: int, new: bytes = b"") -> None:
        """Write ``new`` instead of a stretch."""
        self._pieces += [self._data[self._start : start], new]
        self._start, self._changed = end, True

    def finish(self, end: int) -> list[Buffer] | None:
        """The pieces that are left of a frame that ends at ``end``; None where all of it stays as it is.

        What stands behind the frame goes, but one byte of padding or zeros.
        """
        rest = self._data[end:]
        if not self._changed and (not len(rest) or bytes(rest) == b"\xff" or not bytes(rest).strip(b"\0")):
            return None
        return [piece for piece in (*self._pieces, self._data[self._start : end]) if len(piece)]


@cache
def _encoders() -> re.Pattern[bytes]:
    texts = (_VERSION.join(map(re.escape, text.encode("ascii").split(b"#"))) for text in reference.encoders())
    return re.compile(rb"(?:" + rb"|".join(texts) + rb")\0*")


def names_an_encoder(comment: Buffer) -> bool:
    """Whether a comment only says which program wrote the frame (tables/encoders.tsv)."""
    return len(comment) < 64 and _encoders().fullmatch(comment) is not None
