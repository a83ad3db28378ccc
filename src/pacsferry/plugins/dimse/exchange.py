"""The messages of an established association, read in one thread: objects stream through, the rest is handed on.

Nothing is decoded beyond command sets, nothing is joined or kept: a C-STORE's data set goes on piece by piece while it
arrives, and its response leaves at once. It knows PDVs and commands (PS3.8 9.3.5, PS3.7 9.3), and no library.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from . import commands
from .commands import CutError, MalformedError, StoreRequest
from .statuses import NOT_SUPPORTED, PENDING

#: What we advertise as the longest P-DATA PDU that we take. Larger ones were not faster (field notes 3.1).
MAX_PDU = 131_072
#: Peers that count the PDU header in, or a PDV header more, are not worth an abort.
SLACK = 64

_P_DATA = 0x04
_PDU_HEAD = struct.Struct(">BxL")
_PDV_HEAD = struct.Struct(">LBB")
_COMMAND, _LAST = 0b01, 0b10

#: Takes one object: the request and its bytes, each piece valid until the next; answers with a status.
Store = Callable[[StoreRequest, Iterator[memoryview]], int]


class OtherPduError(CutError):
    """Something else than data comes next (an abort, a release); it was not read."""


class Stream(Protocol):
    """The bytes of a connection (``line.Line``). All of it raises ``CutError`` when they end or stall."""

    touched: float
    moved: float
    oversized: bool
    midway: bool

    def need(self, count: int) -> memoryview: ...
    def skip(self, count: int) -> None: ...
    def take(self, most: int) -> memoryview: ...
    def send(self, bytestream: bytes) -> None: ...


class Exchange:
    """Reads the data PDUs of one association.

    ``context`` gives SOP class and transfer syntax of an accepted presentation context; ``others`` gets each fragment
    (context id, control byte and content) of whatever is no C-STORE.
    """

    def __init__(
        self,
        stream: Stream,
        context: Callable[[int], tuple[str, str] | None],
        store: Callable[[], Store | None],
        others: Callable[[int, bytes], None],
    ) -> None:
        self._stream, self._context_of, self._store, self._others = stream, context, store, others
        self._pdu_left = self._pdv_left = 0
        self._context = self._control = 0
        self._command = bytearray()
        self._counters: tuple[int | None, ...] = ()

    def read(self) -> None:
        """Take the next fragment, and the whole object where it asks to store one.

        Raises ``CutError``.
        """
        context, began = self._context, bool(self._command)
        self._next_pdv()
        if not self._control & _COMMAND:
            self._others(self._context, bytes((self._control,)) + b"".join(map(bytes, self._rest())))
            self._stream.moved = time.monotonic()
            return
        if (began and context != self._context) or len(self._command) + self._pdv_left > commands.LONGEST:
            raise MalformedError("a command set is torn, or too long")
        for piece in self._rest():
            self._command += piece
        if self._control & _LAST:
            command, self._command = bytes(self._command), bytearray()
            self._handle(command)

    # --- PDUs and PDVs

    def _next_pdv(self) -> None:
        stream = self._stream
        while not self._pdu_left:
            kind, length = _PDU_HEAD.unpack(stream.need(_PDU_HEAD.size))
            if kind != _P_DATA:
                raise OtherPduError
            if length > MAX_PDU + SLACK:
                stream.oversized = True
                raise MalformedError("a PDU is longer than agreed")
            stream.skip(_PDU_HEAD.size)
            self._pdu_left = length
        if self._pdu_left < _PDV_HEAD.size:
            raise MalformedError("a PDU is too short")
        size, self._context, self._control = _PDV_HEAD.unpack(stream.need(_PDV_HEAD.size))
        stream.skip(_PDV_HEAD.size)
        if size < 2 or size + 4 > self._pdu_left:
            raise MalformedError("a PDV is longer than its PDU")
        self._pdu_left -= size + 4
        self._pdv_left = size - 2

    def _rest(self) -> Iterator[memoryview]:
        """The content of the present PDV."""
        while self._pdv_left:
            piece = self._stream.take(self._pdv_left)
            self._pdv_left -= len(piece)
            yield piece

    def _data_set(self, context: int) -> Iterator[memoryview]:
        """The data set of a message, over all its fragments."""
        last = False
        while not last:
            self._next_pdv()
            if self._control & _COMMAND or self._context != context:
                raise MalformedError("a data set is torn")
            last = bool(self._control & _LAST)
            yield from self._rest()

    # --- messages

    def _handle(self, content: bytes) -> None:
        command = commands.parse(content)
        field = commands.number(command, commands.COMMAND_FIELD)
        store = self._store()
        if field == commands.C_STORE_RQ and store is not None and commands.has_data_set(command):
            self._stream.moved = time.monotonic()
            self._take(command, store)
        elif field not in {commands.C_GET_RSP, commands.C_MOVE_RSP} or not self._is_pending(command):
            self._stream.moved = time.monotonic()
            self._others(self._context, bytes((_COMMAND | _LAST,)) + content)

    def _is_pending(self, command: dict[int, bytes]) -> bool:
        """Whether it only says that sub-operations go on, which interests nobody unless its counters move."""
        if commands.number(command, commands.STATUS) not in PENDING or commands.has_data_set(command):
            return False
        counters = tuple(
            commands.number(command, one)
            for one in (commands.REMAINING, commands.COMPLETED, commands.FAILED, commands.WARNING)
        )
        if counters != self._counters:
            self._counters, self._stream.moved = counters, time.monotonic()
        return True

    def _take(self, command: dict[int, bytes], store: Store) -> None:
        context_id, stream = self._context, self._stream
        context = self._context_of(context_id)
        if context is None:
            raise MalformedError("a C-STORE on a context that was not accepted")
        sop_class, syntax = context
        request = commands.store_request(command, context_id, syntax)
        pieces = self._data_set(context_id)
        stream.midway = True
        try:
            status = store(request, pieces) if request.sop_class == sop_class else NOT_SUPPORTED
            for _ in pieces:  # what nobody wanted
                pass
        finally:
            stream.midway = False
        stream.moved = time.monotonic()
        stream.send(commands.store_response(command, context_id, status))
