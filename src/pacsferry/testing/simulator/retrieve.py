"""One C-GET or C-MOVE of the simulator from its request to its final response, lying where a fault wants it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext

from .cargo import Cargo, Piece, acted, load
from .delivery import PRIVATE_SYNTAX, Lanes, Unreachable, context_for
from .faults import Spoiled
from .holdings import Holdings, Stored
from .journal import Asked
from .relay import Wire
from .responses import CANCELLED, PENDING, SUCCESS, UNABLE, UNKNOWN_DESTINATION, WARNING, gone, response

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
    context: PresentationContext
    request: Any
    asked: Asked
    spoiled: Spoiled
    batch: Sequence[Stored]
    holdings: Holdings
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
            self._end(self._send_all(self._trip.assoc, wire, cargo, count), count)

    def move(self, lanes: Lanes, destination: str, address: tuple[str, int] | None) -> threading.Thread | None:
        """C-MOVE: send over an association to ``address``; the thread that goes on after the final response, if any."""
        if address is None:
            self.finish(UNKNOWN_DESTINATION)
            return None
        try:
            cargo, count = self._prepare()
            late = self._trip.spoiled.take("late")
            if late is None:
                self._end(self._deliver(lanes, destination, address, cargo, count), count)
                return None
        except Refusal as refusal:
            self.finish(refusal.status)
            return None
        self._respond(SUCCESS, Count(remaining=0, completed=len(self._trip.batch)))
        parcel = (float(late["seconds"]), lanes, destination, address, cargo, count)
        thread = threading.Thread(target=self._deliver_late, args=parcel, daemon=True)
        thread.start()
        return thread

    def finish(self, status: int) -> None:
        """End with a failure before anything was sent."""
        self._respond(status, Count(remaining=0, failed=[one.instance for one in self._trip.batch]))

    # --- what to send ----------------------------------------------------------------------------------------------

    def _prepare(self) -> tuple[Cargo, Count]:
        spoiled, actors = self._trip.spoiled, self._trip.spoiled.actors()
        requested = self._trip.asked.requested
        refused = spoiled.any_of(_REFUSALS)
        status = int(refused["status"]) if refused else next(filter(None, (one.refuse(requested) for one in actors)), 0)
        if status:
            raise Refusal(status)
        nothing = spoiled.any_of(("nothing", "offline"))
        if nothing:
            claimed = len(self._trip.batch) if nothing.parameters.get("claim") else 0
            return Cargo(pieces=(), dropped=()), Count(remaining=0, completed=claimed)
        recall(spoiled, self._trip.holdings, self._trip.asked.study, self._trip.stopping)
        cargo = acted(load(self._trip.batch, spoiled, self._trip.holdings.all()), requested, actors)
        return cargo, self._counted(cargo)

    def _counted(self, cargo: Cargo) -> Count:
        count = Count(remaining=len(self._trip.batch) - len(cargo.dropped))
        drop = self._trip.spoiled.take("drop") if cargo.dropped else None
        if drop and drop["told"]:
            count.failed += [one.instance for one in cargo.dropped]
        return count

    # --- sending ---------------------------------------------------------------------------------------------------

    def _deliver_late(self, seconds: float, *delivery: Any) -> None:
        if not self._trip.stopping.wait(seconds):
            with suppress(Exception):
                self._deliver(*delivery, quiet=True)

    def _deliver(
        self,
        lanes: Lanes,
        destination: str,
        address: tuple[str, int],
        cargo: Cargo,
        count: Count,
        *,
        quiet: bool = False,
    ) -> bool:
        """Open the association to the destination and send; whether that was cancelled."""
        if not cargo.pieces:
            return False
        try:
            lane = lanes.open(destination, address, cargo, self._trip.spoiled)
        except Unreachable:
            raise Refusal(UNABLE) from None
        try:
            return self._send_all(lane.assoc, lane.relay.only(), cargo, count, report=not quiet)
        finally:
            lanes.done(destination, lane, self._trip.spoiled)

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
            status = self._send(assoc, contexts, piece, (self._message + index) % 0xFFFF + 1)
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
        asked = self._message in self._trip.assoc.dimse.cancel_req and not self._trip.spoiled.take("ignores-cancel")
        return asked or bool(self._trip.spoiled.at("cancelled", piece.number))

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
        self, assoc: Association, contexts: Sequence[PresentationContext], piece: Piece, message: int
    ) -> int | None:
        """One C-STORE with the bytes as they are stored; its status, None where it could not be sent."""
        private = (PRIVATE_SYNTAX,) if self._trip.spoiled.at("private-syntax", piece.number) else ()
        context = context_for(contexts, piece.stored, private)
        if context is None or not assoc.is_established:
            return None
        same = assoc is self._trip.assoc
        request = self._request(piece.stored, context, message, same=same)
        if not same:
            _pause_reactor(assoc)
        try:
            assoc.dimse.send_msg(request, int(context.context_id or 0))
            _, answer = assoc.dimse.get_msg(block=True)
        finally:
            if not same:
                assoc._reactor_checkpoint.set()  # noqa: SLF001 - as pynetdicom's send_c_store does
        status = getattr(answer, "Status", None)
        if status is None and assoc.is_established:
            assoc.abort()
        return status

    def _request(self, stored: Stored, context: PresentationContext, message: int, *, same: bool) -> C_STORE:
        request = C_STORE()
        request.MessageID, request.Priority = message, 2
        request.AffectedSOPClassUID = UID(stored.sop_class)
        request._AffectedSOPInstanceUID = UID(stored.instance, validation_mode=IGNORE)  # noqa: SLF001 - it may be no UID
        if not (same or self._trip.spoiled.take("no-originator")):
            request.MoveOriginatorApplicationEntityTitle = self._trip.assoc.requestor.ae_title
            request.MoveOriginatorMessageID = self._message
        syntax = str(context.transfer_syntax[0])
        own = stored.transfer_syntax if syntax == PRIVATE_SYNTAX else syntax
        request.DataSet = BytesIO(stored.data_set(own))
        return request

    # --- responses -------------------------------------------------------------------------------------------------

    def _end(self, cancelled: bool, count: Count) -> None:
        """The final response, or none."""
        for_ever = self._trip.spoiled.take("never-ends")
        while for_ever and not (gone(self._trip.assoc) or self._trip.stopping.wait(float(for_ever["every"]) or 0.1)):
            if for_ever["every"]:
                self._respond(PENDING, count)
        if for_ever:
            self._trip.assoc.abort()
            return
        blamed = self._trip.spoiled.take("failed-list")
        if blamed and self._trip.batch:
            count.failed.append(self._trip.batch[min(int(blamed["nth"]), len(self._trip.batch)) - 1].instance)
        self._respond(CANCELLED if cancelled else count.status, count)

    def _respond(self, status: int, count: Count) -> None:
        if not self._trip.assoc.is_established:
            return
        said = response(type(self._trip.request), self._trip.request, status)
        self._count(said, status, count)
        if status not in (PENDING, SUCCESS):
            said.Identifier = self._failed(count.failed)
        if status != PENDING:
            self._trip.asked.status = status
        self._trip.assoc.dimse.send_msg(said, int(self._trip.context.context_id or 0))

    def _count(self, said: Any, status: int, count: Count) -> None:
        lie = self._trip.spoiled.take("counters")
        if lie and lie["none"]:
            return
        if status in (PENDING, CANCELLED):
            said.NumberOfRemainingSuboperations = count.remaining
        said.NumberOfCompletedSuboperations = max(0, count.completed + (int(lie["by"]) if lie else 0))
        said.NumberOfFailedSuboperations = len(count.failed)
        said.NumberOfWarningSuboperations = count.warned

    def _failed(self, uids: Sequence[str]) -> BytesIO:
        identifier, syntax = Dataset(), UID(self._trip.context.transfer_syntax[0])
        identifier.FailedSOPInstanceUIDList = list(uids)
        return BytesIO(encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian) or b"")


def recall(spoiled: Spoiled, holdings: Holdings, study: str, stopping: threading.Event) -> None:
    """Fetch a study from slow storage where an order says that it is there."""
    slow = spoiled.take("nearline")
    if slow and study not in holdings.recalled:
        stopping.wait(float(slow["seconds"]))
        holdings.recalled.add(study)


def _pause_reactor(assoc: Association) -> None:
    """Keep pynetdicom's reactor from eating the response (as its ``send_c_store`` does)."""
    assoc._reactor_checkpoint.clear()  # noqa: SLF001
    while not assoc._is_paused:  # noqa: SLF001
        time.sleep(0.0005)
