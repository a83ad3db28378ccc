"""The files of a folder as a run tells of them: rows, counts, warnings, and the private list of what became of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pacsferry.core.folder_keep import HELD
from pacsferry.core.folder_scan import Contents, File
from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import InstanceState
from pacsferry.core.model import Keys, Row, Status
from pacsferry.core.redact import guard_cell

#: A file whose content was exchanged since its instance was released.
CHANGED = "changed-since"


def counts(contents: Contents) -> dict[str, int]:
    """How many files of which kind there were."""
    found = contents.counts
    return {
        "files": found["files"],
        "dicom": found["dicom"] + found["malformed"],
        "not_dicom": found["not-dicom"] + found["link"] + found["special"],
        "dicomdir": found["dicomdir"],
        "unreadable": found["unreadable"],
        "duplicates": found["duplicates"],
    }


def warnings(contents: Contents, changed: Collection[File], *, in_place: bool) -> Iterator[str]:
    """What a user should know of files that became no image."""
    found = contents.counts
    left = found["not-dicom"] + found["link"] + found["special"]
    if left and in_place:
        yield f"{left} files that are not DICOM were left where they are; names and contents may identify patients"
    elif left:
        yield f"{left} files that are not DICOM were left out"
    if found["dicomdir"]:
        yield f"{found['dicomdir']} media directories (DICOMDIR) were left out"
    if changed:
        yield f"{len(changed)} files are not any more what was released of them; the released images stay as they are"


def rows_of(contents: Contents) -> list[Row]:
    """Files that are DICOM and could not be assigned to a study, and such as could not be read."""
    rows = []
    codes: dict[str, int] = {}
    for one in contents.others:
        if one.kind == "malformed":
            codes[one.code] = codes.get(one.code, 0) + 1
    if codes:
        count = sum(codes.values())
        rows.append(Row(request=0, accession=None, status=Status.HELD, received=count, held=count, reasons=codes))
    if unread := contents.counts["unreadable"]:
        rows.append(
            Row(
                request=0,
                accession=None,
                status=Status.FAILED,
                missing=unread,
                reasons={"unreadable": unread},
                retryable=True,
            )
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """Which file became what, where that is more than "stored". Identified: for the private folder only."""

    contents: Contents
    source: Path
    ledger: Ledger
    keys: Keys
    changed: Collection[File] = field(default=(), repr=False)

    def csv(self) -> bytes:
        """The list as a CSV file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("file", "kind", "reason", "case_id"))
        writer.writerows([guard_cell(cell) for cell in line] for line in self._lines())
        return text.getvalue().encode("utf-8", "surrogateescape")

    def _lines(self) -> Iterator[tuple[str, str, str, str]]:
        for one in self.contents.others:
            yield self._shown(one.root, one.path), one.kind, one.code, ""
        for uid, files in self.contents.studies.items():
            key = self.keys.uid(uid)
            state = self.ledger.study(key)
            states, codes = self.ledger.instance_states(key), self.ledger.reasons(key)
            for name, copies in files.files.items():
                now, code = states.get(self.keys.uid(name)), codes.get(self.keys.uid(name), "")
                for number, file in enumerate(copies):
                    kind, why = self._became(file, now, number, code)
                    if kind != InstanceState.STORED:
                        yield self._shown(file.root, file.path), kind, why, state.case_id if state else ""

    def _became(self, file: File, now: InstanceState | None, number: int, code: str) -> tuple[str, str]:
        if file.code:
            return "held", file.code
        if file in self.changed:
            return "changed", CHANGED
        return "duplicate" if number else str(now or InstanceState.EXPECTED), code

    def _shown(self, root: Path, path: str) -> str:
        return path if root == self.source else f"{HELD}/{path}"
