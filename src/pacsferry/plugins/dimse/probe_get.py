"""What ``doctor`` finds out over C-GET: roles, classes and syntaxes accepted, and whether a small thing comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom.uid import UID
from pynetdicom import StoragePresentationContexts, build_context, build_role

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Wanted
from pacsferry.core.ports import Finding, Standing
from pacsferry.core.probing_sink import refused, tried, verdict

from .association import Call, Caller, contexts
from .contexts import COMPRESSED, SLOTS, UNCOMPRESSED
from .get import CGet
from .probe_advice import advice_on
from .statuses import trouble

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: CT, MR, digital X-ray, ultrasound, secondary capture: tried in every syntax, which shows what the archive can give.
_TYPICAL = tuple(_STORAGE + tail for tail in ("2", "4", "1.1", "6.1", "7"))
#: The first compressed syntaxes of ``contexts.COMPRESSED``, as many as fit into one association.
_SYNTAXES = COMPRESSED[: SLOTS // len(_TYPICAL) - 2]
_CLASSES = tuple(dict.fromkeys((*_TYPICAL, *(str(one.abstract_syntax) for one in StoragePresentationContexts))))[:SLOTS]

#: What a failed retrieval of the sample may come from, by reason code.
_ADVICE: Mapping[str, str] = {
    "not-supported": "the archive gives nothing over C-GET to us: use another transport, or have C-GET allowed",
    "no-context": "the archive gives nothing over C-GET to us: use another transport, or have C-GET allowed",
    "not-authorised": "ask the archive's administrator to allow C-GET for our AE title",
    "cannot-perform": "the archive accepted C-GET and could not send: it may want roles or classes it did not accept",
}


def probe(transport: CGet, caller: Caller, model: str, samples: Sequence[Wanted]) -> Iterator[Finding]:
    """Two associations to see what is accepted, then one for each level that a small thing can be had at."""
    try:
        accepted, roles = _offered(caller, model, [(one, UNCOMPRESSED) for one in _CLASSES])
    except TransferError as err:
        text, advice = str(err), _ADVICE.get(err.code) or advice_on(err)
        yield Finding(probe="dimse.get", status=Standing.FAILED, text=text, advice=advice, serves=False)
        return
    yield _roles(accepted, roles)
    if accepted:
        yield from _syntaxes(caller, model, accepted)
    yield from retrieved(transport, samples)


def _offered(
    caller: Caller, model: str, proposals: Sequence[tuple[str, tuple[str, ...]]]
) -> tuple[dict[str, list[str]], bool]:
    """The syntaxes accepted for each class, and whether we may be SCP for them. Raises ``TransferError``."""
    roles = [build_role(one, scp_role=True) for one in dict.fromkeys(name for name, _ in proposals)]
    wanted = [*contexts(model), *(build_context(name, list(syntaxes)) for name, syntaxes in proposals)]
    with caller.call("C-GET", wanted, extended=roles) as call:
        if call.syntax(model) is None:
            raise trouble("C-GET", "no-context", "the archive accepts no C-GET of this information model")
        return _accepted(call, model)


def _accepted(call: Call, model: str) -> tuple[dict[str, list[str]], bool]:
    storage = [one for one in call.assoc.accepted_contexts if one.abstract_syntax != model]
    found: dict[str, list[str]] = {}
    for one in storage:
        found.setdefault(str(one.abstract_syntax), []).append(str(one.transfer_syntax[0]))
    return found, any(one.as_scp for one in storage)


def _roles(accepted: Mapping[str, Sequence[str]], roles: bool) -> Finding:
    behaviour = {"dimse.get.roles": roles}
    if not accepted:
        text = "C-GET is accepted, and not one storage class with it: nothing can come"
        advice = "ask the archive's administrator which classes it gives over C-GET, or use C-MOVE"
        return Finding(
            probe="dimse.get.roles", status=Standing.FAILED, text=text, advice=advice, behaviour=behaviour, serves=False
        )
    how = "with" if roles else "without"
    text = f"{len(accepted)} of {len(_CLASSES)} storage classes are accepted, {how} our SCP role"
    advice = "" if roles else "without the role (PS3.7 D.3.3.4) most archives then fail to send (0xA702)"
    status = Standing.OK if roles else Standing.WARNING
    return Finding(probe="dimse.get.roles", status=status, text=text, advice=advice, behaviour=behaviour)


def _syntaxes(caller: Caller, model: str, plain: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Each compressed syntax in a context of its own, for classes that have pixels."""
    proposals = [(name, (syntax,)) for name in _TYPICAL if name in plain for syntax in _SYNTAXES]
    if not proposals:
        return
    try:
        accepted, _ = _offered(caller, model, proposals)
    except TransferError as err:
        text = f"compressed syntaxes could not be proposed: {err}"
        yield Finding(probe="dimse.get.syntaxes", status=Standing.WARNING, text=text)
        return
    names = sorted({UID(one).name for syntaxes in accepted.values() for one in syntaxes})
    storage = [
        {"sop_class": name, "transfer_syntaxes": list(dict.fromkeys((*syntaxes, *accepted.get(name, ()))))}
        for name, syntaxes in plain.items()
    ]
    text = f"compressed syntaxes accepted: {'; '.join(names)}" if names else "compressed syntaxes: none is accepted"
    yield Finding(probe="dimse.get.syntaxes", status=Standing.OK, text=text, behaviour={"dimse.storage": storage})


def retrieved(transport: CGet, samples: Sequence[Wanted]) -> Iterator[Finding]:
    """Each sample retrieved and thrown away: which levels are served."""
    if not samples:
        text = "C-GET was not tried: there is nothing small enough to retrieve"
        yield Finding(probe="dimse.get.retrieve", status=Standing.UNKNOWN, text=text)
        return
    outcomes = {level: why for level, why, _ in tried(transport.fetch, samples)}
    quirks = {"image_level_retrieve": False} if Level.IMAGE in refused(outcomes) else {}
    yield verdict("dimse.get", "C-GET", outcomes, _ADVICE, quirks=quirks)
