"""What ``doctor`` finds out over C-MOVE: whether the archive knows us, reaches us, and calls us by the right name.

Our receiver lets in whoever comes while the trial lasts, so that it can say who came; it takes the sample and nothing
else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pacsferry.core.archive import Archive
from pacsferry.core.errors import BusyError, ConfigError, FerryError, TransferError
from pacsferry.core.host import is_loopback
from pacsferry.core.model import Level, Tally, Wanted
from pacsferry.core.ports import Finding, Sink, Standing
from pacsferry.core.probing_sink import refused, tried, verdict

from .admission import ANYBODY, Tenant, tenant_of
from .association import IMPLICIT, Call, contexts
from .identifiers import identifier, retrieve_keys
from .move import CMove
from .outcome import Outcome, run
from .probe_advice import advice_on
from .receiver import Lease, Receiver
from .settings import MoveSettings

#: A refused connection is reported at once, one that gets no answer only after a time-out of the archive's.
AT_ONCE_SECONDS = 2.5
_AT = "dimse.move"


@dataclass(eq=False, kw_only=True)
class Observer(Tenant):
    """Lets everybody in who calls us by our title, and remembers who came: (address, called, calling)."""

    came: list[tuple[str, str, str]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)

    def knows(self, address: str) -> bool:
        """Everybody may connect; what they may send is decided by the request that is under way."""
        with self.lock:
            self.addresses.add(address)
        return True

    def admits(self, address: str, called: str, calling: str) -> bool:
        """Whether we were called by our name."""
        with self.lock:
            self.came.append((address, called, calling))
        return called == self.ae_title.strip()


class Trial(CMove):
    """C-MOVE as it is used, with an observer at the door."""

    def __init__(self, archive: Archive, settings: MoveSettings) -> None:
        super().__init__(archive, settings)
        usual = tenant_of(archive, self._own)
        self.usual = usual
        self.observer = Observer(
            ae_title=usual.ae_title,
            networks=usual.networks,
            calling=usual.calling,
            stall=usual.stall,
            patience=usual.patience,
            connections=usual.connections,
            connections_per_address=usual.connections_per_address,
            secured=usual.secured,
        )
        self.seconds = 0.0
        self.at_end = 0
        self.ended = 0.0
        self.lease: Lease | None = None
        self.outcome: Outcome | None = None

    def rights(self) -> Tenant:
        """Who may send: see ``Observer``."""
        return self.observer

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """See ``CMove.fetch``; who came is remembered anew for each request."""
        self.observer.came.clear()
        self.observer.refused.clear()
        self.lease, self.outcome = None, None
        return super().fetch(wanted, sink)

    def _ask(self, receiver: Receiver, lease: Lease) -> Outcome:
        self.lease, begun = lease, time.monotonic()
        try:
            return super()._ask(receiver, lease)
        finally:
            self.ended = time.monotonic()
            self.seconds = self.ended - begun
            self.at_end = lease.intake.count

    def _request(self, call: Call, receiver: Receiver, lease: Lease) -> Outcome:
        self.outcome = super()._request(call, receiver, lease)
        return self.outcome

    def refused(self) -> TransferError | None:
        """Why the archive has no C-MOVE for us, where it says so on being asked for an association."""
        try:
            with self._caller.call("C-MOVE", contexts(self._model)):
                return None
        except TransferError as err:
            return err

    def unheard_of(self, wanted: Wanted) -> int | None:
        """The final status for a destination that no archive can know; None where there is none."""
        title = "ZZ" + uuid.uuid4().hex[:12].upper()
        keys = retrieve_keys(wanted)
        with (
            contextlib.suppress(FerryError),
            self._caller.call("C-MOVE", contexts(self._model)) as call,
            call.watched(),
        ):
            request = identifier(wanted.level, keys, call.syntax(self._model) or IMPLICIT)
            number = self._caller.message_id()
            return run(call, call.assoc.send_c_move(request, title, self._model, msg_id=number)).status
        return None


def probe(archive: Archive, samples: Sequence[Wanted], trial: Trial) -> Iterator[Finding]:
    """One request per sample; then what its end, and who came, say about the way back to us."""
    yield from _local(archive)
    if not samples:
        yield _untried(archive, trial.refused())
        return
    outcomes: dict[Level, str] = {}
    first: Finding | None = None
    try:
        for level, why, err in tried(trial.fetch, samples):
            outcomes[level] = why
            if why and first is None:
                first = diagnosis(archive, trial, why, err, samples[0])
            elif not why and list(outcomes.values()).count("") == 1:
                yield from _noticed(archive, trial)
    except (BusyError, ConfigError) as err:
        text, advice = f"our receiver cannot listen: {err}", err.hint or ""
        yield Finding(probe=f"{_AT}.receiver", status=Standing.FAILED, text=text, advice=advice, serves=False)
        return
    if "" not in outcomes.values() and first is not None:
        yield first
        return
    quirks = {"image_level_retrieve": False} if Level.IMAGE in refused(outcomes) else {}
    yield verdict(_AT, "C-MOVE", outcomes, {}, quirks=quirks)


def _untried(archive: Archive, refused: TransferError | None) -> Finding:
    """That nothing could be retrieved, and whether the archive has the service at all."""
    if refused is not None:
        advice = advice_on(refused)
        return Finding(probe=_AT, status=Standing.FAILED, text=str(refused), advice=advice, serves=False)
    text = "C-MOVE was not tried: there is nothing small enough to retrieve"
    return Finding(probe=f"{_AT}.retrieve", status=Standing.UNKNOWN, text=text, advice=_register(archive))


def _own(archive: Archive) -> tuple[str, str]:
    """Our AE title, and host:port, as the archive must know them."""
    assert archive.dimse is not None  # noqa: S101 - CMove checked
    assert archive.dimse.receiver is not None  # noqa: S101
    own = archive.dimse.receiver
    return own.ae_title.strip(), f"{own.host}:{own.port}"


def _register(archive: Archive) -> str:
    title, address = _own(archive)
    return f"have AE title {title}, with this machine's address and port {address.rpartition(':')[2]}, registered"


def _local(archive: Archive) -> Iterator[Finding]:
    """A receiver that only this machine can reach."""
    assert archive.dimse is not None  # noqa: S101
    _, address = _own(archive)
    if is_loopback(address.rpartition(":")[0]) and not is_loopback(archive.dimse.host):
        yield Finding(
            probe=f"{_AT}.receiver",
            status=Standing.FAILED,
            text=f"our receiver listens on {address}, which no other machine can reach",
            advice="set archive.dimse.receiver.host to an address of this machine that the archive reaches, or 0.0.0.0",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What is the matter with the way back, and what an administrator can do. ``{…}`` are filled in."""

    probe: str
    text: str
    advice: str


_UNKNOWN = _Words(
    probe="destination",
    text="the archive does not know {title} as a move destination ({status})",
    advice="register in the archive: AE title {title}, host: this machine's address, port {port}",
)
_LIKE_NOBODY = _Words(
    probe="destination",
    text="{title} is not registered in the archive, or with another host or port: it answers as for one that nobody "
    "has ({status}), and nobody came to {address}",
    advice="register in the archive: AE title {title}, host: this machine's address, port {port}",
)
_CLOSED = _Words(
    probe="reach",
    text="the archive knows {title}, tried to connect and was refused at once; nobody came to {address}",
    advice="the archive has another host or port for {title} than {address}, or a firewall between rejects the "
    "connection: compare what is registered, letter by letter",
)
_DROPPED = _Words(
    probe="reach",
    text="the archive got no connection to {title} in {seconds:.0f} s, and nobody came to {address}: "
    "it looks like a firewall that drops packets, or a wrong address in the archive",
    advice="open TCP port {port} from the archive to this machine in every firewall between, this machine's too; "
    "then compare host and port of {title} in the archive",
)
_WRONG_TITLE = _Words(
    probe="title",
    text="the archive reached us and called {called}, and our receiver is {title}",
    advice="correct the AE title in the archive's entry for this machine to {title}, "
    "or set archive.dimse.receiver.ae_title to what it calls",
)
_SECURITY = _Words(
    probe="tls",
    text="the archive reached us, and the connection was turned away: {hint}",
    advice="compare TLS on both sides: the archive's entry for {title}, and archive.dimse.receiver.tls",
)
_CAME = _Words(
    probe="store",
    text="the archive reached us as {title} and did not send what it was asked for ({status})",
    advice="the archive's log says why: SOP class, transfer syntax, or an object that it cannot read",
)
_NOTHING = _Words(
    probe="sent",
    text="the archive says success, and nobody came to {address}",
    advice="the archive may send later than {quiet:.0f} s after it says success, to another machine of that AE title, "
    "or not at all: look into its list of transfers",
)


def diagnosis(archive: Archive, trial: Trial, why: str, err: TransferError | None, sample: Wanted) -> Finding:
    """Why nothing came, in words. A title that nobody has shows whether ours is unknown, or known and out of reach."""
    title, address = _own(archive)
    called = [name for _, name, _ in trial.observer.came if name != title]
    words = _words(why, trial, wrong=bool(called), err=err)
    status = trial.outcome.status if trial.outcome is not None else None
    if words is _CLOSED and status is not None and trial.unheard_of(sample) == status:
        words = _LIKE_NOBODY
    if words is None:
        text = f"C-MOVE brought nothing: {err}" if err else "C-MOVE brought nothing"
        advice = advice_on(err) if err else "look into the archive's log"
        return Finding(probe=f"{_AT}.retrieve", status=Standing.FAILED, text=text, advice=advice, serves=False)
    said = {
        "title": title,
        "address": address,
        "port": address.rpartition(":")[2],
        "status": f"status 0x{status:04X}" if status is not None else "no final response",
        "called": ", ".join(sorted({_shown(name) for name in called})),
        "seconds": trial.seconds,
        "hint": trial.observer.hint() or "",
        "quiet": archive.timeouts.quiet,
    }
    return Finding(
        probe=f"{_AT}.{words.probe}",
        status=Standing.FAILED,
        text=words.text.format(**said),
        advice=words.advice.format(**said),
        serves=False,
    )


#: Reason codes that say nothing of the way back: the request itself failed.
_OF_THE_REQUEST = frozenset(
    {
        *("unreachable", "refused-association", "user-identity", "tls", "not-supported", "no-context"),
        *("not-authorised", "identifier-mismatch", "not-found", "interrupted"),
    }
)


def _words(why: str, trial: Trial, *, wrong: bool, err: TransferError | None) -> _Words | None:
    """The first that fits."""
    silent = err is None and trial.outcome is not None and not trial.outcome.some_failed
    found: list[tuple[bool, _Words | None]] = [
        (why == "destination-unknown", _UNKNOWN),
        (why in _OF_THE_REQUEST, None),
        (wrong, _WRONG_TITLE),
        (bool(trial.observer.refused), _SECURITY),
        (bool(trial.observer.came), _CAME),
        (silent, _NOTHING),
        (trial.seconds < AT_ONCE_SECONDS, _CLOSED),
    ]
    return next((words for fits, words in found if fits), _DROPPED)


def _shown(name: str) -> str:
    return "".join(char for char in name if char.isprintable())[:16]


def _noticed(archive: Archive, trial: Trial) -> Iterator[Finding]:
    """What a C-MOVE that worked shows besides: names, addresses, order, and the originator (PS3.7 9.1.1.1.8)."""
    lease = trial.lease
    if lease is None:
        return
    given = bool(lease.intake.originators) and None not in lease.intake.originators
    yield Finding(
        probe=f"{_AT}.originator",
        status=Standing.OK,
        text="each image says which C-MOVE it belongs to"
        if given
        else "images do not say which C-MOVE they belong to; they are told apart by their study",
        behaviour={f"{_AT}.originator": given},
    )
    late = lease.intake.arrived - trial.ended if lease.intake.count > trial.at_end else 0.0
    yield _order(late)
    yield from _names(archive, trial)


def _order(late: float) -> Finding:
    behaviour = {f"{_AT}.success_first": late > 0}
    if late <= 0:
        text = "the final response comes after the images"
        return Finding(probe=f"{_AT}.order", status=Standing.OK, text=text, behaviour=behaviour)
    wait = max(30, round(late * 10))
    return Finding(
        probe=f"{_AT}.order",
        status=Standing.WARNING,
        text=f"success is said before the images come ({late:.1f} s for one)",
        advice=f"the profile waits {wait} s for more after the final response",
        behaviour=behaviour,
        quirks={"late_images": wait},
    )


def _names(archive: Archive, trial: Trial) -> Iterator[Finding]:
    """The AE title and address that images come from, where our rules would not let them in."""
    assert archive.dimse is not None  # noqa: S101 - CMove checked
    came, usual = list(trial.observer.came), trial.usual
    titles = sorted({_shown(calling) for _, _, calling in came} - {archive.dimse.ae_title.strip()})
    profile: dict[str, object] = {}
    if titles and usual.calling and ANYBODY not in usual.calling:
        profile["archive.dimse.receiver.calling_ae_titles"] = sorted({*usual.calling, *titles})
    strange = sorted({address for address, _, _ in came if not usual.knows(address)})
    if strange:
        allowed = [str(one) for one in usual.networks]
        profile["archive.dimse.receiver.allow"] = [*allowed, *(_network(one) for one in strange)]
    parts = [f"AE title ({', '.join(titles)})"] if titles else []
    parts += [f"address ({', '.join(strange)})"] if strange else []
    text = "images come from the archive's own AE title and address"
    if parts:
        text = f"images come from another {' and '.join(parts)} than the archive's"
    yield Finding(
        probe=f"{_AT}.sender",
        status=Standing.WARNING if profile else Standing.OK,
        text=text,
        advice="the profile lets them in" if profile else "",
        behaviour={f"{_AT}.own_title": not titles},
        profile=profile,
    )


def _network(address: str) -> str:
    return str(ipaddress.ip_network(address.split("%", maxsplit=1)[0]))
