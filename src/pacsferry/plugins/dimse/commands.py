"""Command sets (PS3.7 6.3.1, E.1) read and packed by hand; strict, and nothing of an object is looked at.

pynetdicom sends each through pydicom, which costs more than receiving the half megabyte that follows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Command Field (PS3.7 E.1-1).
C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RSP, C_MOVE_RSP = 0x8010, 0x8021

#: Elements of group 0000 (PS3.7 E.1).
GROUP_LENGTH = 0x0000
SOP_CLASS = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
RESPONDED_TO = 0x0120
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
SOP_INSTANCE = 0x1000
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
ORIGINATOR_ID = 0x1031

#: Command Data Set Type of a message without a data set.
NO_DATA_SET = 0x0101
#: No command set is nearly so long; without a bound a peer could send one without end.
LONGEST = 1 << 16

_HEAD = struct.Struct("<HHL")
_PDU = struct.Struct(">BxLLBB")
_P_DATA = 0x04
_LAST_COMMAND = 0x03


class CutError(Exception):
    """A message will not come whole: the connection ended or stalled, or something else came in its place."""


class MalformedError(CutError):
    """What a peer sent breaks PS3.7 or PS3.8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A C-STORE-RQ as far as it matters here. ``transfer_syntax`` is that of its presentation context."""

    context_id: int
    message_id: int
    sop_class: str
    sop_instance: str = field(repr=False)
    transfer_syntax: str
    originator_id: int | None = None


def parse(content: bytes) -> dict[int, bytes]:
    """Element number to value of a command set, in Implicit VR Little Endian. Raises ``MalformedError``."""
    found: dict[int, bytes] = {}
    position, end, last = 0, len(content), -1
    while position < end:
        if end - position < _HEAD.size:
            raise MalformedError("a command element is cut off")
        group, element, length = _HEAD.unpack_from(content, position)
        position += _HEAD.size
        if group or element <= last or length > end - position:
            raise MalformedError("a command element is out of place, or longer than the command")
        found[element] = content[position : position + length]
        position, last = position + length, element
    return found


def number(command: Mapping[int, bytes], element: int) -> int | None:
    """A value of VR US; None where it is absent or is none."""
    value = command.get(element)
    return int.from_bytes(value, "little") if value is not None and len(value) == 2 else None


def text(command: Mapping[int, bytes], element: int) -> str:
    """A value of VR UI without its padding; "" where it is absent."""
    return command.get(element, b"").decode("latin-1").strip(" \0")


def has_data_set(command: Mapping[int, bytes]) -> bool:
    """Whether a data set follows."""
    return number(command, DATA_SET_TYPE) != NO_DATA_SET


def store_request(command: Mapping[int, bytes], context_id: int, transfer_syntax: str) -> StoreRequest:
    """The C-STORE-RQ in a command. Raises ``MalformedError`` where it lacks what PS3.7 9.3.1.1 wants."""
    message_id = number(command, MESSAGE_ID)
    if message_id is None or not command.get(SOP_CLASS) or not command.get(SOP_INSTANCE):
        raise MalformedError("a C-STORE request lacks its message id, class or instance")
    return StoreRequest(
        context_id=context_id,
        message_id=message_id,
        sop_class=text(command, SOP_CLASS),
        sop_instance=text(command, SOP_INSTANCE),
        transfer_syntax=transfer_syntax,
        originator_id=number(command, ORIGINATOR_ID),
    )


def store_response(command: Mapping[int, bytes], context_id: int, status: int) -> bytes:
    """The whole P-DATA PDU of the C-STORE-RSP to a request (PS3.7 9.3.1.2), its UIDs as they came."""
    body = b"".join(
        (
            _element(SOP_CLASS, command[SOP_CLASS]),
            _short(COMMAND_FIELD, C_STORE_RSP),
            _element(RESPONDED_TO, command[MESSAGE_ID]),
            _short(DATA_SET_TYPE, NO_DATA_SET),
            _short(STATUS, status),
            _element(SOP_INSTANCE, command[SOP_INSTANCE]),
        )
    )
    content = _element(GROUP_LENGTH, len(body).to_bytes(4, "little")) + body
    return _PDU.pack(_P_DATA, len(content) + 6, len(content) + 2, context_id, _LAST_COMMAND) + content


def _element(element: int, value: bytes) -> bytes:
    return _HEAD.pack(0, element, len(value)) + value


def _short(element: int, value: int) -> bytes:
    return _element(element, value.to_bytes(2, "little"))
