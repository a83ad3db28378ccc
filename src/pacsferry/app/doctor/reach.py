"""Whether somebody listens at an address, and what is in the way if not: name, route, refusal, silence, TLS.

It connects once or twice and says nothing on the connection but a TLS handshake.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pacsferry.core.ports import Finding, Standing

#: A certificate that ends sooner is worth a warning.
SOON_DAYS = 30
#: After a handshake of TLS 1.3 a refusal of our own certificate comes only when we read.
AFTERTHOUGHT_SECONDS = 0.5

_FIREWALL = (
    "a firewall between here and there drops the packets, the address is wrong, or the machine is off; "
    "have TCP from this machine to that address and port opened"
)
_REFUSED = "nothing listens on that port, or a firewall refuses: check the port, and whether the service runs"
_ERRNOS: Mapping[int, tuple[str, str]] = {
    errno.ECONNREFUSED: ("the connection is refused", _REFUSED),
    errno.EHOSTUNREACH: ("there is no route to the host, or a firewall says so", "check the address and the network"),
    errno.ENETUNREACH: ("there is no route to the network", "check the network of this machine, or its VPN"),
    errno.ECONNRESET: ("the connection is reset at once", "a firewall, or an address list of the service, ends it"),
    errno.EACCES: ("this machine's own firewall forbids the connection", "allow it in this machine's firewall"),
}
#: X.509 verification errors (OpenSSL) in words.
_CERTIFICATE: Mapping[int, tuple[str, str]] = {
    9: ("its certificate is not valid yet", "check the clocks of both machines"),
    10: ("its certificate has expired", "the archive's administrator must renew it"),
    18: ("its certificate is signed by itself", "give it as ca in the profile's TLS settings, if it is the right one"),
    19: ("its chain ends in a certificate that this machine does not trust", "give the authority's certificate as ca"),
    20: ("its issuer is not known to this machine", "give the authority's certificate as ca"),
    21: ("its issuer is not known, or it does not send its intermediates", "give the authority's certificate as ca"),
    23: ("its certificate is revoked", "the archive's administrator must replace it"),
    62: ("its certificate is for another name", "use the name that it is for, or set server_name"),
    64: ("its certificate is for another address", "use the name that it is for, or set server_name"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What to reach. ``probe`` is the address of the findings; without ``tls`` it is plain TCP."""

    host: str
    port: int
    probe: str
    seconds: float
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    @property
    def text(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"


def reach(address: Address) -> list[Finding]:
    """One finding for the connection, and one for TLS where it is wanted. The last says whether to go on."""
    try:
        socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        text = f"the name {address.host} cannot be resolved"
        advice = "check the spelling, and the name service (DNS) of this machine; an IP address may be used instead"
        return [_failed(f"{address.probe}.reach", text, advice)]
    begun = time.monotonic()
    try:
        wire = socket.create_connection((address.host, address.port), timeout=address.seconds)
    except TimeoutError:
        text = f"{address.text} does not answer within {address.seconds:g} s"
        return [_failed(f"{address.probe}.reach", text, _FIREWALL)]
    except OSError as err:
        what, advice = _ERRNOS.get(err.errno or 0, ("the connection fails", "check address and network"))
        return [_failed(f"{address.probe}.reach", f"{address.text}: {what}", advice)]
    with wire:
        milliseconds = 1000 * (time.monotonic() - begun)
        text = f"{address.text} accepts connections ({milliseconds:.0f} ms)"
        there = Finding(probe=f"{address.probe}.reach", status=Standing.OK, text=text)
        return [there] if address.tls is None else [there, _secured(address, wire)]


def _failed(probe: str, text: str, advice: str) -> Finding:
    return Finding(probe=probe, status=Standing.FAILED, text=text, advice=advice)


def _secured(address: Address, wire: socket.socket) -> Finding:
    """A TLS handshake with all that the profile asks for."""
    assert address.tls is not None  # noqa: S101 - the caller asked
    probe = f"{address.probe}.tls"
    try:
        wire.settimeout(address.seconds)
        with address.tls.wrap_socket(wire, server_hostname=address.server_name or address.host) as secure:
            _afterthought(secure)
            return _good(probe, secure)
    except ssl.SSLCertVerificationError as err:
        what, advice = _CERTIFICATE.get(err.verify_code, ("its certificate is not accepted", "check ca"))
        return _failed(probe, f"TLS: {what}", advice)
    except ssl.SSLError as err:
        return _failed(probe, *_handshake(err))
    except TimeoutError:
        advice = "what listens there may not speak TLS: try without, or another port"
        return _failed(probe, f"TLS: no answer to the handshake within {address.seconds:g} s", advice)
    except OSError:
        advice = "it may not speak TLS on this port, or want a client certificate"
        return _failed(probe, "TLS: the connection ended in the handshake", advice)


def _afterthought(secure: ssl.SSLSocket) -> None:
    """Let a refusal of our own certificate arrive. Raises ``ssl.SSLError``."""
    secure.settimeout(AFTERTHOUGHT_SECONDS)
    with contextlib.suppress(TimeoutError):
        secure.recv(1)


def _handshake(err: ssl.SSLError) -> tuple[str, str]:
    reason = re.sub(r"[^A-Z0-9_]", "", str(err.reason or ""))
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return "TLS: it wants a certificate of ours", "set cert and key in the profile's TLS settings (mutual TLS)"
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        return "TLS: what listens there does not speak TLS", "use the port for TLS, or set tls mode to off"
    if "PROTOCOL" in reason or "VERSION" in reason:
        return "TLS: it offers only versions before 1.2", "the archive's administrator must allow TLS 1.2 or 1.3"
    return f"TLS: the handshake fails ({reason or 'no reason given'})", "compare both sides' TLS settings"


def _good(probe: str, secure: ssl.SSLSocket) -> Finding:
    certificate = secure.getpeercert() or {}
    version, days = secure.version() or "TLS", _days_left(certificate)
    text = f"{version}; its certificate is accepted" + (f" and valid for {days} more days" if days is not None else "")
    if days is not None and days < SOON_DAYS:
        advice = "have it renewed before it ends"
        return Finding(probe=probe, status=Standing.WARNING, text=text, advice=advice)
    return Finding(probe=probe, status=Standing.OK, text=text)


def _days_left(certificate: Mapping[str, object]) -> int | None:
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return None
    return int((ssl.cert_time_to_seconds(ends) - datetime.now(UTC).timestamp()) // 86400)


def speaks_tls(host: str, port: int, seconds: float) -> bool:
    """Whether a TLS handshake is answered, whoever it is. Nothing is sent over it, so nobody needs to be known."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as wire,
            context.wrap_socket(wire, server_hostname=host) as secure,
        ):
            return secure.version() is not None
    except ssl.SSLError as err:
        return "ALERT" in str(err.reason or "")
    except (OSError, ValueError):
        return False
