"""Warnings about how a site is set up, on stderr, in the way of the command; nothing about a patient comes here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from pacsferry.core.warn import LOGGER

from .screen import shown, write


class _Remarks(logging.Handler):
    """One line for people; one document of ``--events`` where those are asked for; none with ``--quiet``."""

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__(logging.WARNING)
        words = argv[: argv.index("--")] if "--" in argv else argv
        self._events = "--events" in words
        self._quiet = not self._events and not {"--quiet", "-q"}.isdisjoint(words)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if self._events:
            from pacsferry.core.progress import Progress

            from .progress import Events

            Events()(Progress(kind="note", text=text))
        elif not self._quiet:
            write(f"pacsferry: warning: {shown(text)}\n", sys.stderr)


def hear(argv: Sequence[str]) -> None:
    """From now on show the library's warnings."""
    LOGGER.handlers[:] = [_Remarks(argv)]
    LOGGER.propagate = False
