"""Archives that misbehave to order over DIMSE, and the small things that tests of DIMSE need; all on 127.0.0.1."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from pacsferry.core.archive import Archive
from pacsferry.core.model import Head, Receipt
from support.peers import HOST

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE = "1.2.840.113564.1.2.3.4"
ELE, ILE, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"


class CollectingSink:
    """Keeps what it is given; answers as told."""

    def __init__(self, answer: Callable[[Head], Receipt] | None = None) -> None:
        self.heads: dict[str, Head] = {}
        self.data: dict[str, bytes] = {}
        self.calls = 0
        self._answer = answer
        self._lock = threading.Lock()

    def accept(self, head: Head, chunks: Iterable[Any]) -> Receipt:
        content = b"".join(map(bytes, chunks))  # each is valid until the next
        with self._lock:
            self.calls += 1
            if self._answer is not None and (receipt := self._answer(head)) is not Receipt.KEPT:
                return receipt
            name = head.sop_instance or ""
            double = name in self.data
            self.heads[name], self.data[name] = head, content
        return Receipt.DUPLICATE if double else Receipt.KEPT


@dataclass
class Study:
    """Instances of one series, ready to send."""

    uid: str
    series: str
    instances: list[Dataset] = field(default_factory=list)

    @property
    def uids(self) -> tuple[str, ...]:
        return tuple(str(one.SOPInstanceUID) for one in self.instances)

    @property
    def classes(self) -> frozenset[str]:
        return frozenset(str(one.SOPClassUID) for one in self.instances)


def make_study(names: Sequence[str] = ("MR_small.dcm",) * 3, *, sop_class: str = "", patient: str = "P1") -> Study:
    """A study made of pydicom's test files, with UIDs of its own."""
    study = Study(uid=generate_uid(), series=generate_uid())
    for number, name in enumerate(names, start=1):
        one = pydicom.dcmread(get_testdata_file(name))
        one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = study.uid, study.series, generate_uid()
        one.PatientID, one.InstanceNumber = patient, number
        if sop_class:
            one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = UID(sop_class)
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        study.instances.append(one)
    return study


def archive(port: int, aet: str = "SCRIPTED", *, receiver_port: int | None = None, **more: Any) -> Archive:
    """An archive's settings with short time-outs."""
    dimse: dict[str, Any] = {"host": HOST, "port": port, "ae_title": aet, **more.pop("dimse", {})}
    if receiver_port is not None:
        dimse["receiver"] = {"host": HOST, "port": receiver_port, **more.pop("receiver", {})}
    timeouts = {"connect": "2s", "stall": "2s", "quiet": "1s", **more.pop("timeouts", {})}
    return Archive.model_validate({"name": "scripted", "dimse": dimse, "timeouts": timeouts, **more})


@contextlib.contextmanager
def scp(
    handlers: Sequence[Any], *, aet: str = "SCRIPTED", classes: Sequence[str] = (CT, MR), **config: Any
) -> Iterator[int]:
    """A scripted archive; gives its port."""
    entity = AE(ae_title=aet)
    for abstract in (FIND, MOVE, GET, PATIENT_FIND, "1.2.840.10008.1.1"):
        entity.add_supported_context(abstract, [ELE, ILE])
    for abstract in classes:
        entity.add_supported_context(abstract, [ELE, ILE], scu_role=True, scp_role=True)
        entity.add_requested_context(abstract, [ELE, ILE])
    for name, value in config.items():
        setattr(entity, name, value)
    server = entity.make_server((HOST, 0), server_class=ThreadedAssociationServer, evt_handlers=list(handlers))
    entity._servers.append(server)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        entity.shutdown()


def status_of(code: int, **values: Any) -> Dataset:
    """A status data set."""
    status = Dataset()
    status.Status = code
    for name, value in values.items():
        setattr(status, name, value)
    return status


@contextlib.contextmanager
def raw_peer(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that runs ``script`` on each connection; gives its port."""
    listener = socket.create_server((HOST, 0))
    open_sockets: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(connection)
            threading.Thread(target=_run, args=(script, connection), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_sockets:
            connection.close()


def _run(script: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        script(connection)


@contextlib.contextmanager
def slow_proxy(target: int, bytes_per_second: int) -> Iterator[int]:
    """A TCP proxy whose answers trickle."""

    def script(client: socket.socket) -> None:
        with socket.create_connection((HOST, target)) as server:
            back = threading.Thread(target=_run, args=(lambda s: _pump(s, server, None), client), daemon=True)
            back.start()
            _pump(server, client, bytes_per_second)
            back.join(5)

    with raw_peer(script) as port:
        yield port


def _pump(source: socket.socket, sink: socket.socket, rate: int | None) -> None:
    try:
        while data := source.recv(16384 if rate is None else max(256, rate // 20)):
            sink.sendall(data)
            if rate is not None:
                time.sleep(len(data) / rate)
    finally:
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def send(
    port: int,
    instances: Sequence[Dataset],
    *,
    calling: str = "SCRIPTED",
    called: str = "PACSFERRY",
    originator: tuple[str, int] | None = None,
    syntaxes: Sequence[str] = (ELE, ILE),
) -> list[int | None]:
    """C-STORE instances to a receiver; the statuses, None for no answer. Raises ConnectionError when refused."""
    entity = AE(ae_title=calling)
    for abstract in dict.fromkeys(str(one.SOPClassUID) for one in instances):
        entity.add_requested_context(abstract, list(syntaxes))
    wires: list[socket.socket] = []
    remember = [(evt.EVT_CONN_OPEN, lambda event: wires.append(event.assoc.dul.socket.socket))]
    assoc = entity.associate(HOST, port, ae_title=called, evt_handlers=remember)
    try:
        if not assoc.is_established:
            raise ConnectionError("rejected" if assoc.is_rejected else "refused")
        more = {"originator_aet": originator[0], "originator_id": originator[1]} if originator else {}
        return [assoc.send_c_store(one, **more).get("Status") for one in instances]
    finally:
        assoc.release()
        for wire in wires:  # pynetdicom leaves it open when the peer closed first
            wire.close()


def encode(instance: Dataset) -> bytes:
    """The PS3.10 bytes of an instance."""
    buffer = io.BytesIO()
    instance.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def pixels(instance: Dataset) -> bytes:
    """The pixel data element's value as stored."""
    return bytes(instance.PixelData)
