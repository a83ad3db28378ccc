"""The site profile: every table and key that a site may write, checked strictly; names are not resolved here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictInt,
    field_validator,
    model_validator,
)

from pacsferry.core.archive import Archive
from pacsferry.core.hours import hours, time_zone
from pacsferry.core.selection import Rule, Selection
from pacsferry.core.strict import Choice, Strict, Uid
from pacsferry.core.terms import Terms
from pacsferry.core.units import Duration, Size

from .secrets import SecretRef

#: The archive's table; its quirks are the site's own findings until ``Archive.with_quirks``.
ArchiveTable = Archive


class Budget(Strict):
    """How much of the archive may be used; shared by everybody on this host who uses it."""

    associations: Annotated[StrictInt, Field(ge=1, le=64)] = Field(
        default=2, description="associations or HTTP requests at once, 1 to 64"
    )
    batch_size: Annotated[StrictInt, Field(ge=1)] = Field(default=30, description="series, then a pause")
    batch_wait: Annotated[Duration, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0, description="the pause after each batch"
    )
    bytes_per_minute: Annotated[Size, Field(ge=1000, le=10**15)] | None = Field(
        default=None, description="bytes that may come per minute, for example '2GB'; 1kB at least"
    )
    hours: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), description="when the archive may be worked: 'mon-fri 19:00-06:00', 'sat,sun'; none: always"
    )
    hours_end: Literal["finish", "abort"] = Field(
        default="finish", description="whether a study under way at the end of the hours is finished or ended"
    )
    timezone: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None, description="the archive's time zone, as 'Europe/Zurich'; the host's own where none is named"
    )
    back_off: Annotated[Duration, Field(ge=0, le=300, allow_inf_nan=False)] = Field(
        default=0.5, description="the pause after a first sign of distress; it doubles with each further one; 0s: none"
    )
    patience: Annotated[Duration, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=600.0, description="how long to wait for an archive in distress that does not get better"
    )
    max_studies: Annotated[StrictInt, Field(ge=1)] = Field(default=500, description="more studies need --yes")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            time_zone(name)
        return name

    @field_validator("hours")
    @classmethod
    def _readable(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        hours(said)
        return said

    def terms(self) -> Terms:
        """As core applies it."""
        return Terms(
            associations=self.associations,
            batch_size=self.batch_size,
            batch_wait=self.batch_wait,
            bytes_per_minute=self.bytes_per_minute,
            hours=hours(self.hours, self.timezone),
            abort=self.hours_end == "abort",
            back_off=self.back_off,
            patience=self.patience,
        )


Patterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class Wish(Strict):
    """``only`` what matches, ``not`` what matches; * and ? stand for any text, case does not count."""

    only: Patterns | None = Field(default=None, description="patterns of what is wanted; nothing else is")
    never: Patterns | None = Field(default=None, alias="not", description="patterns of what is not wanted")

    def rule(self) -> Rule:
        """As core applies it."""
        return Rule(only=self.only or (), never=self.never or ())


class UidWish(Strict):
    """The same for UIDs, which are written out."""

    only: Annotated[tuple[Uid, ...], Field(min_length=1)] | None = Field(default=None, description="wanted UIDs")
    never: Annotated[tuple[Uid, ...], Field(min_length=1)] | None = Field(
        default=None, alias="not", description="UIDs that are not wanted"
    )

    def rule(self) -> Rule:
        """As core applies it."""
        return Rule(only=self.only or (), never=self.never or ())


class Select(Strict):
    """What is wanted of a study. The rest is "excluded", never "missing"."""

    modality: Wish | None = None
    sop_class: UidWish | None = None
    series_description: Wish | None = None

    def selection(self) -> Selection:
        """As core applies it."""
        wishes = {"modality": self.modality, "sop_class": self.sop_class, "series_description": self.series_description}
        return Selection(rules={key: wish.rule() for key, wish in wishes.items() if wish is not None})


class Exclude(Strict):
    """Whom never to retrieve."""

    patients: SecretRef | None = Field(
        default=None, description="a reference to a list of PatientIDs, one per line: file:objections.txt"
    )


class Anonymization(Choice):
    """How objects are made safe. A preset's name has become what it stands for (``presets.expanded``)."""


class Pseudonyms(Choice):
    """How patients are named."""

    not_yet: ClassVar = {"use=mapping": "pseudonyms from a file", "use=de-id-service": "a pseudonym service"}
    use: str = Field(default="cases", min_length=1, max_length=128, description="the name of a pseudonym source")
    per: Literal["patient", "accession"] = Field(default="patient", description="who or what gets a pseudonym")
    order: Literal["shuffled", "asked"] = Field(
        default="shuffled", description="order of new pseudonyms within one request: by keyed hash, or as asked for"
    )


class LayoutChoice(Choice):
    """How released files are laid out."""

    not_yet: ClassVar = {f"use={name}": "this layout" for name in ("subjects", "mirror", "template")}


def _mode(text: str) -> str:
    """Octal as for chmod; the owner reads and writes, nobody executes, others never write."""
    value = int(text, 8) if text and set(text) <= set("01234567") and len(text) <= 4 else 0
    if value & 0o600 != 0o600 or value & ~0o664:
        msg = "write octal permissions with which the owner reads and writes and others do not write: '0640'"
        raise ValueError(msg)
    return text


class Output(Strict):
    """Where results go. Relative paths count from the folder of the file given to --site."""

    images: str = Field(default="./research", min_length=1, description="folder of released images, by project")
    private: str = Field(default="./private", min_length=1, description="folder of secrets and ledgers, by project")
    mode: Annotated[str, AfterValidator(_mode)] = Field(default="0640", description="permissions of released files")
    group: Annotated[str, Field(pattern=r"^[^\s:/]+$", max_length=64)] | None = Field(
        default=None, description="the group that owns released files"
    )

    @property
    def bits(self) -> int:
        """``mode`` as a number."""
        return int(self.mode, 8)


class Policy(Strict):
    """What a project must have before anything is retrieved for it."""

    require: tuple[Literal["approval", "approved_until", "responsible", "max_cases"], ...] = Field(
        default=(), description="keys that project.toml must hold"
    )


def _requirement(text: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement  # few profiles require anything

    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        msg = "write a distribution and its versions, for example 'pacsferry-acme>=1.2'"
        raise ValueError(msg) from None
    if parsed.url:
        msg = "write versions, not an address"
        raise ValueError(msg)
    return text


class SiteProfile(Strict):
    """A whole profile, with all that it extends. One without ``archive`` serves commands that need none."""

    not_yet: ClassVar = {"export": "exports", "destination": "sending elsewhere"}
    extends: str | None = Field(default=None, description="a profile's name, or a path, that this one adds to")
    requires: tuple[Annotated[str, AfterValidator(_requirement)], ...] = Field(
        default=(), description="plugin distributions with versions, tested by `check`"
    )
    archive: ArchiveTable = ArchiveTable()
    find: Choice | None = Field(default=None, description="how to ask; default: as the first transport's protocol does")
    transport: tuple[Choice, ...] = Field(default=(), description="how to retrieve, in order of preference")
    budget: Budget = Budget()
    select: Select = Select()
    exclude: Exclude = Exclude()
    deidentify: Anonymization = Field(
        description='how objects are made safe: [deidentify] use = "ps3.15"; there is no way to leave it out'
    )
    pseudonyms: Pseudonyms = Pseudonyms()
    gate: tuple[Choice, ...] = Field(default=(), description="gates that add to those that always run")
    layout: LayoutChoice = LayoutChoice(use="cases")
    report: tuple[Choice, ...] = Field(
        default=tuple(Choice(use=name) for name in ("json", "csv", "key", "html")), description="reports of each run"
    )
    observer: tuple[Choice, ...] = Field(default=(), description="who is told each line of the audit trail")
    output: Output = Output()
    policy: Policy = Policy()

    @property
    def has_archive(self) -> bool:
        """Whether it names an archive at all; a base profile does not."""
        return self.archive.dimse is not None or self.archive.dicomweb is not None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.transport and not self.has_archive:
            msg = "there is a transport and no archive; add [archive.dimse] or [archive.dicomweb]"
            raise ValueError(msg)
        if self.has_archive and not self.transport:
            msg = 'transport: missing; add at least one, for example [[transport]] use = "c-get"'
            raise ValueError(msg)
        return self
