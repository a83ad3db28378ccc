"""Offers the observer ``syslog``, which sends each line of the audit trail to a log server or the host's own log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.ports import Observer, Offer
from pacsferry.core.strict import Strict
from pacsferry.core.units import Duration

_PLACE = re.compile(r"(udp|tcp|tls)://(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?")
#: IANA's ports: syslog over UDP (RFC 5426), over TLS (RFC 5425), and the usual one over TCP (RFC 6587).
_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}

# fmt: off
Facility = Literal[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
]
# fmt: on


class SyslogSettings(Strict):
    """Where audit lines go, and how (RFC 5424)."""

    address: str = Field(
        default="unix:/dev/log",
        max_length=300,
        description="udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, or unix:PATH of the host's own log",
    )
    facility: Facility = Field(default="authpriv", description="under which facility the lines are filed")
    app_name: Annotated[str, Field(pattern=r"^[!-~]{1,48}$")] = Field(
        default="pacsferry", description="what the lines say of their sender"
    )
    hostname: Annotated[str, Field(pattern=r"^[!-~]{1,255}$")] | None = Field(
        default=None, description="what the lines say of this host; its name, where nothing is said"
    )
    framing: Literal["octets", "lines"] = Field(
        default="octets", description="over TCP: counted octets, or a line feed after each (RFC 6587); TLS counts"
    )
    ca: str | None = Field(default=None, min_length=1, description="tls: file of the authorities; default: the host's")
    cert: str | None = Field(default=None, min_length=1, description="tls: file of our own certificate")
    key: str | None = Field(default=None, min_length=1, description="tls: file of its key; default: in the same file")
    server_name: str | None = Field(default=None, min_length=1, description="tls: the name in the server's certificate")
    timeout: Annotated[Duration, Field(gt=0, le=60, allow_inf_nan=False)] = Field(
        default=2.0, description="how long connecting and sending may take; the run never waits for it"
    )

    @field_validator("address")
    @classmethod
    def _somewhere(cls, text: str) -> str:
        found = _PLACE.fullmatch(text)
        if text.startswith("unix:/") and len(text) > len("unix:/") and "\0" not in text:
            return text
        if found is None or not 1 <= int(found[3] or _PORTS[found[1]]) <= 65535:
            msg = "write 'udp://HOST:514', 'tcp://HOST:601', 'tls://HOST:6514' or 'unix:/dev/log'"
            raise ValueError(msg)
        return text

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        named = [name for name in ("ca", "cert", "key", "server_name") if getattr(self, name) is not None]
        if named and not self.address.startswith("tls:"):
            msg = f"{', '.join(named)}: for address = 'tls://HOST:PORT' only"
            raise ValueError(msg)
        if any(path is not None and not path.startswith("/") for path in (self.ca, self.cert, self.key)):
            msg = "ca, cert and key: write paths from the root, as '/etc/pacsferry/log-ca.pem'"
            raise ValueError(msg)
        if self.key is not None and self.cert is None:
            msg = "key: there is no cert"
            raise ValueError(msg)
        return self

    @property
    def way(self) -> str:
        """``udp``, ``tcp``, ``tls`` or ``unix``."""
        return self.address.partition(":")[0]

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of an address that has them."""
        found = _PLACE.fullmatch(self.address)
        if found is None:
            return "", 0
        return found[2].strip("[]"), int(found[3] or _PORTS[found[1]])


@hookimpl
def pacsferry_observers() -> Iterable[Offer[Observer]]:
    """Who is told of each line of the audit trail."""
    yield Offer(
        name="syslog",
        summary="each audit line as JSON in a syslog message (RFC 5424), over UDP, TCP, TLS or the host's own log",
        build="pacsferry.plugins.observers.syslog:Syslog",
        settings=SyslogSettings,
    )
