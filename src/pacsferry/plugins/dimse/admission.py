"""Who may send to our receiver, and in which contexts; a table of rules, nothing is received here."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from pacsferry.core.archive import Archive, Receiver
from pacsferry.core.encoding import SYNTAX_ROOT

from . import tls
from .association import EXPLICIT, IMPLICIT, VERIFICATION
from .contexts import STANDARD

DICOM_ROOT = "1.2.840.10008."
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
ANYBODY = "*"

_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
#: The uncompressed syntaxes, best first; of several in one context we take the first of these.
_PREFERRED = (EXPLICIT, IMPLICIT, _BIG_ENDIAN, _DEFLATED)
#: Syntaxes of streams and of references to pixels elsewhere; there is no object to store.
_NO_OBJECTS = tuple(f"{SYNTAX_ROOT}.{tail}" for tail in ("4.94", "4.95", "4.204", "4.205", "7.1", "7.2", "7.3"))
_CLASSES = frozenset(STANDARD)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


#: What to do about senders that were turned away, the most telling first; ``{…}`` are filled in.
_HINTS: Mapping[str, str] = {
    "calling": "it called us as {titles}: if that is right, add it to archive.dimse.receiver.calling_ae_titles",
    "called": "it called another AE title than archive.dimse.receiver.ae_title ({ae_title})",
    "plain": "it sent without TLS, and archive.dimse.receiver.tls asks for it: "
    "have TLS switched on in the archive's entry for us",
    "tls": 'it sent over TLS, and archive.dimse.receiver.tls.mode is "off"',
    "no certificate": "it showed no certificate, and archive.dimse.receiver.tls.ca asks for one",
    "certificate": "its certificate is not one of archive.dimse.receiver.tls.ca (and server_name)",
    "distrust": "it does not trust our certificate: have the authority of archive.dimse.receiver.tls.cert added there",
    "handshake": "it could not agree on TLS with our receiver: TLS 1.2 or newer is needed",
    "full": "more connections came than archive.dimse.receiver.connections (and connections_per_address) take",
    "address": "somebody connected from an address that archive.dimse.receiver.allow does not name",
}
#: How many different titles are remembered.
_TITLES = 8


@dataclass(eq=False, kw_only=True)
class Tenant:
    """One archive's right to send here: from which addresses, to which title of ours, calling itself what, over TLS.

    No ``calling`` title means any: many archives store from another one than they are queried at, and a title proves
    nothing. ``refused`` collects why connections were turned away (keys of ``_HINTS``), and when last (monotonic
    seconds); ``titles`` who they said to be.
    """

    ae_title: str
    networks: tuple[Network, ...]
    calling: frozenset[str]
    stall: float
    patience: float
    connections: int
    connections_per_address: int = 16
    secured: tls.Server | None = None
    refused: dict[str, float] = field(default_factory=dict)
    titles: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def knows(self, address: str) -> bool:
        """Whether the address is on the list."""
        with contextlib.suppress(ValueError):
            peer = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
            mapped = getattr(peer, "ipv4_mapped", None)
            return any((mapped or peer) in network for network in self.networks)
        return False

    def admits(self, address: str, called: str, calling: str) -> bool:
        """Whether an association may be made; notes why not."""
        if not self.knows(address):
            return False
        if called != self.ae_title.strip():
            self.note("called")
            return False
        if self.calling and ANYBODY not in self.calling and calling not in self.calling:
            with self.lock:
                self.titles |= {calling} if len(self.titles) < _TITLES else set()
            self.note("calling")
            return False
        return True

    def note(self, why: str) -> None:
        """Remember a refusal."""
        with self.lock:
            self.refused[why] = time.monotonic()

    def hint(self, since: float = 0.0) -> str | None:
        """What the person who configures the archive should know of refusals, not older than ``since``."""
        with self.lock:
            why = next((one for one in _HINTS if self.refused.get(one, -1.0) >= since), None)
            titles = ", ".join(repr(title) for title in sorted(self.titles))
        return None if why is None else _HINTS[why].format(titles=titles, ae_title=self.ae_title)


def tenant_of(archive: Archive, receiver: Receiver) -> Tenant:
    """The rights that a profile gives: where it says nothing, the archive's own host. Raises ``ConfigError``."""
    assert archive.dimse is not None  # noqa: S101 - the caller checked
    return Tenant(
        ae_title=receiver.ae_title,
        networks=tuple(_networks(receiver.allow, archive.dimse.host)),
        calling=frozenset(title.strip() for title in receiver.calling_ae_titles),
        stall=archive.timeouts.stall,
        patience=archive.timeouts.nearline,
        connections=receiver.connections,
        connections_per_address=receiver.connections_per_address,
        secured=tls.server(archive),
    )


def _networks(allow: Iterable[str], host: str) -> list[Network]:
    named = [ipaddress.ip_network(text, strict=False) for text in allow]
    return named or [ipaddress.ip_network(address) for address in sorted(_addresses(host))]


def _addresses(host: str) -> set[str]:
    with contextlib.suppress(OSError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return {str(entry[4][0]).split("%", maxsplit=1)[0] for entry in found}
    return set()


def settle(assoc: Association) -> None:
    """Decide on the contexts that a peer proposes: any storage class, one syntax each that we can hand on.

    pynetdicom would choose by our order alone, and knows private classes only by a flag of the whole process.
    """
    accepted: dict[str, set[str]] = {}
    request: Any = assoc.requestor.primitive
    for context in request.presentation_context_definition_list:
        best = choose([str(syntax) for syntax in context.transfer_syntax])
        if best is not None and stores(str(context.abstract_syntax)):
            context.transfer_syntax = [best]
            accepted.setdefault(str(context.abstract_syntax), set()).add(best)
    assoc.acceptor.supported_contexts = [
        *verification(),
        *(build_context(sop_class, sorted(syntaxes)) for sop_class, syntaxes in accepted.items()),
    ]


def verification() -> list[PresentationContext]:
    """C-ECHO is answered to whoever may associate."""
    return [build_context(VERIFICATION, [IMPLICIT, EXPLICIT, _BIG_ENDIAN])]


def stores(abstract: str) -> bool:
    """Whether it is a storage class: a standard, a retired, or a private one."""
    return abstract in _CLASSES or abstract.startswith(STORAGE_ROOT) or not abstract.startswith(DICOM_ROOT)


def choose(syntaxes: list[str]) -> str | None:
    """The syntax to take of those proposed: the peer's first, but Explicit before Implicit VR Little Endian."""
    usable = [one for one in syntaxes if one.startswith(SYNTAX_ROOT) and one not in _NO_OBJECTS]
    if not usable or usable[0] not in _PREFERRED:
        return usable[0] if usable else None
    return next(one for one in _PREFERRED if one in usable)
