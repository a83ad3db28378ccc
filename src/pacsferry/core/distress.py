"""Signs that an archive is in distress, and what everybody on the host does about them: pause, then let one try.

The first sign is a short pause, each further one a longer one; from the fifth on only one request of the host may try
(a circuit breaker, half open). It judges requests, never instances, and fetches nothing.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import processes
from .errors import InterruptedRun, TransferError
from .hoststate import HostState, number

#: A success that brought nothing, which some archives say when they are flooded.
NOTHING = "nothing"
#: Reason code of a request to how much worse it makes things. 0: a pause that does not grow, as something else than
#: load may be the cause.
SIGNS: Mapping[str, int] = {
    "http-429": 1,
    "http-503": 1,
    "refused-association": 1,
    "aborted": 1,
    "stalled": 1,
    NOTHING: 1,
    "cannot-match": 0,
    "cannot-perform": 0,
    "unable-to-process": 0,
    "unreachable": 0,
    "slow": 0,
}
#: What says nothing about an archive.
SILENT = frozenset(
    {"interrupted", "no-space", "transport-failed", "finder-failed", "not-tried", "receiver-busy"}
    | {"distress", "outside-hours", "busy", "web-auth-failed"}
)
#: What to call signs that are no reason codes.
WORDS: Mapping[str, str] = {NOTHING: "success without images", "slow": "slower and slower"}

#: From so many signs in a row on, one request tries for all.
TRIP = 5
#: The longest pause, how long one may try before another may, and after how long without a sign all is forgotten.
_CAP, _TRIAL, _FORGET = 300.0, 120.0, 900.0
#: Seconds between two looks at what others found out.
_LOOK = 0.5
#: An archive is slow when it takes so much longer than usual, and so many seconds at least, several times in a row.
_SLOWER, _SLOW_SECONDS, _IN_A_ROW = 4.0, 3.0, 3
_FEW = 5


@dataclass(slots=True)
class Told:
    """What this process noticed, for the end of a run: signs by code, and seconds of pauses."""

    signs: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Breaker:
    """The breaker of one archive. Thread-safe.

    ``first`` is the pause after the first sign in seconds (0: no pause at all), ``patience`` how long a process waits
    for an archive that does not get better. ``noted`` is told each sign and the pause that follows it.
    """

    def __init__(
        self,
        path: Path,
        archive: str,
        *,
        first: float,
        patience: float,
        stop: threading.Event,
        noted: Callable[[str, float], None] = lambda _code, _seconds: None,
    ) -> None:
        self._state = HostState(path)
        self._archive, self._first, self._patience, self._stop, self._noted = archive, first, patience, stop, noted
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said = 0.0
        self._trier = 0
        self.told = Told()

    # --- before a request

    def wait(self, told: Callable[[str], None]) -> None:
        """Wait until a request may be made.

        Raises ``TransferError`` when the archive did not get better for longer than ``patience``, and
        ``InterruptedRun`` when stopped.
        """
        if self._first <= 0:
            return
        while (left := self._left()) > 0:
            self._tell(left, told)
            began = self._state.clock()
            stopped = self._stop.wait(min(left, _LOOK))
            self.told.seconds += self._state.clock() - began
            if stopped:
                raise InterruptedRun("stopped during a pause")

    def _left(self) -> float:
        """Seconds until another look; 0 where the caller may go ahead, as the one that tries where there is one."""
        if not self._state.look():
            return 0.0
        with self._state.changing() as kept:
            now = self._state.clock()
            _forget(kept, now)
            left = min(number(kept, "until") - now, _CAP)
            tripped = number(kept, "signs") >= TRIP
            if left <= 0 and tripped:
                left = _LOOK if _tried(kept, now) and not self._mine(kept) else 0.0
                if left <= 0:
                    kept["trial_pid"], kept["trial_until"] = os.getpid(), now + _TRIAL
                    self._trier = threading.get_ident()
            if tripped:
                self._lose_patience(now, left)
            return left

    def _lose_patience(self, now: float, left: float) -> None:
        """Wait no longer than ``patience`` in all, counted from when this process first had to wait."""
        with self._lock:
            if left <= 0:
                return
            self._since = now if self._since is None else self._since
            if now - self._since < self._patience:
                return
        raise TransferError(
            f"{self._archive} is in distress for longer than [budget] patience ({self._patience:g} s)",
            code="distress",
            hint="ask the archive's administrator; then run `pacsferry resume`",
        )

    def _tell(self, left: float, told: Callable[[str], None]) -> None:
        """Say a pause once."""
        kept = self._state.look()
        until = number(kept, "until")
        with self._lock:
            if until == self._said:
                return
            self._said = until
        code = str(kept.get("code"))
        code = code if code in SIGNS else "distress"
        again = int(number(kept, "signs", 1))
        times = f", {again} times in a row" if again > 1 else ""
        told(f"{self._archive} shows signs of distress ({WORDS.get(code, code)}{times}): pausing {left:.1f} s")

    # --- after a request

    def heard(self, code: str, *, began: float, retry_after: float | None = None) -> None:
        """How a request that began at ``began`` (``HostState.clock``) ended: a reason code, "" for well."""
        if self._first <= 0:
            return
        if code in SIGNS:
            self._sign(code, began, retry_after)
        elif code in SILENT:
            self.release()
        else:
            self.well(began)

    def tripped(self) -> bool:
        """Whether only one request of the host may try now."""
        return self._first > 0 and number(self._state.look(), "signs") >= TRIP

    def well(self, began: float) -> None:
        """The archive answered a request as it should. One that began before the last sign proves little."""
        if not self._state.look().get("signs"):
            return
        with self._state.changing() as kept:
            mine = self._mine(kept)
            if mine or began >= number(kept, "at"):
                tripped = number(kept, "signs") >= TRIP
                kept["signs"] = 0 if tripped else number(kept, "signs") // 2
                if tripped:
                    kept["until"] = 0.0
            if mine:
                _end_trial(kept)
        with self._lock:
            self._since = None

    def release(self) -> None:
        """The request that tried for all found out nothing."""
        if self._mine(self._state.look()):
            with self._state.changing() as kept:
                _end_trial(kept)

    def _mine(self, kept: dict[str, Any]) -> bool:
        """Whether this thread is the one that tries."""
        return int(number(kept, "trial_pid")) == os.getpid() and self._trier == threading.get_ident()

    def _sign(self, code: str, began: float, retry_after: float | None) -> None:
        with self._state.changing() as kept:
            now = self._state.clock()
            _forget(kept, now)
            mine = self._mine(kept)
            # Several requests that fail at the same time are one sign.
            fresh = mine or began >= number(kept, "at") or not number(kept, "signs")
            signs = number(kept, "signs") + (SIGNS[code] if fresh else 0)
            pause = min(self._first * 2 ** max(min(signs, 32) - 1, 0), _CAP) * random.uniform(0.5, 1)  # noqa: S311
            pause = max(pause, min(retry_after or 0.0, _CAP))
            kept["until"] = max(number(kept, "until"), now + pause) if fresh else number(kept, "until")
            kept |= {"signs": signs, "at": now, "code": code}
            if mine:
                _end_trial(kept)
        with self._lock:
            self.told.signs[code] += 1
        self._noted(code, pause)

    def lasted(self, seconds: float) -> bool:
        """How long the archive took to send the first object; whether that was a sign of its own."""
        with self._state.changing() as kept:
            usual, count = number(kept, "usual"), number(kept, "samples")
            slow = count >= _FEW and seconds > max(usual * _SLOWER, _SLOW_SECONDS)
            row = number(kept, "slow_row") + 1 if slow else 0
            # One tape that was fetched must not move the measure much, and an archive that changed for good must.
            step = (min(seconds, usual * 2) if count >= _FEW else seconds) - usual
            kept["usual"] = usual + step * max(0.05, 1 / (count + 1))
            kept |= {"samples": min(count + 1, 1000), "slow_row": row % _IN_A_ROW}
        return row >= _IN_A_ROW


def _forget(kept: dict[str, Any], now: float) -> None:
    """Signs of long ago, and times that cannot be."""
    at, until = number(kept, "at"), number(kept, "until")
    if at > now or until > now + _CAP + 1 or now - max(at, until) > _FORGET:
        for name in ("signs", "until", "at", "trial_pid", "trial_until"):
            kept.pop(name, None)


def _tried(kept: dict[str, Any], now: float) -> bool:
    """Whether somebody tries now; a process that is gone tries no more."""
    until, pid = number(kept, "trial_until"), int(number(kept, "trial_pid"))
    return pid > 0 and now < until <= now + _TRIAL + 1 and processes.started(pid) is not None


def _end_trial(kept: dict[str, Any]) -> None:
    kept["trial_pid"], kept["trial_until"] = 0, 0.0
