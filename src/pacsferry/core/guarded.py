"""The border to plugins that talk to archives: whatever they raise becomes an error without a value of a data set."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import FerryError, TransferError
from .model import Match, Ping, Query
from .ports import Finder


def failed(kind: str, name: str, err: BaseException) -> TransferError:
    """What to say of a plugin that raised something of its own: its type, never its text."""
    return TransferError(
        f"{kind} {name} failed ({type(err).__name__})",
        code=f"{kind}-failed",
        retryable=False,
        hint="report it to the plugin's author, without any patient's data",
    )


class GuardedFinder:
    """A finder whose failures are ``FerryError`` only."""

    def __init__(self, name: str, finder: Finder) -> None:
        self._name, self._finder = name, finder
        self.protocol = finder.protocol

    def find(self, query: Query) -> Iterator[Match]:
        """See ``ports.Finder``."""
        try:
            yield from self._finder.find(query)
        except FerryError:
            raise
        except Exception as err:
            raise failed("finder", self._name, err) from None

    def ping(self) -> Ping:
        """See ``ports.Finder``."""
        try:
            return self._finder.ping()
        except FerryError:
            raise
        except Exception as err:
            raise failed("finder", self._name, err) from None

    def close(self) -> None:
        """See ``ports.Finder``."""
        self._finder.close()
