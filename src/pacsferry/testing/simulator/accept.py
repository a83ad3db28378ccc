"""The Accept header of a WADO-RS request (PS3.18 8.7.5): which media type, and which transfer syntax per object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian

from .holdings import Stored

STAR: Final = "*"
_PARAMETER: Final = re.compile(r';\s*([^=;,\s]+)\s*=\s*("[^"]*"|[^;,]*)')


class NotAcceptable(Exception):
    """Nothing of what the client takes can be had: 406."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One media range: a bare object or multipart, in a transfer syntax (``*``: as stored)."""

    single: bool
    transfer_syntax: str

    def syntax_for(self, stored: Stored) -> str:
        """The syntax in which the object goes out."""
        return stored.transfer_syntax if self.transfer_syntax == STAR else self.transfer_syntax

    def serves(self, batch: Sequence[Stored]) -> bool:
        """Whether every object can be had so."""
        if self.single and len(batch) != 1:
            return False
        return self.transfer_syntax == STAR or all(self.transfer_syntax in one.syntaxes() for one in batch)


def choose(header: str, batch: Sequence[Stored], *, star: bool) -> Wish:
    """The first media range of ``header`` that can be served. Raises ``NotAcceptable``."""
    for wish in _wishes(header):
        if wish.serves(batch) and (star or wish.transfer_syntax != STAR):
            return wish
    raise NotAcceptable


def _wishes(header: str) -> Iterator[Wish]:
    """The ranges in order; without a transfer-syntax the default is Explicit VR Little Endian (PS3.18 8.7.3.5.2)."""
    for media in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header):
        kind = media.partition(";")[0].strip().lower()
        parameters = {name.lower(): value.strip(' "') for name, value in _PARAMETER.findall(media)}
        if kind == "*/*":
            yield Wish(single=False, transfer_syntax=STAR)
        elif kind == "application/dicom" or (
            kind == "multipart/related" and parameters.get("type", "application/dicom") == "application/dicom"
        ):
            syntax = parameters.get("transfer-syntax", ExplicitVRLittleEndian)
            yield Wish(single=kind == "application/dicom", transfer_syntax=str(syntax))
