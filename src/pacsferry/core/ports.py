"""What a plugin builds: one small Protocol per kind, and the ``Offer`` by which a profile chooses it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from .archive import Archive
from .auditline import AuditLine
from .model import (
    Buffer,
    Draft,
    Facts,
    Head,
    Keys,
    Match,
    Ping,
    Query,
    Receipt,
    Requested,
    Source,
    Subject,
    Summary,
    Tally,
    Traits,
    Verdict,
    Wanted,
)
from .quirks import Quirks
from .strict import NoSettings, Strict

if TYPE_CHECKING:
    import ssl

T_co = TypeVar("T_co", covariant=True)


class Finder(Protocol):
    """Asks an archive what it has. Used from several threads."""

    protocol: str

    def find(self, query: Query) -> Iterator[Match]:
        """The answers. A failure is a ``TransferError``, never an early end; de-duplicated by the level's UID."""

    def ping(self) -> Ping:
        """Reach the archive and ask for nothing. Raises ``TransferError``."""

    def close(self) -> None:
        """Give back connections; may be called twice."""


class Sink(Protocol):
    """Where a transport puts what it receives. May be called from any thread, blocks while too much is in flight."""

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:
        """Take one object. ``chunks`` is read to its end unless the answer is NO_SPACE; errors in it pass through.

        A chunk is valid until the next one is asked for: a transport may use its buffer again.
        """


class SharingSink(Sink, Protocol):
    """The sink that a run gives to transports: it also shares the archive's budget. Others may lack ``another``."""

    def another(self) -> AbstractContextManager[bool]:
        """Whether one more association or HTTP request may be under way beside the one of this ``fetch``.

        ``[budget] associations`` counts for everybody on the host, so the answer is for now: it is held, if true, until
        the context ends. It never waits.
        """


class Transport(Protocol):
    """Brings instances here. ``fetch`` is called from several threads; each call ends by itself."""

    traits: Traits

    def fetch(self, wanted: Wanted, sink: Sink) -> Tally:
        """Ask for ``wanted`` and give every object that comes to ``sink``.

        Raises ``TransferError`` when the request failed as a whole. What came before stays with the sink.
        """

    def ping(self) -> Ping:
        """Reach the archive and ask for nothing. Raises ``TransferError``."""

    def close(self) -> None:
        """Give back connections and ports; may be called twice. A ``fetch`` under way ends with an error."""


class Deidentifier(Protocol):
    """Makes one object safe. Runs in a worker; an exception holds the instance.

    One that moves dates by a table of the site has an attribute ``shifts_from`` too, the reference to the table (such
    as ``file:shifts.csv``); each ``Source`` then has ``shifts``. One that takes a while before its first object has a
    method ``prepare``, which a worker calls as soon as it knows the rules.
    """

    digest: str

    def describe(self) -> Iterable[str]:
        """What is done to the data, in sentences."""

    def apply(self, source: Source) -> Draft:
        """De-identify; never in place. Raises ``HeldError`` for what it cannot handle."""


class Gate(Protocol):
    """A last look at what is about to be written. Runs in a worker; an exception holds the instance."""

    def judge(self, draft: Draft) -> Verdict:
        """Allow, exclude or hold."""


class PseudonymSource(Protocol):
    """Names patients. Called once per request with all its new subjects, in the order to number them."""

    def name(self, subjects: Sequence[Subject], first: int, keys: Keys) -> Sequence[str]:
        """One plain name per subject (``[A-Za-z0-9_-]{1,64}``). ``first`` is the first number never given yet."""


class Layout(Protocol):
    """Says where a file goes."""

    def place(self, facts: Facts) -> PurePosixPath:
        """A relative path that depends on ``facts`` only. Core checks and joins it."""


class Report(Protocol):
    """Writes the story of a run."""

    def write(self, summary: Summary) -> Mapping[str, bytes]:
        """File name to content. Pure: can be run again for any past run.

        Called twice: with a released summary, whose files go below ``<images>/<project>``, and with an identified
        one, whose files go below ``<private>/<project>``. It answers ``{}`` where it has nothing to say.
        """


class Standing(enum.StrEnum):
    """How a finding of ``doctor`` stands: as it should be, worth knowing, in the way, or not to be told."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was learnt of an archive. It holds no value of a data set, save in ``samples``.

    ``probe`` names what was tried (``dimse.find.keys.AccessionNumber``); ``text`` says what was seen and ``advice``
    what to do about it. ``behaviour`` maps addresses of ``core.behaviour`` (``dimse.find.cap``) to values, ``quirks``
    names of ``core.quirks.Quirks`` to what this archive needs, ``profile`` further keys of a site profile. ``signs``
    are what a product may be known by. ``serves`` says whether a transport brought what it was asked for, and False
    that a finder cannot be relied on. ``samples`` are small things to retrieve, smallest first: identified, and never
    told to anybody.
    """

    probe: str
    status: Standing
    text: str
    advice: str = ""
    behaviour: Mapping[str, object] = field(default_factory=dict)
    quirks: Mapping[str, object] = field(default_factory=dict)
    profile: Mapping[str, object] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    serves: bool | None = None
    samples: tuple[Wanted, ...] = field(default=(), repr=False)


@runtime_checkable
class Prober(Protocol):
    """What a finder or transport may do besides: find out what an archive really does, for ``doctor``."""

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:
        """Try things politely: few and small requests, one association or request at a time, each answer bounded.

        Between two findings the caller pauses. ``samples`` is what a transport may retrieve, smallest first; nothing
        else is ever retrieved. A failure is a finding; what is raised ends this prober alone.
        """


class Proof(enum.Enum):
    """Where the proof of who we are goes: nowhere, into header fields, or into the TLS handshake."""

    NONE = "none"
    HEADERS = "headers"
    HANDSHAKE = "handshake"


class Authenticator(Protocol):
    """Proves to a DICOMweb archive who we are. One for all connections of a run, used from several threads.

    It is built before anything is contacted and reads its secrets then: what cannot be read is a ``ConfigError``.
    What it gives goes to the archive's own origins (scheme, host and port) and nowhere else; callers see to that.
    """

    proof: Proof

    def headers(self, method: str, url: str) -> Mapping[str, str]:
        """Header fields for one request; asked anew for each, redirects too. Raises ``TransferError`` without secrets.

        ``url`` holds UIDs of the archive: it is for signing, and never to be told to anybody.
        """

    def renew(self, refused: Mapping[str, str]) -> bool:
        """The archive answered 401 to ``refused``: whether ``headers`` gives others now, worth one more try."""

    def secure(self, context: ssl.SSLContext) -> None:
        """Add what the handshake needs. The caller requires certificates and checks names whatever is done here."""


class Misbehaviour(Protocol):
    """What a simulated archive does wrong, for tests and ``pacsferry simulate``; asked for each request it may touch.

    One object serves one order, from several threads. What a method leaves alone it gives back as it came.
    """

    def refuse(self, request: Requested) -> int | None:
        """The DIMSE or HTTP status to refuse the request with; None serves it."""

    def answers(self, request: Requested, answers: Sequence[Any]) -> Iterable[Any]:
        """The answers to a query: pydicom data sets."""

    def objects(self, request: Requested, objects: Sequence[bytes]) -> Iterable[bytes]:
        """The objects to send: whole PS3.10 files."""


class Observer(Protocol):
    """Is told each event of an audit trail, in its order, by one thread of its own; a run never waits for it.

    What it raises is logged by its type, and the line counts as lost to it; so do lines that come faster than it takes
    them. The trail has them all. It is built when the first event comes.
    """

    def tell(self, line: AuditLine) -> None:
        """An event that is on record. It names nobody: pseudonymous ids, counts, codes."""

    def close(self) -> None:
        """No more will come; may be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Generic[T_co]):
    """A named way to build a ``T``. A profile chooses it by ``name``.

    ``build`` is called as ``build(settings)``, or ``build(archive, settings)`` for finders, transports and web auths;
    a string ``"module:attribute"`` is imported when the name is chosen. ``settings`` is a strict pydantic model.
    """

    name: str
    summary: str
    build: Callable[..., T_co] | str
    settings: type[Strict] = NoSettings
    api: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """A product's departures from the standard, as data; what data cannot say, a wrapper does.

    ``personality`` are faults of the simulator, as text ("find-cap:limit=100"), that make it behave like the product.
    ``signs`` are what it may be known by for certain: names of ``Finding.signs`` to regular expressions, all of which
    must be found. ``registering`` says where its administrator registers an AE title, with ``{title}`` and ``{port}``.
    """

    name: str
    summary: str
    quirks: Quirks
    evidence: Mapping[str, str] = field(default_factory=dict)
    wrap_finder: Callable[[Archive, Finder], Finder] | None = None
    wrap_transport: Callable[[Archive, Transport], Transport] | None = None
    personality: tuple[str, ...] = ()
    signs: Mapping[str, str] = field(default_factory=dict)
    registering: str = ""
