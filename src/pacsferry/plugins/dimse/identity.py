"""User identity negotiation (PS3.7 D.3.3.7): what is shown to an archive, and whether it said that it checked it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.secretrefs import secret

_WHERE = "archive.dimse.user_identity"
#: PS3.7 Table D.3-14: the user identity types.
_USERNAME, _USERNAME_PASSCODE = 1, 2
#: Length fields have 16 bits.
_LONGEST = 65_535


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who we are to an archive; nobody in particular unless the profile says so."""

    username: bytes = field(default=b"", repr=False)
    passcode: bytes | None = field(default=None, repr=False)
    confirm: bool = True

    @classmethod
    def of(cls, archive: Archive) -> Self:
        """As the profile says; the passcode is read now. Raises ``ConfigError``."""
        assert archive.dimse is not None  # noqa: S101 - the caller checked
        said = archive.dimse.user_identity
        if said.use == "none":
            return cls()
        if not archive.dimse.tls.required:  # the profile's model refuses it too; a secret is worth two looks
            raise ConfigError(f"{_WHERE}.use: an identity is sent over TLS only")
        code = None
        if said.use == "username-passcode" and said.passcode is not None:
            code = secret(said.passcode, archive.base, f"{_WHERE}.passcode").get_secret_value().encode()
            if not 0 < len(code) <= _LONGEST:
                raise ConfigError(f"{_WHERE}.passcode: must have 1 to {_LONGEST} bytes")
        return cls(username=said.username.encode(), passcode=code, confirm=said.confirm)

    @property
    def shown(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.username)

    def items(self) -> list[UserIdentityNegotiation]:
        """For the association request."""
        if not self.shown:
            return []
        item = UserIdentityNegotiation()
        item.user_identity_type = _USERNAME if self.passcode is None else _USERNAME_PASSCODE
        item.positive_response_requested = self.confirm
        item.primary_field = self.username
        if self.passcode is not None:
            item.secondary_field = self.passcode
        return [item]

    def confirmed(self, assoc: Association) -> bool:
        """Whether the archive said that it checked the identity, where it has to (PS3.7 D.3.3.7.2)."""
        return not (self.shown and self.confirm) or assoc.acceptor.user_identity is not None
