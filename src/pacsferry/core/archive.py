"""An archive as a site describes it: addresses, time-outs and quirks; values only, nothing here connects."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, StrictBool, StrictInt, model_validator

from .quirks import STANDARD, Quirks
from .secretrefs import SecretRef
from .strict import (
    AeTitle,
    ArchiveName,
    CharacterSet,
    Choice,
    FilePath,
    Host,
    Network,
    Port,
    Proxy,
    Strict,
    Timeout,
    Uid,
    Url,
)

if TYPE_CHECKING:
    from .ports import Authenticator


class Tls(Strict):
    """TLS of DIMSE (PS3.15 B.12): 1.2 or newer, the other side's certificate required and checked.

    Paths count from the profile's folder. A private key that group or others can read is refused.
    """

    mode: Literal["off", "required"] = Field(default="off", description="off, or required: no connection without TLS")
    ca: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities, or of the very certificates, to trust; default: the system's. "
        "For the receiver: senders must show a certificate of these; default: none is asked for",
    )
    cert: FilePath | None = Field(default=None, description="PEM file of our certificate, with its chain")
    key: FilePath | None = Field(
        default=None, description="PEM file of its private key, readable by its owner only; default: in the same file"
    )
    key_password: SecretRef | None = Field(default=None, description="the key's password: a reference, never literal")
    server_name: Host | None = Field(
        default=None,
        description="the name that the other side's certificate must have; default: archive.dimse.host. "
        "For the receiver: default: any that ca vouches for",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = self.model_fields_set & {"ca", "cert", "key", "key_password", "server_name"}
        if given and "mode" not in self.model_fields_set:
            msg = 'mode: missing; write mode = "required", or "off" to do without TLS'
            raise ValueError(msg)
        if (self.key or self.key_password) and not self.cert:
            msg = "cert: missing; a key is of no use without its certificate"
            raise ValueError(msg)
        return self

    @property
    def required(self) -> bool:
        """Whether there is no connection without it."""
        return self.mode == "required"


class UserIdentity(Strict):
    """User identity negotiation (PS3.7 D.3.3.7), only over TLS."""

    use: Literal["none", "username", "username-passcode"] = Field(
        default="none", description="what to show: nothing, a name, or a name and a passcode"
    )
    username: str = Field(default="", max_length=255, description="the user's name as the archive knows it")
    passcode: SecretRef | None = Field(default=None, description="a reference to the passcode, never literal")
    confirm: StrictBool = Field(
        default=True,
        description="the archive must say that it checked the identity; false where it is known not to answer",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.use != "none" and not self.username:
            msg = "username: missing"
            raise ValueError(msg)
        if self.use == "username-passcode" and self.passcode is None:
            msg = 'passcode: missing; write a reference, for example "env:PACS_PASSCODE"'
            raise ValueError(msg)
        if self.use == "username" and self.passcode is not None:
            msg = 'passcode: not sent with use = "username"; write use = "username-passcode"'
            raise ValueError(msg)
        return self


class Receiver(Strict):
    """Our own Storage SCP, which C-MOVE needs."""

    host: Host = Field(default="127.0.0.1", description="the address of this machine to listen on")
    port: Port = Field(default=11112, description="the port to listen on")
    ae_title: AeTitle = Field(default="PACSFERRY", description="our AE title as the archive knows it")
    allow: tuple[Network, ...] = Field(
        default=(), description="addresses and networks that may send; empty: the archive's host"
    )
    calling_ae_titles: tuple[AeTitle | Literal["*"], ...] = Field(
        default=(),
        description="AE titles that the archive may send from; none named: any, as many send from another one",
    )
    connections: Annotated[StrictInt, Field(ge=1, le=512)] = Field(
        default=32, description="how many connections are taken at once; more are closed unread"
    )
    connections_per_address: Annotated[StrictInt, Field(ge=1, le=512)] = Field(
        default=16, description="how many of them from one address; at least as many as [budget] associations"
    )
    tls: Tls = Field(default=Tls(), description="TLS for who sends to us; we are the server, which needs cert")

    @model_validator(mode="after")
    def _certified(self) -> Self:
        if self.tls.required and not self.tls.cert:
            msg = "tls.cert: missing; a server shows a certificate"
            raise ValueError(msg)
        if self.tls.server_name and not self.tls.ca:
            msg = "tls.ca: missing; without it no certificate is asked for whose name could be checked"
            raise ValueError(msg)
        return self


class Dimse(Strict):
    """Where the archive's DIMSE service is."""

    host: Host = Field(description="the archive's name or address")
    port: Port = Field(description="the archive's DIMSE port")
    ae_title: AeTitle = Field(description="the archive's AE title, 1 to 16 characters")
    calling_ae_title: AeTitle = Field(default="PACSFERRY", description="our AE title, 1 to 16 characters")
    sop_classes: tuple[Uid, ...] = Field(
        default=(),
        description="vendor-private SOP classes to propose where the archive's answers do not name classes",
    )
    tls: Tls = Tls()
    user_identity: UserIdentity = UserIdentity()
    receiver: Receiver | None = None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.user_identity.use != "none" and not self.tls.required:
            msg = 'user_identity.use: an identity is sent over TLS only; write tls = { mode = "required" }'
            raise ValueError(msg)
        return self


class WebAuth(Choice):
    """Who we are to a DICOMweb archive."""

    use: str = Field(default="none", min_length=1, max_length=128, description="the name of a web auth")


class Dicomweb(Strict):
    """Where the archive's DICOMweb service is: one root, or one per service."""

    url: Url | None = Field(default=None, description="root of the DICOMweb service")
    qido: Url | None = Field(default=None, description="root of QIDO-RS, where it has its own")
    wado: Url | None = Field(default=None, description="root of WADO-RS, where it has its own")
    stow: Url | None = Field(default=None, description="root of STOW-RS, where it has its own")
    auth: WebAuth = WebAuth()
    ca: str | None = Field(
        default=None, min_length=1, description="PEM file of the authorities to trust for https; default: the system's"
    )
    credentials_over_http: StrictBool = Field(
        default=False, description="send credentials without encryption to other hosts too, where anybody can read them"
    )
    proxy: Proxy = Field(default="", description="http://host:port of a proxy; empty: none")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.url or self.qido or self.wado):
            msg = "give url, or qido and wado"
            raise ValueError(msg)
        return self


class Timeouts(Strict):
    """Seconds. ``stall`` counts from the last byte, never from the start of a message."""

    connect: Timeout = Field(default=10.0, description="until a connection is made")
    stall: Timeout = Field(default=90.0, description="no byte for so long ends a transfer")
    quiet: Timeout = Field(
        default=30.0, description="nothing for so long after the final C-MOVE response, while images are missing"
    )
    nearline: Timeout = Field(default=1800.0, description="until an archive brought a study from slow storage")


class Archive(Strict):
    """One archive. In a profile ``quirks`` are the site's own; ``with_quirks`` lays them over vendor and standard."""

    name: ArchiveName = Field(
        default="",
        description="what this site calls it; default: its address",
    )
    vendor: str = Field(default="generic", description="the name of a vendor plugin")
    charset: CharacterSet | None = Field(
        default=None, description="character set, only where the archive lies about it (PS3.3 C.12.1.1.2)"
    )
    quirks: Quirks = Field(default=Quirks(), description="local findings, over the vendor's")
    dimse: Dimse | None = None
    dicomweb: Dicomweb | None = None
    timeouts: Timeouts = Timeouts()
    _base: Path = PrivateAttr(default=Path())
    _authenticator: Callable[[], Authenticator] | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, table: object) -> object:
        """An archive without a name is called by its address."""
        if not isinstance(table, dict) or table.get("name"):
            return table
        return {**table, "name": _address(table.get("dimse"), table.get("dicomweb"))}

    @property
    def address(self) -> str:
        """``host:port`` of its first service: what everybody on this host who uses it has in common."""
        return _address(self.dimse, self.dicomweb)

    @property
    def base(self) -> Path:
        """The folder that relative paths of certificates, and ``file:`` references, count from."""
        return self._base

    def at(self, base: Path) -> Archive:
        """The same, with relative paths counting from ``base``."""
        moved = self.model_copy()
        moved._base = base  # noqa: SLF001 - our own
        return moved

    @property
    def authenticator(self) -> Authenticator | None:
        """Who we are to its DICOMweb service, the same for everybody who asks; None: nobody in particular.

        Raises ``ConfigError`` where a secret cannot be read.
        """
        return None if self._authenticator is None else self._authenticator()

    def known_by(self, authenticator: Callable[[], Authenticator]) -> Archive:
        """The same, with ``authenticator``, which gives one and the same each time."""
        known = self.model_copy()
        known._authenticator = authenticator  # noqa: SLF001 - our own
        return known

    def with_quirks(self, vendor: Quirks) -> Archive:
        """The same with all quirks decided: ``site.over(vendor).over(standard)``."""
        quirks = self.quirks.over(vendor).over(STANDARD)
        timeouts = self.timeouts
        if quirks.late_images and "quiet" not in timeouts.model_fields_set:
            timeouts = timeouts.model_copy(update={"quiet": quirks.late_images})
        return self.model_copy(update={"quirks": quirks, "timeouts": timeouts})


def _address(dimse: object, dicomweb: object) -> str:
    """``host:port`` as far as two unchecked tables say so; whatever a name may not hold becomes ``-``."""
    if isinstance(dimse, Dimse) or isinstance(dicomweb, Dicomweb):
        dimse, dicomweb = (x.model_dump() if isinstance(x, Strict) else x for x in (dimse, dicomweb))
    text = ""
    if isinstance(dimse, dict):
        text = f"{dimse.get('host', '')}:{dimse.get('port', '')}"
    elif isinstance(dicomweb, dict):
        roots = (dicomweb.get(key) for key in ("url", "qido", "wado"))
        text = next((str(root) for root in roots if root), "").partition("://")[2].partition("/")[0]
    return re.sub(r"[^A-Za-z0-9.:\[\]-]", "-", text)[:64]
