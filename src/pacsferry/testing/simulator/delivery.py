"""The associations over which C-MOVE of the simulator sends: opened, kept where an order wants it, given back."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from .cargo import Cargo
from .faults import Spoiled
from .holdings import Stored
from .relay import Relay
from .security import Security

#: The private syntax that a product pushes in C-MOVE; nothing of it is public but its UID.
PRIVATE_SYNTAX: Final = "2.16.840.1.113709.1.2.2"


class Unreachable(Exception):
    """The destination did not take the association."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """An association to a destination, behind a relay that can misbehave on the wire."""

    assoc: Association
    relay: Relay
    plain: socket.socket

    def fits(self, cargo: Cargo) -> bool:
        """Whether each piece can go over it."""
        return self.assoc.is_established and all(
            context_for(self.assoc.accepted_contexts, piece.stored) for piece in cargo.pieces
        )

    def end(self) -> None:
        """Release, or abort what can no longer be released."""
        with closing(self.plain), suppress(Exception):
            if self.assoc.is_established:
                self.assoc.release()
        self.relay.close()

    def kill(self) -> None:
        """Abort at once."""
        with closing(self.plain), suppress(Exception):
            self.assoc.abort()
        self.relay.close()


class Lanes:
    """All lanes that are open. Thread-safe."""

    def __init__(self, ae: AE, security: Security | None = None) -> None:
        self._ae, self._security = ae, security
        #: Destinations that want TLS.
        self.secured: set[str] = set()
        self._lock = threading.Lock()
        self._open: list[Lane] = []
        self._kept: dict[str, Lane] = {}

    def open(self, destination: str, address: tuple[str, int], cargo: Cargo, spoiled: Spoiled) -> Lane:
        """A lane for ``cargo``: one that was kept, or a new one. Raises ``Unreachable``."""
        with self._lock:
            kept = self._kept.pop(destination, None)
        if kept is not None:
            if kept.fits(cargo):
                return kept
            self._end(kept)
        lane = self._new(destination, address, proposals(cargo, spoiled), spoiled)
        with self._lock:
            self._open.append(lane)
        return lane

    def done(self, destination: str, lane: Lane, spoiled: Spoiled) -> None:
        """Keep it for the next request, or end it."""
        if spoiled.take("reuse") and lane.assoc.is_established:
            with self._lock:
                before = self._kept.pop(destination, None)
                self._kept[destination] = lane
            if before is not None:
                self._end(before)
        else:
            self._end(lane)

    def close(self) -> None:
        """Abort all."""
        with self._lock:
            lanes, self._open, self._kept = self._open, [], {}
        for lane in lanes:
            lane.kill()

    def _end(self, lane: Lane) -> None:
        lane.end()
        with self._lock:
            self._open = [one for one in self._open if one is not lane]

    def _new(
        self, destination: str, address: tuple[str, int], contexts: list[PresentationContext], spoiled: Spoiled
    ) -> Lane:
        relay = Relay(address, archive_is_server=False)
        ae = _titled(self._ae, spoiled)
        tls: Any = (self._security.client, relay.host) if self._security and destination in self.secured else None
        assoc = ae.associate(relay.host, relay.port, contexts, ae_title=destination, tls_args=tls)
        if not assoc.is_established:
            _close(assoc)
            relay.close()
            raise Unreachable
        return Lane(assoc=assoc, relay=relay, plain=no_delay(assoc))


def _titled(ae: AE, spoiled: Spoiled) -> AE:
    """The application entity that sends: ours, or one of another title."""
    other = spoiled.take("other-title")
    if other is None:
        return ae
    sender = AE(ae_title=str(other["title"]))
    sender.acse_timeout, sender.dimse_timeout, sender.network_timeout = (
        ae.acse_timeout,
        ae.dimse_timeout,
        ae.network_timeout,
    )
    return sender


def proposals(cargo: Cargo, spoiled: Spoiled) -> list[PresentationContext]:
    """One context per class and stored syntax, so that the destination cannot choose a syntax away (PS3.8 9.3.2.2)."""
    private = [one for one in cargo.pieces if spoiled.at("private-syntax", one.number)]
    pairs = dict.fromkeys((one.stored.sop_class, one.stored.syntaxes()) for one in cargo.pieces if one not in private)
    pairs |= dict.fromkeys((one.stored.sop_class, (PRIVATE_SYNTAX,)) for one in private)
    return [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in pairs][:128]


def context_for(contexts: Any, stored: Stored, syntaxes: tuple[str, ...] = ()) -> PresentationContext | None:
    """An accepted context of the object's class, in its own syntax if there is one."""
    fit = [one for one in contexts if one.abstract_syntax == stored.sop_class and one.transfer_syntax]
    for syntax in syntaxes or stored.syntaxes():
        for context in fit:
            if context.transfer_syntax[0] == UID(syntax):
                found: PresentationContext = context
                return found
    return None


def no_delay(assoc: Association) -> socket.socket:
    """The association's socket, told to send small messages at once (Nagle and delayed acknowledgements cost 40 ms)."""
    plain: socket.socket = assoc.dul.socket.socket  # type: ignore[union-attr, assignment]
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def _close(assoc: Association) -> None:
    """Close the socket of an association that never came to be; pynetdicom leaves it open."""
    plain: Any = getattr(assoc.dul.socket, "socket", None)
    if plain is not None:
        plain.close()
