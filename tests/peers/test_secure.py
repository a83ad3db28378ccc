"""DIMSE over TLS with real programs: Orthanc and DCMTK as archives, DCMTK as sender; certificates on both sides."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Wanted
from pacsferry.plugins.dimse.admission import tenant_of
from pacsferry.plugins.dimse.get import CGet
from pacsferry.plugins.dimse.move import CMove
from pacsferry.plugins.dimse.receiver import Receiver
from pacsferry.plugins.dimse.settings import GetSettings, MoveSettings
from support.certificates import Authority, Pair, server_context
from support.peers import HOST, Dcmqrscp, Orthanc, as_bytes, free_port, need_dcmtk, start_orthanc
from support.scripted_scp import CollectingSink, Study, make_study, raw_peer

pytestmark = pytest.mark.peers


def table(hospital: Authority, pair: Pair) -> dict[str, str]:
    return {"mode": "required", "ca": str(hospital.ca), "cert": str(pair.cert), "key": str(pair.key)}


def site(port: int, aet: str, hospital: Authority, us: Pair, receiver_port: int = 0, **receiver: Any) -> Archive:
    both = table(hospital, us)
    dimse: dict[str, Any] = {"host": HOST, "port": port, "ae_title": aet, "tls": both}
    dimse["receiver"] = {"port": receiver_port or free_port(), "tls": both, **receiver}
    return Archive.model_validate(
        {"name": "x", "dimse": dimse, "timeouts": {"connect": "5s", "stall": "10s", "quiet": "2s"}}
    )


def all_of(study: Study) -> Wanted:
    return Wanted(study=study.uid, sop_classes=study.classes, expected=len(study.instances))


def fetched(transport: CGet | CMove, study: Study) -> set[str]:
    sink = CollectingSink()
    try:
        transport.fetch(all_of(study), sink)
    finally:
        transport.close()
    return set(sink.data)


@pytest.fixture(scope="module")
def secure_orthanc(
    tmp_path_factory: pytest.TempPathFactory, hospital: Authority, pacs: Pair
) -> Iterator[tuple[Orthanc, int]]:
    """An Orthanc that talks TLS only, in both directions, and the port of our receiver that it knows."""
    port = free_port()
    server = start_orthanc(
        tmp_path_factory.mktemp("orthanc"),
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(pacs.cert),
        DicomTlsPrivateKey=str(pacs.key),
        DicomTlsTrustedCertificates=str(hospital.ca),
        DicomModalities={"PACSFERRY": {"AET": "PACSFERRY", "Host": HOST, "Port": port, "UseDicomTls": True}},
    )
    yield server, port
    server.stop()


def test_orthanc_gives_and_sends_over_tls(secure_orthanc: Any, hospital: Authority, us: Pair) -> None:
    server, port = secure_orthanc
    study = make_study(("MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm"))
    server.upload(study.instances)
    archive = site(server.dicom_port, server.aet, hospital, us, port)
    assert fetched(CGet(archive, GetSettings()), study) == set(study.uids)
    assert fetched(CMove(archive, MoveSettings()), study) == set(study.uids)


def test_orthanc_is_told_apart_from_one_without_tls(
    secure_orthanc: Any, orthanc: Orthanc, hospital: Authority, us: Pair
) -> None:
    server, _ = secure_orthanc
    plain = Archive.model_validate(
        {"name": "x", "dimse": {"host": HOST, "port": server.dicom_port, "ae_title": server.aet}}
    )
    for archive, text in (
        (plain, "speaks TLS, and archive.dimse.tls is off"),
        (site(orthanc.dicom_port, orthanc.aet, hospital, us), "may not speak TLS"),
    ):
        transport = CGet(archive, GetSettings())
        with pytest.raises(TransferError) as caught:
            transport.ping()
        transport.close()
        assert caught.value.code == "tls"
        assert text in str(caught.value)


def test_a_receiver_without_tls_explains_why_orthanc_cannot_send(
    secure_orthanc: Any, hospital: Authority, us: Pair
) -> None:
    server, port = secure_orthanc
    study = make_study(("MR_small.dcm",))
    server.upload(study.instances)
    transport = CMove(site(server.dicom_port, server.aet, hospital, us, port, tls={"mode": "off"}), MoveSettings())
    with pytest.raises(TransferError) as caught:
        transport.fetch(all_of(study), CollectingSink())
    transport.close()
    assert "it sent over TLS" in (caught.value.hint or "")


def test_dcmqrscp_gives_through_a_tls_proxy(dcmqrscp: Dcmqrscp, hospital: Authority, pacs: Pair, us: Pair) -> None:
    """As behind stunnel; this dcmqrscp has no TLS of its own."""
    context = server_context(pacs, hospital.ca)

    def proxy(client: socket.socket) -> None:
        with (
            context.wrap_socket(client, server_side=True) as wire,
            socket.create_connection((HOST, dcmqrscp.port)) as server,
        ):
            back = threading.Thread(target=pump, args=(server, wire))
            back.start()
            pump(wire, server)
            back.join(5)

    study = make_study()
    dcmqrscp.store(study.instances)
    with raw_peer(proxy) as port:
        archive = site(port, dcmqrscp.aet, hospital, us)
        assert fetched(CGet(archive, GetSettings()), study) == set(study.uids)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sink, socket.SHUT_WR)


def storescu(port: int, study: Study, folder: Path, *options: str) -> int:
    """DCMTK's own sender; its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.dcm" for number, _ in enumerate(study.instances)]
    for path, one in zip(files, study.instances, strict=True):
        path.write_bytes(as_bytes(one))
    command = [need_dcmtk("storescu"), "-aec", "PACSFERRY", *options, HOST, str(port), *map(str, files)]
    env = {**os.environ, "TCP_NODELAY": "1"}
    return subprocess.run(command, capture_output=True, env=env, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("options", "good", "hint"),
    [
        (["+tls", "us.key", "us.pem", "+cf", "ca.pem"], True, ""),
        (["+tla", "+cf", "ca.pem"], False, "it showed no certificate"),
        (["+tls", "strange.key", "strange.pem", "+cf", "ca.pem"], False, "its certificate is not one of"),
        ([], False, "it sent without TLS"),
        (["+tla", "+cf", "ca.pem", "anybody"], True, ""),
    ],
)
def test_storescu_is_let_in_by_its_certificate_only(
    hospital: Authority, us: Pair, tmp_path: Path, options: Sequence[str], good: bool, hint: str
) -> None:
    strange = Authority(tmp_path / "strange").issue("strange")
    where = {"ca.pem": hospital.ca, "us.pem": us.cert, "us.key": us.key, "strange.pem": strange.cert}
    where["strange.key"] = strange.key
    asks = {key: value for key, value in table(hospital, us).items() if key != "ca" or "anybody" not in options}
    archive = site(1, "X", hospital, us, free_port(), tls=asks)
    assert archive.dimse is not None
    assert archive.dimse.receiver is not None
    own = archive.dimse.receiver
    tenant, receiver = tenant_of(archive, own), Receiver(own.host, own.port)
    study, sink = make_study(), CollectingSink()
    receiver.start(tenant)
    try:
        with receiver.lease(tenant, all_of(study), sink, 1):
            code = storescu(
                own.port, study, tmp_path / "files", *(str(where.get(one, one)) for one in options if one != "anybody")
            )
    finally:
        receiver.leave(tenant)
    assert (code == 0) is good
    assert set(sink.data) == (set(study.uids) if good else set())
    assert hint in (tenant.hint() or "")


def test_what_we_send_over_tls_storescp_takes(hospital: Authority, pacs: Pair, us: Pair, tmp_path: Path) -> None:
    """storescp answers C-ECHO: our client's handshake with DCMTK's server, certificates on both sides."""
    port = free_port()
    command = [need_dcmtk("storescp"), "+tls", str(pacs.key), str(pacs.cert), "+cf", str(hospital.ca), str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            transport = CGet(site(port, "STORESCP", hospital, us), GetSettings())
            answer = transport.ping()
            transport.close()
        finally:
            server.terminate()
    assert answer.service == "C-ECHO"


def wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
