"""Remarks on how a site is set up, for the person who runs a command; each once per process, none about a patient."""

from __future__ import annotations

import logging
import threading

#: Shown on stderr by the command line; a program that uses the library hears it as it configured logging.
LOGGER = logging.getLogger("pacsferry")

_said: set[str] = set()
_lock = threading.Lock()


def warn_once(text: str) -> None:
    """Say it, unless it was said already. ``text`` holds names and addresses of the profile, nothing else."""
    with _lock:
        if text in _said:
            return
        _said.add(text)
    LOGGER.warning(text)
