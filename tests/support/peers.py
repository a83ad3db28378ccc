"""Real archives for the tests (Orthanc, DCMTK's dcmqrscp), started on 127.0.0.1 and stopped by pid; never a shared one.

``tests/conftest.py`` registers the fixtures. A missing server skips the test and names the Debian package; with
``PACSFERRY_REQUIRE_PEERS=1`` it fails instead.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HOST = "127.0.0.1"
ORTHANC_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC_PACKAGES = "orthanc orthanc-dicomweb"
DCMTK_PACKAGES = "dcmtk"

#: What storescu has to propose so that a file in this transfer syntax is sent as it is.
STORESCU_PROPOSE = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.57": "-xs",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def missing(package: str) -> None:
    """Skip the test, or fail it where peers are required."""
    text = f"needs Debian package {package}"
    if os.environ.get("PACSFERRY_REQUIRE_PEERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """That many different free ports."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def dcmtk_tool(name: str) -> str | None:
    """DCMTK's program of that name; pynetdicom installs Python scripts of the same names, often first in PATH."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    for candidate in (Path(folder) / name for folder in folders if folder):
        with contextlib.suppress(OSError), candidate.open("rb") as file:
            if file.read(2) != b"#!" and os.access(candidate, os.X_OK):
                return str(candidate)
    return None


def need_dcmtk(name: str) -> str:
    """DCMTK's program of that name, or the test is skipped."""
    tool = dcmtk_tool(name)
    if tool is None:
        missing(DCMTK_PACKAGES)
    assert tool is not None
    return tool


def as_bytes(item: Any) -> bytes:
    """The PS3.10 bytes of a path, bytes or a pydicom Dataset."""
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    if isinstance(item, str | os.PathLike):
        return Path(item).read_bytes()
    buffer = io.BytesIO()
    item.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _start(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a server that also dies when this process is killed outright."""
    guard = shutil.which("setpriv")
    full = [guard, "--pdeathsig", "KILL", *command] if guard else list(command)
    with log.open("ab") as out:
        return subprocess.Popen(
            full, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(env or {})}, cwd=log.parent
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    _stop(process)
    text = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    pytest.fail(f"the server on port {port} did not start\n{text}")


@dataclass
class Orthanc:
    """A running Orthanc with DICOMweb, empty at first."""

    dicom_port: int
    http_port: int
    process: subprocess.Popen[bytes] = field(repr=False)
    folder: Path = field(repr=False)
    aet: str = "ORTHANC"
    host: str = HOST

    @property
    def url(self) -> str:
        """Root of the REST API."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Root of DICOMweb, without a slash at the end."""
        return f"{self.url}/dicom-web"

    def rest(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The decoded JSON answer of one REST request; raises ``urllib.error.HTTPError``."""
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def upload(self, items: Iterable[Any]) -> list[str]:
        """Store paths, bytes or Datasets; returns Orthanc's own instance ids."""
        return [self.rest("POST", "/instances", as_bytes(item))["ID"] for item in items]

    def clear(self) -> None:
        """Delete all that is stored."""
        for patient in self.rest("GET", "/patients"):
            with contextlib.suppress(urllib.error.HTTPError):
                self.rest("DELETE", f"/patients/{patient}")

    def register(self, aet: str, port: int, host: str = HOST, name: str | None = None) -> None:
        """Make a C-MOVE destination known, until ``unregister``."""
        self.rest("PUT", f"/modalities/{name or aet}", json.dumps([aet, host, port]).encode())

    def unregister(self, name: str) -> None:
        """Forget a C-MOVE destination."""
        with contextlib.suppress(urllib.error.HTTPError):
            self.rest("DELETE", f"/modalities/{name}")

    def count(self) -> int:
        """How many instances are stored."""
        return int(self.rest("GET", "/statistics")["CountInstances"])

    def stop(self) -> None:
        """End the server."""
        _stop(self.process)


def orthanc_config(folder: Path, dicom_port: int, http_port: int, **more: Any) -> dict[str, Any]:
    """A configuration that lets everybody do everything, on loopback."""
    return {
        "Name": "pacsferry-test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(ORTHANC_DICOMWEB)],
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": True,
        "StableAge": 1,
        "SynchronousCMove": True,
        "SyncStorageArea": False,
        "SaveJobs": False,
        "MaximumPduLength": 131072,
        "DicomThreadsCount": 8,
        "DicomScuTimeout": 10,
        "DicomAssociationCloseDelay": 0,
        "DicomModalities": {},
        **more,
    }


def start_orthanc(folder: Path, **config: Any) -> Orthanc:
    """Start one in an empty folder; the caller stops it. ``config`` goes over the usual one."""
    binary = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not os.access(binary, os.X_OK) or not ORTHANC_DICOMWEB.exists():
        missing(ORTHANC_PACKAGES)
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port, http_port = free_ports(2)
    settings = folder / "orthanc.json"
    settings.write_text(json.dumps(orthanc_config(folder, dicom_port, http_port, **config)))
    process = _start([binary, str(settings)], folder / "orthanc.log")
    server = Orthanc(dicom_port=dicom_port, http_port=http_port, process=process, folder=folder)
    _wait_for_port(http_port, process, folder / "orthanc.log")
    _wait_for_port(dicom_port, process, folder / "orthanc.log")
    return server


@dataclass
class Dcmqrscp:
    """A running dcmqrscp, empty at first.

    ``receiver_aet``/``receiver_port`` is the C-MOVE destination that its host table knows; further ones are in
    ``destinations``. ``other_aet`` is a second, separate storage area of the same server.
    """

    port: int
    receiver_port: int
    destinations: Mapping[str, int]
    process: subprocess.Popen[bytes] = field(repr=False)
    folder: Path = field(repr=False)
    aet: str = "DCMQRSCP"
    other_aet: str = "DCMQRSCP2"
    receiver_aet: str = "PACSFERRY"
    host: str = HOST

    def store(self, items: Iterable[Any], aet: str | None = None) -> None:
        """Send paths, bytes or Datasets with DCMTK's storescu, each in the transfer syntax it has."""
        for option, files in self._by_proposal(items).items():
            self._storescu(option, files, aet or self.aet)

    def place(self, items: Iterable[Any], aet: str | None = None) -> None:
        """Put files into the storage area in any transfer syntax, past all negotiation (dcmqridx)."""
        area = self.folder / (aet or self.aet)
        files = [self._write(item, area / f"placed-{time.monotonic_ns()}-{n}.dcm") for n, item in enumerate(items)]
        subprocess.run([need_dcmtk("dcmqridx"), str(area), *map(str, files)], check=True, capture_output=True)

    def clear(self) -> None:
        """Delete all that is stored."""
        for aet in (self.aet, self.other_aet):
            for path in (self.folder / aet).iterdir():
                path.unlink()

    def count(self, aet: str | None = None) -> int:
        """How many files are stored."""
        return sum(path.name != "index.dat" for path in (self.folder / (aet or self.aet)).iterdir())

    def stop(self) -> None:
        """End the server."""
        _stop(self.process)

    def _by_proposal(self, items: Iterable[Any]) -> dict[str, list[Path]]:
        import pydicom

        spool = self.folder / "spool"
        spool.mkdir(exist_ok=True)
        groups: dict[str, list[Path]] = {}
        for number, item in enumerate(items):
            path = self._write(item, spool / f"{time.monotonic_ns()}-{number}.dcm")
            syntax = str(pydicom.dcmread(path, specific_tags=[]).file_meta.TransferSyntaxUID)
            groups.setdefault(STORESCU_PROPOSE[syntax], []).append(path)
        return groups

    def _storescu(self, option: str, files: list[Path], aet: str) -> None:
        env = {**os.environ, "TCP_NODELAY": "1"}
        command = [need_dcmtk("storescu"), option, "-R", "-aec", aet, self.host, str(self.port), *map(str, files)]
        done = subprocess.run(command, capture_output=True, env=env, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for path in files:
            path.unlink()

    @staticmethod
    def _write(item: Any, path: Path) -> Path:
        path.write_bytes(as_bytes(item))
        return path


def _dcmqrscp_config(folder: Path, port: int, areas: Sequence[str], destinations: Mapping[str, int]) -> str:
    hosts = "".join(f"host{n} = ({aet}, {HOST}, {at})\n" for n, (aet, at) in enumerate(destinations.items()))
    tables = "".join(f"{area} {folder / area} RW (1000, 4096mb) ANY\n" for area in areas)
    return (
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 32\n"
        f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{tables}AETable END\n"
    )


def dcmqrscp_profile(path: Path, classes: Sequence[str], syntaxes: Sequence[str] = ()) -> tuple[str, ...]:
    """Options that let dcmqrscp send storage classes that it does not know, private ones for instance.

    Written is a configuration of associations (DCMTK's asconfig.txt). Uncompressed syntaxes come first.
    """
    services = ("1.2.840.10008.1.1", *(f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3)))
    known = ("LittleEndianExplicit", "LittleEndianImplicit", *syntaxes)
    lines = ["[[TransferSyntaxes]]", "[Known]"]
    lines += [f"TransferSyntax{n} = {one}" for n, one in enumerate(known, 1)]
    lines += ["[[PresentationContexts]]", "[All]"]
    lines += [f"PresentationContext{n} = {one}\\Known" for n, one in enumerate((*services, *classes), 1)]
    lines += ["[[SCPSCURoleSelection]]", "[Roles]"]
    lines += [f"Role{n} = {one}\\both" for n, one in enumerate(classes, 1)]
    lines += ["[[Profiles]]", "[In]", "PresentationContexts = All", "SCPSCURoleSelection = Roles"]
    path.write_text("\n".join(lines) + "\n")
    return "-xf", str(path), "In", "In"


def start_dcmqrscp(
    folder: Path, *args: str, destinations: Mapping[str, int] | None = None, receiver_port: int | None = None
) -> Dcmqrscp:
    """Start one in an empty folder; the caller stops it. ``args`` are further options, for instance ``+xr``.

    ``+xr`` lets it take and give RLE as well as uncompressed, ``+xs`` JPEG lossless, ``+xi`` Implicit VR only.
    """
    binary = need_dcmtk("dcmqrscp")
    port, spare = free_ports(2)
    receiver = receiver_port or spare
    known = {"PACSFERRY": receiver, **(destinations or {})}
    server = Dcmqrscp(
        port=port,
        receiver_port=receiver,
        destinations=known,
        process=None,  # type: ignore[arg-type]
        folder=folder,
    )
    for area in (server.aet, server.other_aet):
        (folder / area).mkdir(parents=True, exist_ok=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(_dcmqrscp_config(folder, port, (server.aet, server.other_aet), known))
    server.process = _start(
        [binary, "-c", str(config), *args, str(port)], folder / "dcmqrscp.log", {"TCP_NODELAY": "1"}
    )
    _wait_for_port(port, server.process, folder / "dcmqrscp.log")
    return server


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """One Orthanc for the whole session (per xdist worker); call ``clear()`` first in a test that counts."""
    server = start_orthanc(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dcmqrscp]:
    """One dcmqrscp for the whole session, uncompressed syntaxes only."""
    server = start_dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"))
    yield server
    server.stop()


@pytest.fixture
def make_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """Start further Orthancs with other settings: ``make_orthanc(LimitFindResults=3)``."""
    started: list[Orthanc] = []

    def start(**config: Any) -> Orthanc:
        started.append(start_orthanc(tmp_path_factory.mktemp("orthanc"), **config))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def make_dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Dcmqrscp]]:
    """Start further dcmqrscps with other options: ``make_dcmqrscp("+xr", destinations={"AE": 11113})``."""
    started: list[Dcmqrscp] = []

    def start(*args: str, **kwargs: Any) -> Dcmqrscp:
        started.append(start_dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), *args, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.stop()
