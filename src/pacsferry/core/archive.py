"""An archive as a site describes it: addresses, time-outs and quirks; values only, nothing here connects."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from .units import Duration


class Strict(BaseModel):
    """Base of every settings table: unknown keys are errors, values do not change.

    ``not_yet`` names what is agreed and not built: ``"key"``, or ``"key=value"`` of a key that is, each with what it
    would do. Such a key is refused by name, which helps more than "unknown key" and is safer than ignoring it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    not_yet: ClassVar[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """Text of a given shape, for ``Annotated``; ``right`` says in words what to write."""

    pattern: str
    right: str
    longest: int

    def check(self, text: str) -> str:
        """The text. Raises ``ValueError`` with ``right``, which quotes nothing."""
        if len(text) > self.longest or not re.fullmatch(self.pattern, text):
            raise ValueError(self.right)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^({self.pattern})$", "maxLength": self.longest}


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        msg = "write an address or a network, for example '192.0.2.7/32'"
        raise ValueError(msg) from None
    return text


_TERM = r"(ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK)"

AeTitle = Annotated[
    str, Shape(r" *[!-\[\]-~][ -\[\]-~]*", "write 1 to 16 ASCII characters, no backslash (PS3.5 6.2, AE)", 16)
]
Uid = Annotated[
    str, Shape(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", "write a UID: numbers and dots, 64 characters at most", 64)
]
Host = Annotated[str, Shape(r"[^\s/@]+", "write a host name or an address, without port or path", 253)]
Network = Annotated[str, AfterValidator(_network)]
CharacterSet = Annotated[
    str,
    Shape(rf"{_TERM}(\\{_TERM})*|(\\{_TERM})+", "write terms of PS3.3 C.12.1.1.2, for example 'ISO_IR 100'", 255),
]
Url = Annotated[
    str, Shape(r"https?://[^\s@?#]+", "write http:// or https://, host and path; no user, password or query", 2000)
]
Proxy = Annotated[str, Shape(r"(https?://[^\s@/]+/?)?", "write http://host:port, without user and password", 255)]
ArchiveName = Annotated[str, Shape(r"[^/\\\x00-\x1f\x7f]*", "write at most 64 characters, no slash", 64)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
#: A time-out that is on: zero would end everything, endless would hide a dead peer.
Timeout = Annotated[Duration, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]


class Tls(Strict):
    """TLS of one connection. Only ``off`` is supported yet."""

    not_yet: ClassVar = {
        "mode=required": "TLS",
        "ca": "TLS",
        "cert": "TLS",
        "key": "TLS",
        "server_name": "TLS",
    }
    mode: Literal["off"] = "off"


class UserIdentity(Strict):
    """User identity negotiation (PS3.7 D.3.3.7). Only ``none`` is supported yet."""

    not_yet: ClassVar = {
        "use=username": "user identity negotiation",
        "use=username-passcode": "user identity negotiation",
    }
    use: Literal["none"] = "none"


class Receiver(Strict):
    """Our own Storage SCP, which C-MOVE needs."""

    host: Host = Field(default="127.0.0.1", description="the address of this machine to listen on")
    port: Port = Field(default=11112, description="the port to listen on")
    ae_title: AeTitle = Field(default="PACSFERRY", description="our AE title as the archive knows it")
    allow: tuple[Network, ...] = Field(
        default=(), description="addresses and networks that may send; empty: the archive's host"
    )
    tls: Tls = Tls()


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


class WebAuth(Strict):
    """DICOMweb authentication. Only ``none`` is supported yet."""

    not_yet: ClassVar = {f"use={use}": "authentication" for use in ("basic", "bearer", "oauth2-client", "mtls")}
    use: Literal["none"] = "none"


class Dicomweb(Strict):
    """Where the archive's DICOMweb service is: one root, or one per service."""

    url: Url | None = Field(default=None, description="root of the DICOMweb service")
    qido: Url | None = Field(default=None, description="root of QIDO-RS, where it has its own")
    wado: Url | None = Field(default=None, description="root of WADO-RS, where it has its own")
    stow: Url | None = Field(default=None, description="root of STOW-RS, where it has its own")
    auth: WebAuth = WebAuth()
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


class Quirks(Strict):
    """How an archive departs from the standard; ``None`` means no opinion."""

    requires_study_date: StrictBool | None = Field(
        default=None, description="every query needs a StudyDate; an open range is added where none was asked for"
    )
    study_root_only: StrictBool | None = Field(
        default=None, description="the Patient Root model is refused; patient queries go out as study queries"
    )
    image_level_find: StrictBool | None = Field(
        default=None,
        description="the archive answers C-FIND or QIDO-RS at instance level; without it counts are believed",
    )
    any_transfer_syntax: StrictBool | None = Field(
        default=None, description="WADO-RS understands transfer-syntax=*; if not, it is not asked for"
    )

    def over(self, base: Quirks) -> Quirks:
        """These quirks where they have an opinion, else those of ``base``."""
        mine = {name: getattr(self, name) for name in type(self).model_fields}
        return Quirks(**{name: getattr(base, name) if value is None else value for name, value in mine.items()})


#: What PS3.4 and PS3.18 promise.
STANDARD = Quirks(
    requires_study_date=False,
    study_root_only=False,
    image_level_find=True,
    any_transfer_syntax=True,
)


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

    def with_quirks(self, vendor: Quirks) -> Archive:
        """The same with all quirks decided: ``site.over(vendor).over(standard)``."""
        return self.model_copy(update={"quirks": self.quirks.over(vendor).over(STANDARD)})


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


class NoSettings(Strict):
    """For plugins that have nothing to set."""
