"""Collect the output: header bytes that are made or copied, bulk that is passed on; nothing is written here."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from pacsferry.core.model import Buffer

from .program import element

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")


@dataclass(slots=True, kw_only=True)
class Writer:
    """``size`` counts header bytes only, so it is an offset in the joined header; ``bulk_size`` counts the rest."""

    chunks: list[Buffer] = field(default_factory=list)
    size: int = 0
    bulk_size: int = 0
    bulk: list[tuple[int, Buffer]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    own: list[tuple[int, int]] = field(default_factory=list)

    def put(self, chunk: Buffer) -> None:
        """Header bytes that were copied."""
        self.chunks.append(chunk)
        self.size += len(chunk)

    def put_own(self, chunk: bytes, *, head: int = 0) -> None:
        """Header bytes that are ours; ``head`` of them at the beginning are not counted as value."""
        self.own.append((self.size + head, self.size + len(chunk)))
        self.put(chunk)

    def put_value(self, head: bytes, value: bytes) -> None:
        """An element of even length."""
        long = len(head) == 8
        if not long and len(value) > 0xFFFE:
            self.put(
                element(int.from_bytes(head[:2], "little") << 16 | int.from_bytes(head[2:4], "little"), b"UN", value)
            )
            return
        self.put(head + (_U32 if long else _U16).pack(len(value)) + value)

    def put_text(self, head: bytes, value: bytes) -> None:
        """An element of text that was copied."""
        self.put_value(head, value)
        if value:
            self.spans.append((self.size - len(value), self.size))

    def put_all(self, other: Writer) -> None:
        """All header bytes of another one that has no bulk, with their spans."""
        base = self.size
        self.spans += [(start + base, end + base) for start, end in other.spans]
        self.own += [(start + base, end + base) for start, end in other.own]
        self.chunks += other.chunks
        self.size += other.size

    def put_bulk(self, data: Buffer) -> None:
        """Bytes that are passed on as they came."""
        self.bulk.append((len(self.chunks), data))
        self.bulk_size += len(data)

    def reserve(self, head: bytes) -> tuple[int, int]:
        """Room for ``head`` and a 32 bit length that is known later; the ticket for ``fill``."""
        self.chunks.append(head)
        self.size += len(head) + 4
        return len(self.chunks) - 1, self.size + self.bulk_size

    def fill(self, ticket: tuple[int, int]) -> None:
        """Write the length of all that came since."""
        at, start = ticket
        self.chunks[at] = bytes(self.chunks[at]) + _U32.pack(self.size + self.bulk_size - start)

    def parts(self) -> tuple[Sequence[Buffer], Sequence[int]]:
        """The parts in order, and which of them are header."""
        parts: list[Buffer] = []
        header: list[int] = []
        start = 0
        for at, data in [*self.bulk, (len(self.chunks), b"")]:
            joined = b"".join(self.chunks[start:at])
            start = at
            if joined:
                header.append(len(parts))
                parts.append(joined)
            if len(data):
                parts.append(data)
        return parts, header
