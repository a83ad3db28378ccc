"""``echo``: whether the archive's services answer; it asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Ping
from pacsferry.core.redact import quiet
from pacsferry.core.strict import Choice

from .observing import host_audit
from .opening import site, wired
from .wiring import FINDERS, part


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResult:
    """How one service answered. ``error`` and ``hint`` where it did not."""

    service: str
    address: str
    ok: bool
    seconds: float | None = None
    error: str | None = None
    hint: str | None = None


def echo(name: str | None, sets: Sequence[str] = ()) -> list[PingResult]:
    """A C-ECHO and a QIDO-RS ping of whatever the profile names. Audited."""
    quiet()
    wiring = wired(site(name, sets))
    services = {"dimse": wiring.archive.dimse, "dicomweb": wiring.archive.dicomweb}
    results = []
    with host_audit(wiring) as audit:
        for protocol, there in services.items():
            if there is None:
                continue
            finder = part(wiring.plugins, "finder", Choice(use=FINDERS[protocol]), "find").build(wiring.archive)
            try:
                results.append(_answered(finder.ping()))
            except TransferError as err:
                results.append(_silent(protocol, there, err))
            finally:
                finder.close()
        audit.append(
            "echo",
            wiring.archive.name,
            outcome="ok" if all(result.ok for result in results) else "failed",
            details={"services": len(results)},
        )
    return results


_SERVICES = {"dimse": "C-ECHO", "dicomweb": "QIDO-RS"}


def _answered(ping: Ping) -> PingResult:
    return PingResult(service=ping.service, address=ping.address, ok=True, seconds=ping.seconds)


def _silent(protocol: str, there: Any, err: TransferError) -> PingResult:
    if protocol == "dimse":
        address = f"{there.ae_title}@{there.host}:{there.port}"
    else:
        address = str(there.qido or there.url or "")
    return PingResult(service=_SERVICES[protocol], address=address, ok=False, error=str(err), hint=err.hint)
