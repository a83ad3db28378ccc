"""A site profile in a folder of its own for a real archive: load over any transport, in this process or as a command."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pacsferry import app
from pacsferry.core.query import gather
from support.commands import Answer, run
from support.peers import HOST, free_port


@dataclass
class Site:
    """A profile and its projects. ``dicomweb_url`` is empty where the archive has none."""

    folder: Path
    ae_title: str
    dimse_port: int
    dicomweb_url: str = ""
    receiver_port: int = field(default_factory=free_port)
    extra: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "site.toml"

    def write(self, transports: Sequence[str] = ("wado-rs",), extra: str = "") -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = "\n".join(f'[[transport]]\nuse = "{name}"' for name in transports)
        web = f'[archive.dicomweb]\nurl = "{self.dicomweb_url}"' if self.dicomweb_url else ""
        self.file.write_text(
            f"""
extends = "research-base"
[archive]
name = "real-{self.dimse_port}"
timeouts = {{ connect = "5s", stall = "10s", quiet = "2s" }}
[archive.dimse]
host = "{HOST}"
port = {self.dimse_port}
ae_title = "{self.ae_title}"
[archive.dimse.receiver]
port = {self.receiver_port}
{web}
[budget]
batch_wait = "0s"
back_off = "20ms"
{chosen}
{extra or self.extra}
"""
        )
        self.file.chmod(0o600)
        return self.file

    def load(
        self, *accessions: str, over: str | Sequence[str], project: str = "p", extra: str = "", **options: object
    ) -> app.Loaded:
        """In this process, without worker processes unless told otherwise."""
        self.write((over,) if isinstance(over, str) else over, extra)
        chosen = app.LoadOptions(**{"workers": 0, **options})  # type: ignore[arg-type]
        return app.load(project, gather(accessions), chosen, site=str(self.file))

    def command(self, *words: object, **more: object) -> Answer:
        """The installed command, in this folder."""
        return run(*words, cwd=self.folder, **more)  # type: ignore[arg-type]

    def root(self, project: str = "p") -> Path:
        return self.folder / "research" / project

    def private(self, project: str = "p") -> Path:
        return self.folder / "private" / project

    def images(self, project: str = "p") -> dict[str, bytes]:
        """Released images: path below the project's folder, to content."""
        root = self.root(project)
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.dcm"))}

    def twin(self, folder: Path, project: str = "p") -> Site:
        """Another folder with the same project: its file and its secret, and nothing that was loaded."""
        other = Site(folder, self.ae_title, self.dimse_port, self.dicomweb_url, self.receiver_port, self.extra)
        other.private(project).mkdir(parents=True, mode=0o700)
        other.private(project).parent.chmod(0o700)
        for name in ("project.toml", "secret"):
            shutil.copy2(self.private(project) / name, other.private(project) / name)
        return other


class Relay:
    """A TCP relay that counts connections and the bytes that came from the archive; a context manager."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.received = 0
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._run(self._serve)

    def _run(self, work: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection((HOST, self._to))
            self._sockets += [client, server]
            self._run(self._pump, client, server, False)
            self._run(self._pump, server, client, True)

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.received += len(data) if back else 0
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()
        for one in self._sockets:
            one.close()


@contextlib.contextmanager
def relayed(site: Site) -> Iterator[list[Relay]]:
    """Let a site talk to its archive through relays that count."""
    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(Relay(site.dimse_port))]
        site.dimse_port = relays[0].port
        if site.dicomweb_url:
            head, _, port = site.dicomweb_url.removesuffix("/dicom-web").rpartition(":")
            relays.append(stack.enter_context(Relay(int(port))))
            site.dicomweb_url = f"{head}:{relays[1].port}/dicom-web"
        yield relays
