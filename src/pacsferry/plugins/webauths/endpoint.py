"""One request to a token endpoint at a time, over a connection of its own: no redirects, no cookies, no long answers.

Answers are sorted by the error codes of the standard; free text of the endpoint is never passed on.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pacsferry import __version__
from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.host import is_loopback

from . import Oauth2ClientSettings
from .references import AUTH, readable, trust

#: A token is a few kilobytes.
LONGEST = 2**20
#: Seconds for all of an answer, however slowly it comes.
WHOLE = 60.0
#: Worth another try in a moment.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: What the endpoint may say (RFC 6749 5.2, RFC 6749 4.1.2.1, RFC 8707 2), and what to look at.
SAID: Mapping[str, str] = {
    "invalid_request": "it finds the request incomplete: look at scope, audience and params",
    "invalid_client": "it does not accept client_id and client_secret, or wants them the other way: see client_auth",
    "invalid_grant": "it does not accept the credentials",
    "unauthorized_client": "this client may not use client credentials: ask who runs the token endpoint",
    "unsupported_grant_type": "it knows no client credentials: is it the right token_url?",
    "invalid_scope": "it does not know the scope, or does not give it to this client",
    "invalid_target": "it does not know the audience or resource",
    "access_denied": "it does not let this client in",
    "server_error": "it failed",
    "temporarily_unavailable": "it is overloaded",
}


def no_token(why: str, *, retryable: bool = False, retry_after: float | None = None) -> TransferError:
    """The error for an endpoint that gives no token."""
    return TransferError(
        f"the token endpoint ({AUTH}.token_url) gave no token: {why}",
        code="no-token",
        retryable=retryable,
        retry_after=retry_after,
    )


class Endpoint:
    """A token endpoint. Raises ``ConfigError`` where its address could not keep a secret."""

    def __init__(self, archive: Archive, settings: Oauth2ClientSettings) -> None:
        where = f"{AUTH}.token_url"
        try:
            self._url = urlsplit(settings.token_url)
            self._port = self._url.port
        except ValueError:
            raise ConfigError(f"{where}: write https://host:port/path, with a port of 1 to 65535") from None
        self._host = self._url.hostname or ""
        if self._url.scheme != "https" and not is_loopback(self._host):
            raise ConfigError(f"{where}: a secret goes there, so it must begin with https://")
        self._limits = archive.timeouts.connect, min(archive.timeouts.stall, 30.0)
        web = archive.dicomweb
        proxy = settings.proxy if settings.proxy is not None else (web.proxy if web else "")
        self._proxy = urlsplit(proxy) if proxy and self._url.scheme == "https" else None
        if self._proxy is not None and self._proxy.scheme != "http":
            raise ConfigError(f'{AUTH}.proxy: to the token endpoint only http://host:port is spoken; "" is no proxy')
        self._context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if settings.ca:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trust(self._context, readable(settings.ca, archive, "ca"), "ca")
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    def post(self, form: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer's JSON object. Raises ``TransferError``."""
        line = self._line()
        late = threading.Event()
        try:
            line.connect()
            _refuse_link_local(line.sock)
            line.sock.settimeout(self._limits[1])
            with _ended(line.sock, late):
                line.request("POST", self._target, body=form, headers={**_FIELDS, **headers})
                response = line.getresponse()
                body = response.read(LONGEST + 1)
        except TransferError:
            raise
        except Exception as err:
            raise (_slow() if late.is_set() else _broken(err)) from None
        finally:
            with contextlib.suppress(OSError):
                line.close()
        if late.is_set():
            raise _slow()
        return _judged(response.status, response.getheader("Retry-After"), body)

    @property
    def _target(self) -> str:
        return (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")

    def _line(self) -> http.client.HTTPConnection:
        connect = self._limits[0]
        if self._url.scheme != "https":
            return http.client.HTTPConnection(self._host, self._port, timeout=connect)
        if self._proxy is None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=connect, context=self._context)
        line = http.client.HTTPSConnection(
            self._proxy.hostname or "", self._proxy.port or 80, timeout=connect, context=self._context
        )
        line.set_tunnel(self._host, self._port or 443)
        return line


_FIELDS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"pacsferry/{__version__}",
}


@contextlib.contextmanager
def _ended(wire: socket.socket, late: threading.Event) -> Iterator[None]:
    """End a connection that is still open after ``WHOLE`` seconds: one byte now and then is no answer."""

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(wire, socket.SHUT_RDWR)  # below TLS, which is not for another thread

    timer = threading.Timer(WHOLE, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _slow() -> TransferError:
    return no_token("its answer takes too long", retryable=True)


def _refuse_link_local(line: socket.socket) -> None:
    """Cloud machines learn their own secrets from link-local addresses; nobody else has a token endpoint there."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(str(line.getpeername()[0]).partition("%")[0]).is_link_local:
            raise no_token("its address is a link-local one, which is refused")


def _broken(err: Exception) -> TransferError:
    """Why there was no answer, by the kind of error; its text could quote what was sent."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return no_token(f"its certificate is not trusted; see {AUTH}.ca")
    if isinstance(err, ssl.SSLError):
        return no_token("there is no secure connection to it")
    if isinstance(err, TimeoutError):
        return no_token("it is silent", retryable=True)
    if isinstance(err, OSError):
        return no_token("it cannot be reached", retryable=True)
    return no_token("its answer is no HTTP")


def _judged(status: int, after: str | None, body: bytes) -> Mapping[str, Any]:
    """The JSON object of a success. Raises ``TransferError`` for everything else."""
    try:
        answer = json.loads(body) if len(body) <= LONGEST else None
    except (ValueError, RecursionError):
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    said = SAID.get(str(answer.get("error"))) if isinstance(answer, dict) else None
    if 300 <= status < 400:
        said = "it redirects, and a secret is not sent on: set token_url to the address that really serves"
    elif status == 200:
        said = "its answer is no JSON object"
    seconds = float(after) if after is not None and after.strip().isdecimal() and len(after) < 10 else None
    raise no_token(said or f"it answered with HTTP status {status}", retryable=status in PASSING, retry_after=seconds)
