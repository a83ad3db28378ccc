"""An archive as a site describes it: addresses, time-outs and quirks; values only, nothing here connects."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from .query import KEYS
from .secretrefs import SecretRef
from .units import Duration

if TYPE_CHECKING:
    from .ports import Authenticator


class Strict(BaseModel):
    """Base of every settings table: unknown keys are errors, values do not change.

    ``not_yet`` names what is agreed and not built: ``"key"``, or ``"key=value"`` of a key that is, each with what it
    would do. Such a key is refused by name, which helps more than "unknown key" and is safer than ignoring it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
    not_yet: ClassVar[Mapping[str, str]] = {}


class Choice(Strict):
    """A plugin chosen by name. The other keys of its table are its settings, checked by the plugin's own model."""

    use: str = Field(min_length=1, max_length=128, description="the name of a plugin; `pacsferry plugins` lists them")
    settings: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _collected(cls, table: object) -> object:
        """What is no field of ours belongs to the plugin."""
        if not isinstance(table, Mapping):
            return table
        ours = {key: value for key, value in table.items() if key in cls.model_fields and key != "settings"}
        return {**ours, "settings": {key: value for key, value in table.items() if key not in ours}}

    @model_serializer(mode="wrap")
    def _flat(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it stands in TOML, so that what is dumped can be read again."""
        ours = serialize(self)
        return {**ours.pop("settings"), **ours}


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


#: Numbers of the registered sets of PS3.3 tables C.12-2 and C.12-3, and of those that only code extensions reach.
_REGISTERED = r"(6|13|100|101|109|110|126|127|138|144|148|166|203)"
_TERM = rf"(ISO_IR ({_REGISTERED}|192)|ISO 2022 IR ({_REGISTERED}|58|87|149|159)|GB18030|GBK)"

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
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
ArchiveName = Annotated[str, Shape(r"[^/\\\x00-\x1f\x7f]*", "write at most 64 characters, no slash", 64)]
MediaRange = Annotated[
    str,
    Shape(
        r'(multipart/related|application/dicom)(; *[a-z-]+=("[^"\r\n]*"|[^\s;"]+))*',
        'write a media type with its parameters: multipart/related; type="application/dicom"; transfer-syntax=*',
        200,
    ),
]
Count = Annotated[StrictInt, Field(ge=1)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
#: A time-out that is on: zero would end everything, endless would hide a dead peer.
Timeout = Annotated[Duration, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]


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


#: Keywords of what an archive counts (PS3.4 C.3.4).
COUNTS = r"NumberOf(Patient|Study|Series)Related(Studies|Series|Instances)"
Keyword = Annotated[str, Shape(r"[A-Z][A-Za-z0-9]*", "write a keyword of PS3.6, for example StudyTime", 64)]


def _matchable(word: str) -> str:
    if word not in KEYS:
        near = difflib.get_close_matches(word, KEYS, n=1)
        raise ValueError(
            f"did you mean {near[0]!r}?" if near else f"write one that can be matched: {', '.join(KEYS)}",
        )
    return word


Matchable = Annotated[Keyword, AfterValidator(_matchable)]
Seconds = Annotated[Duration, Field(ge=0, le=3600, allow_inf_nan=False)]


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
    available_transfer_syntax: StrictBool | None = Field(
        default=None, description="AvailableTransferSyntaxUID may be asked for; if not, it would make a query fail"
    )
    includefield: StrictBool | None = Field(
        default=None, description="QIDO-RS takes includefield; if not, only what it returns by itself is known"
    )
    page_size: Count | None = Field(default=None, description="QIDO-RS gives at most so many answers at once")
    max_offset: Count | None = Field(
        default=None, description="QIDO-RS refuses or ignores a higher offset; what lies behind it needs other queries"
    )
    retrieve_levels: tuple[Literal["study", "series", "instance"], ...] | None = Field(
        default=None, min_length=1, description="the levels that WADO-RS serves; others are not asked for"
    )
    accept: tuple[MediaRange, ...] | None = Field(
        default=None, min_length=1, description="the Accept fields that WADO-RS understands, best first; no others"
    )
    modality_matching: StrictBool | None = Field(
        default=None, description="ModalitiesInStudy is matched at STUDY level; if not, it is filtered here only"
    )
    time_matching: StrictBool | None = Field(
        default=None, description="a range of StudyTime may be asked for; if not, it is filtered here only"
    )
    wildcards: StrictBool | None = Field(
        default=None, description="* and ? are matched; if not, a key with one is filtered here only"
    )
    unmatched: tuple[Matchable, ...] | None = Field(
        default=None, description="keys that the archive refuses to match; they are filtered here only"
    )
    unasked: tuple[Keyword, ...] | None = Field(
        default=None,
        description="keywords never asked to be returned: they fail, or cost the archive too much",
    )
    counts: StrictBool | None = Field(
        default=None, description="NumberOf…Related… are asked for and believed; if not, neither"
    )
    availability: StrictBool | None = Field(
        default=None, description="InstanceAvailability may be asked for, and means something"
    )
    result_limit: Annotated[StrictInt, Field(ge=0)] | None = Field(
        default=None, description="a query gets at most so many answers, and is split where it gets them; 0: not known"
    )
    universal_star: StrictBool | None = Field(
        default=None, description="C-FIND wants * and not an empty value in keys that are to be returned only"
    )
    wildcards_in_dates: StrictBool | None = Field(default=None, description="that * may also stand in dates and times")
    uncompressed_only: StrictBool | None = Field(
        default=None,
        description="C-GET: compressed transfer syntaxes are accepted and then fail to be sent, so none is proposed",
    )
    image_level_retrieve: StrictBool | None = Field(
        default=None, description="C-GET and C-MOVE take single instances; if not, their series is asked for"
    )
    one_move_at_a_time: StrictBool | None = Field(
        default=None, description="a C-MOVE is asked for when the one before has ended"
    )
    settle: Seconds | None = Field(
        default=None, description="the archive wants a pause of so many seconds before each retrieval"
    )
    reprobe: Seconds | None = Field(
        default=None, description="success with nothing sent means overwhelmed: ask once more after so many seconds"
    )
    late_images: Seconds | None = Field(
        default=None,
        description="after the final C-MOVE response images come for so long; where archive.timeouts.quiet is not set",
    )

    def leaves_out(self, keyword: str) -> bool:
        """Whether a keyword is not to be asked for."""
        return (
            keyword in (self.unasked or ())
            or (self.counts is False and bool(re.fullmatch(COUNTS, keyword)))
            or (self.availability is False and keyword == "InstanceAvailability")
            or (self.available_transfer_syntax is False and keyword == "AvailableTransferSyntaxUID")
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
    modality_matching=True,
    time_matching=True,
    wildcards=True,
    unmatched=(),
    unasked=(),
    counts=True,
    availability=True,
    result_limit=0,
    universal_star=False,
    wildcards_in_dates=False,
    uncompressed_only=False,
    image_level_retrieve=True,
    one_move_at_a_time=False,
    settle=0.0,
    reprobe=0.0,
    late_images=0.0,
    any_transfer_syntax=True,
    available_transfer_syntax=True,
    includefield=True,
    retrieve_levels=("study", "series", "instance"),
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


class NoSettings(Strict):
    """For plugins that have nothing to set."""
