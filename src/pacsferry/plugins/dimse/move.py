"""C-MOVE as a transport: the archive sends to our own receiver; its "success" is not the end, the images are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Level, Ping, Tally, Traits, Wanted
from pacsferry.core.ports import Finding, Sink

from . import tls
from .admission import Tenant, tenant_of
from .association import MODELS, Call, Caller, Ender, contexts
from .identifiers import identifier, retrieve_keys
from .outcome import Outcome, run, without_response
from .receiver import RECEIVERS, Lease, Receiver
from .settings import MoveSettings
from .statuses import trouble

#: How often a wait looks whether it was told to end.
_LOOK_SECONDS = 0.25


class CMove:
    """Transport ``c-move``. The receiver listens from the first ``fetch`` to ``close``."""

    traits = Traits(takes=frozenset({Level.STUDY, Level.SERIES, Level.IMAGE}), protocol="dimse", needs_listener=True)

    def __init__(self, archive: Archive, settings: MoveSettings) -> None:
        self._model = MODELS[settings.model]["move"]
        self._caller = Caller(archive, "c-move")
        if self._caller.dimse.receiver is None:
            raise ConfigError("c-move needs [archive.dimse.receiver] with host, port and ae_title")
        self._own = self._caller.dimse.receiver
        tls.server(archive)  # what cannot be read is found out before anybody is contacted
        tls.warn_of_receiver(archive)
        self._archive, self._settings = archive, settings
        self._receiver: Receiver | None = None
        self._tenant: Tenant | None = None
        self._trial: CMove | None = None
        self._lock = threading.Lock()

    @property
    def listens(self) -> tuple[str, int]:
        """The address that this transport opens on first use; to be leased for the host before that."""
        return self._own.host, self._own.port

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Bring what is wanted, also what comes after the final response.

        Raises ``TransferError``, ``StoreError``, and ``BusyError`` when another program has the port.
        """
        receiver, tenant = self._listening()
        message_id = self._caller.message_id()
        with receiver.lease(tenant, wanted, sink, message_id) as lease:
            try:
                outcome = self._ask(receiver, lease)
            except TransferError:
                lease.intake.check()
                if not lease.intake.complete:
                    raise
                outcome = without_response("C-MOVE")
            self._await(receiver, lease, outcome)
            lease.intake.check()
        if not lease.intake.count and wanted.expected != 0:
            _turned_away(lease, "nothing came")
        return outcome.tally()

    def _listening(self) -> tuple[Receiver, Tenant]:
        with self._lock:
            if self._caller.closed:
                raise trouble("C-MOVE", "interrupted", "already closed")
            if self._receiver is None or self._tenant is None:
                # Here and not before: it asks the name service for the archive's addresses.
                tenant = self.rights()
                self._receiver = RECEIVERS.join(self._own.host, self._own.port, tenant)
                self._tenant = tenant
            return self._receiver, self._tenant

    def rights(self) -> Tenant:
        """Who may send to us while we listen."""
        return tenant_of(self._archive, self._own)

    def _ask(self, receiver: Receiver, lease: Lease) -> Outcome:
        with self._caller.call("C-MOVE", contexts(self._model)) as call:
            outcome = self._request(call, receiver, lease)
        if outcome.error is None:
            return outcome
        if not lease.intake.count:
            _turned_away(lease, f"status 0x{outcome.status:04X}")
        raise outcome.error

    def _request(self, call: Call, receiver: Receiver, lease: Lease) -> Outcome:
        syntax = call.syntax(self._model)
        if syntax is None:
            raise trouble("C-MOVE", "no-context", "the archive accepts no C-MOVE of this information model")
        wanted = lease.intake.wanted
        request = identifier(wanted.level, retrieve_keys(wanted), syntax)
        watched = call.watched(lambda: receiver.progress(lease), nearline=wanted.nearline)
        with watched, Ender(call, lease.intake, self._archive.timeouts.quiet):
            responses = call.assoc.send_c_move(request, self._own.ae_title, self._model, msg_id=lease.message_id)
            return run(call, responses)

    def _await(self, receiver: Receiver, lease: Lease, outcome: Outcome) -> None:
        """Late images: until all came, or nothing came for ``timeouts.quiet`` (the first from slow storage: longer)."""
        ended, timeouts = time.monotonic(), self._archive.timeouts
        while not lease.intake.broken and not _complete(lease, outcome):
            if self._caller.closed:
                raise trouble("C-MOVE", "interrupted", "ended by us")
            slow = lease.intake.wanted.nearline and not lease.intake.count
            patience = max(timeouts.quiet, timeouts.nearline) if slow else timeouts.quiet
            left = max(ended, receiver.progress(lease)) + patience - time.monotonic()
            if left <= 0:
                return
            receiver.wait(min(left, _LOOK_SECONDS))

    def ping(self) -> Ping:
        """C-ECHO. Raises ``TransferError``."""
        return self._caller.ping()

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:
        """See ``ports.Prober``: C-MOVE back to us, and who came."""
        from .probe_move import Trial, probe

        self._trial = trial = Trial(self._archive, self._settings)
        try:
            yield from probe(self._archive, samples, trial)
        finally:
            trial.close()

    def close(self) -> None:
        """End every association, then stop listening."""
        self._caller.close()
        if self._trial is not None:
            self._trial.close()
        with self._lock:
            receiver, self._receiver = self._receiver, None
        if receiver is not None and self._tenant is not None:
            RECEIVERS.leave(receiver, self._tenant)


def _turned_away(lease: Lease, what: str) -> None:
    """Say so where an archive failed, or claims to have sent, and somebody whom we did not let in tried to."""
    if (hint := lease.tenant.hint(lease.began)) is not None:
        raise trouble("C-MOVE", "turned-away", f"{what}, and our receiver turned a sender away: {hint}", hint=hint)


def _complete(lease: Lease, outcome: Outcome) -> bool:
    """Whether nothing more can be awaited: all that was expected, or all that the archive says it sent and failed."""
    came, expected = lease.intake.count, lease.intake.wanted.expected
    sent, failed = outcome.completed or 0, outcome.failed or 0
    if expected is None:
        return 0 < sent <= came
    return came >= expected or (failed > 0 and sent <= came and sent + failed >= expected)
