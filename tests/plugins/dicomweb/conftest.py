from __future__ import annotations

import threading

import pytest

from pacsferry.core.archive import Archive, Dicomweb, Timeouts
from pacsferry.core.model import Receipt
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.dicomweb import QidoSettings, WadoSettings
from pacsferry.plugins.dicomweb.query import Qido
from pacsferry.plugins.dicomweb.retrieve import Wado
from support.scripted_http import serving


class Basket:
    """A sink that keeps what was whole; ``answers`` are its receipts, in turn, the last one for ever."""

    def __init__(self, *answers: Receipt) -> None:
        self.kept: list[bytes] = []
        self.heads = []
        self.broken = 0
        self._answers = list(answers) or [Receipt.KEPT]
        self._lock = threading.Lock()

    def accept(self, head, chunks) -> Receipt:
        try:
            body = b"".join(bytes(chunk) for chunk in chunks)
        except BaseException:
            self.broken += 1
            raise
        with self._lock:
            self.kept.append(body)
            self.heads.append(head)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture
def basket():
    return Basket()


@pytest.fixture
def serve():
    """Start a scripted server."""
    with serving() as start:
        yield start


def archive_at(url: str, *, stall: float = 5, connect: float = 5, quirks: Quirks | None = None, **web) -> Archive:
    roots = web or {"url": url}
    return Archive(
        name="test",
        dicomweb=Dicomweb(**roots),
        timeouts=Timeouts(stall=stall, connect=connect),
        quirks=quirks or Quirks(),
    )


@pytest.fixture
def wado():
    """Build the transport for an address; closed at the end."""
    made = []

    def build(url: str, *, max_tries: int = 4, max_wait: float = 5, **archive) -> Wado:
        made.append(Wado(archive_at(url, **archive), WadoSettings(max_tries=max_tries, max_wait=max_wait)))
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.fixture
def qido():
    """Build the finder for an address; closed at the end."""
    made = []

    def build(url: str, *, settings: dict | None = None, **archive) -> Qido:
        made.append(Qido(archive_at(url, **archive), QidoSettings(**{"max_wait": 5, **(settings or {})})))
        return made[-1]

    yield build
    for one in made:
        one.close()
