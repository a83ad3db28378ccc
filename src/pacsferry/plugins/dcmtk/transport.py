"""C-GET and C-MOVE by DCMTK's getscu and movescu, through a folder in memory; only the files there are believed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pacsferry.core.archive import Archive, Dimse, Receiver
from pacsferry.core.errors import ConfigError, HeldError, TransferError
from pacsferry.core.model import Framing, Head, Level, Ping, Receipt, Tally, Traits, Wanted
from pacsferry.core.peek import peek
from pacsferry.core.ports import Sink
from pacsferry.core.reasons import reason

from .asking import identifier, parts, preferences
from .memory import MemoryFolder, parent_of, sweep, written
from .program import find
from .running import LOOK, Tool
from .saying import Said, understood
from .settings import DcmtkSettings

_BLOCK = 2**20
#: Bytes in which an object shows its UIDs.
_LOOK = 2**16
#: What an archive says that could send only some of it, or nothing, in the syntaxes that were proposed.
_OTHER_SYNTAX = frozenset({"sub-operation-failed", "cannot-perform"})
_LEVELS = frozenset({Level.STUDY, Level.SERIES, Level.IMAGE})
_MODELS = {"study": "-S", "patient": "-P"}
_MAX_PDU = "131072"
#: Codes after which nothing was retrieved and the request as a whole is to blame.
_FAILED = frozenset(
    {"unreachable", "refused-association", "no-context", "destination-unknown", "stalled", "aborted", "receiver-busy"}
    | {"cannot-match", "identifier-mismatch", "unable-to-process", "not-supported", "not-authorised"}
)
_PORTS: dict[int, threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A tool: its service, its own options, and the port on which it listens while it runs (None: on none).

    ``syntaxes`` are the options for transfer syntaxes to try one after the other, before those that prefer one.
    """

    tool: str
    service: str
    options: tuple[str, ...] = ()
    syntaxes: tuple[tuple[str, ...], ...] = ((),)
    port: int | None = None


def getscu(archive: Archive, settings: DcmtkSettings) -> Retrieval:
    """Transport ``dcmtk-getscu``. Raises ``ConfigError``.

    It proposes uncompressed transfer syntaxes only: what is stored in another one, and the archive does not
    decompress, is left to the next transport.
    """
    return Retrieval(Kind(tool="getscu", service="C-GET"), _dimse_of(archive, "dcmtk-getscu"), archive, settings)


def movescu(archive: Archive, settings: DcmtkSettings) -> Retrieval:
    """Transport ``dcmtk-movescu``. Raises ``ConfigError``.

    The tool listens on every address, from its start to the final response; what comes later is missed.
    """
    dimse = _dimse_of(archive, "dcmtk-movescu")
    own = _receiver_of(dimse)
    # -dhl: no question to a name service about who calls.
    options = ("-aem", own.ae_title.strip(), "+P", str(own.port), "-dhl")
    # +xa: each instance as it is stored. Of several syntaxes that an archive proposes in one context it takes a
    # compressed one, in which the archive may not be able to send; +x= takes an uncompressed one.
    syntaxes = (("+xa",), ("+x=",))
    kind = Kind(tool="movescu", service="C-MOVE", options=options, syntaxes=syntaxes, port=own.port)
    return Retrieval(kind, dimse, archive, settings)


class Retrieval:
    """A transport that runs one of the tools for each request."""

    def __init__(self, kind: Kind, dimse: Dimse, archive: Archive, settings: DcmtkSettings) -> None:
        self.traits = Traits(takes=_LEVELS, protocol="dimse", needs_listener=kind.port is not None)
        self._kind, self._dimse = kind, dimse
        self._timeouts, self._settings = archive.timeouts, settings
        self._program = find(kind.tool, settings.program)
        self._parent = parent_of(settings.folder)
        self._swept = False
        self._running: set[Tool] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def listens(self) -> tuple[str, int] | None:
        """The address that the tool opens; to be leased for the host before that."""
        return None if self._kind.port is None else ("0.0.0.0", self._kind.port)  # noqa: S104 - the tool knows no other

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Bring what is wanted. Raises ``TransferError``, and whatever the sink raises."""
        tallies = [self._part(one, sink) for one in parts(wanted)]
        return Tally(
            completed=_sum([one.completed for one in tallies]),
            failed=_sum([one.failed for one in tallies]),
            warned=_sum([one.warned for one in tallies]),
            code=next((one.code for one in tallies if one.code), ""),
        )

    def _part(self, wanted: Wanted, sink: Sink) -> Tally:
        """Once as the archive likes it; then in other syntaxes, where that asks for nothing twice."""
        came: set[str] = set()
        first, *others = self._kind.syntaxes
        tally = self._one(wanted, sink, came, first)
        known = preferences(wanted.syntaxes) if self._kind.port is None or wanted.syntaxes else []
        for options in (*others, *((option,) for option in known)):
            left = tuple(uid for uid in wanted.instances if uid not in came)
            if tally.code not in _OTHER_SYNTAX or (came and not left):
                break
            again = self._one(replace(wanted, instances=left), sink, came, options)
            missing = None if tally.failed is None else max(tally.failed - (again.completed or 0), 0)
            tally = Tally(completed=len(came), failed=missing, warned=again.warned, code=again.code)
        if tally.code == "cannot-perform" and not came:
            raise self._failed(tally.code)
        return tally

    def _one(self, wanted: Wanted, sink: Sink, came: set[str], more: tuple[str, ...]) -> Tally:
        request = identifier(wanted)
        with self._alone(), MemoryFolder.make(self._memory()) as folder:
            with self._started(request, folder, wanted, more) as tool:
                drain = _Drain(tool, folder, wanted, sink)
                while tool.wait(LOOK) is None and not drain.full:
                    drain.some(written(tool.pid, folder.path))
                code = None if drain.full else tool.wait(0) or 0
                if code is not None:
                    drain.some(frozenset(), whole=code >= 0)  # ended by a signal, it may have been writing
                if drain.full or code is None:
                    return Tally(code="no-space")
            came |= drain.came
            return self._verdict(understood(tool.words), tool, code, drain.count, wanted)

    def _alone(self) -> contextlib.AbstractContextManager[object]:
        """A port serves one tool at a time."""
        port = self._kind.port
        return contextlib.nullcontext() if port is None else _PORTS.setdefault(port, threading.Lock())

    def _memory(self) -> Path:
        """The place in memory, looked after on first use: leftovers of dead processes go."""
        with self._lock:
            if not self._swept:
                sweep(self._parent)
                self._swept = True
            return self._parent

    def _started(self, request: bytes, folder: MemoryFolder, wanted: Wanted, more: tuple[str, ...]) -> Tool:
        with self._lock:
            if self._closed:
                raise _error(self._kind.service, "interrupted", "already closed")
            stall = max(self._timeouts.stall, self._timeouts.nearline if wanted.nearline else 0.0)
            tool = Tool(self._command(folder.path, more), request, folder, stall=stall)
            self._running = {one for one in self._running if one.running} | {tool}
            return tool

    def _command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        dimse = self._dimse
        return [
            str(self._program),
            "-v",
            _MODELS[self._settings.model],
            *("-aet", dimse.calling_ae_title.strip()),
            *("-aec", dimse.ae_title.strip()),
            *("-to", str(max(1, round(self._timeouts.connect)))),
            *("-ta", str(max(1, round(max(self._timeouts.connect, min(30.0, self._timeouts.stall)))))),
            *("-pdu", _MAX_PDU),
            *("-od", str(folder)),
            *self._kind.options,
            *more,
            dimse.host,
            str(dimse.port),
        ]

    def _verdict(self, said: Said, tool: Tool, code: int, count: int, wanted: Wanted) -> Tally:
        """What the peer says it did; an error where nothing came and it says why."""
        if self._closed:
            raise _error(self._kind.service, "interrupted", "ended by us")
        if tool.stalled:
            seconds = f"{self._timeouts.stall:g} s (archive.timeouts.stall)"
            raise _error(self._kind.service, "stalled", f"no byte for {seconds}")
        enough = wanted.expected is not None and count >= wanted.expected
        why = said.code or ("aborted" if code else "")
        if why in _FAILED and not enough and (code or not said.success) and not count:
            raise self._failed(why)
        return Tally(completed=said.completed, failed=said.failed, warned=said.warned, code="" if enough else why)

    def _failed(self, code: str) -> TransferError:
        return _error(self._kind.service, code, f"DCMTK's {self._kind.tool} failed: {reason(code).means}")

    def ping(self) -> Ping:
        """C-ECHO by DCMTK's echoscu. Raises ``TransferError``."""
        dimse, start = self._dimse, time.monotonic()
        address = f"{dimse.ae_title}@{dimse.host}:{dimse.port}"
        with MemoryFolder.make(self._memory()) as folder:
            command = [str(find("echoscu")), "-v", "-aet", dimse.calling_ae_title.strip()]
            command += ["-aec", dimse.ae_title.strip(), "-to", str(max(1, round(self._timeouts.connect)))]
            command += [dimse.host, str(dimse.port)]
            with Tool(command, None, folder, stall=self._timeouts.stall) as tool:
                while (code := tool.wait(LOOK)) is None:
                    pass
            if code:
                why = understood(tool.words).code or ("stalled" if tool.stalled else "aborted")
                raise _error("C-ECHO", why, f"{address}: {reason(why).means}")
        return Ping(service="C-ECHO", address=address, seconds=time.monotonic() - start)

    def close(self) -> None:
        """End every tool that runs; may be called twice."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, set()
        for tool in running:
            tool.kill()


class _Drain:
    """Hands what a tool has written to the sink; each file loses its name before it is read."""

    def __init__(self, tool: Tool, folder: MemoryFolder, wanted: Wanted, sink: Sink) -> None:
        self._tool, self._folder, self._wanted, self._sink = tool, folder, wanted, sink
        self.came: set[str] = set()
        self.count = 0
        self.full = False

    def some(self, busy: frozenset[str], *, whole: bool = True) -> None:
        """All files that the tool does not write any more; without ``whole`` the newest may be cut off and goes."""
        names = [name for name in self._folder.names() if name not in busy]
        for name in names if whole else names[:-1]:
            with self._tool.ours(), self._folder.taken(name) as fd:
                if not os.fstat(fd).st_size:
                    continue
                self._note(fd)
                head = Head(framing=Framing.PART_10, wanted=self._wanted)
                receipt = self._sink.accept(head, _blocks(fd))
            self.count += receipt in {Receipt.KEPT, Receipt.DUPLICATE}
            if receipt is Receipt.NO_SPACE:
                self.full = True
                return

    def _note(self, fd: int) -> None:
        with contextlib.suppress(HeldError):  # the sink says what is to become of it
            seen = peek(os.pread(fd, _LOOK, 0), framing=Framing.PART_10, transfer_syntax=None)
            self.came.add(seen.sop_instance)


def _blocks(fd: int) -> Iterator[bytes]:
    while block := os.read(fd, _BLOCK):
        yield block


def _error(service: str, code: str, text: str) -> TransferError:
    why = reason(code)
    return TransferError(f"{service}: {text}", code=code, retryable=why.retryable, hint=why.advice)


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _dimse_of(archive: Archive, name: str) -> Dimse:
    """The archive's address, if the tools can do all that it asks for. Raises ``ConfigError``."""
    dimse = archive.dimse
    if dimse is None:
        raise ConfigError(f"{name} needs [archive.dimse] with host, port and ae_title")
    if dimse.tls.mode != "off" or dimse.user_identity.use != "none":
        raise ConfigError(
            f"{name} knows neither TLS nor user identity (archive.dimse.tls, archive.dimse.user_identity)",
            hint="use c-get or c-move",
        )
    return dimse


def _receiver_of(dimse: Dimse) -> Receiver:
    own = dimse.receiver
    if own is None:
        raise ConfigError("dcmtk-movescu needs [archive.dimse.receiver] with host, port and ae_title")
    if own.tls.mode != "off" or own.allow:
        raise ConfigError(
            "dcmtk-movescu takes connections from every address, without TLS, so it cannot keep to"
            " archive.dimse.receiver.allow or tls",
            hint="leave them out and let a firewall keep others off, or use c-move",
        )
    return own
