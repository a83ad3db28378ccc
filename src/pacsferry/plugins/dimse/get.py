"""C-GET as a transport: the archive sends on the association that asks; nothing listens, nothing is decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from pynetdicom import build_context, build_role
from pynetdicom.presentation import PresentationContext

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Buffer, Level, Ping, Tally, Traits, Wanted
from pacsferry.core.ports import Finding, Sink

from . import driving
from .association import MODELS, Call, Caller, Ender, contexts
from .commands import StoreRequest
from .contexts import Answer, Negotiation, Proposal, classes_for
from .identifiers import identifier, retrieve_keys
from .outcome import Outcome, run, without_response
from .parts import UIDS_PER_REQUEST, each
from .settings import GetSettings
from .statuses import trouble
from .storing import Intake

#: Associations that bring nothing new, after which an archive's failures are taken for final.
FRUITLESS = 2
#: Errors that concern what was proposed: another proposal may be accepted.
_NOT_ACCEPTED = frozenset({"no-context", "refused-association"})
#: After "out of resources" the archive gets this long to read it.
FAREWELL_SECONDS = 0.5


class CGet:
    """Transport ``c-get``. One association per request, more when instances are stored in other syntaxes."""

    traits = Traits(takes=frozenset({Level.STUDY, Level.SERIES, Level.IMAGE}), protocol="dimse")

    def __init__(self, archive: Archive, settings: GetSettings) -> None:
        self._model = MODELS[settings.model]["get"]
        self._caller = Caller(archive, "c-get")
        self._plain_only = bool(archive.quirks.uncompressed_only)
        self._by_instance = archive.quirks.image_level_retrieve is not False
        self._plain_first = False

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Bring what is wanted. Raises ``TransferError``, and ``StoreError`` when the sink has no space."""
        return each(wanted, sink, self._fetch)

    def _fetch(self, intake: Intake) -> Tally:
        wanted = intake.wanted
        classes = classes_for(wanted.sop_classes, self._caller.dimse.sop_classes)
        negotiation = Negotiation(classes, wanted.syntaxes, plain=self._plain_only)
        plain = negotiation.uncompressed() if self._plain_first else None
        first = self._round(plain or negotiation, intake, ())
        before = intake.count
        if _worth_repair(first, negotiation, intake):
            self._repair(first, negotiation, intake)
        repaired = intake.count - before
        if first.error is not None and not repaired:
            raise first.error
        return first.tally(repaired)

    def _repair(self, first: Outcome, negotiation: Negotiation, intake: Intake) -> None:
        """Ask again in syntaxes that had no turn, until all came or nothing new comes; at last in plain ones only."""
        fruitless, last = 0, first
        while not negotiation.exhausted and fruitless < FRUITLESS and _worth_repair(last, negotiation, intake):
            fresh, before = negotiation.unasked, intake.count
            try:
                last = self._round(negotiation, intake, intake.missing(first.failed_uids))
            except TransferError as err:
                if err.code not in _NOT_ACCEPTED:
                    raise
                if not fresh:
                    break
            fruitless = 0 if intake.count > before or fresh else fruitless + 1
        plain = None if self._plain_first else negotiation.uncompressed(intake.delivered)
        if plain is not None and _worth_repair(last, negotiation, intake):
            self._last_resort(first, plain, intake)

    def _last_resort(self, first: Outcome, plain: Negotiation, intake: Intake) -> None:
        """Archives that accept a compressed syntax and then fail to send may send what they make of it."""
        before = intake.count
        try:
            self._round(plain, intake, intake.missing(first.failed_uids))
        except TransferError as err:
            if err.code not in _NOT_ACCEPTED:
                raise
        self._plain_first = intake.count > before

    def _round(self, negotiation: Negotiation, intake: Intake, failed: tuple[str, ...]) -> Outcome:
        """One association: propose, ask, receive, learn."""
        proposals = negotiation.proposals()
        call: Call = self._caller.open(
            "C-GET",
            [*contexts(self._model), *_contexts(proposals)],
            extended=[build_role(one, scp_role=True) for one in dict.fromkeys(p.sop_class for p in proposals)],
            handlers=driving.on_store(lambda _, request, pieces: _on_store(call, intake, request, pieces)),
        )
        try:
            outcome = self._ask(call, intake, failed)
        except BaseException as err:
            call.drop()
            intake.check()
            if isinstance(err, TransferError) and intake.complete:
                return without_response("C-GET")
            raise
        negotiation.learn(_answers(call, proposals), intake.delivered)
        call.end()
        intake.check()
        return outcome

    def _ask(self, call: Call, intake: Intake, failed: tuple[str, ...]) -> Outcome:
        syntax = call.syntax(self._model)
        if syntax is None:
            raise trouble("C-GET", "no-context", "the archive accepts no C-GET of this information model")
        keys, level = _request(intake, failed if self._by_instance else ())
        request = identifier(level, keys, syntax)
        with call.watched(nearline=intake.wanted.nearline), Ender(call, intake, self._caller.timeouts.quiet):
            return run(call, call.assoc.send_c_get(request, self._model, msg_id=self._caller.message_id()))

    def ping(self) -> Ping:
        """C-ECHO. Raises ``TransferError``."""
        return self._caller.ping()

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:
        """See ``ports.Prober``: roles, classes, syntaxes, and a small retrieval."""
        from .probe_get import probe

        return probe(self, self._caller, self._model, samples)

    def close(self) -> None:
        """End every association."""
        self._caller.close()


def _on_store(call: Call, intake: Intake, request: StoreRequest, pieces: Iterable[Buffer]) -> int:
    if call.watch is None:
        status = intake.store(request, pieces)
    else:
        with call.watch.pause():  # a peer that stalls meanwhile is found out by the socket
            status = intake.store(request, pieces)
    if intake.error is not None:
        driving.hang_up(call.assoc)
    elif intake.full:
        timer = threading.Timer(FAREWELL_SECONDS, driving.hang_up, (call.assoc,))
        timer.daemon = True
        timer.start()
    return status


def _request(intake: Intake, failed: tuple[str, ...]) -> tuple[dict[str, str], Level]:
    """The unique keys and level: everything at first, then only what is missing where it can be named."""
    wanted = intake.wanted
    if wanted.instances:
        return retrieve_keys(wanted, intake.missing(wanted.instances) or wanted.instances), Level.IMAGE
    if failed and wanted.series and len(failed) <= UIDS_PER_REQUEST:
        return retrieve_keys(wanted, failed), Level.IMAGE
    return retrieve_keys(wanted), wanted.level


def _worth_repair(outcome: Outcome, negotiation: Negotiation, intake: Intake) -> bool:
    """Whether something may come that did not: the archive says so, or we know so of classes without a turn yet."""
    if intake.complete or (outcome.error is not None and not outcome.error.retryable):
        return False
    return outcome.some_failed or (negotiation.unasked and intake.wanted.expected is not None)


def _contexts(proposals: Sequence[Proposal]) -> list[PresentationContext]:
    return [build_context(proposal.sop_class, list(proposal.syntaxes)) for proposal in proposals]


def _answers(call: Call, proposals: Sequence[Proposal]) -> list[Answer]:
    """What the archive made of each proposal; context ids follow the order of proposing, the model's being first."""
    accepted = {context.context_id: str(context.transfer_syntax[0]) for context in call.assoc.accepted_contexts}
    unknown = {context.context_id for context in call.assoc.rejected_contexts if context.result == 0x03}
    return [
        Answer(proposal=proposal, accepted=accepted.get(number), unknown_class=number in unknown)
        for number, proposal in zip(range(3, 257, 2), proposals, strict=False)
    ]
