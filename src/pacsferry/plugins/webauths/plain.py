"""Who we are in a header field that is known beforehand; a secret that was changed meanwhile is read again on 401."""

from __future__ import annotations

import base64
import re
import ssl
import threading
from collections.abc import Callable, Mapping

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.ports import Proof

from . import BasicSettings, BearerSettings, NoAuthSettings
from .references import AUTH, named, read

#: A token as it may stand after "Bearer" (RFC 6750 2.1).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Nobody:
    """Says nothing."""

    proof = Proof.NONE

    def __init__(self, archive: Archive, settings: NoAuthSettings) -> None:
        """Nothing is needed."""

    def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        """None."""
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's signature
        """There is nothing to renew."""
        return False

    def secure(self, context: ssl.SSLContext) -> None:
        """Nothing is added."""


class _Field(Nobody):
    """An Authorization field made of a secret. ``make`` reads it, now and when the archive refuses it."""

    proof = Proof.HEADERS

    def __init__(self, make: Callable[[], str]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._value = make()

    def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        """The field."""
        return {"Authorization": self._value}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Read the secret again; a password that is still the same is not tried twice."""
        with self._lock:
            if refused.get("Authorization") == self._value:
                self._value = self._make()
            return refused.get("Authorization") != self._value


class Basic(_Field):
    """HTTP Basic (RFC 7617), in UTF-8."""

    def __init__(self, archive: Archive, settings: BasicSettings) -> None:
        def make() -> str:
            user, password = named(settings.username, archive, "username"), read(settings.password, archive, "password")
            if ":" in user:
                raise ConfigError(f"{AUTH}.username: a user name of HTTP Basic holds no colon")
            if _CONTROL.search(user + password):
                raise ConfigError(f"{AUTH}: user name or password has a control character, such as a line end")
            return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"

        super().__init__(make)


class Bearer(_Field):
    """A bearer token (RFC 6750)."""

    def __init__(self, archive: Archive, settings: BearerSettings) -> None:
        def make() -> str:
            token = read(settings.token, archive, "token").strip()
            if not _TOKEN.fullmatch(token):
                raise ConfigError(f"{AUTH}.token: what it refers to is no token (RFC 6750 2.1)")
            return f"Bearer {token}"

        super().__init__(make)
