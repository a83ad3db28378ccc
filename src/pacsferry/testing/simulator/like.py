"""From what was learnt of an archive to the faults that make a simulator like it; the rest is as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from pacsferry.core.behaviour import (
    Asking,
    Behaviour,
    DicomwebBehaviour,
    DimseBehaviour,
    MoveBehaviour,
    StorageBehaviour,
    WadoBehaviour,
)
from pacsferry.core.model import Level

from .switches import faults_of

_BELOW: Final = (Level.STUDY, Level.SERIES, Level.IMAGE)
_SERVICES: Final = ("c-echo", "c-find", "c-get", "c-move")
_WEB_SERVICES: Final = {"qido-rs": ("qido-rs",), "wado-rs": ("wado-rs", "wado-rs-metadata")}
#: What a key does -> the fault that does it.
_USES: Final = {
    "ignored": "find-ignores:keyword={0},verb={1}",
    "contains": "find-contains:keyword={0},verb={1}",
    "refused": "find-refuses:keyword={0},verb={1}",
}


def faults_like(behaviour: Behaviour) -> list[str]:
    """The faults, as text, that replay ``behaviour``."""
    dimse = _dimse(behaviour.dimse) if behaviour.dimse else ()
    web = _dicomweb(behaviour.dicomweb) if behaviour.dicomweb else ()
    return list(dict.fromkeys(chain(faults_of(behaviour.quirks), dimse, web)))


def _dimse(dimse: DimseBehaviour) -> Iterator[str]:
    if dimse.services is not None:
        yield from (f"no-service:service={one}" for one in _SERVICES if one not in dimse.services)
    if dimse.find.models is not None and "patient" not in dimse.find.models:
        yield "study-root-only"
    if dimse.find.models is not None and "study" not in dimse.find.models and "patient" in dimse.find.models:
        yield "patient-root-only"
    if dimse.find.parents:
        yield "find-needs-parents:verb=c-find"
    yield from _asking(dimse.find, "c-find")
    yield from _levels(dimse.get.levels, "identifier-mismatch:level={},verb=c-get")
    if dimse.get.roles is False:
        yield "no-role"
    yield from _move(dimse.move)
    yield from _storage(dimse.storage)


def _move(move: MoveBehaviour) -> Iterator[str]:
    yield from _levels(move.levels, "identifier-mismatch:level={},verb=c-move")
    if move.originator is False:
        yield "no-originator"
    if move.own_title is False:
        yield "other-title"
    if move.success_first:
        yield "late:seconds=0.3"
    if move.pending is False:
        yield "no-pending:verb=c-move"


def _storage(storage: Iterable[StorageBehaviour]) -> Iterator[str]:
    """Classes and syntaxes that were accepted; where any is known, nothing else is."""
    known = list(storage)
    if known:
        syntaxes = sorted({uid for one in known for uid in one.transfer_syntaxes})
        classes = sorted({one.sop_class for one in known})
        yield f"storage-only:classes={'+'.join(classes)},syntaxes={'+'.join(syntaxes)}"


def _dicomweb(web: DicomwebBehaviour) -> Iterator[str]:
    for service, verbs in _WEB_SERVICES.items():
        if web.services is not None and service not in web.services:
            yield from (f"http-404:verb={verb}" for verb in verbs)
    yield from _asking(web.qido, "qido-rs")
    if web.qido.page:
        yield f"find-page:default={web.qido.page},most={web.qido.page}"
    if web.qido.offset is False:
        yield "no-offset"
    if web.qido.includefield is False:
        yield "no-includefield"
    yield from _wado(web.wado)


def _wado(wado: WadoBehaviour) -> Iterator[str]:
    yield from _levels(wado.levels, "http-404:level={},verb=wado-rs")
    if wado.metadata is False:
        yield "http-404:verb=wado-rs-metadata"
    if wado.any_transfer_syntax is False:
        yield "no-star"


def _asking(asking: Asking, verb: str) -> Iterator[str]:
    yield from _levels(asking.levels, f"find-fails:level={{}},verb={verb},status=0xA900,code=400")
    yield from (_USES[use].format(key, verb) for key, use in sorted(asking.keys.items()) if use in _USES)
    if asking.lacks:
        yield f"find-lacks:keyword={'+'.join(sorted(asking.lacks))},verb={verb}"
    if asking.wildcards is False:
        yield f"find-literal:verb={verb}"
    if asking.empty_keys is False:
        yield f"find-needs-values:verb={verb}"
    if asking.cap:
        yield f"find-cap:limit={asking.cap},told={'yes' if asking.cap_told else 'no'},verb={verb}"
    if asking.charset_true is False and verb == "c-find":
        yield f"find-charset:says={asking.charset or ''}"


def _levels(levels: Iterable[Level] | None, form: str) -> Iterator[str]:
    """One fault for each level that is not served."""
    if levels is not None:
        yield from (form.format(level) for level in _BELOW if level not in set(levels))
