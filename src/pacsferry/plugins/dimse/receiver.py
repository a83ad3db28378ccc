"""Our own Storage SCP, one per process and address: what nobody asked for is refused, nothing is decoded or kept."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.association import Association

from pacsferry.core.errors import BusyError, ConfigError, HeldError
from pacsferry.core.model import Buffer, Framing, Wanted
from pacsferry.core.peek import LIMIT, peek
from pacsferry.core.ports import Sink

from . import driving, tls
from .admission import Tenant, settle, verification
from .commands import StoreRequest
from .door import GREETING_SECONDS, Door, Guest, Handler, midway
from .statuses import STORE_REFUSED
from .storing import Intake

#: So much of an object usually shows its study; more is kept back only where it does not.
LOOK = 8_192
#: On closing, an object that is under way gets this long to arrive.
DRAIN_SECONDS = 2.0

_PRIVILEGE = "ports below 1024 need a privilege on most systems: choose another one"

#: PS3.8 Table 9-21: rejected permanently, by the service user.
_NOT_US = (0x01, 0x01, 0x07)
_NOT_YOU = (0x01, 0x01, 0x03)


@dataclass(eq=False, kw_only=True)
class Lease:
    """A study that is awaited, and where it goes. ``message_id`` is that of the C-MOVE, where the peer repeats it."""

    tenant: Tenant
    intake: Intake
    message_id: int
    busy: int = 0
    began: float = field(default_factory=time.monotonic)
    touched: float = field(default_factory=time.monotonic)

    @property
    def study(self) -> str:
        """The study that it is for."""
        return self.intake.wanted.study


@dataclass(eq=False, kw_only=True)
class _Peer:
    """What is known of one connection: who may be on it, and what it delivered last."""

    tenants: tuple[Tenant, ...]
    guest: Guest | None = None
    lease: Lease | None = None


class Receiver:
    """Listens while it has tenants. Objects go to the lease of their study, whoever's request brought them."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.unasked = 0
        self._tenants: list[Tenant] = []
        self._leases: list[Lease] = []
        self._changed = threading.Condition()
        self._server: Door | None = None

    def start(self, tenant: Tenant) -> None:
        """Let an archive in, and listen. Raises ``BusyError`` or ``ConfigError``."""
        if any(other.secured != tenant.secured for other in self._tenants):
            raise ConfigError(
                f"archive.dimse.receiver.tls: another archive uses {self.address[0]}:{self.address[1]} with other TLS",
                hint="give each archive a receiver of its own, or both the same tls table",
            )
        self._tenants.append(tenant)
        try:
            if self._server is None:
                self._server = self._listen(tenant)
        except BaseException:
            self._tenants.remove(tenant)
            raise

    def _listen(self, tenant: Tenant) -> Door:
        entity = driving.Entity(ae_title=tenant.ae_title)
        entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = GREETING_SECONDS, None, None
        entity.maximum_pdu_size = driving.MAX_PDU
        entity.maximum_associations = 512
        handlers = [
            driving.on_open(GREETING_SECONDS),
            (evt.EVT_REQUESTED, self._requested),
            *driving.on_store(self._store),
        ]
        try:
            server = entity.make_server(
                self.address,
                tenant.ae_title,
                verification(),
                evt_handlers=cast("Any", handlers),
                server_class=Door,
                request_handler=Handler,
            )
        except OSError as err:
            raise _cannot_listen(self.address, err) from None
        assert isinstance(server, Door)  # noqa: S101 - pynetdicom types it by its base
        server.open(self)
        threading.Thread(target=server.serve_forever, args=(0.1,), name="pacsferry-receiver", daemon=True).start()
        return server

    def leave(self, tenant: Tenant) -> bool:
        """Stop serving an archive; whether nobody is left and the port was given back."""
        self._tenants.remove(tenant)
        if self._tenants or self._server is None:
            return False
        server, self._server = self._server, None
        server.stop()
        end = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < end and any(midway(guest) for guest in server.guests):
            time.sleep(0.05)
        for guest in server.guests:
            guest.leave()
        return True

    @contextlib.contextmanager
    def lease(self, tenant: Tenant, wanted: Wanted, sink: Sink, message_id: int) -> Iterator[Lease]:
        """Await a study. Two requests for one study wait for each other: nothing in a C-STORE tells them apart."""
        lease = Lease(tenant=tenant, intake=Intake(wanted, sink), message_id=message_id)
        with self._changed:
            self._changed.wait_for(lambda: all(other.study != wanted.study for other in self._leases))
            self._leases.append(lease)
        try:
            yield lease
        finally:
            with self._changed:
                self._leases.remove(lease)
                self._changed.notify_all()
                self._changed.wait_for(lambda: not lease.busy)

    def wait(self, seconds: float) -> None:
        """Until something arrives, or so long."""
        with self._changed:
            self._changed.wait(seconds)

    def progress(self, lease: Lease) -> float:
        """When anything was last heard that may belong to the lease (monotonic seconds)."""
        if lease.busy:
            return time.monotonic()
        server = self._server
        lines = [guest.line for guest in server.guests] if server else []
        heard = [line.touched for line in lines if line and isinstance(line.owner, _Peer) and _mine(line.owner, lease)]
        return max([lease.touched, *heard])

    # --- what the door asks

    @property
    def secured(self) -> tls.Server | None:
        """The TLS that all who use it agree on."""
        tenants = list(self._tenants)
        return tenants[0].secured if tenants else None

    def welcome(self, address: str) -> list[Tenant]:
        """For whom somebody from that address may come."""
        tenants = list(self._tenants)
        welcome = [tenant for tenant in tenants if tenant.knows(address)]
        if not welcome:
            for tenant in tenants:
                tenant.note("address")
        return welcome

    def hosts(self, guest: Guest) -> tuple[Tenant, ...]:
        """For whom a connection is there."""
        line = guest.line
        return line.owner.tenants if line is not None and isinstance(line.owner, _Peer) else ()

    # --- associations and objects

    def _requested(self, event: Any) -> None:
        """Before an association is answered: AE titles, then contexts."""
        assoc: Association = event.assoc
        request: Any = assoc.requestor.primitive
        address, called, calling = assoc.requestor.address, request.called_ae_title, request.calling_ae_title
        names = address, str(called).strip(), str(calling).strip()
        tenants = tuple(tenant for tenant in self._tenants if tenant.admits(*names))
        line = driving.line_of(assoc)
        if not tenants or line is None:
            ours = any(tenant.ae_title.strip() == names[1] for tenant in self._tenants)
            assoc.acse.send_reject(*(_NOT_YOU if ours else _NOT_US))
            assoc.is_rejected = True
            assoc.kill()
            return
        line.owner = _Peer(tenants=tenants, guest=self._server.guest_of(assoc) if self._server else None)
        if line.socket is not None:
            line.socket.settimeout(max(tenant.stall for tenant in tenants))
        settle(assoc)

    def _store(self, assoc: Association, request: StoreRequest, pieces: Iterable[Buffer]) -> int:
        line = driving.line_of(assoc)
        peer = line.owner if line is not None else None
        if not isinstance(peer, _Peer):
            return STORE_REFUSED
        study, content = _study_of(request, iter(pieces))
        lease = self._route(peer, request, study)
        if lease is None:
            self.unasked += 1
            return STORE_REFUSED
        peer.lease = lease
        try:
            status = lease.intake.store(request, content)
            if peer.guest is not None:
                peer.guest.delivered()
            return status
        finally:
            with self._changed:
                lease.busy -= 1
                lease.touched = time.monotonic()
                self._changed.notify_all()

    def _route(self, peer: _Peer, request: StoreRequest, study: str) -> Lease | None:
        """The lease of the object's study; of an object that cannot be read, that of the request it names.

        The lease comes back busy.
        """
        with self._changed:
            leases = [lease for lease in self._leases if lease.tenant in peer.tenants]
            if study:
                found = [lease for lease in leases if lease.study == study]
            else:
                found = [lease for lease in leases if lease.message_id == request.originator_id]
            if len(found) != 1:
                return None
            found[0].busy += 1
            return found[0]


def _study_of(request: StoreRequest, pieces: Iterator[Buffer]) -> tuple[str, Iterator[Buffer]]:
    """The study UID in an object's beginning, "" where none can be read, and all of its pieces."""
    head, enough = bytearray(), LOOK
    for piece in pieces:
        if not head and len(piece) > LIMIT:
            return _peeked(request, bytes(piece[:LIMIT])), itertools.chain([piece], pieces)
        head += piece
        if len(head) >= enough:
            study, enough = _peeked(request, bytes(head)), 2 * len(head)
            if study or len(head) > LIMIT:
                return study, itertools.chain([head], pieces)
    return _peeked(request, bytes(head)), iter([head])


def _peeked(request: StoreRequest, head: bytes) -> str:
    with contextlib.suppress(HeldError):
        return peek(head, framing=Framing.DATA_SET, transfer_syntax=request.transfer_syntax).study
    return ""


def _mine(peer: _Peer, lease: Lease) -> bool:
    """Whether what is under way on a connection may be for the lease."""
    return lease.tenant in peer.tenants and peer.lease in (None, lease)


def _cannot_listen(address: tuple[str, int], err: OSError) -> BusyError | ConfigError:
    where = f"{address[0]}:{address[1]} (archive.dimse.receiver)"
    if err.errno == errno.EADDRINUSE:
        return BusyError(f"another program listens on {where}", hint="wait for it to end, or choose another port")
    code = err.errno or 0
    why = os.strerror(code) if code > 0 else "there is no such address"  # those of name look-ups are negative
    hint = _PRIVILEGE if code == errno.EACCES else "host must be an address of this machine"
    return ConfigError(f"cannot listen on {where}: {why}", hint=hint)


class Receivers:
    """The receivers of this process, by address."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, int], Receiver] = {}
        self._lock = threading.Lock()

    def join(self, host: str, port: int, tenant: Tenant) -> Receiver:
        """The receiver of an address, started if it was not. Raises ``BusyError`` or ``ConfigError``."""
        with self._lock:
            receiver = self._all.get((host, port)) or Receiver(host, port)
            receiver.start(tenant)
            self._all[host, port] = receiver
            return receiver

    def leave(self, receiver: Receiver, tenant: Tenant) -> None:
        """Give it back; the last one closes it."""
        with self._lock:
            if receiver.leave(tenant):
                del self._all[receiver.address]


#: One port can be bound once per process, whatever number of archives and projects use it.
RECEIVERS = Receivers()
