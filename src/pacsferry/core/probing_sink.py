"""Where ``doctor`` lets things go that it retrieves for a trial: they are counted, weighed, and kept nowhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from .errors import BusyError, ConfigError, FerryError, TransferError
from .model import Buffer, Head, Level, Receipt, Tally, Wanted
from .ports import Finding, Standing
from .reasons import reason

#: More than this in one trial is no small thing.
HEAVY: Final = 64 * 1024 * 1024
#: Something came, and less than was expected.
PARTLY: Final = "partly"
#: What says clearly that a level is not served; silence may have other causes.
_REFUSALS: Final = frozenset(
    {
        "identifier-mismatch",
        "unable-to-process",
        "not-supported",
        "cannot-perform",
        "http-404",
        "http-406",
        "http-error",
    }
)
#: After these nothing else needs to be tried.
_HOPELESS: Final = frozenset({"interrupted", "unreachable", "stalled", "refused-association", "destination-unknown"})


class Scale:
    """A sink that forgets. It refuses what becomes heavy, and may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0
        self.weight = 0

    def accept(self, head: Head, chunks: Iterable[Buffer]) -> Receipt:  # noqa: ARG002 - nothing is looked at
        """See ``ports.Sink``."""
        for chunk in chunks:
            with self._lock:
                self.weight += len(chunk)
                if self.weight > HEAVY:
                    return Receipt.NO_SPACE
        with self._lock:
            self.count += 1
        return Receipt.KEPT


def tried(
    fetch: Callable[[Wanted, Scale], Tally], samples: Sequence[Wanted]
) -> Iterator[tuple[Level, str, TransferError | None]]:
    """Retrieve each sample: its level, the reason code of what went wrong ("" for nothing), and the error if any.

    Raises ``BusyError`` and ``ConfigError`` of this machine.
    """
    for sample in samples:
        scale = Scale()
        why, failed = "", None
        try:
            tally = fetch(sample, scale)
            why = _lacking(scale.count, sample.expected or 1, tally)
        except (BusyError, ConfigError):
            raise  # nobody was asked
        except FerryError as err:
            failed = err if isinstance(err, TransferError) else None
            why = getattr(err, "code", "") or "no-space"
        yield sample.level, why, failed
        if why in _HOPELESS:
            return


def refused(outcomes: Mapping[Level, str]) -> frozenset[Level]:
    """The levels that are clearly not served, where another one is."""
    if not any(why in {"", PARTLY} for why in outcomes.values()):
        return frozenset()
    return frozenset(level for level, why in outcomes.items() if why in _REFUSALS)


def _lacking(came: int, expected: int, tally: Tally) -> str:
    if came >= expected:
        return ""
    return PARTLY if came else tally.code or "not-sent"


def advice_of(code: str, hint: str) -> str:
    """What to do about a trial that failed: there is nothing to resume."""
    again = reason(code).retryable and "resume" in (hint or reason(code).advice)
    return "look into the archive's log for what became of the request" if again else hint


def verdict(at: str, service: str, outcomes: Mapping[Level, str], advice: Mapping[str, str], **more: object) -> Finding:
    """What the trials of one transport show. ``outcomes`` maps each level that was tried to what went wrong."""
    served = [level for level, why in outcomes.items() if why in {"", PARTLY}]
    failed = {level: why for level, why in outcomes.items() if level not in served}
    behaviour: dict[str, object] = {}
    if clearly := refused(outcomes):
        levels = [level for level in (Level.STUDY, Level.SERIES, Level.IMAGE) if level not in clearly]
        behaviour[f"{at}.levels"] = [str(level) for level in levels]
    if not served:
        why = next(iter(failed.values()))
        text = f"{service} brought nothing: {reason(why).means}"
        return Finding(
            probe=f"{at}.retrieve",
            status=Standing.FAILED,
            text=text,
            advice=advice.get(why, advice_of(why, reason(why).advice)),
            serves=False,
            **more,  # type: ignore[arg-type]
        )
    text = f"{service} brings what is asked for at {', '.join(served)} level"
    if failed:
        text += f"; at {', '.join(failed)} level: {'; '.join(sorted({reason(why).means for why in failed.values()}))}"
    partly = PARTLY in outcomes.values()
    if partly:
        text += "; fewer instances came than it counts or lists"
    return Finding(
        probe=f"{at}.retrieve",
        status=Standing.WARNING if failed or partly else Standing.OK,
        text=text,
        behaviour=behaviour,
        serves=True,
        **more,  # type: ignore[arg-type]
    )
