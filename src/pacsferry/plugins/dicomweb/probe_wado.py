"""What ``doctor`` finds out over WADO-RS: levels, forms and syntaxes that are given; what comes is thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Wanted
from pacsferry.core.ports import Finding, Standing
from pacsferry.core.probing_sink import refused, tried, verdict

from . import WadoSettings
from .origins import checked, root_of
from .patience import RefusedRequest
from .probe import brief
from .retrieve import AS_STORED, FORMS, NOT_IN_THAT_FORM, SINGLE, Wado
from .session import JSON, WebSession

_AT = "dicomweb.wado"
_EXPLICIT = "1.2.840.10008.1.2.1"
_QUIRK_LEVELS: Mapping[Level, str] = {Level.STUDY: "study", Level.SERIES: "series", Level.IMAGE: "instance"}
_ADVICE: Mapping[str, str] = {
    "http-401": "set archive.dicomweb.auth: the archive wants to know who asks",
    "http-403": "ask the archive's administrator to allow this account, and this machine, to retrieve",
    "http-404": "there is no WADO-RS at this address, or it does not have what it says: check archive.dicomweb",
    "http-406": "the archive gives instances in no form that pacsferry takes: use another transport",
}


def session_of(archive: Archive, settings: WadoSettings) -> WebSession:
    """What the forms are asked for with."""
    return WebSession(root_of(archive, "wado"), archive, brief(settings))


def probe(transport: Wado, session: WebSession, samples: Sequence[Wanted]) -> Iterator[Finding]:
    """The forms of one instance, then everything small at each of its levels."""
    if not samples:
        text = "WADO-RS was not tried: there is nothing small enough to retrieve"
        yield Finding(probe=f"{_AT}.retrieve", status=Standing.UNKNOWN, text=text)
        return
    image = next((one for one in samples if one.level is Level.IMAGE), None)
    if image is not None:
        yield from _forms(session, image)
    outcomes = {level: why for level, why, _ in tried(transport.fetch, samples)}
    good = any(not why for why in outcomes.values())
    found = verdict(_AT, "WADO-RS", outcomes, _ADVICE, quirks=_levels(outcomes))
    behaviour = {**found.behaviour, "dicomweb.services": ["wado-rs"]} if good else found.behaviour
    yield replace(found, behaviour=behaviour)


def _levels(outcomes: Mapping[Level, str]) -> dict[str, object]:
    """Which levels to ask at, where not all are served."""
    failed = refused(outcomes)
    if not failed:
        return {}
    return {"retrieve_levels": [name for level, name in _QUIRK_LEVELS.items() if level not in failed]}


def _forms(session: WebSession, image: Wanted) -> Iterator[Finding]:
    """Whether an instance is given as it is stored, transcoded, bare, and as metadata (PS3.18 8.7, 10.4.1)."""
    study, series, instance = (checked(uid) for uid in (image.study, image.series or "", image.instances[0]))
    address = f"{session.root.url}/studies/{study}/series/{series}/instances/{instance}"
    try:
        star = _given(session, address, AS_STORED)
        explicit = _given(session, address, FORMS[1])
        bare = _given(session, address, SINGLE[1])
        metadata = _given(session, f"{address}/metadata", JSON)
    except TransferError as err:
        text, advice = f"WADO-RS: {err}", _ADVICE.get(err.code, err.hint or "")
        yield Finding(probe=f"{_AT}.forms", status=Standing.WARNING, text=text, advice=advice)
        return
    if not any((star, explicit, bare)):
        text = "an instance that QIDO-RS or C-FIND names is given in no form"
        yield Finding(probe=f"{_AT}.forms", status=Standing.WARNING, text=text, advice=_ADVICE["http-404"])
        return
    yield Finding(
        probe=f"{_AT}.star",
        status=Standing.OK if star else Standing.WARNING,
        text="instances are given as they are stored (transfer-syntax=*)"
        if star
        else "transfer-syntax=* is refused: what is stored compressed may come transcoded",
        behaviour={f"{_AT}.any_transfer_syntax": star},
        quirks={"any_transfer_syntax": star},
    )
    names = {"Explicit VR Little Endian": explicit, "a bare instance": bare, "metadata": metadata}
    given, refused = ([name for name, yes in names.items() if yes is wanted] for wanted in (True, False))
    text = "; ".join(filter(None, (_list("given", given), _list("refused", refused))))
    behaviour: dict[str, object] = {f"{_AT}.metadata": metadata}
    if explicit and not star:
        behaviour[f"{_AT}.transfer_syntaxes"] = [_EXPLICIT]
    yield Finding(probe=f"{_AT}.forms", status=Standing.OK, text=text, behaviour=behaviour)


def _list(word: str, names: Sequence[str]) -> str:
    return f"{word}: {', '.join(names)}" if names else ""


def _given(session: WebSession, address: str, accept: str) -> bool:
    """Whether there is an answer in this form; it is not read. Raises ``TransferError`` for any other trouble."""
    try:
        session.get(address, headers={"Accept": accept}, stream=True).close()
    except RefusedRequest as err:
        if err.status in NOT_IN_THAT_FORM or err.code in {"http-404", "not-supported", "http-error"}:
            return False
        raise
    return True
