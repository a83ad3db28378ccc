"""What the contracts share: the offer under test, an archive for it, a sink that remembers, identifiers to look for."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from pacsferry.core.archive import Archive, Dicomweb, Dimse, Receiver, Timeouts
from pacsferry.core.model import Buffer, Framing, Head, Keys, Receipt, Wanted
from pacsferry.core.ports import Offer
from pacsferry.core.pseudonyms import ProjectKeys
from pacsferry.core.quirks import STANDARD
from pacsferry.core.registry import API, resolve
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import ct_study, mr_study, rle
from pacsferry.testing.simulator import Simulator, Stored

PATIENT: Final = "CANARY-4471"
NAME: Final = "Canarybird^Yellowina"
ACCESSION: Final = "CANARYACC1"
#: Text that must not be seen anywhere outside the data: logs, messages, names of files.
CANARIES: Final = (PATIENT, "Canarybird", "Yellowina", ACCESSION, "CANARYACC2")
#: What the kit's archive is told to wait for; short, so that a silent peer is noticed within a test.
TIMEOUTS: Final = Timeouts(connect=10, stall=3, quiet=2, nearline=5)
#: Nothing in the kit may take longer.
PATIENCE: Final = 45.0


class Contract:
    """The one fixture to override is ``offer``; ``settings`` too where the plugin has settings without a default."""

    @pytest.fixture
    def offer(self) -> Any:
        """The offer under test."""
        pytest.fail("override the fixture `offer`: return the Offer of your plugin", pytrace=False)

    @pytest.fixture
    def settings(self, offer: Offer[Any]) -> Strict:
        """The settings to build with."""
        return offer.settings()

    @pytest.fixture
    def keys(self) -> Keys:
        """A project's keys."""
        return ProjectKeys(b"the contract's own secret, 32 b.")

    def test_the_offer_says_what_it_is(self, offer: Offer[Any]) -> None:
        assert offer.name == offer.name.strip() != "", "an offer needs a name that a profile can use"
        assert offer.summary.strip(), "an offer needs a summary for `pacsferry plugins`"
        assert offer.api == API, f"the plugin API is {API}"

    def test_settings_are_strict(self, offer: Offer[Any]) -> None:
        assert issubclass(offer.settings, Strict), "settings derive from pacsferry.core.strict.Strict"
        assert offer.settings.model_config.get("extra") == "forbid", "unknown settings are errors"


class ArchiveContract(Contract):
    """A contract whose plugin talks to an archive: here a simulator with known studies."""

    @pytest.fixture
    def sim(self) -> Iterator[Simulator]:
        """The archive; ``sim.faults`` and ``sim.log`` are the test's."""
        with Simulator(studies()) as sim:
            yield sim

    @pytest.fixture
    def archive(self, sim: Simulator) -> Archive:
        """How a profile would describe it, with a receiver that it knows."""
        return archive_of(sim)


def archive_of(sim: Simulator, *, receiver_ae: str = "KIT", timeouts: Timeouts = TIMEOUTS) -> Archive:
    """The ``Archive`` for a simulator; a free port is registered there as C-MOVE destination."""
    port = free_port()
    sim.register(receiver_ae, sim.host, port)
    return Archive(
        name="kit",
        dimse=Dimse(
            host=sim.host,
            port=sim.dimse_port,
            ae_title=sim.ae_title,
            receiver=Receiver(host=sim.host, port=port, ae_title=receiver_ae),
        ),
        dicomweb=Dicomweb(url=sim.dicomweb_url),
        timeouts=timeouts,
    ).with_quirks(STANDARD)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, below those that the system gives to others meanwhile."""
    for port in random.sample(range(15_000, 32_000), 200):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no free port between 15000 and 32000")


def studies() -> list[Any]:
    """Two studies of one patient: CT in two series, and MR of which one series is compressed (RLE)."""
    mr = mr_study(slices=2, rows=32, columns=32, patient_id=PATIENT, patient_name=NAME, accession="CANARYACC2")
    return [*contract_study(), *mr[:2], *rle(mr[2:])]


def contract_study() -> list[Any]:
    """The study that most tests ask for: two series of three CT slices."""
    return ct_study(slices=3, series=2, rows=64, columns=64, patient_id=PATIENT, patient_name=NAME, accession=ACCESSION)


def build(offer: Offer[Any], *arguments: Any) -> Any:
    """What the composition root does: resolve, then call."""
    return resolve(offer.build)(*arguments)


def wanted(stored: Sequence[Stored], *, series: bool = False, instances: int = 0) -> Wanted:
    """A request for the study of ``stored``, for its first series, or for so many instances of that."""
    first = stored[0]
    members = [one for one in stored if one.series == first.series] if series or instances else list(stored)
    members = members[:instances] if instances else members
    return Wanted(
        study=first.study,
        series=first.series if series or instances else None,
        instances=tuple(one.instance for one in members) if instances else (),
        sop_classes=frozenset(one.sop_class for one in members),
        expected=len(members),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One object that a sink took."""

    head: Head
    data: bytes = field(repr=False)

    @property
    def data_set(self) -> bytes:
        """The data set without preamble and file meta group."""
        if self.head.framing is Framing.DATA_SET:
            return self.data
        assert self.data[128:132] == b"DICM", "a part 10 object has a preamble and DICM"
        return self.data[144 + int.from_bytes(self.data[140:144], "little") :]

    @property
    def instance(self) -> str:
        """The SOP Instance UID inside."""
        return _first_uid(self.data_set, b"\x08\x00\x18\x00")

    @property
    def transfer_syntax(self) -> str:
        """As the protocol or the file says it."""
        if self.head.framing is Framing.DATA_SET:
            return self.head.transfer_syntax or ""
        return _first_uid(self.data[132:], b"\x02\x00\x10\x00")


def _first_uid(data: bytes, tag: bytes) -> str:
    """The value of the first element with ``tag`` (little endian, VR UI or implicit); the kit's objects are simple."""
    at = data.index(tag) + 4
    length = (
        int.from_bytes(data[at + 2 : at + 4], "little")
        if data[at : at + 2] == b"UI"
        else int.from_bytes(data[at : at + 4], "little")
    )
    return data[at + 4 : at + 4 + length].rstrip(b"\0 ").decode("ascii")


class MemorySink:
    """A sink that keeps what it is given and can be told to say no, or to raise. Thread-safe."""

    def __init__(self, answers: Mapping[int, Receipt | BaseException] | None = None) -> None:
        self._answers = answers or {}
        self._lock = threading.Lock()
        self.calls = 0
        self.kept: list[Kept] = []
        self.refused: list[Receipt] = []

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:
        """See ``ports.Sink``; ``answers`` maps the number of a call (from 1; 0: each) to what it gets."""
        with self._lock:
            self.calls += 1
            number = self.calls
        answer = self._answers.get(number, self._answers.get(0, Receipt.KEPT))
        if isinstance(answer, BaseException):
            raise answer
        if answer is Receipt.NO_SPACE:
            self.refused.append(answer)
            return answer
        data = b"".join(bytes(chunk) for chunk in chunks)
        with self._lock:
            if answer is Receipt.KEPT:
                self.kept.append(Kept(head=head, data=data))
            else:
                self.refused.append(answer)
        return answer

    @property
    def instances(self) -> list[str]:
        """The SOP Instance UIDs kept, sorted, with repetitions."""
        return sorted(one.instance for one in self.kept)


def uids(stored: Iterable[Stored]) -> list[str]:
    """Their SOP Instance UIDs, sorted."""
    return sorted(one.instance for one in stored)


def in_time(call: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """The result of ``call``, or its exception; fails where it hangs."""
    with ExitStack() as stack:
        done = threading.Event()
        box: list[Any] = []

        def run() -> None:
            try:
                box.append((True, call()))
            except BaseException as error:
                box.append((False, error))
            finally:
                done.set()

        thread = threading.Thread(target=run, daemon=True, name="contract")
        started = time.monotonic()
        thread.start()
        stack.callback(thread.join, 1)
        if not done.wait(seconds):
            pytest.fail(f"did not return within {time.monotonic() - started:.0f} s")
    good, value = box[0]
    if not good:
        raise value
    return value


def without_canaries(*texts: str) -> None:
    """None of the texts names the kit's patient."""
    for text in texts:
        for canary in CANARIES:
            assert canary not in text, "an identifier of the patient is in a message"


def chain(error: BaseException) -> Iterator[str]:
    """The texts of an exception and of those behind it, as a traceback would print them."""
    seen: BaseException | None = error
    while seen is not None:
        yield f"{type(seen).__name__}: {seen} {getattr(seen, 'hint', '')}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
