# ruff: noqa: SLF001 - one of the three modules that may look inside pynetdicom
"""How pynetdicom is driven: silent, hung up from outside, progress seen byte by byte, no waiting in polls.

All that depends on the inside of pynetdicom stands here, in ``line`` and ``storage``, and a test holds it against the
installed version. Nothing is patched for the whole process: each association is changed on its own, and keeps the stock
behaviour where the library looks different (``fits``). Nothing here reads an object.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from socketserver import TCPServer
from typing import Any, cast

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from .commands import CutError, MalformedError
from .exchange import MAX_PDU, Exchange, OtherPduError
from .line import Line, hang_up, line_of, on_open
from .storage import on_store, store_on, storing
from .tls import Handshake

__all__ = [
    "MAX_PDU",
    "Entity",
    "Handler",
    "Line",
    "Server",
    "as_encoded",
    "fits",
    "hang_up",
    "line_of",
    "on_open",
    "on_store",
    "quiet",
    "tune",
]

#: How long the reactor sleeps when nobody rings; it also looks at its timers then.
_NAP_MS = 50
#: The stock reactor's step, while there is no connection to wait on.
_STEP = 0.001
#: How long a receiving thread waits for a message before it looks for a release.
_MESSAGE_NAP = 0.01

#: The names of pynetdicom that are replaced on instances; when one is missing, nothing is replaced.
_REACTOR = (
    "_is_transport_event",
    "_process_recv_primitive",
    "_read_pdu_data",
    "run_reactor",
    "to_provider_queue",
    "_recv_pdu",
    "_run_loop_delay",
    "event_queue",
    "state_machine",
)


def quiet() -> None:
    """Keep pynetdicom and pydicom from logging and warning: their messages quote identifiers, even at INFO."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_RECV_CHUNKED_DATASET = False
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)(\.|$)")


def as_encoded(elements: Iterable[RawDataElement], *, implicit: bool) -> Dataset:
    """A data set whose elements are sent as they are: pydicom would refuse values, warn about them, and quote them."""
    dataset = Dataset({element.tag: element for element in elements})
    dataset.set_original_encoding(implicit, True, dataset._character_set)  # else it parses and encodes them again
    return dataset


def fits(dul: DULServiceProvider) -> bool:
    """Whether this pynetdicom has what the faster reactor builds on."""
    inside = all(hasattr(dul, name) for name in _REACTOR)
    below = hasattr(dul.assoc, "_accepted_cx") and hasattr(dul.assoc.dimse, "receive_primitive")
    return inside and below and hasattr(P_DATA(), "presentation_data_value_list") and hasattr(select, "poll")


class _Doorbell:
    """A pipe that wakes the reactor when another thread has something to send."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._closed = False
        self._lock = threading.Lock()

    def ring(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if not self._closed:  # the number may belong to another file by now
                os.write(self._write, b"!")

    def wait(self, sock: socket.socket) -> None:
        """Until ``sock`` can be read, somebody rings, or the nap is over."""
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        poller.register(self._read, select.POLLIN)
        for descriptor, _ in poller.poll(_NAP_MS):
            if descriptor == self._read:
                with contextlib.suppress(OSError):
                    os.read(self._read, 4096)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self._read)
            os.close(self._write)


def tune(assoc: Association) -> None:
    """Guard and quicken one association before its threads start."""
    Line.adopt(cast("AssociationSocket", assoc.dul.socket))
    if assoc.is_requestor:
        _leave_answers_alone(assoc)
    assoc._target = _silently(assoc, assoc.run_reactor)  # type: ignore[attr-defined]
    dul = assoc.dul
    dul.daemon = True
    stock = dul.run_reactor
    if not fits(dul):
        dul._target = _silently(assoc, stock, last=True)  # type: ignore[attr-defined]
        return

    def run() -> None:
        bell = _Doorbell()
        try:
            _quicken(dul, bell)
            stock()
        finally:
            bell.close()

    dul._target = _silently(assoc, run, last=True)  # type: ignore[attr-defined]


def _leave_answers_alone(assoc: Association) -> None:
    """Let only the caller of a request take its answers.

    The reactor says that it pauses before it does (``_is_paused``, then a wait), so when an association is used again
    it can still take an answer of the next request, and throw it away: a query then ends with one match too few. Only
    the reactor asks without blocking, and a requestor has nothing else to take.
    """
    stock = assoc.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        return stock(block) if block else (None, None)

    assoc.dimse.get_msg = get_msg  # type: ignore[method-assign]


def _silently(assoc: Association, run: Callable[[], None], *, last: bool = False) -> Callable[[], None]:
    """Run a thread of pynetdicom: what a hostile peer makes it raise is not printed, and nobody waits for ever."""

    def guarded() -> None:
        try:
            run()
        except Exception:
            assoc.is_aborted, assoc.is_established, assoc._kill = True, False, True
            hang_up(assoc)
        finally:
            if last:
                _finish(assoc, wire, handshake)

    wire = assoc.dul.socket.socket if assoc.dul.socket else None
    secured = assoc.dul.socket.tls_args if assoc.dul.socket else None
    handshake = secured[0] if secured and isinstance(secured[0], Handshake) else None

    return guarded


def _finish(assoc: Association, wire: socket.socket | None, handshake: Handshake | None) -> None:
    """Close what pynetdicom forgets to close when the peer was first, and wake a thread that waits for a message."""
    for one in (wire, handshake.wire if handshake else None):
        if one is not None:
            one.close()
    assoc.dimse.msg_queue.put((None, None))
    assoc.dul.to_user_queue.put(cast("Any", None))


def _quicken(dul: DULServiceProvider, bell: _Doorbell) -> None:
    """Let the reactor sleep on the socket and the bell instead of polling, and read P-DATA without needless copies."""
    dul.to_provider_queue.put = _ringing(dul.to_provider_queue.put, bell)  # type: ignore[method-assign]
    dul._is_transport_event = _waiting(dul, bell)  # type: ignore[method-assign]
    dul._read_pdu_data = _reading(dul)  # type: ignore[method-assign]
    dul._run_loop_delay = 0  # it would sleep after each PDU; ``waiting`` sleeps instead


def _ringing(put: Callable[..., None], bell: _Doorbell) -> Callable[..., None]:
    def ringing(*args: Any, **kwargs: Any) -> None:
        put(*args, **kwargs)
        bell.ring()

    return ringing


def _waiting(dul: DULServiceProvider, bell: _Doorbell) -> Callable[[], bool]:
    stock = dul._is_transport_event

    def waiting() -> bool:
        line = cast("Line", dul.socket)
        if line.socket is None or not line._is_connected or dul.state_machine.current_state == "Sta13":
            if line.opened and dul.state_machine.current_state == "Sta1":
                dul._kill_thread = True  # ended; else a peer that hung up early occupies us until a time-out
            time.sleep(_STEP)
            return stock()
        if not line.ready:
            with contextlib.suppress(OSError, ValueError):  # closed meanwhile: the stock code finds out
                bell.wait(line.socket)
            if dul._process_recv_primitive():
                return True
        return stock()

    return waiting


def _reading(dul: DULServiceProvider) -> Callable[[], None]:
    """Read data PDUs here, where an object goes to whoever takes it while it arrives; all others as pynetdicom does.

    A P-DATA in state 6 is handed on as it comes (PS3.8 action DT-2), so the state machine is not asked.
    """
    stock = dul._read_pdu_data
    exchange = _exchange(dul)

    def reading() -> None:
        line = cast("Line", dul.socket)
        if dul.state_machine.current_state != "Sta6":
            stock()
            return
        try:
            exchange.read()
        except OtherPduError:
            stock()
        except MalformedError:
            dul.event_queue.put("Evt19")
        except CutError:
            dul.event_queue.put("Evt17")
        else:
            return
        line.midway = False

    return reading


def _exchange(dul: DULServiceProvider) -> Exchange:
    line = cast("Line", dul.socket)

    def others(context_id: int, fragment: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((context_id, fragment))
        dul.assoc.dimse.receive_primitive(primitive)

    def accepted(context_id: int) -> tuple[str, str] | None:
        context = dul.assoc._accepted_cx.get(context_id)
        return None if context is None else _names(context)

    return Exchange(line, accepted, lambda: line.store, others)


def _names(context: Any) -> tuple[str, str]:
    return str(context.abstract_syntax), str(context.transfer_syntax[0])


class Entity(AE):
    """An application entity whose associations are tuned."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        wire = super()._create_socket(assoc, address, tls_args)
        assoc.set_socket(wire)
        tune(assoc)
        assoc.dul.socket = None  # the caller sets it
        # The stock method wants a role selection answer, which Orthanc leaves out for private classes and then sends.
        assoc._c_store_scp = store_on(assoc)  # type: ignore[method-assign, assignment]
        return wire


class Handler(RequestHandler):
    """Makes the association of an incoming connection, tuned; it stores objects of any class, private ones too."""

    def _create_association(self) -> Association:
        assoc = super()._create_association()
        tune(assoc)
        assoc.dimse.get_msg = _waking(assoc.dimse)  # type: ignore[method-assign, assignment]
        assoc._serve_request = storing(assoc)  # type: ignore[method-assign, assignment]
        return assoc


def _waking(dimse: DIMSEServiceProvider) -> Callable[[bool], Any]:
    """Wait a moment for a message instead of asking a thousand times a second."""
    stock = dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        if block:
            return stock(block)
        try:
            return dimse.msg_queue.get(timeout=_MESSAGE_NAP)
        except queue.Empty:
            return None, None

    return get_msg


class Server(ThreadedAssociationServer):
    """Listens; ``admit`` decides on a peer's address before a byte is read. It prints nothing."""

    daemon_threads = True
    request_queue_size = 64
    admit: Callable[[str], bool]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether to talk to that address at all."""
        del request
        return self.admit(str(client_address[0]))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The stock method prints a traceback."""

    def stop(self) -> None:
        """Stop listening; associations go on. Must not be called from the thread that serves."""
        TCPServer.shutdown(self)
        self.server_close()
