"""Errors as people and programs read them, and the exit code each ends with; never a value, never a traceback."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from pacsferry.core.errors import FerryError, InterruptedRun

from .screen import TEXTS, plain_json, shown, write

#: typer brings its own copy of click; this is that copy's ClickException, by a public path.
ClickException: type[Exception] = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


#: What to do about an error that does not say so itself, by exit code.
_HINTS = {
    2: "`pacsferry check` resolves a profile without contacting anybody; `--help` shows options",
    4: "`pacsferry doctor` says what is in the way",
    6: "check space, owner and mode of the folders of [output]; then run `pacsferry resume`",
    7: "ask whoever is responsible for the project",
    8: "wait for the other process, or leave --no-wait out",
    130: "run the same command again to go on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a command ended without a result."""

    code: int
    error: str
    hint: str | None = None

    def document(self) -> dict[str, Any]:
        """The ``pacsferry.error`` document."""
        return {
            "schema": "pacsferry.error",
            "version": 1,
            "status": "error",
            "code": self.code,
            "error": self.error,
            "hint": self.hint,
        }


def failure(err: BaseException) -> Failure:
    """What to say of an error. Only our own messages are passed on: any other may quote a patient's data."""
    if isinstance(err, FerryError):
        return Failure(code=err.exit_code, error=str(err), hint=err.hint or _HINTS.get(err.exit_code))
    if isinstance(err, ClickException):
        return _usage(err)
    if isinstance(err, KeyboardInterrupt | typer.Abort):
        return Failure(code=InterruptedRun.exit_code, error="interrupted", hint="run the same command again to go on")
    if isinstance(err, OSError) and err.errno in _FULL:
        # Not err.strerror: whoever raised it could have put anything there.
        return Failure(
            code=6, error=f"storage: {os.strerror(err.errno)}", hint="free space or choose another folder in [output]"
        )
    from pacsferry.core.redact import describe_exception

    return Failure(
        code=1, error=f"a bug: {describe_exception(err)}", hint="please report it, without any patient's data"
    )


def _usage(err: Exception) -> Failure:
    """A mistake in the command line; the words are the user's own."""
    message = err.format_message() if hasattr(err, "format_message") else type(err).__name__
    context = getattr(err, "ctx", None)
    path = context.command_path if context is not None else "pacsferry"
    return Failure(code=2, error=message, hint=f"`{path} --help` shows how")


def report(argv: Sequence[str], err: BaseException) -> int:
    """Print an error as JSON on stdout or as one line and a hint on stderr, and return the exit code."""
    told = failure(err)
    if wants_json(argv):
        write(plain_json(told.document()) + "\n")
        return told.code
    write(f"pacsferry: {_lines(told.error)}\n" + (f"  hint: {_lines(told.hint)}\n" if told.hint else ""), sys.stderr)
    return told.code


def _lines(text: str) -> str:
    return "\n".join(shown(line) for line in text.splitlines())


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, read before (or although) it could not be parsed."""
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    if "--json" in words:
        return True
    formats = [word.partition("=")[2] for word in words if word.startswith("--format=")]
    formats += [after for word, after in itertools.pairwise(words) if word == "--format"]
    if formats:
        return formats[-1] == "json"
    command = next((word for word in words if not word.startswith("-")), None)
    return command not in TEXTS and not sys.stdout.isatty()
