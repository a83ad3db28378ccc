"""How an archive behaves, as ``doctor`` learns it and ``simulate --like`` replays it; it names nobody and no address.

Document ``pacsferry.behaviour``, version 1. Everything but its head may be left out: absent, or ``null``, means that it
is not known, and whoever replays it then keeps to the standard. There is no AE title, host, port, name, date or UID of
an object in it: what it may hold are names of the standard, UIDs of classes and syntaxes, numbers and yes or no.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StrictBool, StrictInt

from .errors import ConfigError
from .fitting import attempt
from .model import Level
from .quirks import Quirks
from .strict import Shape, Strict, Uid

SCHEMA: Final = "pacsferry.behaviour"
#: Longer than any such document: what is longer is something else.
LONGEST: Final = 1 << 20

#: What an archive declares, also where no such term exists; nothing that could be a name.
_DECLARED = r"(ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK)"
Declared = Annotated[
    str, Shape(rf"{_DECLARED}(\\{_DECLARED})*|(\\{_DECLARED})+", "write terms like those of PS3.3 C.12.1.1.2", 255)
]
Keyword = Annotated[str, Shape(r"[A-Z][A-Za-z0-9]+", "write a DICOM keyword, for example 'StudyDate'", 64)]
#: matched: as PS3.4 C.2.2.2 says · ignored: the answers do not depend on it · refused: a query with it fails ·
#: contains: it matches every value that contains it
KeyUse = Literal["matched", "ignored", "refused", "contains"]
Known = StrictBool | None
Count = Annotated[StrictInt, Field(ge=1, le=10_000_000)] | None
Levels = Annotated[tuple[Level, ...], Field(max_length=4)] | None


class Asking(Strict):
    """How one query service answers."""

    levels: Levels = Field(default=None, description="the levels that are answered")
    keys: Annotated[Mapping[Keyword, KeyUse], Field(max_length=200)] = Field(
        default={}, description="what each key that was tried does: matched, ignored, refused or contains"
    )
    lacks: Annotated[tuple[Keyword, ...], Field(max_length=200)] = Field(
        default=(), description="attributes that were asked for and are never in an answer"
    )
    wildcards: Known = Field(default=None, description="* and ? match in text keys")
    empty_keys: Known = Field(default=None, description="a key without a value is taken; if not, the query fails")
    cap: Count = Field(default=None, description="the most answers to one query")
    cap_told: Known = Field(default=None, description="a cut result is announced, by a status or a Warning header")
    charset: Declared | None = Field(default=None, description="the character set that answers declare")
    charset_true: Known = Field(default=None, description="answers are in the character set that they declare")


class FindBehaviour(Asking):
    """C-FIND."""

    models: Annotated[tuple[Literal["patient", "study"], ...], Field(max_length=2)] | None = Field(
        default=None, description="the information models that are answered"
    )
    parents: Known = Field(
        default=None, description="a query below study level is answered only with the UIDs of all levels above"
    )


class QidoBehaviour(Asking):
    """QIDO-RS."""

    page: Count = Field(default=None, description="answers to a query that gives no limit")
    offset: Known = Field(default=None, description="offset is honoured")
    includefield: Known = Field(default=None, description="includefield is taken; if not, the query fails")


class GetBehaviour(Strict):
    """C-GET."""

    levels: Levels = Field(default=None, description="the levels that are served")
    roles: Known = Field(default=None, description="the SCP role that the requestor proposes is accepted")


class MoveBehaviour(Strict):
    """C-MOVE back to whoever asks."""

    levels: Levels = Field(default=None, description="the levels that are served")
    originator: Known = Field(default=None, description="each C-STORE says which C-MOVE it belongs to")
    own_title: Known = Field(default=None, description="images come from the AE title that was asked")
    success_first: Known = Field(default=None, description="success is said before the images are sent")
    pending: Known = Field(default=None, description="pending responses are sent")


class StorageBehaviour(Strict):
    """One SOP class over C-GET, in the transfer syntaxes that were accepted for it."""

    sop_class: Uid
    transfer_syntaxes: Annotated[tuple[Uid, ...], Field(max_length=64)]


class DimseBehaviour(Strict):
    """All of DIMSE."""

    services: (
        Annotated[tuple[Literal["c-echo", "c-find", "c-get", "c-move", "c-store"], ...], Field(max_length=5)] | None
    ) = Field(default=None, description="what is answered at all")
    find: FindBehaviour = FindBehaviour()
    get: GetBehaviour = GetBehaviour()
    move: MoveBehaviour = MoveBehaviour()
    storage: Annotated[tuple[StorageBehaviour, ...], Field(max_length=500)] = Field(
        default=(), description="the SOP classes and syntaxes that were tried and accepted; empty: not known"
    )


class WadoBehaviour(Strict):
    """WADO-RS."""

    levels: Levels = Field(default=None, description="the levels that are served")
    metadata: Known = Field(default=None, description="/metadata is answered")
    any_transfer_syntax: Known = Field(default=None, description="transfer-syntax=* is understood")
    transfer_syntaxes: Annotated[tuple[Uid, ...], Field(max_length=64)] = Field(
        default=(), description="syntaxes that were asked for by name and given; empty: not known"
    )


class DicomwebBehaviour(Strict):
    """All of DICOMweb."""

    services: Annotated[tuple[Literal["qido-rs", "wado-rs", "stow-rs"], ...], Field(max_length=3)] | None = Field(
        default=None, description="what is answered at all"
    )
    qido: QidoBehaviour = QidoBehaviour()
    wado: WadoBehaviour = WadoBehaviour()


class Behaviour(Strict):
    """What was learnt of one archive. ``quirks`` are those that its profile needs."""

    schema_: Literal["pacsferry.behaviour"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = 1
    status: Literal["ok"] = "ok"
    dimse: DimseBehaviour | None = Field(default=None, description="absent: not asked, or not there")
    dicomweb: DicomwebBehaviour | None = Field(default=None, description="absent: not asked, or not there")
    quirks: Quirks = Quirks()

    def document(self) -> dict[str, Any]:
        """As JSON: only what is known."""
        head = {"schema": SCHEMA, "version": self.version, "status": self.status}
        return {**head, **self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)}


def behaviour(document: object, where: str) -> Behaviour:
    """From a parsed document: ``pacsferry.behaviour`` itself, or anything of ours with a ``behaviour`` inside.

    ``where`` is what the user calls it. Raises ``ConfigError``, which quotes no value of it.
    """
    if not isinstance(document, Mapping):
        raise ConfigError(f"{where}: must be a JSON object", hint=_HINT)
    if document.get("schema") != SCHEMA:
        if not isinstance(document.get("behaviour"), Mapping):
            raise ConfigError(f"{where}: is no {SCHEMA} document, and holds none", hint=_HINT)
        return behaviour(document["behaviour"], f"{where}: behaviour")
    if document.get("version") != 1:
        raise ConfigError(f"{where}: version: must be 1", hint="a newer pacsferry may know it")
    value, problems = attempt(Behaviour, document)
    if value is None:
        raise ConfigError("\n".join(f"{where}: {one.line()}" for one in problems), hint=_HINT)
    return value


def parse(data: bytes, where: str) -> Behaviour:
    """From the bytes of a file. Raises ``ConfigError``."""
    if len(data) > LONGEST:
        raise ConfigError(f"{where}: is longer than {LONGEST} bytes", hint=_HINT)
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: is not UTF-8", hint=_HINT) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{where}: is not JSON", hint=_HINT) from None
    return behaviour(document, where)


_HINT: Final = "`pacsferry doctor --json` writes such a document"
