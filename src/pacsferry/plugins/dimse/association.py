"""Associations with one archive: opened, watched for silence, ended from outside; nothing is asked or stored here."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from pacsferry.core.archive import Archive, Dimse, Timeouts
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Ping

from . import driving, tls
from .identity import Identity
from .statuses import SUCCESS, failure, trouble
from .storing import Intake

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"

#: PS3.4 C.6: information model -> (FIND, MOVE, GET).
MODELS = {
    "patient": {
        "find": "1.2.840.10008.5.1.4.1.2.1.1",
        "move": "1.2.840.10008.5.1.4.1.2.1.2",
        "get": "1.2.840.10008.5.1.4.1.2.1.3",
    },
    "study": {
        "find": "1.2.840.10008.5.1.4.1.2.2.1",
        "move": "1.2.840.10008.5.1.4.1.2.2.2",
        "get": "1.2.840.10008.5.1.4.1.2.2.3",
    },
}

#: How long an archive may take to answer an association request, at most; ``timeouts.connect`` where that is longer.
ACSE_SECONDS = 30.0
#: How often a wait looks whether it was told to end.
_LOOK_SECONDS = 0.25
#: A release that is not answered in this time is an abort.
RELEASE_SECONDS = 3.0
#: PS3.8 Table 9-21: rejections for which another try with the same titles cannot end otherwise.
PERMANENT = 1

#: "No reason given", by the service user or by the ACSE provider: all that there is for a wrong identity.
_NO_REASON = {(1, 1), (2, 1)}
#: To find out whether a port speaks TLS that gave no answer without.
_LOOK_SECONDS = 3.0
_SILENT = "check host, port and both AE titles; if it is a TLS port, set archive.dimse.tls"

_REJECTIONS = {
    **dict.fromkeys(_NO_REASON, "it gives no reason; it may want a user identity (archive.dimse.user_identity)"),
    (1, 3): "it does not know our calling AE title",
    (1, 7): "it does not answer to that called AE title",
    (3, 2): "it has no free association",
    (3, 1): "it is congested",
}


def dimse_of(archive: Archive, name: str) -> Dimse:
    """The archive's DIMSE address. Raises ``ConfigError``."""
    if archive.dimse is None:
        raise ConfigError(f"{name} needs [archive.dimse] with host, port and ae_title")
    return archive.dimse


def contexts(abstract: str, *syntaxes: str) -> list[PresentationContext]:
    """One presentation context; without syntaxes Explicit before Implicit VR Little Endian."""
    return [build_context(abstract, list(syntaxes) or [EXPLICIT, IMPLICIT])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: ``silence`` without a byte; ``idle`` while the archive says "pending" and nothing moves.

    Both end with a word of their own: the second is how long an archive may fetch from slow storage.
    """

    silence: float
    idle: float
    code: str = "stalled"

    @classmethod
    def of(cls, timeouts: Timeouts, *, nearline: bool = False) -> Patience:
        """What the profile grants; of what is in slow storage, silence means as much as "pending"."""
        if nearline:
            most = max(timeouts.stall, timeouts.nearline)
            return cls(silence=most, idle=most, code="nearline")
        return cls(silence=timeouts.stall, idle=max(timeouts.stall, timeouts.nearline))


class Watch:
    """Hangs up on an association when no byte came for too long, or only words that nothing follows.

    pynetdicom's time-outs are per message; this one is per byte. ``elsewhere`` may say when progress was last seen on
    another connection (C-MOVE). While ``pause`` is held, we are the ones who are slow. ``stalled`` is the reason code,
    empty while all is well.
    """

    def __init__(self, assoc: Association, limit: Patience, elsewhere: Callable[[], float] = lambda: 0.0) -> None:
        self._assoc, self._limit, self._elsewhere = assoc, limit, elsewhere
        self._done = threading.Event()
        self._paused = 0
        self._since = time.monotonic()
        self.stalled = ""

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="pacsferry-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """While we work on what was received, silence is ours."""
        self._paused += 1
        try:
            yield
        finally:
            self._since = time.monotonic()
            self._paused -= 1

    def _left(self) -> tuple[float, str]:
        """Seconds until patience ends, and what it is called then."""
        if self._paused:
            return self._limit.silence, ""
        line, now = driving.line_of(self._assoc), time.monotonic()
        ours = max(self._since, self._elsewhere())
        silence = max(ours, line.touched if line else 0.0) + self._limit.silence - now
        idle = max(ours, line.moved if line else 0.0) + self._limit.idle - now
        return (silence, self._limit.code) if silence <= idle else (idle, "nearline")

    def _run(self) -> None:
        left, code = self._limit.silence, ""
        while not self._done.wait(max(left, 0.01)):
            left, code = self._left()
            if left <= 0:
                self.stalled = code
                driving.hang_up(self._assoc)
                return


class Ender:
    """Ends a request when what arrives cannot be taken, or all came and the final response does not."""

    def __init__(self, call: Call, intake: Intake, patience: float) -> None:
        self._call, self._intake, self._patience = call, intake, patience
        self._done = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._run, name="pacsferry-ender", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _run(self) -> None:
        intake = self._intake
        while not self._done.wait(_LOOK_SECONDS):
            if intake.broken or (intake.complete and time.monotonic() - intake.arrived > self._patience):
                self._call.drop()
                return


@dataclass(eq=False, kw_only=True)
class Call:
    """An open association and what it is for."""

    caller: Caller
    assoc: Association
    service: str
    watch: Watch | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""
        return bool(self.assoc.is_established)

    def syntax(self, abstract: str) -> str | None:
        """The transfer syntax accepted for a class; None when it was not accepted."""
        found = (cx for cx in self.assoc.accepted_contexts if cx.abstract_syntax == abstract)
        return next((str(cx.transfer_syntax[0]) for cx in found), None)

    @contextlib.contextmanager
    def watched(self, elsewhere: Callable[[], float] = lambda: 0.0, *, nearline: bool = False) -> Iterator[Watch]:
        """Watch it for silence while a request is under way."""
        with Watch(self.assoc, Patience.of(self.caller.timeouts, nearline=nearline), elsewhere) as watch:
            self.watch = watch
            yield watch

    def lost(self) -> TransferError:
        """Why a request got no final response."""
        line = driving.line_of(self.assoc)
        if self.caller.closed:
            return trouble(self.service, "interrupted", "ended by us")
        if self.watch and self.watch.stalled == "nearline":
            return trouble(self.service, "nearline", "nothing came back within archive.timeouts.nearline")
        if (self.watch and self.watch.stalled) or (line and line.timed_out):
            text = f"no byte for {self.caller.stall:g} s (archive.timeouts.stall)"
            return trouble(self.service, "stalled", text)
        if line and line.oversized:
            return trouble(self.service, "bad-answer", "the archive sent more in one piece than was agreed")
        return trouble(self.service, "aborted", "the connection ended before the final response")

    def end(self) -> None:
        """Release it, or abort where the archive does not answer. Never raises."""
        with contextlib.suppress(Exception):
            self.assoc.acse_timeout = RELEASE_SECONDS
            if self.assoc.is_established:
                self.assoc.release()
        self.drop()

    def drop(self) -> None:
        """End it at once. Never raises."""
        driving.hang_up(self.assoc)
        with contextlib.suppress(Exception):
            self.assoc.abort()
        self.caller.forget(self)


class Caller:
    """Opens associations to one archive, and can end all of them."""

    def __init__(self, archive: Archive, name: str) -> None:
        driving.quiet()
        self.name = name
        self.dimse = dimse_of(archive, name)
        self._tls = tls.client(archive)
        self._identity = Identity.of(archive)
        tls.warn(self.dimse)
        self.timeouts = archive.timeouts
        self.stall = archive.timeouts.stall
        self.closed = False
        self._ids = itertools.count(1)
        self._calls: set[Call] = set()
        self._opening: set[Association] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """``AE@host:port`` of the archive."""
        return f"{self.dimse.ae_title}@{self.dimse.host}:{self.dimse.port}"

    def message_id(self) -> int:
        """A message id that no other request of ours has now (1 to 65535)."""
        return (next(self._ids) - 1) % 65535 + 1

    def open(
        self, service: str, wanted: Sequence[PresentationContext], *, extended: Sequence[Any] = (), handlers: Any = ()
    ) -> Call:
        """Open an association. Raises ``TransferError``."""
        if self.closed:
            raise trouble(service, "interrupted", "already closed")
        driving.quiet()
        entity = self._entity()
        handshake = self._tls.handshake() if self._tls else None
        secured: Any = {"tls_args": (handshake, self._tls.name)} if self._tls else {}
        begun: list[Association] = []
        try:
            assoc = entity.associate(
                self.dimse.host,
                self.dimse.port,
                list(wanted),
                ae_title=self.dimse.ae_title,
                max_pdu=driving.MAX_PDU,
                ext_neg=[*extended, *self._identity.items()],
                evt_handlers=[driving.on_open(self.stall, lambda one: self._begun(begun, one)), *handlers],
                **secured,
            )
        except OSError:
            raise trouble(service, "unreachable", f"cannot find host {self.dimse.host}") from None
        finally:
            with self._lock:
                self._opening.difference_update(begun)
        if not assoc.is_established:
            raise self._refused(service, assoc, handshake)
        call = Call(caller=self, assoc=assoc, service=service)
        if not self._identity.confirmed(assoc):
            call.end()
            raise trouble(service, "user-identity", f"{self.address} did not confirm our user identity")
        return self._remember(call)

    def _begun(self, begun: list[Association], assoc: Association) -> None:
        """There is a connection: from here on ``close`` can end it, also while the archive does not answer."""
        begun.append(assoc)
        with self._lock:
            self._opening.add(assoc)
        if self.closed:
            driving.hang_up(assoc)

    def _entity(self) -> driving.Entity:
        entity = driving.Entity(ae_title=self.dimse.calling_ae_title)
        entity.connection_timeout = self.timeouts.connect
        entity.acse_timeout = max(self.timeouts.connect, min(ACSE_SECONDS, self.stall))
        entity.dimse_timeout = None
        entity.network_timeout = None
        return entity

    def _remember(self, call: Call) -> Call:
        with self._lock:
            self._calls.add(call)
        if self.closed:
            call.drop()
        return call

    def forget(self, call: Call) -> None:
        """It was ended."""
        with self._lock:
            self._calls.discard(call)

    def _refused(self, service: str, assoc: Association, handshake: tls.Handshake | None) -> TransferError:
        line = driving.line_of(assoc)
        driving.hang_up(assoc)
        answer = assoc.acceptor.primitive
        if self.closed:
            return trouble(service, "interrupted", "ended by us")
        if handshake is not None and handshake.error is not None:
            return self._insecure(service, handshake.error)
        if line is None or not line.opened:
            return trouble(service, "unreachable", f"cannot connect to {self.dimse.host}:{self.dimse.port}")
        if assoc.is_rejected:
            return self._rejected(service, answer)
        if answer is not None and answer.result == 0:
            return trouble(service, "no-context", f"{self.address} offers none of the services asked for")
        return self._unanswered(service, line)

    def _unanswered(self, service: str, line: driving.Line) -> TransferError:
        """It is connected, and whatever came was no answer to an association request."""
        host, port = self.dimse.host, self.dimse.port
        if self._tls is None and (line.foreign or tls.spoken(host, port, min(self.timeouts.connect, _LOOK_SECONDS))):
            hint = 'write archive.dimse.tls = { mode = "required", ca = … }'
            return trouble(service, "tls", f"{self.address} speaks TLS, and archive.dimse.tls is off", hint=hint)
        if line.oversized:
            return trouble(service, "bad-answer", f"what listens at {self.address} does not speak DICOM")
        text, hint = f"{self.address} did not answer the association request", _SILENT
        if self._tls is not None and not line.timed_out:
            # With TLS 1.3 a server judges our certificate after the handshake, and its alert may be lost.
            hint = "it may want a certificate that it trusts (archive.dimse.tls.cert and key), or other AE titles"
        return trouble(service, "aborted", text, hint=hint)

    def _insecure(self, service: str, err: OSError) -> TransferError:
        why, hint, retryable = tls.explained(err)
        return trouble(service, "tls", f"no TLS with {self.address}: {why}", retryable=retryable, hint=hint)

    def _rejected(self, service: str, answer: Any) -> TransferError:
        """PS3.8 9.3.4: source and reason of a rejection. For an identity there is no reason of its own."""
        result, source, diagnostic = (getattr(answer, name, 0) for name in ("result", "result_source", "diagnostic"))
        text, code = f"{self.address} rejected the association", "refused-association"
        if self._identity.shown and (source, diagnostic) in _NO_REASON:
            return trouble(service, "user-identity", f"{text} without a reason; it may not accept our user identity")
        why = _REJECTIONS.get((source, diagnostic), f"source {source}, reason {diagnostic}")
        return trouble(service, code, f"{text}: {why}", retryable=result != PERMANENT)

    @contextlib.contextmanager
    def call(self, service: str, wanted: Sequence[PresentationContext], **more: Any) -> Iterator[Call]:
        """Open an association for one use; it is released at the end, dropped after an error."""
        call = self.open(service, wanted, **more)
        try:
            yield call
        except BaseException:
            call.drop()
            raise
        call.end()

    def ping(self) -> Ping:
        """C-ECHO (PS3.7 9.1.5). Raises ``TransferError``."""
        start = time.monotonic()
        with self.call("C-ECHO", contexts(VERIFICATION)) as call, call.watched():
            status = call.assoc.send_c_echo().get("Status")
            if status is None:
                raise call.lost()
            if status != SUCCESS:
                raise failure("C-ECHO", status)
        return Ping(service="C-ECHO", address=self.address, seconds=time.monotonic() - start)

    def close(self) -> None:
        """End every association; what is under way ends with an error."""
        self.closed = True
        with self._lock:
            under_way = [*self._opening, *(call.assoc for call in self._calls)]
        for assoc in under_way:
            driving.hang_up(assoc)
