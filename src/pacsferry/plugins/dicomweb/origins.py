"""Which addresses are the archive's own, and whether credentials may go there; nothing else ever gets any.

An origin is scheme, host and port (RFC 6454 4). A root that would carry credentials in the clear to another host, or
that is link-local (where cloud machines keep their own secrets), is a configuration error.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.host import is_loopback
from pacsferry.core.ports import Proof

Origin = tuple[str, str, int | None]

#: Not link-local, and the same thing in one of the clouds.
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254")})
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A service root and the key of the profile that it stands in."""

    url: str
    key: str

    @property
    def origin(self) -> Origin:
        """Where it is."""
        return sent_to(self.url)


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
    return _root(url, key)


def roots(archive: Archive) -> list[Root]:
    """All roots that a profile names. Raises ``ConfigError``."""
    names = ("url", "qido", "wado", "stow")
    return [_root(url, f"archive.dicomweb.{name}") for name in names if (url := getattr(archive.dicomweb, name, None))]


def _root(url: str, key: str) -> Root:
    try:
        _, host, _ = sent_to(url)
    except (ValueError, requests.RequestException):
        raise ConfigError(f"{key}: write http://host:port/path, with a port of 1 to 65535") from None
    if is_metadata(host):
        raise ConfigError(f"{key}: a link-local address, where no archive is")
    return Root(url=url.rstrip("/"), key=key)


def sent_to(url: str) -> Origin:
    """The origin as ``requests`` will write it: international names become ASCII. Raises ``ValueError``."""
    return origin(str(requests.Request("GET", url).prepare().url))


def origin(url: str) -> Origin:
    """Scheme, host and port. Raises ``ValueError``."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def is_metadata(host: str) -> bool:
    """Whether an address is one where a cloud machine learns its own secrets; a name is not one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_link_local or address in _METADATA


def own_origins(root: Root, archive: Archive, proof: Proof) -> frozenset[Origin]:
    """Where requests of ``root`` may go, redirects included. Raises ``ConfigError`` where ``root`` may not be used.

    The other roots of the profile are the archive's own as well, unless that would leave https or give a secret away.
    """
    if why := _unfit(root, archive, proof):
        raise ConfigError(f"{root.key}: {why[0]}", hint=why[1])
    own = {one.origin for one in roots(archive) if not _unfit(one, archive, proof)}
    return frozenset(one for one in own if one[0] == "https" or root.origin[0] == "http")


def _unfit(root: Root, archive: Archive, proof: Proof) -> tuple[str, str] | None:
    """What is wrong with proving who we are there, and what to do; None where nothing is."""
    scheme, host, _ = root.origin
    web = archive.dicomweb
    if scheme == "https" or web is None or proof is Proof.NONE:
        return None
    if proof is Proof.HANDSHAKE:
        return f"a client certificate needs https (archive.dicomweb.auth is {web.auth.use!r})", "write https://…"
    through = urlsplit(web.proxy).hostname or "" if web.proxy else "localhost"
    if web.credentials_over_http or (is_loopback(host) and is_loopback(through)):
        return None
    return (
        "credentials would travel unencrypted, for everybody on the way to read",
        "write https://…, or accept it with archive.dicomweb.credentials_over_http = true",
    )


def inside(url: str, location: str, own: frozenset[Origin], *, key: str) -> str:
    """Where a redirect leads. Raises ``TransferError`` unless it is the archive's own, and no step down from https."""
    try:
        target = urljoin(url, location)
        here, there = origin(url), origin(target)
        allowed = there in own and urlsplit(target).username is None and (here[0], there[0]) != ("https", "http")
    except ValueError:
        allowed = False
    if not allowed:
        raise TransferError(
            f"the archive redirects to another address, which is not followed ({key})",
            code="http-redirect",
            retryable=False,
            hint=f"set {key} to the address that really serves",
        )
    return target


def checked(uid: str) -> str:
    """A UID that may stand in an address. Raises ``TransferError``: the archive made it, so it may be anything."""
    uid = uid.strip(" \0")
    # Dots alone would climb: a path of "." or ".." is taken away by every HTTP library (RFC 3986 5.2.4).
    if not _UID.fullmatch(uid) or not uid.strip("."):
        raise TransferError("a UID from the archive is no UID", code="bad-answer", retryable=False)
    return uid
