"""A transport that asks as an archive can bear it: pauses, one at a time, no level it lacks; it changes no object."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from .errors import TransferError
from .model import Buffer, Head, Level, Ping, Receipt, Tally, Wanted
from .ports import Sink, Transport
from .quirks import Quirks


class ConsiderateTransport:
    """A transport with the quirks ``settle``, ``reprobe``, ``one_move_at_a_time`` and ``image_level_retrieve``."""

    def __init__(self, transport: Transport, quirks: Quirks) -> None:
        self._transport, self._quirks = transport, quirks
        self.traits = _traits(transport, quirks)
        alone = quirks.one_move_at_a_time and self.traits.needs_listener
        self._turn: AbstractContextManager[Any] = threading.Lock() if alone else nullcontext()
        self._closed = threading.Event()

    def __getattr__(self, name: str) -> Any:
        """What a transport has beyond the port, such as the address that it listens on."""
        return getattr(self._transport, name)

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """See ``ports.Transport``."""
        with self._turn:
            self._pause(self._quirks.settle)
            return self._fetch(wanted, sink)

    def _fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        counted = _Counting(sink)
        tally = self._transport.fetch(wanted, counted)
        if not self._quirks.reprobe or counted.came or tally.completed or tally.failed or tally.code:
            return tally
        # Success with nothing at all: the archive was overwhelmed, and forgot the request.
        self._pause(self._quirks.reprobe)
        return self._transport.fetch(wanted, sink)

    def _pause(self, seconds: float | None) -> None:
        if seconds and self._closed.wait(seconds):
            raise TransferError("ended by us", code="interrupted")

    def ping(self) -> Ping:
        """See ``ports.Transport``."""
        return self._transport.ping()

    def close(self) -> None:
        """See ``ports.Transport``."""
        self._closed.set()
        self._transport.close()


class _Counting:
    """A sink that knows whether anything came."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.came = False

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:
        """See ``ports.Sink``."""
        self.came = True
        return self._sink.accept(head, chunks)


def considerate(transport: Transport, quirks: Quirks) -> Transport:
    """The transport, wrapped where a quirk asks for it."""
    asked = quirks.settle or quirks.reprobe or quirks.one_move_at_a_time
    changed = _traits(transport, quirks) != transport.traits
    return ConsiderateTransport(transport, quirks) if asked or changed else transport


def _traits(transport: Transport, quirks: Quirks) -> Any:
    traits = transport.traits
    if quirks.image_level_retrieve is False and traits.protocol == "dimse":
        return replace(traits, takes=traits.takes - {Level.IMAGE})
    return traits
