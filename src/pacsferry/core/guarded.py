"""The border to plugins that talk to archives: whatever they raise becomes an error without a value of a data set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from .errors import ConfigError, FerryError, TransferError
from .model import Match, Ping, Query
from .ports import Authenticator, Finder, Proof

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


def _nothing() -> None:
    """For finders that keep no connections."""


#: Names and values of header fields (RFC 9110 5.5): nothing that could begin another field.
_FIELD_NAME, _FIELD_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t -~\x80-\xff]*")
#: What says how a message is framed, to whom it goes and what may come back is never a plugin's.
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept", "accept-encoding", "range", "te", "upgrade"}
)


def failed(kind: str, name: str, err: BaseException) -> TransferError:
    """What to say of a plugin that raised something of its own: its type, never its text."""
    return TransferError(
        f"{kind} {name} failed ({type(err).__name__})",
        code=f"{kind.replace(' ', '-')}-failed",
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

    def rest(self) -> None:
        """Give back connections that only wait for another query, where the finder keeps any."""
        getattr(self._finder, "rest", _nothing)()

    def close(self) -> None:
        """See ``ports.Finder``."""
        self._finder.close()


class GuardedAuthenticator:
    """An authenticator whose failures are ``FerryError`` only, and whose header fields are header fields."""

    def __init__(self, name: str, build: Callable[[], Authenticator]) -> None:
        self._name = name
        self._inner = self._safely(build)
        self.proof = self._safely(lambda: Proof(self._inner.proof))

    def headers(self, method: str, url: str) -> Mapping[str, str]:
        """See ``ports.Authenticator``."""
        return self._safely(lambda: _checked(dict(self._inner.headers(method, url))))

    def renew(self, refused: Mapping[str, str]) -> bool:
        """See ``ports.Authenticator``."""
        return self._safely(lambda: bool(self._inner.renew(refused)))

    def secure(self, context: ssl.SSLContext) -> None:
        """See ``ports.Authenticator``."""
        self._safely(lambda: self._inner.secure(context))

    def _safely(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except FerryError:
            raise
        except Exception as err:
            raise failed("web auth", self._name, err) from None


def _checked(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The fields. Raises ``ConfigError``, which quotes no value."""
    for name, value in fields.items():
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS:
            raise ConfigError("archive.dicomweb.auth: gives a header field that it may not give")
        if not _FIELD_VALUE.fullmatch(value):
            raise ConfigError(f"archive.dicomweb.auth: what is given as {name} cannot stand in a header field")
    return fields
