"""The receiver's door: who may come in, how many at once and for how long; TLS beside the accept loop. It reads no PDU.

A connection is a guest from the moment it is accepted. Until its association is agreed it has a few seconds in all, and
when many such are there the oldest make way, so that silent ones keep nobody out.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from pynetdicom.association import Association

from . import driving, tls

#: From being accepted until an association is agreed, TLS included; whoever is slower is dropped.
GREETING_SECONDS = 15.0
#: Connections without an association, of one address and in all; the oldest make way for a new one.
GREETING_PER_ADDRESS, GREETINGS = 16, 32
#: An association that brought nothing whole for its stall time, and is slower than this (bytes per second), makes way.
CRAWL = 1_000.0
#: How often it is looked who has to go.
_ROUND_SECONDS = 0.5
_BREATH = 0.1
#: How much of a refused request is read, so that the refusal is not lost with it.
_FAREWELL_BYTES, _FAREWELL_SECONDS = 1 << 16, 1.0

#: PS3.8 9.3.2: the first byte of an A-ASSOCIATE-RQ; RFC 8446 5.1: that of a TLS handshake.
_ASSOCIATE, _HANDSHAKE = b"\x01", b"\x16"
#: PS3.8 9.3.4: A-ASSOCIATE-RJ, permanent, by the service user, no reason given.
_REJECT = b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01"
#: PS3.8 9.3.8: A-ABORT, by the service provider, unrecognized PDU.
_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x01"


class Limits(Protocol):
    """What one archive allows (``admission.Tenant``)."""

    connections: int
    connections_per_address: int
    stall: float
    patience: float

    def note(self, why: str) -> None: ...


class House(Protocol):
    """Whose door it is (``receiver.Receiver``)."""

    @property
    def secured(self) -> tls.Server | None: ...
    def welcome(self, address: str) -> Sequence[Limits]: ...
    def hosts(self, guest: Guest) -> Sequence[Limits]: ...


@dataclass(eq=False, kw_only=True)
class Guest:
    """One connection. ``brought`` is when it last delivered something whole, with the bytes heard until then."""

    address: str
    wire: socket.socket
    assoc: Association | None = None
    since: float = field(default_factory=time.monotonic)
    brought: tuple[float, int] = (0.0, 0)

    @property
    def line(self) -> driving.Line | None:
        """Its line, once there is an association."""
        return driving.line_of(self.assoc) if self.assoc is not None else None

    @property
    def greeted(self) -> bool:
        """Whether its association was agreed."""
        line = self.line
        return line is not None and line.owner is not None

    @property
    def gone(self) -> bool:
        """Whether nothing of it is left."""
        return self.wire.fileno() < 0 and (self.assoc is None or not self.assoc.is_alive())

    def delivered(self) -> None:
        """It brought an object whole."""
        line = self.line
        self.brought = time.monotonic(), line.heard if line else 0

    def crawls(self, stall: float) -> bool:
        """Whether it brought nothing for long and hardly moves."""
        since, before = self.brought[0] or self.since, self.brought[1]
        line, age = self.line, time.monotonic() - since
        return line is not None and age > stall and (line.heard - before) / age < CRAWL

    def leave(self) -> None:
        """End it from any thread: whoever reads it returns at once."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.wire, socket.SHUT_RDWR)


class Door(driving.Server):
    """Listens for a ``house``. Each connection has a thread of its own from the start, and their number is bounded."""

    house: House
    _guests: list[Guest]
    _round: float = 0.0

    def open(self, house: House) -> None:
        """Before it serves."""
        self.house, self._guests, self._lock = house, [], threading.Lock()

    @property
    def guests(self) -> list[Guest]:
        """Who is there now."""
        with self._lock:
            self._guests = [guest for guest in self._guests if not guest.gone]
            return list(self._guests)

    # --- in the thread that accepts: nothing here waits for a peer

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept and no more; the stock method does the TLS handshake here, where one silent peer stops all others."""
        listener = cast("socket.socket", self.socket)
        try:
            return listener.accept()
        except OSError:
            time.sleep(_BREATH)  # out of descriptors: it would be asked again at once, and for ever
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to talk to that address, and whether there is room."""
        address = str(client_address[0])
        welcome = self.house.welcome(address)
        if not welcome or not self._room(address, welcome):
            return False
        with self._lock:
            self._guests.append(Guest(address=address, wire=request))
        return True

    def _room(self, address: str, welcome: Sequence[Limits]) -> bool:
        """Make room where that harms nobody who does something."""
        guests = self.guests
        if sum(not guest.greeted for guest in guests) >= 2 * GREETINGS:
            return False  # those who were told to leave are still on their way out
        _thin([guest for guest in guests if not guest.greeted and guest.address == address], GREETING_PER_ADDRESS)
        _thin([guest for guest in guests if not guest.greeted], GREETINGS)
        greeted = [guest for guest in guests if guest.greeted]
        mine = [guest for guest in greeted if guest.address == address]
        limits = max(welcome, key=lambda one: one.connections)
        for some, most in ((mine, limits.connections_per_address), (greeted, limits.connections)):
            if len(some) >= most and not _make_way(some, limits.stall):
                limits.note("full")
                return False
        return True

    def service_actions(self) -> None:
        """Now and then, whether anybody comes or not: who is late has to go."""
        super().service_actions()
        now = time.monotonic()
        if now - self._round < _ROUND_SECONDS:
            return
        self._round = now
        for guest in self.guests:
            if not guest.greeted:
                late = now - guest.since > GREETING_SECONDS
            else:
                hosts, line = self.house.hosts(guest), guest.line
                limit = max((one.stall if _midway(guest) else one.patience for one in hosts), default=0.0)
                late = line is not None and now - line.touched > limit
            if late:
                guest.leave()

    # --- in the connection's own thread

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Secure the connection where that is due, then let an association begin."""
        guest = self._guest(request)
        if guest is None:
            request.close()
        elif self._secured(guest):
            try:
                super().finish_request(guest.wire, client_address)
            except BaseException:
                guest.wire.close()
                raise
        else:
            guest.wire.close()

    def _guest(self, wire: Any) -> Guest | None:
        with self._lock:
            return next((guest for guest in self._guests if guest.wire is wire), None)

    def _secured(self, guest: Guest) -> bool:
        """Whether an association may begin, over TLS where that is due; what comes first shows who speaks it."""
        secured, first = self.house.secured, b""
        with contextlib.suppress(OSError):
            guest.wire.settimeout(GREETING_SECONDS)
            first = guest.wire.recv(1, socket.MSG_PEEK)
        if not first:
            return False
        if secured is not None and first != _ASSOCIATE:
            return self._handshake(guest, secured)
        if secured is not None or first != _ASSOCIATE:
            why = "plain" if secured else "tls" if first == _HANDSHAKE else ""
            self._note(guest, why)
            _farewell(guest.wire, _REJECT if secured else _ABORT)
            return False
        return True

    def _handshake(self, guest: Guest, secured: tls.Server) -> bool:
        try:
            with self._lock:  # the plain socket is nobody's as soon as it is wrapped
                wire = guest.wire = secured.wrap(guest.wire)
            secured.greet(wire)
        except OSError as err:
            self._note(guest, tls.note_of(err))
            return False
        return True

    def _note(self, guest: Guest, why: str) -> None:
        for one in self.house.welcome(guest.address) if why else ():
            one.note(why)

    def began(self, wire: Any, assoc: Association) -> None:
        """An association begins on a connection."""
        if (guest := self._guest(wire)) is not None:
            guest.assoc = assoc

    def guest_of(self, assoc: Association) -> Guest | None:
        """Whose association it is."""
        with self._lock:
            return next((guest for guest in self._guests if guest.assoc is assoc), None)


class Handler(driving.Handler):
    """Tells the door which association belongs to a connection."""

    def _create_association(self) -> Association:
        assoc = super()._create_association()
        if isinstance(self.server, Door):
            self.server.began(self.request, assoc)
        return assoc


def _thin(waiting: list[Guest], most: int) -> None:
    """Of those who have not said who they are, the oldest go until there is room for one more."""
    for guest in sorted(waiting, key=lambda one: one.since)[: max(0, len(waiting) - most + 1)]:
        guest.leave()


def _make_way(greeted: list[Guest], stall: float) -> bool:
    """End the one that crawls most; whether there was one."""
    slow = [guest for guest in greeted if guest.crawls(stall) and not guest.gone]
    if not slow:
        return False
    min(slow, key=lambda one: one.brought[0]).leave()
    return True


def _midway(guest: Guest) -> bool:
    """Whether an object is under way on it."""
    assoc, line = guest.assoc, guest.line
    if assoc is None or line is None:
        return False
    return bool(assoc.is_established and (line.midway or assoc.dimse.message is not None))


def _farewell(wire: socket.socket, pdu: bytes) -> None:
    """Answer whoever speaks the wrong language, and read what he said: closing unread would destroy the answer."""
    end = time.monotonic() + _FAREWELL_SECONDS
    with contextlib.suppress(OSError):
        wire.sendall(pdu)
        wire.shutdown(socket.SHUT_WR)
        left = _FAREWELL_BYTES
        while left > 0 and (seconds := end - time.monotonic()) > 0:
            wire.settimeout(seconds)
            got = len(wire.recv(4096))
            if not got:
                return
            left -= got


#: So that ``receiver`` can ask without knowing pynetdicom's inside.
midway: Callable[[Guest], bool] = _midway
