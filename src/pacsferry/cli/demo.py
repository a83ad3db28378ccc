"""``pacsferry demo``: the embedded archive, loaded over each transport into ./demo; needs nothing else."""

from __future__ import annotations

import hashlib
import shutil
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as o
from . import tables
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app import Loaded
    from pacsferry.core.progress import Told
    from pacsferry.core.query import Asked
    from pacsferry.testing.simulator import Simulator

TRANSPORTS = ("wado-rs", "c-get", "c-move")
_RECEIVER = "PACSFERRY"
_COLUMNS = ("transport", "studies", "stored", "held", "missing", "seconds", "status")
_FINE = frozenset({"ok", "skipped", "held"})
#: Why a report and a screenshot are held.
_MEANT = frozenset({"sop-class", "burned-in"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One load of the demo and the digests of its files by path."""

    transport: str
    loaded: Loaded
    files: dict[str, str]

    @property
    def fine(self) -> bool:
        """Two kinds of object in the samples are meant to be held; nothing else, and nothing may be missing."""
        rows = self.loaded.rows
        return all(row.status in _FINE and set(row.reasons) <= _MEANT for row in rows)

    def line(self) -> dict[str, object]:
        rows = self.loaded.rows
        return {
            "transport": self.transport,
            "project": self.loaded.project,
            "status": "ok" if self.fine else "failed",
            "studies": len(rows),
            "stored": sum(row.stored for row in rows),
            "held": sum(row.held for row in rows),
            "missing": sum(row.missing for row in rows),
            "seconds": round(sum(row.duration_s for row in rows), 1),
            "images": str(self.loaded.images),
            "report": str(self.loaded.report) if self.loaded.report else None,
        }


def demo(
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    events: o.Events = False,
) -> int:
    """Load sample studies from an embedded archive over each transport into ./demo."""
    from pacsferry.core.documents import document
    from pacsferry.testing.samples import demo_studies
    from pacsferry.testing.simulator import Simulator

    from .progress import told
    from .stopping import concluding

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    screen.say("starting an archive with sample studies on 127.0.0.1")
    objects = demo_studies()
    asked = _asked(objects)
    with Simulator(objects, ae_title="DEMO") as archive, concluding(screen.say) as stop, told(screen) as tell:
        shown = [_load(archive, transport, asked, tell, stop) for transport in TRANSPORTS if not stop.is_set()]
    same = all(one.files == shown[0].files and one.files for one in shown)
    good = same and all(one.fine for one in shown)
    code = 130 if stop.is_set() else 0 if good else 5
    hint = {} if good else {"hint": "remove the folder demo and try again; if it stays, report it"}
    screen.result(
        document(
            "demo",
            "ok" if good else "failed",
            folder=str(Path("demo").resolve()),
            loads=[one.line() for one in shown],
            identical=same,
            **hint,
        ),
        table=lambda out: _table(out, shown, same=same),
        rows=((*_COLUMNS, "images", "report"), [one.line() for one in shown]),
    )
    return code


def _asked(objects: Sequence[object]) -> tuple[Asked, ...]:
    from pacsferry.core.query import gather

    numbers = {str(getattr(one, "AccessionNumber", "")) for one in objects}
    return gather(sorted(numbers - {""}))


def _load(archive: Simulator, transport: str, asked: tuple[Asked, ...], tell: Told, stop: threading.Event) -> Shown:
    """One load into a project of its own. All projects share a secret, so that their files can be compared."""
    from pacsferry import app
    from pacsferry.app.opening import made
    from pacsferry.core.progress import Progress

    project, port = f"demo-{transport}", _free_port()
    archive.register(_RECEIVER, archive.host, port)
    sets = (
        f"archive.dimse.host={archive.host}",
        f"archive.dimse.port={archive.dimse_port}",
        f"archive.dimse.ae_title={archive.ae_title}",
        f"archive.dimse.receiver.port={port}",
        f"archive.dicomweb.url={archive.dicomweb_url}",
        f'transport=[{{use="{transport}"}}]',
    )
    tell(Progress(kind="note", text=f"loading over {transport}"))
    there, _ = made(project, "demo", sets)
    first = there.private.parent / f"demo-{TRANSPORTS[0]}" / "secret"
    if transport != TRANSPORTS[0] and not there.ledger_path.exists():
        shutil.copyfile(first, there.private / "secret")
    loaded = app.load(project, asked, app.LoadOptions(), site="demo", sets=sets, told=tell, stop=stop)
    return Shown(transport=transport, loaded=loaded, files=_digests(loaded.images))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.dcm"))
        if ".staging" not in path.parts
    }


def _table(out: Console, shown: Sequence[Shown], *, same: bool) -> None:
    lines = [one.line() for one in shown]
    tables.draw(out, _COLUMNS, [[line[name] for name in _COLUMNS] for line in lines])
    count = len(shown[0].files) if shown else 0
    said = f"the same {count} files, byte for byte, over all transports" if same else "the files differ"
    tables.say(out, said, "green" if same else "red")
    if any(line["held"] for line in lines):
        meant = all(one.fine for one in shown)
        said = "held, as it should be: a report and a screenshot, which the rules cannot make safe yet"
        odd = next((line["project"] for line, one in zip(lines, shown, strict=True) if not one.fine), "")
        tables.say(out, said if meant else f"see `pacsferry status {odd}`")
    tables.say(out, "")
    for line in lines:
        tables.say(out, f"{line['transport']:>8}  {line['images']}")
    reports = [one.loaded.report for one in shown if one.loaded.report]
    if reports:
        tables.say(out, f"  report  {reports[0]}")
