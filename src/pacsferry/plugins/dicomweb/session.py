"""The session that dicomweb-client is given: one origin, bounded patience, and errors that say no value.

It follows no redirect to another origin, reads no ``~/.netrc`` and no proxy from the environment, takes no content
encoding, and answers to every failure with a ``TransferError``.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from pacsferry import __version__
from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Ping
from pacsferry.core.redact import quiet_loggers

from . import WebSettings
from .connections import Lines, LinesAdapter
from .matching import plain_query

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Read size: what one ``recv`` gives, at most.
CHUNK = 512 * 1024
#: HTTP status -> reason code, retryable. The other 4xx and all 5xx are ``http-error``.
STATUS: Mapping[int, tuple[str, bool]] = {
    401: ("http-401", False),
    403: ("http-403", False),
    404: ("http-404", True),
    405: ("not-supported", False),
    406: ("http-406", False),
    407: ("http-403", False),
    410: ("not-found", True),
    415: ("http-406", False),
    429: ("http-429", True),
    501: ("not-supported", False),
    503: ("http-503", True),
}
#: Worth another try in a moment.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: What a root that only retrieves may say to a query.
UNKNOWN_THERE = frozenset({400, 404, 405, 406, 410, 501})
JSON = "application/dicom+json, application/json"
_UID = re.compile(r"[0-9.]{1,64}")


class RefusedRequest(TransferError):
    """An HTTP status that is no success."""

    def __init__(self, message: str, *, status: int, **more: Any) -> None:
        super().__init__(message, **more)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A service root and the key of the profile that it stands in."""

    url: str
    key: str


def root_of(archive: Archive, service: str) -> Root:
    """The root of ``qido``, ``wado`` or ``stow``. Raises ``ConfigError`` with the key that is missing or wrong."""
    web = archive.dicomweb
    own = getattr(web, service, None)
    key = f"archive.dicomweb.{service if own else 'url'}"
    url = own or (web.url if web else None)
    if not url:
        raise ConfigError(
            f"{key} is missing", hint=f"set archive.dicomweb.url, or archive.dicomweb.{service}, to the DICOMweb root"
        )
    try:
        _sent(url)
    except (ValueError, requests.RequestException):
        raise ConfigError(f"{key}: write http://host:port/path, with a port of 1 to 65535") from None
    return Root(url=url.rstrip("/"), key=key)


def _sent(url: str) -> tuple[str, str, int | None]:
    """The origin as ``requests`` will write it: international names become ASCII."""
    return origin(str(requests.Request("GET", url).prepare().url))


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454 4). Raises ``ValueError``."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def checked(uid: str) -> str:
    """A UID that may stand in an address. Raises ``TransferError``: the archive made it, so it may be anything."""
    uid = uid.strip(" \0")
    # Dots alone would climb: a path of "." or ".." is taken away by every HTTP library (RFC 3986 5.2.4).
    if not _UID.fullmatch(uid) or not uid.strip("."):
        raise TransferError("a UID from the archive is no UID", code="bad-answer", retryable=False)
    return uid


class WebSession(requests.Session):
    """A session for one service root. Safe to use from several threads; ``cut`` ends all that is under way."""

    def __init__(self, root: Root, archive: Archive, settings: WebSettings, *, max_whole: int = 2**20) -> None:
        super().__init__()
        quiet_loggers()
        self._max_whole = max_whole
        self.root = root
        self._settings = settings
        self._origin = _sent(root.url)
        self._lines = Lines()
        self.limits = (archive.timeouts.connect, archive.timeouts.stall)
        self.trust_env = False
        self.verify = _authorities()
        self.headers.clear()
        self.headers.update({"Accept-Encoding": "identity", "User-Agent": f"pacsferry/{__version__}"})
        self.proxies = _proxies(archive)
        for scheme in ("http://", "https://"):
            self.mount(scheme, LinesAdapter(self._lines))

    def cut(self) -> None:
        """End every request under way, and give back the connections. May be called twice."""
        self._lines.cut()
        self.close()

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the signature of requests
        """None: redirects are followed here, and only within the origin."""
        return

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send until there is an answer worth reading. Raises ``TransferError``."""
        whole = not kwargs.get("stream")
        # dicomweb-client sets a Host without the port, which is another origin.
        request.headers.pop("Host", None)
        request.url = plain_query(str(request.url))
        for tried in range(1, self._settings.max_tries + 1):
            last = tried == self._settings.max_tries
            try:
                response = self._within_origin(request, {**kwargs, "stream": True, "timeout": self.limits})
                self._judge(response)
            except TransferError as err:
                self._pause(err, tried, last)
            else:
                if whole:
                    response.raw = _Whole(response.raw, self.chunks(response.raw), self._max_whole)
                return response
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def chunks(self, raw: Any) -> Iterator[bytes]:
        """The body, as it comes. Raises ``TransferError`` on silence, on an early end, and when ``cut``."""
        while True:
            try:
                chunk = raw.read1(CHUNK, decode_content=False)
            except Exception as err:
                raise self._broken(err) from None
            if self._lines.closed.is_set():
                raise self._interrupted()
            if not chunk:
                return
            yield chunk

    def _within_origin(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        """Send, and follow a few redirects that stay in the origin."""
        for _ in range(MAX_REDIRECTS + 1):
            response = self._once(request, options)
            if response.status_code not in REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            request = request.copy()
            request.url = self._target(str(request.url), response.headers["Location"])
        raise TransferError(f"the archive redirects in a circle ({self.root.key})", code="http-error", retryable=False)

    def _target(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            inside = origin(target) == self._origin and urlsplit(target).username is None
        except ValueError:
            inside = False
        if not inside:
            raise TransferError(
                f"the archive redirects to another address, which is not followed ({self.root.key})",
                code="http-error",
                retryable=False,
                hint=f"set {self.root.key} to the address that really serves",
            )
        return target

    def _once(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        if self._lines.closed.is_set():
            raise self._interrupted()
        if origin(str(request.url)) != self._origin:
            raise TransferError("a request to another origin was stopped", code="bad-answer", retryable=False)
        try:
            return super().send(request, **{**options, "allow_redirects": False})
        except TransferError:
            raise
        except Exception as err:
            raise self._broken(err) from None

    def _judge(self, response: requests.Response) -> None:
        """Raise for a status that is no success, and for an encoding nobody asked for."""
        status = response.status_code
        if 200 <= status < 300:
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                response.close()
                raise TransferError("the archive compressed an answer unasked", code="bad-answer", retryable=False)
            return
        after = _retry_after(response.headers.get("Retry-After"))
        response.close()
        code, retryable = STATUS.get(status, ("http-error", status in PASSING or status >= 500))
        raise RefusedRequest(
            f"the archive answered with HTTP status {status} ({self.root.key})",
            status=status,
            code=code,
            retryable=retryable,
            retry_after=after,
        )

    def _pause(self, err: TransferError, tried: int, last: bool) -> None:
        """Wait before another try, or raise: nothing is tried again that would only fail again."""
        passing = err.status in PASSING if isinstance(err, RefusedRequest) else err.code == "aborted"
        wait = err.retry_after
        if last or not passing or (wait is not None and wait > self._settings.max_wait):
            raise err
        if wait is None:
            wait = min(self._settings.max_wait, 0.25 * 2**tried) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        if self._lines.closed.wait(wait):
            raise self._interrupted() from None

    def _interrupted(self) -> TransferError:
        return TransferError("the connection was closed on our side", code="interrupted")

    def _broken(self, err: Exception) -> TransferError:
        """A ``TransferError`` without the text of ``err``, which names addresses and thereby identifiers."""
        if self._lines.closed.is_set():
            return self._interrupted()
        return next(made for kind, made in _failures(self.root.key) if isinstance(_innermost(err), kind))


def _failures(key: str) -> Iterator[tuple[tuple[type[BaseException], ...], TransferError]]:
    """What went wrong by the kind of error, the special before the general."""
    late = (urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout)
    silent = (urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout, TimeoutError)
    cut = (urllib3.exceptions.IncompleteRead, urllib3.exceptions.InvalidChunkLength)
    yield late, TransferError(f"no connection within archive.timeouts.connect ({key})", code="unreachable")
    yield silent, TransferError("the archive was silent for longer than archive.timeouts.stall", code="stalled")
    yield cut, TransferError("the archive's answer ended in the middle", code="truncated")
    yield (
        (urllib3.exceptions.SSLError, requests.exceptions.SSLError),
        TransferError(f"no secure connection to the archive ({key})", code="unreachable", retryable=False),
    )
    yield (
        (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError, requests.exceptions.ProxyError),
        TransferError(f"the archive could not be reached ({key})", code="unreachable"),
    )
    yield (
        (requests.ConnectionError, urllib3.exceptions.ProtocolError, OSError),
        TransferError("the archive broke the connection off", code="aborted"),
    )
    yield (BaseException,), TransferError("the archive's answer is no HTTP", code="bad-answer")


def _innermost(err: BaseException) -> BaseException:
    """The urllib3 error inside what ``requests`` made of it, or else ``err``."""
    for _ in range(4):
        inner = getattr(err, "reason", None) or next((one for one in err.args if isinstance(one, Exception)), None)
        if not isinstance(inner, urllib3.exceptions.HTTPError):
            return err
        err = inner
    return err


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After field (RFC 9110 10.2.3), which is a number or a date; None where it is neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def _authorities() -> str | bool:
    """The environment's certificate bundle; it is the one thing that is taken from there, and holds no secret."""
    return next((os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE") if os.environ.get(name)), True)


def _proxies(archive: Archive) -> dict[str, str]:
    proxy = archive.dicomweb.proxy if archive.dicomweb else ""
    if not proxy:
        return {}
    return {"http": proxy, "https": proxy}


class _Whole:
    """A body for ``Response.content``: ends and stalls like every other one, and is never longer than ``limit``."""

    def __init__(self, raw: Any, chunks: Iterator[bytes], limit: int) -> None:
        self._raw, self._chunks, self._left = raw, chunks, limit

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._left -= len(chunk)
            if self._left < 0:
                self._raw.close()
                raise TransferError("the archive's answer is too long", code="bad-answer", retryable=False)
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def ping(archive: Archive, settings: WebSettings) -> Ping:
    """Ask for at most one study. Raises ``TransferError``.

    Where a profile has a WADO-RS root only, which has nothing harmless to ask for, every "I do not know that" shows
    that somebody is there.
    """
    lonely = archive.dicomweb is not None and not (archive.dicomweb.qido or archive.dicomweb.url)
    root = root_of(archive, "wado" if lonely else "qido")
    begun = time.monotonic()
    with WebSession(root, archive, settings) as session:
        try:
            _ = session.get(f"{root.url}/studies?limit=1", headers={"Accept": JSON}).content
        except RefusedRequest as err:
            if not lonely or err.status not in UNKNOWN_THERE:
                raise
    service = "WADO-RS" if lonely else "QIDO-RS"
    return Ping(service=service, address=root.url, seconds=time.monotonic() - begun)
