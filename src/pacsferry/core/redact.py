"""Keeps identifiers out of logs, warnings, tracebacks and spreadsheets; it never looks at what it hides.

The libraries below us log what they handle: urllib3 the URL with the query in it, dicomweb-client URLs and bodies,
pynetdicom whole identifiers, pydicom the values it finds odd. Nothing of that may reach a handler, whatever the user
configured, so their loggers are closed rather than filtered.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any, TextIO

from .errors import FerryError

#: Top loggers (and module names) of the libraries that handle identifiers.
TALKATIVE = ("pydicom", "pynetdicom", "dicomweb_client", "urllib3", "requests", "retrying")

#: Characters that make a spreadsheet read a cell as a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

_SILENT = logging.CRITICAL + 10
_CHAIN = 8


def quiet() -> None:
    """Close the talkative libraries' loggers and drop their warnings. To call at each start."""
    quiet_loggers()
    quiet_warnings()


def quiet_loggers() -> None:
    """Nothing the talkative libraries log reaches any handler, of the root logger or of their own."""
    known = [name for name in logging.Logger.manager.loggerDict if name.partition(".")[0] in TALKATIVE]
    for name in {*TALKATIVE, *known}:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        if logger.level != _SILENT:  # to set it makes every logger forget what it found out
            logger.setLevel(_SILENT)


def quiet_warnings() -> None:
    """Warnings raised below a talkative library are not shown: they quote values. All others are shown as before."""
    shown = warnings.showwarning
    if not isinstance(shown, _Discreet):
        warnings.showwarning = _Discreet(shown)


class _Discreet:
    """``warnings.showwarning``, deaf to what comes from a talkative library."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not _below_talkative():
            self._shown(message, category, filename, lineno, file, line)


def _below_talkative() -> bool:
    """Whether a frame of a talkative library is on the stack; where the warning points at says nothing (stacklevel)."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to the stack without reading source files
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in TALKATIVE:
            return True
        frame = frame.f_back
    return False


def describe_exception(err: BaseException) -> str:
    """One line that is safe to print: the message of our own errors, of all others the type, place and causes only."""
    if isinstance(err, FerryError):
        return str(err)
    return " from ".join(_described(one) for one in _chain(err))


def describe_traceback(err: BaseException) -> str:
    """``describe_exception`` after the places the error came through, one per line; no values, no source lines."""
    places = [f"  {_place(tb)}" for tb in _frames(err.__traceback__)]
    return "\n".join([*places, describe_exception(err)])


def _described(err: BaseException) -> str:
    if isinstance(err, FerryError):
        return f"{type(err).__name__}: {err}"
    inner = ""
    if isinstance(err, BaseExceptionGroup):
        inner = f" of {', '.join(sorted({type(one).__name__ for one in err.exceptions}))}"
    frames = list(_frames(err.__traceback__))
    return f"{type(err).__name__}{inner}" + (f" at {_place(frames[-1])}" if frames else "")


def _chain(err: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, as a traceback would show it."""
    one: BaseException | None = err
    for _ in range(_CHAIN):
        if one is None:
            return
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _frames(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _place(tb: TracebackType) -> str:
    """``folder/file.py:12 in function``: of a path its last two parts, the others may name a person."""
    code = tb.tb_frame.f_code
    return f"{'/'.join(PurePath(code.co_filename).parts[-2:])}:{tb.tb_lineno} in {code.co_name}"


def guard_excepthooks() -> None:
    """Print uncaught errors of every thread, and of destructors, without their messages."""
    sys.excepthook = lambda _type, err, _tb: _print(err)
    threading.excepthook = lambda args: _print(args.exc_value)
    sys.unraisablehook = lambda args: _print(args.exc_value)


def _print(err: BaseException | None) -> None:
    if err is not None and not isinstance(err, SystemExit) and sys.stderr is not None:
        print(describe_traceback(err), file=sys.stderr)  # noqa: T201 - this is what an excepthook is for


def guard_cell(text: str) -> str:
    """Text for a free-text cell of a CSV file: what a spreadsheet would run as a formula gets a leading apostrophe.

    Not for keys, mappings and queries: those files are read again.
    """
    return "'" + text if text.startswith(FORMULA_STARTS) else text
