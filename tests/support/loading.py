"""A project beside an embedded archive: load over any transport, look at what came of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pacsferry import app
from pacsferry.core.ledger import Ledger
from pacsferry.core.project import find_project, open_project
from pacsferry.core.query import gather
from pacsferry.testing.contracts.kit import free_port
from pacsferry.testing.simulator import Simulator

TRANSPORTS = ("wado-rs", "c-get", "c-move")


@dataclass
class Place:
    """A folder with a site profile for one archive."""

    folder: Path
    archive: Simulator
    receiver_port: int = field(default_factory=free_port)
    extra: str = ""
    vendor: str = "generic"

    def __post_init__(self) -> None:
        self.archive.register("PACSFERRY", "127.0.0.1", self.receiver_port)

    @property
    def site(self) -> Path:
        return self.folder / "site.toml"

    def write(self, transports: Sequence[str] = ("wado-rs",), extra: str = "") -> None:
        chosen = "\n".join(f'[[transport]]\nuse = "{name}"' for name in transports)
        self.site.write_text(
            f"""
extends = "research-base"
[archive]
name = "sim-{self.archive.dimse_port}"
vendor = "{self.vendor}"
timeouts = {{ connect = "3s", stall = "1500ms", quiet = "700ms" }}
[archive.dimse]
host = "127.0.0.1"
port = {self.archive.dimse_port}
ae_title = "SIM"
[archive.dimse.receiver]
port = {self.receiver_port}
[archive.dicomweb]
url = "{self.archive.dicomweb_url}"
[budget]
batch_wait = "0s"
back_off = "20ms"
{chosen}
{extra or self.extra}
"""
        )
        self.site.chmod(0o600)

    def load(
        self,
        *accessions: str,
        over: str | Sequence[str] = "wado-rs",
        project: str = "p",
        extra: str = "",
        stop: threading.Event | None = None,
        told=None,  # noqa: ANN001
        options: app.LoadOptions | None = None,
        **query: object,
    ) -> app.Loaded:
        self.write((over,) if isinstance(over, str) else over, extra)
        return app.load(
            project,
            gather(accessions, **query),  # type: ignore[arg-type]
            options or app.LoadOptions(workers=0),
            site=str(self.site),
            stop=stop,
            told=told or (lambda _: None),
        )

    def resume(self, project: str = "p", **more: object) -> app.Loaded:
        return app.resume(project, app.LoadOptions(workers=0), site=str(self.site), **more)  # type: ignore[arg-type]

    def images(self, project: str = "p") -> list[Path]:
        return sorted((self.folder / "research" / project).rglob("*.dcm"))

    @contextlib.contextmanager
    def ledger(self, project: str = "p") -> Iterator[Ledger]:
        there = open_project(find_project(project, private=self.folder / "private"))
        with Ledger.open(there.ledger_path, create=False) as ledger:
            yield ledger

    def everything_written(self, project: str = "p") -> bytes:
        """All released bytes, with names, of a project."""
        root = self.folder / "research" / project
        return b"\n".join(
            str(path.relative_to(root)).encode() + b"\n" + path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        )


@contextlib.contextmanager
def place(folder: Path, objects: Sequence[object], **more: object) -> Iterator[Place]:
    with Simulator(objects, **more) as archive:  # type: ignore[arg-type]
        yield Place(folder=folder, archive=archive)
        assert not archive.log.errors
