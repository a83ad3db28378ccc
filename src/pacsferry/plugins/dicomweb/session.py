"""A requests session that cannot be driven: its own origins, bounded patience, and errors that say no value.

It follows no redirect to another origin, reads no ``~/.netrc`` and no proxy from the environment, keeps no cookies,
takes no content encoding, and answers to every failure with a ``TransferError``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests

from pacsferry import __version__
from pacsferry.core.archive import Archive
from pacsferry.core.errors import FerryError, TransferError
from pacsferry.core.model import Ping
from pacsferry.core.ports import Proof
from pacsferry.core.redact import quiet_loggers

from . import WebSettings
from .connections import Lines, LinesAdapter
from .failures import broken
from .matching import plain_query
from .origins import Root, checked, inside, origin, own_origins, root_of
from .patience import Patience, RefusedRequest, retry_after
from .statuses import meaning
from .tls import NOBODY_TRUSTED, context_of

__all__ = ["RefusedRequest", "Root", "WebSession", "checked", "ping", "root_of"]

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Read size: what one ``recv`` gives, at most.
CHUNK = 512 * 1024
#: What a root that only retrieves may say to a query.
UNKNOWN_THERE = frozenset({400, 404, 405, 406, 410, 501})
JSON = "application/dicom+json, application/json"
_HINTS: Mapping[int, str] = {
    401: "say who we are with archive.dicomweb.auth; `pacsferry plugins` lists the ways",
    403: "ask the archive's administrator what this user may do",
    407: "the proxy of archive.dicomweb.proxy wants credentials, which it does not get",
}


class WebSession(requests.Session):
    """A session for one service root. Safe to use from several threads; ``cut`` ends all that is under way."""

    def __init__(self, root: Root, archive: Archive, settings: WebSettings, *, max_whole: int = 2**20) -> None:
        super().__init__()
        quiet_loggers()
        self._max_whole = max_whole
        self.root = root
        self._settings = settings
        self._who = archive.authenticator
        self._proof = self._who.proof if self._who is not None else Proof.NONE
        self._own = own_origins(root, archive, self._proof)
        self._lines = Lines(archive.timeouts.stall)
        self._nearline = archive.timeouts.nearline
        self.limits = (archive.timeouts.connect, archive.timeouts.stall)
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers.update({"Accept-Encoding": "identity", "User-Agent": f"pacsferry/{__version__}"})
        self.proxies = _proxies(archive)
        secure = any(one[0] == "https" for one in self._own)
        context = context_of(archive, self._who) if secure else NOBODY_TRUSTED
        to_proxy = context_of(archive, None) if secure and self.proxies else NOBODY_TRUSTED
        for scheme in ("http://", "https://"):
            self.mount(scheme, LinesAdapter(self._lines, context, to_proxy))

    def cut(self) -> None:
        """End every request under way, and give back the connections. May be called twice."""
        self._lines.cut()
        self.close()

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the signature of requests
        """None: redirects are followed here, and only within the archive's own origins."""
        return

    def open(self, url: str, accept: str, *, slow: bool = False) -> requests.Response:
        """The answer, its body not read yet. ``slow``: it may have to come from tape. Raises ``TransferError``."""
        request = self.prepare_request(requests.Request("GET", url, headers={"Accept": accept}))
        return self._patiently(request, {"proxies": self.proxies}, slow=slow)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send until there is an answer worth reading. Raises ``TransferError``."""
        response = self._patiently(request, kwargs, slow=False)
        if not kwargs.get("stream"):
            response.raw = _Whole(response.raw, self.chunks(response.raw), self._max_whole)
        return response

    def _patiently(
        self, request: requests.PreparedRequest, options: dict[str, Any], *, slow: bool
    ) -> requests.Response:
        """One request, again where that makes sense: nothing else in this process tries anything twice."""
        # dicomweb-client sets a Host without the port, which is another origin.
        request.headers.pop("Host", None)
        request.url = plain_query(str(request.url))
        patience = Patience(
            max_tries=self._settings.max_tries, max_wait=self._settings.max_wait, nearline=self._nearline, slow=slow
        )
        first = max(self._nearline, self.limits[1]) if slow else self.limits[1]
        options = {**options, "stream": True, "verify": True, "cert": None, "timeout": (self.limits[0], first)}
        while True:
            try:
                response = self._as_ourselves(request, options)
                self._judge(response)
            except TransferError as err:
                if self._lines.closed.wait(patience.pause(err)):
                    raise self._interrupted() from None
            else:
                return response

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

    def _as_ourselves(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        """Send with the proof of who we are; once more where a 401 shows that it was out of date."""
        response, proof = self._within_origin(request, options)
        if response.status_code == 401 and self._who is not None and self._who.renew(proof):
            response.close()
            response, _ = self._within_origin(request, options)
        return response

    def _within_origin(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> tuple[requests.Response, Mapping[str, str]]:
        """Send, and follow a few redirects that stay where they may; with the answer, the proof that it was given."""
        for _ in range(MAX_REDIRECTS + 1):
            proof = self._prove(request)
            response = self._once(_with(request, proof), options)
            location = response.headers.get("Location")
            if response.status_code not in REDIRECTS or location is None or request.method not in ("GET", "HEAD"):
                return response, proof
            response.close()
            request = request.copy()
            request.url = inside(str(request.url), location, self._own, key=self.root.key)
        raise TransferError(
            f"the archive redirects in a circle ({self.root.key})", code="http-redirect", retryable=False
        )

    def _prove(self, request: requests.PreparedRequest) -> Mapping[str, str]:
        """Header fields that say who we are, for an address of the archive's own."""
        if origin(str(request.url)) not in self._own:
            raise TransferError("a request to another origin was stopped", code="bad-answer", retryable=False)
        return {} if self._who is None else self._who.headers(str(request.method), str(request.url))

    def _once(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        if self._lines.closed.is_set():
            raise self._interrupted()
        try:
            return super().send(request, **{**options, "allow_redirects": False})
        except FerryError:
            raise
        except Exception as err:
            raise self._broken(err) from None

    def _judge(self, response: requests.Response) -> None:
        """Raise for a status that is no success, and for an encoding nobody asked for."""
        status = response.status_code
        if 200 <= status < 300 and status != 202:
            if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
                response.close()
                raise TransferError("the archive compressed an answer unasked", code="bad-answer", retryable=False)
            return
        after = retry_after(response.headers.get("Retry-After"))
        response.close()
        meant = meaning(status)
        raise RefusedRequest(
            f"{self._said(status)} ({self.root.key})",
            status=status,
            code=meant.code,
            retryable=meant.retryable,
            retry_after=after,
            hint=_HINTS.get(status) if status != 401 or self._proof is Proof.NONE else "check archive.dicomweb.auth",
        )

    def _said(self, status: int) -> str:
        if status == 401 and self._proof is not Proof.NONE:
            return "the archive does not accept the credentials of archive.dicomweb.auth: HTTP status 401"
        if status == 401:
            return "the archive wants to know who asks, see archive.dicomweb.auth: HTTP status 401"
        return f"the archive answered with HTTP status {status}"

    def _interrupted(self) -> TransferError:
        return TransferError("the connection was closed on our side", code="interrupted")

    def _broken(self, err: Exception) -> TransferError:
        """A ``TransferError`` without the text of ``err``, which names addresses and thereby identifiers."""
        return self._interrupted() if self._lines.closed.is_set() else broken(err, self.root.key)


def _with(request: requests.PreparedRequest, proof: Mapping[str, str]) -> requests.PreparedRequest:
    """The request with header fields of its own; the one given stays as it is."""
    proved = request.copy()
    proved.headers.update(proof)
    return proved


def _proxies(archive: Archive) -> dict[str, str]:
    proxy = archive.dicomweb.proxy if archive.dicomweb else ""
    return {"http": proxy, "https": proxy} if proxy else {}


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
