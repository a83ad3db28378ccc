"""From the options of a query to what is asked for; reading a list is core's work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacsferry.core.query import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The options of a query as typed."""

    accessions: Sequence[str] | None = None
    file: str | None = None
    sheet: str | None = None
    column: str | None = None
    match: Sequence[str] | None = None
    study_date: str | None = None
    date_from: str | None = None
    date_to: str | None = None
    modality: Sequence[str] | None = None

    def any(self) -> bool:
        """Whether anything was typed."""
        return any(getattr(self, field.name) for field in fields(self))

    def asked(self) -> tuple[Asked, ...]:
        """The requests; none where nothing was typed. Raises ``ConfigError``."""
        from pacsferry.core import accession_file, query
        from pacsferry.core.errors import ConfigError

        if self.file is None and (self.sheet or self.column):
            raise ConfigError("--sheet and --column are for --file", hint="give the list with --file")
        stdin = _stdin() if self.file == "-" else None
        rows = accession_file.read(self.file, stdin, sheet=self.sheet, column=self.column) if self.file else ()
        return query.gather(
            self.accessions or (),
            rows=rows,
            match=self.match or (),
            study_date=self.study_date,
            date_from=self.date_from,
            date_to=self.date_to,
            modality=self.modality or (),
        )


def _stdin() -> bytes:
    from pacsferry.core.errors import ConfigError

    if sys.stdin.isatty():
        raise ConfigError("--file -: standard input is a terminal", hint="pipe the list in, or name a file")
    return sys.stdin.buffer.read()
