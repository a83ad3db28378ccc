"""One C-GET or C-MOVE of the simulator from its request to its final response, lying where a fault wants it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext, build_context

from .cargo import Cargo, Piece, load
from .faults import Spoiled
from .holdings import Stored
from .journal import Asked
from .relay import Relay, Wire

SUCCESS, WARNING, PENDING, CANCELLED = 0x0000, 0xB000, 0xFF00, 0xFE00
UNABLE, UNKNOWN_DESTINATION = 0xA702, 0xA801

#: Faults that refuse a request as a whole, with the status in their parameters.
_REFUSALS: Final = (
    "cannot-perform",
    "out-of-resources",
    "destination-unknown",
    "identifier-mismatch",
    "unable-to-process",
)


class Refusal(Exception):
    """The request ends with ``status`` before anything was sent."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:04X}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A request and all that is needed to answer it."""

    assoc: Association
    context_id: int
    identifier_syntax: str
    request: Any
    asked: Asked
    spoiled: Spoiled
    batch: Sequence[Stored]
    others: Sequence[Stored]
    stopping: threading.Event


@dataclass(slots=True, kw_only=True)
class Count:
    """Sub-operations so far (PS3.7 9.1.3.1)."""

    remaining: int
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)

    def done(self, status: int | None, instance: str) -> None:
        """Book the answer to one C-STORE."""
        self.remaining -= 1
        if status is None or (status != SUCCESS and status & 0xF000 != WARNING):
            self.failed.append(instance)
        elif status == SUCCESS:
            self.completed += 1
        else:
            self.warned += 1

    def lost(self, instances: Iterable[str]) -> None:
        """Book what can no longer be sent."""
        self.failed += instances
        self.remaining = 0

    @property
    def status(self) -> int:
        """The honest final status (PS3.4 C.4.2.1.5)."""
        if not self.failed:
            return SUCCESS
        return WARNING if self.completed or self.warned else UNABLE


class Courier:
    """Serves one trip."""

    def __init__(self, trip: Trip) -> None:
        self._trip = trip
        self._message = int(trip.request.MessageID)

    def get(self, wire: Wire | None) -> None:
        """C-GET: send on the association of the request."""
        try:
            cargo, count = self._prepare()
        except Refusal as refusal:
            self.finish(refusal.status)
        else:
            cancelled = self._send_all(self._trip.assoc, wire, cargo, count)
            self._respond(CANCELLED if cancelled else count.status, count)

    def move(self, ae: AE, destination: str, address: tuple[str, int] | None) -> threading.Thread | None:
        """C-MOVE: send over an association to ``address``; the thread that goes on after the final response, if any."""
        cargo, count = self._prepare()
        if address is None:
            raise Refusal(UNKNOWN_DESTINATION)
        late = self._trip.spoiled.take("late")
        if late is None:
            cancelled = self._deliver(ae, destination, address, cargo, count)
            self._respond(CANCELLED if cancelled else count.status, count)
            return None
        self._respond(SUCCESS, Count(remaining=0, completed=len(self._trip.batch)))
        thread = threading.Thread(
            target=self._deliver_late,
            args=(float(late["seconds"]), ae, destination, address, cargo, count),
            daemon=True,
        )
        thread.start()
        return thread

    def finish(self, status: int) -> None:
        """End with a failure before anything was sent."""
        self._respond(status, Count(remaining=0, failed=[one.instance for one in self._trip.batch]))

    # --- what to send ----------------------------------------------------------------------------------------------

    def _prepare(self) -> tuple[Cargo, Count]:
        refused = self._trip.spoiled.any_of(_REFUSALS)
        if refused:
            raise Refusal(int(refused["status"]))
        nothing = self._trip.spoiled.take("nothing")
        if nothing:
            claimed = len(self._trip.batch) if nothing["claim"] else 0
            return Cargo(pieces=(), dropped=()), Count(remaining=0, completed=claimed)
        cargo = load(self._trip.batch, self._trip.spoiled, self._trip.others)
        count = Count(remaining=len(self._trip.batch) - len(cargo.dropped))
        drop = self._trip.spoiled.take("drop") if cargo.dropped else None
        if drop and drop["told"]:
            count.failed += [one.instance for one in cargo.dropped]
        return cargo, count

    # --- sending ---------------------------------------------------------------------------------------------------

    def _deliver_late(self, seconds: float, *delivery: Any) -> None:
        if not self._trip.stopping.wait(seconds):
            with suppress(Exception):
                self._deliver(*delivery, quiet=True)

    def _deliver(
        self, ae: AE, destination: str, address: tuple[str, int], cargo: Cargo, count: Count, *, quiet: bool = False
    ) -> bool:
        """Open the association to the destination and send; whether that was cancelled."""
        if not cargo.pieces:
            return False
        relay = Relay(address, archive_is_server=False)
        try:
            assoc = ae.associate(relay.host, relay.port, _proposals(cargo), ae_title=destination)
            if not assoc.is_established:
                _close(assoc)
                raise Refusal(UNABLE)
            with closing(no_delay(assoc)):
                cancelled = self._send_all(assoc, relay.only(), cargo, count, report=not quiet)
                if assoc.is_established:
                    assoc.release()
                return cancelled
        finally:
            relay.close()

    def _send_all(
        self, assoc: Association, wire: Wire | None, cargo: Cargo, count: Count, *, report: bool = True
    ) -> bool:
        """Send every piece while the association lives; whether the request was cancelled."""
        slow = self._trip.spoiled.take("slow")
        if slow and wire:
            wire.slow(int(slow["rate"]))
        contexts = list(assoc.accepted_contexts)
        for index, piece in enumerate(cargo.pieces):
            if report and self._cancelled(piece):
                return True
            self._before(assoc, wire, piece)
            status = self._send(assoc, contexts, piece.stored, (self._message + index) % 0xFFFF + 1)
            if not assoc.is_established:
                count.lost(one.stored.instance for one in cargo.pieces[index:] if not one.extra)
                return False
            self._book(piece, status, count)
            if report and count.remaining and not self._trip.spoiled.take("no-pending"):
                self._respond(PENDING, count)
        return False

    def _book(self, piece: Piece, status: int | None, count: Count) -> None:
        if status is not None:
            self._trip.asked.sent.append(piece.stored.instance)
        if not piece.extra:
            count.done(status, piece.stored.instance)

    def _cancelled(self, piece: Piece) -> bool:
        return self._message in self._trip.assoc.dimse.cancel_req or bool(
            self._trip.spoiled.at("cancelled", piece.number)
        )

    def _before(self, assoc: Association, wire: Wire | None, piece: Piece) -> None:
        """The faults that come in the middle of an instance."""
        spoiled, half = self._trip.spoiled, len(piece.stored.data) // 2
        pause = spoiled.at("pause", piece.number)
        if pause:
            self._trip.stopping.wait(float(pause["seconds"]))
        for name in ("silence", "reset"):
            fault = spoiled.at(name, piece.number)
            if fault and wire:
                wire.arm(name, int(fault["after"]) or half)
        if spoiled.at("abort", piece.number):
            assoc.abort()

    def _send(
        self, assoc: Association, contexts: Sequence[PresentationContext], stored: Stored, message: int
    ) -> int | None:
        """One C-STORE with the bytes as they are stored; its status, None where it could not be sent."""
        context = _context_for(contexts, stored)
        if context is None or not assoc.is_established:
            return None
        same = assoc is self._trip.assoc
        request = C_STORE()
        request.MessageID, request.Priority = message, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = UID(stored.sop_class), UID(stored.instance)
        if not same:
            request.MoveOriginatorApplicationEntityTitle = self._trip.assoc.requestor.ae_title
            request.MoveOriginatorMessageID = self._message
        request.DataSet = BytesIO(stored.data_set(str(context.transfer_syntax[0])))
        if not same:
            _pause_reactor(assoc)
        try:
            assoc.dimse.send_msg(request, int(context.context_id or 0))
            _, response = assoc.dimse.get_msg(block=True)
        finally:
            if not same:
                assoc._reactor_checkpoint.set()  # noqa: SLF001 - as pynetdicom's send_c_store does
        status = getattr(response, "Status", None)
        if status is None and assoc.is_established:
            assoc.abort()
        return status

    # --- responses -------------------------------------------------------------------------------------------------

    def _respond(self, status: int, count: Count) -> None:
        if not self._trip.assoc.is_established:
            return
        response = type(self._trip.request)()
        response.MessageIDBeingRespondedTo = self._message
        response.AffectedSOPClassUID = self._trip.request.AffectedSOPClassUID
        response.Status = status
        if status in (PENDING, CANCELLED):
            response.NumberOfRemainingSuboperations = count.remaining
        response.NumberOfCompletedSuboperations = count.completed
        response.NumberOfFailedSuboperations = len(count.failed)
        response.NumberOfWarningSuboperations = count.warned
        if status not in (PENDING, SUCCESS):
            response.Identifier = self._failed(count.failed)
        if status != PENDING:
            self._trip.asked.status = status
        self._trip.assoc.dimse.send_msg(response, self._trip.context_id)

    def _failed(self, uids: Sequence[str]) -> BytesIO:
        identifier, syntax = Dataset(), UID(self._trip.identifier_syntax)
        identifier.FailedSOPInstanceUIDList = list(uids)
        return BytesIO(encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian) or b"")


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


def _pause_reactor(assoc: Association) -> None:
    """Keep pynetdicom's reactor from eating the response (as its ``send_c_store`` does)."""
    assoc._reactor_checkpoint.clear()  # noqa: SLF001
    while not assoc._is_paused:  # noqa: SLF001
        time.sleep(0.0005)


def _context_for(contexts: Sequence[PresentationContext], stored: Stored) -> PresentationContext | None:
    """An accepted context of the object's class, in its own syntax if there is one."""
    fit = [one for one in contexts if one.abstract_syntax == stored.sop_class and one.transfer_syntax]
    for syntax in stored.syntaxes():
        for context in fit:
            if context.transfer_syntax[0] == syntax:
                return context
    return None


def _proposals(cargo: Cargo) -> list[PresentationContext]:
    """One context per class and stored syntax, so that the destination cannot choose a syntax away (PS3.8 9.3.2.2)."""
    pairs = dict.fromkeys((one.stored.sop_class, one.stored.syntaxes()) for one in cargo.pieces)
    return [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in pairs][:128]
