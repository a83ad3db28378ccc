"""A folder of files as people have them, and a project that takes it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacsferry.app import folders
from pacsferry.core.ledger import Ledger
from pacsferry.testing.samples import part10


@dataclass
class Yard:
    """``inn`` is what to de-identify; the project is called p."""

    folder: Path

    @property
    def inn(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def private(self) -> Path:
        return self.folder / "private" / "p"

    def put(self, name: str, content: object) -> Path:
        path = self.inn / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else part10(content))  # type: ignore[arg-type]
        return path

    def fill(self, objects: Sequence[object], name: str = "{:03d}.dcm") -> list[Path]:
        return [self.put(name.format(number), one) for number, one in enumerate(objects)]

    def run(self, *, in_place: bool = False, out: Path | None = None, **options: Any) -> folders.Deidentified:
        target = self.inn if in_place else out or self.out
        chosen = {"private": self.private.parent, "workers": 0, **options}
        return folders.deidentify(self.inn, target, "p", folders.FolderOptions(**chosen))

    def images(self, *, in_place: bool = False) -> list[Path]:
        return sorted((self.inn if in_place else self.out).rglob("case*/**/*.dcm"))

    def listed(self) -> list[list[str]]:
        lines = (self.private / "reports" / "files.csv").read_text().splitlines()[1:]
        return sorted(line.split(",") for line in lines)

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with Ledger.open(self.private / "ledger.db", create=False) as ledger:
            yield ledger


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder and its digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def released(folder: Path) -> dict[str, str]:
    """The same of released images."""
    return {name: digest for name, digest in tree(folder).items() if name.startswith("case")}
