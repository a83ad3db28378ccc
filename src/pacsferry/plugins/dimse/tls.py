"""TLS of DIMSE connections (PS3.15 B.12): contexts from a profile's tables, failures in words; it sends no data."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacsferry.core.archive import Archive, Dimse, Tls
from pacsferry.core.errors import ConfigError
from pacsferry.core.host import is_loopback
from pacsferry.core.secretrefs import private_file, secret
from pacsferry.core.warn import warn_once

#: The first bytes of a TLS record (RFC 8446 5.1): a handshake or an alert, of any version since SSL 3.
RECORD_STARTS = (b"\x15\x03", b"\x16\x03")

CLIENT, RECEIVER = "archive.dimse.tls", "archive.dimse.receiver.tls"


# --- contexts


def client(archive: Archive) -> Client | None:
    """What connecting to the archive needs; None where TLS is off. Raises ``ConfigError``."""
    assert archive.dimse is not None  # noqa: S101 - the caller checked
    tls = archive.dimse.tls
    if not tls.required:
        return None
    context = _context(ssl.PROTOCOL_TLS_CLIENT, tls, archive.base, CLIENT)
    context.sslsocket_class = _Witness
    if tls.ca is None:
        context.load_default_certs()
    return Client(context=context, name=tls.server_name or archive.dimse.host)


def server(archive: Archive) -> Server | None:
    """What our receiver needs; None where its TLS is off. Raises ``ConfigError``."""
    assert archive.dimse is not None  # noqa: S101 - the caller checked
    receiver = archive.dimse.receiver
    if receiver is None or not receiver.tls.required:
        return None
    context = _context(ssl.PROTOCOL_TLS_SERVER, receiver.tls, archive.base, RECEIVER)
    if receiver.tls.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return Server(context=context, source=(receiver.tls, archive.base))


def _context(protocol: int, tls: Tls, base: Path, where: str) -> ssl.SSLContext:
    """TLS 1.2 or newer. What ``ca`` holds is trusted as it is, so that one certificate of a chain can be pinned."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.ca is not None:
        path = _readable(base, tls.ca, f"{where}.ca")
        with _understood(path, f"{where}.ca", "certificates"):
            context.load_verify_locations(path)
    if tls.cert is not None:
        _own(context, tls, base, where)
    return context


def _own(context: ssl.SSLContext, tls: Tls, base: Path, where: str) -> None:
    """Our certificate and its key."""
    cert = _readable(base, tls.cert or "", f"{where}.cert")
    at = f"{where}.key" if tls.key else f"{where}.cert"
    key = private_file(base / Path(tls.key or tls.cert or "").expanduser(), at)
    password = None if tls.key_password is None else secret(tls.key_password, base, f"{where}.key_password")

    def asked() -> str:
        """Without it OpenSSL would ask on the terminal."""
        if password is None:
            raise ConfigError(f"{at}: the key has a password", hint=f"give a reference to it in {where}.key_password")
        return password.get_secret_value()

    with _understood(key, at, "a private key that fits the certificate" + (" and the password" if password else "")):
        context.load_cert_chain(cert, key, asked)


def _readable(base: Path, name: str, where: str) -> Path:
    """The path of a file that we can read. Raises ``ConfigError``."""
    path = base / Path(name).expanduser()
    if path.exists() and not path.is_file():
        raise ConfigError(f"{where}: {path} is no file")
    try:
        path.open("rb").close()
    except OSError as err:
        raise ConfigError(f"{where}: cannot read {path}: {err.strerror}") from None
    return path


@contextlib.contextmanager
def _understood(path: Path, where: str, what: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
        weak = (getattr(err, "reason", None) or "").endswith(("_TOO_SMALL", "_TOO_WEAK"))
        said = "holds a key or a signature that is too weak" if weak else f"does not hold {what}, as PEM"
        raise ConfigError(f"{where}: {path} {said}") from None


def warn(dimse: Dimse) -> None:
    """Without TLS everybody on the way can read names, dates and images, and nobody proves who he is."""
    if not dimse.tls.required and not is_loopback(dimse.host):
        _warn(f"towards {dimse.host}:{dimse.port}", "archive.dimse.tls")


def warn_of_receiver(archive: Archive) -> None:
    """The same of the way back, where the way there is secure."""
    dimse = archive.dimse
    if dimse is None or dimse.receiver is None or not dimse.tls.required or is_loopback(dimse.host):
        return
    if not dimse.receiver.tls.required:
        _warn(f"from {dimse.host} to our receiver", "archive.dimse.receiver.tls")


def _warn(where: str, key: str) -> None:
    warn_once(f"TLS is off {where}: patients' data travel unencrypted ({key})")


# --- connecting


class _Witness(ssl.SSLSocket):
    """Remembers what went wrong; with TLS 1.3 a server refuses our certificate only after the handshake."""

    handshake: Handshake | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as err:
            self._remember(err)
            raise

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - as the library names it
        try:
            return super().read(len, buffer)
        except ssl.SSLError as err:
            self._remember(err)
            raise

    def _remember(self, err: OSError) -> None:
        wants = isinstance(err, ssl.SSLWantReadError | ssl.SSLWantWriteError)
        if self.handshake is not None and self.handshake.error is None and not wants:
            self.handshake.error = err


@dataclass(frozen=True, kw_only=True)
class Client:
    """How to connect: ``name`` is what the archive's certificate must say, a host name or an address."""

    context: ssl.SSLContext
    name: str

    def handshake(self) -> Handshake:
        """For one association."""
        return Handshake(context=self.context)


@dataclass(eq=False, kw_only=True)
class Handshake:
    """One handshake to come: pynetdicom takes it for a context, and we learn from it what went wrong."""

    context: ssl.SSLContext
    error: OSError | None = field(default=None, repr=False)
    wire: ssl.SSLSocket | None = field(default=None, repr=False)

    def wrap_socket(self, sock: Any, *, server_side: bool, server_hostname: str) -> ssl.SSLSocket:
        """As ``ssl.SSLContext`` has it."""
        wrapped = self.context.wrap_socket(sock, server_side=server_side, server_hostname=server_hostname)
        if isinstance(wrapped, _Witness):
            wrapped.handshake = self
        self.wire = wrapped
        return wrapped


# --- being connected to


@dataclass(frozen=True, kw_only=True)
class Server:
    """How to be connected to: ``source`` is the table that says so, and what its paths count from."""

    context: ssl.SSLContext = field(compare=False)
    source: tuple[Tls, Path]

    def wrap(self, sock: Any) -> ssl.SSLSocket:
        """A connection that was accepted, before its handshake."""
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def greet(self, wire: ssl.SSLSocket) -> None:
        """Do the handshake, within the socket's time-out. Raises ``OSError``."""
        wire.do_handshake()
        name = self.source[0].server_name
        if name is not None and not _named(wire.getpeercert() or {}, name):
            raise ssl.SSLCertVerificationError("the sender's certificate has another name")


def _named(certificate: Mapping[str, Any], name: str) -> bool:
    """Whether it is for exactly that host name or address (no wildcards)."""
    said = {
        str(value).lower() for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"}
    }
    return name.lower() in said


# --- failures in words

#: OpenSSL's reasons: what it means when the archive is the server, and what to do.
_NO_TLS = (
    "it does not speak TLS",
    'give the archive\'s TLS port (often 2762), or write archive.dimse.tls.mode = "off"',
)
_OLD = ("it speaks no TLS version that is safe", "the archive must offer TLS 1.2 or newer")
_OURS = (
    "it does not accept our certificate",
    "archive.dimse.tls.cert and key must be a certificate that the archive trusts",
)
_WANTED = ("it wants a certificate of ours", "give archive.dimse.tls.cert and key, which the archive trusts")
_SUITES = ("there is no common way to encrypt", "it may want a certificate of ours (archive.dimse.tls.cert and key)")
_CLIENT_WORDS: Mapping[str, tuple[str, str]] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTED,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _SUITES,
    "NO_CIPHERS_AVAILABLE": _SUITES,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS,
    "TLSV1_ALERT_UNKNOWN_CA": _OURS,
    "TLSV1_ALERT_ACCESS_DENIED": _OURS,
    "TLSV1_ALERT_DECRYPT_ERROR": _OURS,
}
_NAME = (
    "its certificate is for another name",
    "archive.dimse.tls.server_name says which name to expect, where the archive is addressed by another one or by IP",
)
_UNTRUSTED = (
    "its certificate is of an authority that we do not know",
    "archive.dimse.tls.ca must hold the authority's certificate, or the archive's own",
)
#: X509_V_ERR codes of OpenSSL.
_VERIFY_WORDS: Mapping[int, tuple[str, str]] = {
    9: ("its certificate is not valid yet", "check the clocks of both sides"),
    10: ("its certificate has expired", "the archive needs a new one; check the clocks of both sides too"),
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    23: ("its certificate was revoked", "the archive needs a new one"),
    62: _NAME,
    64: _NAME,
}


def explained(err: OSError) -> tuple[str, str, bool]:
    """Why a handshake with an archive failed, what to do, and whether another try may end otherwise."""
    if isinstance(err, ssl.SSLCertVerificationError):
        why = _VERIFY_WORDS.get(err.verify_code) or (
            f"its certificate is not good (code {err.verify_code})",
            _UNTRUSTED[1],
        )
        return *why, False
    if isinstance(err, TimeoutError):
        return "it does not answer the TLS handshake, and may not speak TLS", _NO_TLS[1], True
    if isinstance(err, ssl.SSLEOFError | ConnectionError):
        return "it ended the connection in the TLS handshake, and may not speak TLS", _NO_TLS[1], True
    reason = getattr(err, "reason", None) or ""
    found = _CLIENT_WORDS.get(reason)
    return (
        (*found, False) if found else (f"the TLS handshake failed ({reason or type(err).__name__})", _NO_TLS[1], True)
    )


def spoken(host: str, port: int, seconds: float) -> bool:
    """Whether a port that would not talk plainly speaks TLS. Many servers do not even send an alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent, nothing believed
    try:
        with socket.create_connection((host, port), seconds) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLEOFError:
        return False
    except ssl.SSLError as err:
        return _CLIENT_WORDS.get(err.reason or "") is not _NO_TLS
    except OSError:
        return False


#: OpenSSL's reasons when we are the server: what to remember (``admission`` has the words).
_SERVER_NOTES: Mapping[str, str] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "CERTIFICATE_VERIFY_FAILED": "certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "distrust",
    "SSLV3_ALERT_BAD_CERTIFICATE": "distrust",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "distrust",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "distrust",
    "TLSV1_ALERT_DECRYPT_ERROR": "distrust",
}


def note_of(err: OSError) -> str:
    """What to remember of a handshake that a sender did not pass."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return "certificate"
    return _SERVER_NOTES.get(getattr(err, "reason", None) or "", "handshake")
