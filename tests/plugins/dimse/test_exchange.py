"""PDVs and commands read by hand: what a conformant peer sends is understood, everything else ends the association."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_GET_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_GET, C_STORE
from pynetdicom.dsutils import decode

from pacsferry.plugins.dimse import commands
from pacsferry.plugins.dimse.commands import CutError, MalformedError, StoreRequest
from pacsferry.plugins.dimse.exchange import MAX_PDU, Exchange, OtherPduError

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SYNTAX = "1.2.840.10008.1.2.1"


class Wire:
    """What a peer sends, in pieces of so many bytes; what is answered is kept."""

    def __init__(self, content: bytes, piece: int = 1 << 16) -> None:
        self._content, self._at, self._piece = content, 0, piece
        self.touched = self.moved = 0.0
        self.oversized = self.midway = False
        self.sent: list[bytes] = []

    def need(self, count: int) -> memoryview:
        if self._at + count > len(self._content):
            raise CutError
        return memoryview(self._content)[self._at : self._at + count]

    def skip(self, count: int) -> None:
        self._at += count

    def take(self, most: int) -> memoryview:
        piece = memoryview(self._content)[self._at : self._at + min(most, self._piece)]
        if not piece:
            raise CutError
        self._at += len(piece)
        return piece

    def send(self, bytestream: bytes) -> None:
        self.sent.append(bytestream)


class Peer:
    """An exchange with everything that it hands on."""

    def __init__(self, content: bytes, *, status: int = 0, piece: int = 1 << 16, reads: bool = True) -> None:
        self.wire = Wire(content, piece)
        self.stored: list[tuple[StoreRequest, bytes]] = []
        self.others: list[tuple[int, bytes]] = []
        self._status, self._reads = status, reads
        self.exchange = Exchange(
            self.wire, {1: (CT, SYNTAX), 3: (MR, SYNTAX)}.get, lambda: self._store, lambda *one: self.others.append(one)
        )

    def _store(self, request: StoreRequest, pieces: Iterator[memoryview]) -> int:
        self.stored.append((request, b"".join(map(bytes, pieces)) if self._reads else b""))
        return self._status

    def run(self) -> None:
        """Until everything was read."""
        while self.wire._at < len(self.wire._content):
            self.exchange.read()


def pdu(*pdvs: tuple[int, int, bytes]) -> bytes:
    body = b"".join(struct.pack(">LBB", len(data) + 2, context, control) + data for context, control, data in pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


def command(*elements: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHL", 0, element, len(value)) + value for element, value in elements)


def store(sop_class: str = CT, *, message_id: int = 7, uid: bytes = b"1.2.3\0", **without: bool) -> bytes:
    elements = {
        0x0002: sop_class.encode() + b"\0" * (len(sop_class) % 2),
        0x0100: b"\x01\0",
        0x0110: struct.pack("<H", message_id),
        0x0800: b"\x01\0" if not without.get("empty") else b"\x01\x01",
        0x1000: uid,
        0x1031: b"\x09\0",
    }
    return command(*elements.items())


def test_an_object_in_many_fragments_is_handed_on_whole_and_answered() -> None:
    content = bytes(range(256)) * 40
    cut = [content[start : start + 1000] for start in range(0, len(content), 1000)]
    fragments = [pdu((1, 2 if last is cut[-1] else 0, last)) for last in cut]
    peer = Peer(pdu((1, 1, store()[:20]), (1, 3, store()[20:])) + b"".join(fragments), piece=333)
    peer.run()
    ((request, got),) = peer.stored
    assert got == content
    assert (request.message_id, request.sop_class, request.sop_instance) == (7, CT, "1.2.3")
    assert (request.transfer_syntax, request.context_id, request.originator_id) == (SYNTAX, 1, 9)
    assert len(peer.wire.sent) == 1
    assert not peer.wire.midway


@pytest.mark.parametrize("status", [0x0000, 0x0124, 0xA700, 0xC000])
def test_the_response_is_what_pynetdicom_would_have_sent(status: int) -> None:
    peer = Peer(pdu((3, 3, store(MR)), (3, 2, b"x")), status=status)
    peer.run()
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = 7
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = UID(MR), UID("1.2.3")
    primitive.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    (theirs,) = message.encode_msg(3, MAX_PDU)
    ((context, fragment),) = theirs.presentation_data_value_list
    assert peer.wire.sent == [pdu((context, fragment[0], fragment[1:]))]


def test_a_class_that_does_not_fit_its_context_is_refused_on_that_context() -> None:
    peer = Peer(pdu((3, 3, store(CT)), (3, 2, b"object")) + pdu((3, 3, store(MR)), (3, 2, b"x")))
    peer.run()
    refused, taken = (decode(BytesIO(one[12:]), True, True) for one in peer.wire.sent)
    assert (refused.Status, peer.wire.sent[0][10], taken.Status) == (0x0122, 3, 0)
    assert [content for _, content in peer.stored] == [b"x"]


def test_what_nobody_reads_is_read_before_it_is_answered() -> None:
    peer = Peer(pdu((1, 3, store()), (1, 0, b"a" * 500)) + pdu((1, 2, b"b")), reads=False, status=0xA700)
    peer.run()
    assert decode(BytesIO(peer.wire.sent[0][12:]), True, True).Status == 0xA700


def get_response(status: int, *, remaining: int = 3, message_id: int = 1) -> bytes:
    primitive = C_GET()
    primitive.MessageIDBeingRespondedTo, primitive.AffectedSOPClassUID = message_id, UID(CT)
    primitive.Status = status
    primitive.NumberOfRemainingSuboperations = remaining
    message = C_GET_RSP()
    message.primitive_to_message(primitive)
    (data,) = message.encode_msg(1, MAX_PDU)
    return bytes(data.presentation_data_value_list[0][1])


def test_pending_responses_go_no_further_and_others_do() -> None:
    pending, final = get_response(0xFF00), get_response(0xB000)
    peer = Peer(pdu((1, 3, pending[1:])) + pdu((1, 3, final[1:])) + pdu((1, 2, b"identifier")))
    peer.run()
    assert peer.others == [(1, final), (1, b"\x02identifier")]


def test_pending_responses_are_progress_only_where_their_counters_move() -> None:
    said = [get_response(0xFF00, remaining=left)[1:] for left in (3, 3, 2)]
    peer = Peer(b"".join(pdu((1, 3, one)) for one in said))
    moved = []
    for _ in said:
        peer.exchange.read()
        moved.append(peer.wire.moved)
        time.sleep(0.002)
    assert 0 < moved[0] == moved[1] < moved[2]


def test_a_message_of_another_service_is_handed_on_untouched() -> None:
    request = C_STORE()
    request.MessageID, request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = 1, UID(CT), UID("1.2")
    request.Priority = 0
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    (data,) = message.encode_msg(1, MAX_PDU)  # a C-STORE without an object
    fragment = bytes(data.presentation_data_value_list[0][1])
    peer = Peer(pdu((1, 3, fragment[1:])))
    peer.run()
    assert (peer.others, peer.stored) == ([(1, fragment)], [])


ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (pdu((1, 3, store())) + ABORT, OtherPduError),
        (pdu((1, 3, store()), (1, 0, b"half")), CutError),
        (pdu((1, 3, store()), (3, 2, b"object of another context")), MalformedError),
        (pdu((1, 3, store()), (1, 3, store())), MalformedError),
        (pdu((5, 3, store()), (5, 2, b"x")), MalformedError),
        (pdu((1, 1, store()[:20]), (3, 3, store()[20:])), MalformedError),
        (pdu((1, 3, command((0x0100, b"\x01\0"), (0x0800, b"\x01\0")))), MalformedError),
        (pdu((1, 3, store()[:-1])), MalformedError),
        (pdu((1, 3, b"\x01" * 5)), MalformedError),
        (pdu((1, 3, command((0x0800, b"\0\0"), (0x0100, b"\x01\0")))), MalformedError),
        (struct.pack(">BxL", 4, MAX_PDU + 1000), MalformedError),
        (struct.pack(">BxL", 4, 5) + b"\0" * 5, MalformedError),
        (struct.pack(">BxLLBB", 4, 6, 1, 1, 3), MalformedError),
        (struct.pack(">BxLLBB", 4, 6, 100, 1, 3), MalformedError),
        (ABORT, OtherPduError),
        (b"".join(pdu((1, 1, b"x" * 60_000)) for _ in range(2)), MalformedError),
    ],
)
def test_what_is_not_right_ends_it(content: bytes, error: type[Exception]) -> None:
    peer = Peer(content)
    with pytest.raises(error):
        peer.run()
    assert peer.wire.sent == []
    assert not peer.wire.midway


def test_another_pdu_is_left_for_whoever_knows_it() -> None:
    peer = Peer(pdu((1, 3, store())) + ABORT)
    with pytest.raises(OtherPduError):
        peer.run()
    assert bytes(peer.wire.need(len(ABORT))) == ABORT


def test_an_empty_pdu_is_nothing() -> None:
    peer = Peer(struct.pack(">BxL", 4, 0) + pdu((1, 3, store()), (1, 2, b"x")))
    peer.run()
    assert len(peer.stored) == 1


@given(st.binary(max_size=300), st.integers(1, 64))
def test_noise_is_cut_or_handed_on_and_nothing_else(noise: bytes, piece: int) -> None:
    peer = Peer(struct.pack(">BxL", 4, len(noise)) + noise, piece=piece)
    with contextlib.suppress(CutError):
        peer.run()
    assert len(peer.wire.sent) <= len(peer.stored) + len(noise) // 20
    assert not peer.wire.midway


@given(st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=20).map(lambda one: one * 2), max_size=12))
def test_any_command_set_is_read_as_it_was_written(elements: dict[int, bytes]) -> None:
    assert commands.parse(command(*sorted(elements.items()))) == elements
