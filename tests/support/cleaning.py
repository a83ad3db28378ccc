"""De-identify bytes in tests: one engine, one secret, and what comes out as bytes or as a pydicom data set."""

from __future__ import annotations

import io
from functools import cache

from pydicom import Dataset, dcmread

from pacsferry.core.model import Draft, Framing, Head, Source
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.plugins.deid.profile import Ps315

KEYS = ProjectKeys(b"k" * 32)
PSEUDONYM = "case0001"


@cache
def engine() -> Ps315:
    return Ps315()


def source(data: bytes, *, syntax: str | None = None, pseudonym: str = PSEUDONYM, keys: ProjectKeys = KEYS) -> Source:
    framing = Framing.DATA_SET if syntax else Framing.PART_10
    head = Head(framing=framing, transfer_syntax=syntax)
    return Source(head=head, data=memoryview(data), pseudonym=pseudonym, keys=keys)


def clean(data: bytes, **more: str) -> Draft:
    return engine().apply(source(data, **more))


def whole(draft: Draft) -> bytes:
    return b"".join(bytes(part) for part in draft.parts)


def cleaned(data: bytes, **more: str) -> Dataset:
    return dcmread(io.BytesIO(whole(clean(data, **more))))
