"""What settings are made of: strict tables and text of a given shape; which keys there are is said elsewhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    StrictInt,
    model_serializer,
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


class NoSettings(Strict):
    """For plugins that have nothing to set."""


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


def _web_address(text: str) -> str:
    """An address that names a host, and a port that there can be where it names one."""
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if text and not good:
        msg = "write http://host:port/path, with a port of 1 to 65535"
        raise ValueError(msg)
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
    str,
    Shape(r"https?://[^\s@?#]+", "write http:// or https://, host and path; no user, password or query", 2000),
    AfterValidator(_web_address),
]
Proxy = Annotated[
    str,
    Shape(r"(https?://[^\s@/]+/?)?", "write http://host:port, without user and password", 255),
    AfterValidator(_web_address),
]
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
