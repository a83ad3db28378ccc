"""Who we are as an access token (RFC 6749 4.4), fetched when it is needed, renewed in time and once after a 401.

One token for all threads; while one of them fetches it, the others wait. Nothing that the endpoint says is repeated
but the error codes of the standard.
"""

from __future__ import annotations

import base64
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

from pacsferry.core.archive import Archive
from pacsferry.core.ports import Proof

from . import Oauth2ClientSettings
from .endpoint import Endpoint, no_token
from .references import named, read

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, and when to have another one (by the monotonic clock)."""

    text: str = field(repr=False)
    until: float

    @property
    def fresh(self) -> bool:
        """Whether it may still be used."""
        return time.monotonic() < self.until


class ClientCredentials:
    """The client credentials grant."""

    proof = Proof.HEADERS

    def __init__(self, archive: Archive, settings: Oauth2ClientSettings) -> None:
        self._settings = settings
        self._id = named(settings.client_id, archive, "client_id")
        self._secret = read(settings.client_secret, archive, "client_secret")
        self._endpoint = Endpoint(archive, settings)
        self._lock = threading.Lock()
        self._token: Token | None = None

    def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        """The token that is valid now. Raises ``TransferError`` where the endpoint gives none."""
        with self._lock:
            if self._token is None or not self._token.fresh:
                self._token = self._fetch()
            return {"Authorization": f"Bearer {self._token.text}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Fetch another token, unless another thread has done so since ``refused`` was sent."""
        with self._lock:
            if self._token is not None and refused.get("Authorization") == f"Bearer {self._token.text}":
                self._token = None  # not to be used again, whatever becomes of the next one
                self._token = self._fetch()
            return self._token is None or refused.get("Authorization") != f"Bearer {self._token.text}"

    def secure(self, context: ssl.SSLContext) -> None:
        """The handshake needs nothing."""

    def _fetch(self) -> Token:
        fields, headers = self._request()
        answer = self._endpoint.post(urlencode(fields).encode("ascii"), headers)
        text, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
        if not isinstance(text, str) or not _TOKEN.fullmatch(text):
            raise no_token("its answer holds no access token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise no_token("its token is of a kind that cannot be used; only bearer tokens can")
        return Token(text=text, until=time.monotonic() + self._usable(answer.get("expires_in")))

    def _usable(self, said: object) -> float:
        """Seconds that a token may be used: what the endpoint says less the leeway, and half of it at least."""
        try:
            seconds = float(str(said)) if said is not None else self._settings.lifetime
        except ValueError:
            seconds = self._settings.lifetime
        if not 0 < seconds < float("inf"):
            seconds = self._settings.lifetime
        return max(seconds - self._settings.leeway, seconds / 2)

    def _request(self) -> tuple[dict[str, str], dict[str, str]]:
        """The form, and the header field where the secret stands in one (RFC 6749 2.3.1)."""
        settings = self._settings
        fields = {**settings.params, "grant_type": "client_credentials"}
        fields |= {key: text for key in ("scope", "audience") if (text := getattr(settings, key))}
        if settings.client_auth == "client_secret_post":
            return {**fields, "client_id": self._id, "client_secret": self._secret}, {}
        pair = f"{quote_plus(self._id)}:{quote_plus(self._secret)}".encode("ascii")
        return fields, {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
