"""The beginning of a PS3.10 file, made from scratch: nothing of the input's preamble or file meta survives."""

from __future__ import annotations

from .program import element

#: Ours for ever, so that equal objects give equal files whatever release wrote them (PS3.7 D.3.3.2).
IMPLEMENTATION_UID = "2.25.230535539506997935074062424676428411856"
IMPLEMENTATION_NAME = "PACSFERRY"


def beginning(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Preamble of zeros, prefix and file meta information (PS3.10 7.1)."""
    group = b"".join(
        (
            element(0x00020001, b"OB", b"\0\1"),
            element(0x00020002, b"UI", sop_class.encode("ascii")),
            element(0x00020003, b"UI", sop_instance.encode("ascii")),
            element(0x00020010, b"UI", transfer_syntax.encode("ascii")),
            element(0x00020012, b"UI", IMPLEMENTATION_UID.encode("ascii")),
            element(0x00020013, b"SH", IMPLEMENTATION_NAME.encode("ascii")),
        )
    )
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", len(group).to_bytes(4, "little")) + group
