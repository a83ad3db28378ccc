"""Addresses as people type them for ``doctor``, turned into settings of a profile; nothing is looked up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pacsferry.core.errors import ConfigError
from pacsferry.core.fitting import checked
from pacsferry.core.strict import AeTitle, Host, Url

_AE_AT = re.compile(r"(?P<title>[^\\]{1,16})@(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``doctor`` is asked to look at: a profile, addresses, or both; addresses go over the profile's."""

    site: str | None = None
    sets: tuple[str, ...] = ()
    dimse: str | None = None
    dicomweb: str | None = None
    receiver: str | None = None
    calling_ae_title: str | None = None

    @property
    def addressed(self) -> bool:
        """Whether it names an archive by address."""
        return bool(self.dimse or self.dicomweb)

    def settings(self) -> tuple[str, ...]:
        """The addresses as ``KEY=VALUE``, before what the user sets. Raises ``ConfigError``."""
        found: list[str] = []
        if self.dimse:
            found += _entity("archive.dimse", self.dimse, "--dimse")
        if self.calling_ae_title:
            title = checked(AeTitle, self.calling_ae_title, "--calling-ae-title")
            found.append(_setting("archive.dimse.calling_ae_title", title))
        if self.receiver:
            found += _entity("archive.dimse.receiver", self.receiver, "--receiver")
        if self.dicomweb:
            url = checked(Url, self.dicomweb.strip(), "--dicomweb")
            found.append(_setting("archive.dicomweb.url", url.rstrip("/")))
        return (*found, *self.sets)

    def transports(self, *, dimse: bool, dicomweb: bool, receiver: bool) -> str:
        """``transport=[…]`` for an archive that no profile names one for."""
        names = [*(["wado-rs"] if dicomweb else []), *(["c-get"] if dimse else [])]
        names += ["c-move"] if dimse and receiver else []
        return f"transport=[{', '.join(f'{{ use = {json.dumps(name)} }}' for name in names)}]"


def _entity(key: str, text: str, option: str) -> list[str]:
    """``AE@HOST:PORT`` in three settings. Raises ``ConfigError``."""
    match = _AE_AT.fullmatch(text.strip())
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ConfigError(
            f"{option}: write AE@HOST:PORT, with a port of 1 to 65535",
            hint=f"for example {option} ORTHANC@192.0.2.7:4242",
        )
    return [
        _setting(f"{key}.ae_title", checked(AeTitle, match["title"], option)),
        _setting(f"{key}.host", checked(Host, match["host"].strip("[]"), option)),
        f"{key}.port={int(match['port'])}",
    ]


def _setting(key: str, text: str) -> str:
    """A setting whose value is text, whatever it looks like."""
    return f"{key}={json.dumps(text)}"
