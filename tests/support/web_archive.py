"""An archive that checks who asks, a token endpoint that checks who wants a token, and authorities of our own."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus

from support.certificates import Authority, server_context
from support.scripted_http import Request, Server, answer

SECRET = "s3cr3t/+ %&=ü"
CLIENT = "the client"


class Certificates(Authority):
    """One authority, what it says of the server and of a client, and files of them in ``folder``."""

    def client(self, name: str = "pacsferry.example", *, password: str = "") -> tuple[Path, Path]:
        """Certificate and private key of a client."""
        pair = self.issue("client", name, password=password.encode() or None)
        return pair.cert, pair.key

    def server(self, *names: str, clients: bool = False, **more: object) -> ssl.SSLContext:
        """A server's context; with ``clients`` it wants a certificate of this authority from everybody."""
        return server_context(self.issue("server", *names, **more), self.ca if clients else None)


def guarded(right: str | Callable[[], str], script) -> Callable[[Request], object]:
    """The script for those whose Authorization field is right; 401 for everybody else."""

    def checking(request: Request):
        wanted = right() if callable(right) else right
        if request.headers.get("authorization") != wanted:
            return [answer(401, WWW_Authenticate='Basic realm="r"')]
        return script(request)

    return checking


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass
class TokenEndpoint:
    """Gives ``token-1``, ``token-2`` … to a client that proves itself as RFC 6749 2.3.1 has it; else says invalid_client."""

    serve: Callable[..., Server]
    tls: ssl.SSLContext | None = None
    post: bool = False
    expires_in: object = 3600
    answers: list[bytes] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)
    given: int = 0

    def __post_init__(self) -> None:
        self.server = self.serve(self._script, tls=self.tls)

    @property
    def url(self) -> str:
        return f"{self.server.origin}/oauth2/token"

    @property
    def now(self) -> str:
        """The field that shows the token given last."""
        return f"Bearer token-{self.given}"

    def _script(self, request: Request):
        if self.answers:
            return [self.answers.pop(0)]
        form = {key: values[0] for key, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}
        if self._client(request, form) != (CLIENT, SECRET):
            return [said(401, error="invalid_client", error_description=f"{CLIENT} {SECRET}")]
        if any(form.get(key) != value for key, value in self.wanted.items()):
            return [said(400, error="invalid_scope")]
        if form.get("grant_type") != "client_credentials" or request.method != "POST":
            return [said(400, error="unsupported_grant_type")]
        self.given += 1
        body = {"access_token": f"token-{self.given}", "token_type": "bearer", "expires_in": self.expires_in}
        return [said(200, **{key: value for key, value in body.items() if value is not None})]

    def _client(self, request: Request, form: dict[str, str]) -> tuple[str, str]:
        if self.post:
            return form.get("client_id", ""), form.get("client_secret", "")
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        if kind != "Basic" or "client_secret" in form:
            return "", ""
        user, _, password = base64.b64decode(pair).decode().partition(":")
        return unquote_plus(user), unquote_plus(password)


def said(status: int, **body: object) -> bytes:
    return answer(status, json.dumps(body).encode(), Content_Type="application/json")
