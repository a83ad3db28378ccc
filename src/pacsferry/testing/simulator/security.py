"""TLS and users of the simulator: what it shows, and what it demands of whoever connects; it stores no secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.transport import ThreadedAssociationServer

#: A peer that does not get on with the handshake is dropped after so many seconds.
HANDSHAKE_SECONDS: Final = 10.0
#: PS3.7 Table D.3-14.
_USERNAME, _USERNAME_PASSCODE = 1, 2


@dataclass(frozen=True, kw_only=True)
class Security:
    """``cert`` and ``key`` are PEM files of the simulator; with ``ca`` it wants certificates of that authority.

    As a client, in C-STORE to a destination that was registered with ``tls=True``, it shows the same and trusts the
    same. ``users`` are names with their passcodes (None: a name is enough); with any, whoever shows none is rejected.
    ``confirms`` says whether it answers an identity that it accepts (PS3.7 D.3.3.7.2).
    """

    cert: Path
    key: Path
    ca: Path | None = None
    users: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    confirms: bool = True

    @cached_property
    def server(self) -> ssl.SSLContext:
        """For whoever connects."""
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED if self.ca else ssl.CERT_NONE
        return context

    @cached_property
    def client(self) -> ssl.SSLContext:
        """For whom it connects to: the certificate must be of ``ca``, or ours where there is none."""
        context = self._context(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.ca is None:
            context.load_verify_locations(self.cert)
        return context

    def _context(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key, lambda: "")  # else a locked key would be asked for on the terminal
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        return context

    def knows(self, event: Any) -> tuple[bool, bytes | None]:
        """Handler of EVT_USER_ID: whether it is one of ``users``. pynetdicom answers no user name by itself."""
        name = event.primary_field.decode("utf-8", "replace")
        code = (event.secondary_field or b"").decode("utf-8", "replace")
        expected = self.users.get(name, "")
        wanted = _USERNAME if expected is None else _USERNAME_PASSCODE
        good = name in self.users and event.user_id_type == wanted and expected in (None, code)
        asked = event.assoc.requestor.user_identity
        if good and self.confirms and asked is not None and asked.positive_response_requested:
            item = UserIdentityNegotiation()
            item.server_response = b""
            event.assoc.acceptor.add_negotiation_item(item)
        return good, None


class SecureServer(ThreadedAssociationServer):
    """Does the TLS handshake in the thread of its connection; pynetdicom does it where all others wait."""

    secure: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Before an association begins."""
        if self.secure is not None:
            request.settimeout(HANDSHAKE_SECONDS)
            try:
                request = self.secure.wrap_socket(request, server_side=True)
            except OSError:
                request.close()
                return
            request.settimeout(None)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hung up is no news."""
