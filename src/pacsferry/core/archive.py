"""An archive as a site describes it: addresses, time-outs and quirks; values only, nothing here connects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .units import Duration


class Strict(BaseModel):
    """Base of every settings table: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


AeTitle = Annotated[
    str, Field(pattern=r"^ *[!-\[\]-~][ -\[\]-~]*$", max_length=16, description="1 to 16 characters (PS3.5 6.2, AE)")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Uid = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$", max_length=64)]


class Tls(Strict):
    """TLS of one connection. Only ``off`` is supported yet."""

    mode: Literal["off"] = "off"


class UserIdentity(Strict):
    """User identity negotiation (PS3.7 D.3.3.7). Only ``none`` is supported yet."""

    use: Literal["none"] = "none"


class Receiver(Strict):
    """Our own Storage SCP, which C-MOVE needs."""

    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AeTitle = "PACSFERRY"
    allow: tuple[str, ...] = ()
    tls: Tls = Tls()


class Dimse(Strict):
    """Where the archive's DIMSE service is."""

    host: str
    port: Port
    ae_title: AeTitle
    calling_ae_title: AeTitle = "PACSFERRY"
    sop_classes: tuple[Uid, ...] = ()
    tls: Tls = Tls()
    user_identity: UserIdentity = UserIdentity()
    receiver: Receiver | None = None


class WebAuth(Strict):
    """DICOMweb authentication. Only ``none`` is supported yet."""

    use: Literal["none"] = "none"


class Dicomweb(Strict):
    """Where the archive's DICOMweb service is: one root, or one per service."""

    url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    qido: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    wado: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    stow: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    auth: WebAuth = WebAuth()
    proxy: str = ""


class Timeouts(Strict):
    """Seconds. ``stall`` counts from the last byte, never from the start of a message."""

    connect: Duration = 10.0
    stall: Duration = 90.0
    quiet: Duration = 30.0
    nearline: Duration = 1800.0


class Quirks(Strict):
    """How an archive departs from the standard; ``None`` means no opinion."""

    requires_study_date: bool | None = Field(
        default=None, description="every query needs a StudyDate; an open range is added where none was asked for"
    )
    study_root_only: bool | None = Field(
        default=None, description="the Patient Root model is refused; patient queries go out as study queries"
    )
    image_level_find: bool | None = Field(
        default=None,
        description="the archive answers C-FIND or QIDO-RS at instance level; without it counts are believed",
    )
    find_names_sop_class: bool | None = Field(
        default=None, description="IMAGE level answers carry SOPClassUID; if not, C-GET proposes the standard classes"
    )
    any_transfer_syntax: bool | None = Field(
        default=None, description="WADO-RS understands transfer-syntax=*; if not, it is not asked for"
    )

    def over(self, base: Quirks) -> Quirks:
        """These quirks where they have an opinion, else those of ``base``."""
        mine = {name: getattr(self, name) for name in type(self).model_fields}
        return Quirks(**{name: getattr(base, name) if value is None else value for name, value in mine.items()})


class Archive(Strict):
    """One archive, with the quirks of site, vendor and standard already laid over each other."""

    name: str
    vendor: str = "generic"
    charset: str | None = None
    quirks: Quirks = Quirks()
    dimse: Dimse | None = None
    dicomweb: Dicomweb | None = None
    timeouts: Timeouts = Timeouts()


class NoSettings(Strict):
    """For plugins that have nothing to set."""
