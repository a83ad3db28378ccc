"""What broke, as a ``TransferError`` that says what to look at; a library's text names addresses and never passes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping

import requests
import urllib3

from pacsferry.core.errors import TransferError

from .connections import LinkLocal

#: OpenSSL's X509_V_ERR codes.
_UNTRUSTED = "it is of an authority that is not trusted", "set archive.dicomweb.ca to the PEM file of the authority"
_OTHER_NAME = "it is of another host", "write the name that is in the certificate into archive.dicomweb"
_CERTIFICATE: Mapping[int, tuple[str, str]] = {
    2: _UNTRUSTED,
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    9: ("it is not valid yet", "check the clocks"),
    10: ("it has expired", "ask the archive's administrator"),
    23: ("it was revoked", "ask the archive's administrator"),
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
#: Alerts with which a server says that it wants a client certificate, or another one (RFC 8446 6.2).
_WANTS_CERTIFICATE = (
    "certificate_required",
    "bad_certificate",
    "certificate_expired",
    "certificate_revoked",
    "certificate_unknown",
    "unsupported_certificate",
    "unknown_ca",
    "access_denied",
    "decrypt_error",
)
#: OpenSSL's other reasons: what it means, and what to do.
_NO_TLS = "it does not speak TLS", "give the archive's port for https, or write http://"
_OLD = "it speaks no TLS version that is safe", "the archive must offer TLS 1.2 or newer"
_AGREED: Mapping[str, tuple[str, str]] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
}
_UNLIKE = "there is no common way to encrypt", "it may want a client certificate (archive.dicomweb.auth)"


def broken(err: BaseException, key: str) -> TransferError:
    """What ``err`` means for the root that stands in ``key``."""
    if isinstance(inner := _tls_error(err), ssl.SSLCertVerificationError):
        why, hint = _CERTIFICATE.get(inner.verify_code, ("it cannot be verified", "ask the archive's administrator"))
        text = f"the archive's certificate is not accepted: {why} ({key})"
        return TransferError(text, code="tls", retryable=False, hint=hint)
    if inner is not None and _alert(inner) in _WANTS_CERTIFICATE:
        return TransferError(
            f"the archive does not accept our certificate, or wants one ({key})",
            code="http-401",
            retryable=False,
            hint='set archive.dicomweb.auth = { use = "mtls", cert = …, key = … }',
        )
    if any(isinstance(one, TimeoutError) and "handshake" in str(one) for one in _layers(err)):
        return TransferError(f"no secure connection within archive.timeouts.connect ({key})", code="unreachable")
    if isinstance(inner, ssl.SSLEOFError):
        return TransferError(
            "the archive broke the secure connection off, as one does that wants a client certificate and got none it "
            "likes (archive.dicomweb.auth)",
            code="aborted",
        )
    if inner is not None:
        why, hint = _AGREED.get(inner.reason or "", _UNLIKE)
        return TransferError(
            f"no secure connection to the archive: {why} ({key})", code="tls", retryable=False, hint=hint
        )
    return next(made for kinds, made in _kinds(key) if isinstance(_innermost(err), kinds))


def _alert(err: ssl.SSLError) -> str:
    """The alert in the words of RFC 8446, or an empty string."""
    return (err.reason or "").lower().rpartition("alert_")[2]


def _kinds(key: str) -> Iterator[tuple[tuple[type[BaseException], ...], TransferError]]:
    """What went wrong by the kind of error, the special before the general."""
    late = (urllib3.exceptions.ConnectTimeoutError, requests.ConnectTimeout)
    silent = (urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout, TimeoutError)
    cut = (urllib3.exceptions.IncompleteRead, urllib3.exceptions.InvalidChunkLength)
    yield (
        (LinkLocal,),
        TransferError(f"a link-local address is refused ({key})", code="unreachable", retryable=False),
    )
    yield (
        (urllib3.exceptions.NameResolutionError,),
        TransferError(f"the archive's host name is not known here ({key})", code="unreachable"),
    )
    # Before the time-outs: a refused connection is one of them to urllib3.
    yield (
        (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError, requests.exceptions.ProxyError),
        TransferError(f"the archive could not be reached ({key})", code="unreachable"),
    )
    yield late, TransferError(f"no connection within archive.timeouts.connect ({key})", code="unreachable")
    yield silent, TransferError("the archive was silent for longer than archive.timeouts.stall", code="stalled")
    yield cut, TransferError("the archive's answer ended in the middle", code="truncated")
    yield (
        (urllib3.exceptions.SSLError, requests.exceptions.SSLError, ssl.SSLError),
        TransferError(f"no secure connection to the archive ({key})", code="tls", retryable=False),
    )
    yield (
        (requests.ConnectionError, urllib3.exceptions.ProtocolError, OSError),
        TransferError("the archive broke the connection off", code="aborted"),
    )
    yield (BaseException,), TransferError("the archive's answer is no HTTP", code="bad-answer")


def _layers(err: BaseException) -> Iterator[BaseException]:
    """An error and those that libraries wrapped it around, from the outside."""
    for _ in range(6):
        yield err
        inner = getattr(err, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((one for one in err.args if isinstance(one, BaseException)), None) or err.__cause__
        if inner is None:
            return
        err = inner


def _tls_error(err: BaseException) -> ssl.SSLError | None:
    return next((one for one in _layers(err) if isinstance(one, ssl.SSLError)), None)


def _innermost(err: BaseException) -> BaseException:
    """The urllib3 error inside what ``requests`` made of it, or else ``err``."""
    for _ in range(4):
        inner = getattr(err, "reason", None) or next((one for one in err.args if isinstance(one, Exception)), None)
        if not isinstance(inner, urllib3.exceptions.HTTPError):
            return err
        err = inner
    return err
