"""Who we are as a client certificate; certificate and key are read before anything is contacted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.ports import Proof
from pacsferry.core.secretrefs import private_file

from . import MtlsSettings
from .references import AUTH, path_of, read, readable, trust


class ClientCertificate:
    """Mutual TLS (RFC 8446 4.4.2)."""

    proof = Proof.HANDSHAKE

    def __init__(self, archive: Archive, settings: MtlsSettings) -> None:
        self._cert = readable(settings.cert, archive, "cert")
        key = ("key", settings.key) if settings.key else ("cert", settings.cert)
        self._key = private_file(path_of(key[1], archive), f"{AUTH}.{key[0]}")
        self._ca = readable(settings.ca, archive, "ca") if settings.ca else None
        self._password = read(settings.key_password, archive, "key_password") if settings.key_password else ""
        self.secure(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def headers(self, method: str, url: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's signature
        """None: the handshake says it all."""
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's signature
        """A certificate cannot be renewed from here."""
        return False

    def secure(self, context: ssl.SSLContext) -> None:
        """Load certificate and key. Raises ``ConfigError`` without the text of OpenSSL."""
        try:
            # An empty password, not none: OpenSSL would ask for it on the terminal.
            context.load_cert_chain(self._cert, self._key, password=lambda: self._password)
        except (ssl.SSLError, OSError, ValueError) as err:
            raise ConfigError(
                f"{AUTH}: certificate and key do not fit, or cannot be read ({type(err).__name__})",
                hint="PEM files are needed; an encrypted key needs key_password",
            ) from None
        if self._ca is not None:
            trust(context, self._ca, "ca")
