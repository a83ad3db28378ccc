"""An archive inside this process that behaves, or misbehaves to order, over DIMSE and DICOMweb on 127.0.0.1.

>>> from pacsferry.testing.samples import ct_study
>>> with Simulator(ct_study(slices=2, rows=16, columns=16), faults=["drop:nth=2,times=1"]) as sim:
...     print(sim.host, sim.ae_title, sim.dicomweb_url.startswith("http://127.0.0.1:"))
127.0.0.1 SIM True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from .dimse import DimseServer
from .faults import FAULTS, Fault, FaultKind, Faults
from .holdings import Given, Holdings, Stored
from .journal import Asked, Journal
from .security import Security
from .web import WebServer

__all__ = ["FAULTS", "Asked", "Fault", "FaultKind", "Faults", "Holdings", "Journal", "Security", "Simulator", "Stored"]


class Simulator:
    """Serves ``objects`` (data sets, PS3.10 bytes or paths) until it is closed.

    It starts at once, on free ports unless told otherwise, and knows no AE but those registered. ``log`` has what it
    was asked and what it sent, ``faults`` what it does wrong now; both may be used from any thread while it runs.
    ``security`` puts its DIMSE side behind TLS, with users if it names any. ``told`` is called with each request once
    it is answered, by the thread that did; the log keeps the last ``keep`` of them.
    """

    def __init__(
        self,
        objects: Iterable[Given | Stored] = (),
        *,
        faults: Iterable[Fault | str] = (),
        ae_title: str = "SIM",
        host: str = "127.0.0.1",
        dimse_port: int = 0,
        http_port: int = 0,
        security: Security | None = None,
        told: Callable[[Asked], None] | None = None,
        keep: int | None = None,
    ) -> None:
        self.host, self.ae_title = host, ae_title
        self.faults, self.log, self.holdings = Faults(faults), Journal(told, keep), Holdings(objects)
        with _listening(host, dimse_port):
            self._dimse = DimseServer(
                self.holdings, self.faults, self.log, ae_title=ae_title, host=host, port=dimse_port, security=security
            )
        try:
            with _listening(host, http_port):
                self._web = WebServer(self.holdings, self.faults, self.log, host=host, port=http_port)
        except OSError:
            self._dimse.close()
            raise
        self._closed = False

    @property
    def dimse_port(self) -> int:
        """Where C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE are answered."""
        return int(self._dimse.port)

    @property
    def http_port(self) -> int:
        """Where QIDO-RS and WADO-RS are answered."""
        return self._web.port

    @property
    def dicomweb_url(self) -> str:
        """The root of the DICOMweb service."""
        return self._web.url

    def register(self, ae_title: str, host: str, port: int, *, tls: bool = False) -> None:
        """Let C-MOVE send to ``ae_title``, over ``tls`` or not; any other destination is answered with 0xA801."""
        self._dimse.destinations[ae_title] = (host, port)
        if tls:
            self._dimse.lanes.secured.add(ae_title)

    def add(self, *objects: Given) -> None:
        """Take in more objects."""
        for one in objects:
            self.holdings.add(one)

    def close(self) -> None:
        """Stop both services; may be called twice."""
        if not self._closed:
            self._closed = True
            self._dimse.close()
            self._web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    """Let an error say of which address it is: there are two."""
    try:
        yield
    except OSError as err:
        err.filename = f"{host}:{port}" if port else host
        raise
