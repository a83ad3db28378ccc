"""The errors a caller may meet, each with its exit code; none holds an attribute value.

FerryError
+ ConfigError            usage, profile or project is wrong; nothing was contacted   exit 2
|   + UnknownName        a profile names a plugin that nobody offers
+ PluginError            a plugin broke its contract                                 exit 2
+ TransferError          the peer or the network                                     exit 4
+ HeldError              an instance could not be made safe                          exit 5
+ StoreError             the destination                                             exit 6
+ RefusedError           policy forbids it                                           exit 7
+ BusyError              another process holds it                                    exit 8
|   + OutsideHours       the archive may not be worked at this hour                  exit 8
+ InterruptedRun         Ctrl-C or SIGTERM; what was done is kept                    exit 130

Messages travel to logs and tickets, so they say what, where and what would be right, and never a value
from a data set.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class FerryError(Exception):
    """Base of every error that pacsferry raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(FerryError):
    """A profile, a project file, a setting or an argument is wrong."""

    exit_code = 2


class UnknownName(ConfigError):
    """A name that no plugin offers; suggests the nearest and lists plugins that failed to load."""

    def __init__(self, kind: str, name: str, known: Iterable[str], broken: Mapping[str, str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        text = f"no {kind} named {name!r}"
        text += f"; did you mean {near[0]!r}?" if near else f"; installed: {', '.join(names) or 'none'}"
        text += "".join(f"\n  note: plugin {who!r} did not load: {why}" for who, why in sorted(broken.items()))
        super().__init__(text, hint="`pacsferry plugins` lists what is installed")


class PluginError(FerryError):
    """A plugin broke its contract."""

    exit_code = 2


class TransferError(FerryError):
    """The peer or the network failed; ``code`` is a reason code of ``core.reasons``.

    ``retryable`` says that the same request may end otherwise, ``tries`` how often it was made before giving up.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retryable: bool = True,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.tries = 1


class HeldError(FerryError):
    """An instance could not be made safe; ``code`` is a reason code of ``core.reasons``."""

    exit_code = 5

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class StoreError(FerryError):
    """The destination or the ledger could not be written."""

    exit_code = 6


class RefusedError(FerryError):
    """A policy forbids it."""

    exit_code = 7


class BusyError(FerryError):
    """Another process holds what is needed."""

    exit_code = 8


class OutsideHours(BusyError):
    """The archive may not be worked at this hour."""


class InterruptedRun(FerryError):
    """Ctrl-C or SIGTERM; what was done is kept."""

    exit_code = 130


#: Which exit code wins when several apply (spec: exit codes).
PRECEDENCE = (130, 1, 6, 2, 7, 8, 4, 5, 3, 0)


def strictest(codes: Iterable[int]) -> int:
    """The exit code to end with when each of ``codes`` applies; 0 for none."""
    return min(codes, key=PRECEDENCE.index, default=0)
