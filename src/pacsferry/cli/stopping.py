"""Ctrl-C and SIGTERM: the first asks the run to conclude, the second ends it; what is done is kept either way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Signals of this process are ours: it was started as a command, not called as a library.
_OURS: list[bool] = []


def take() -> None:
    """Called once by the console script: being terminated is told like Ctrl-C. What nohup ignores stays ignored."""
    _OURS.append(True)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def settle() -> None:
    """From here on the answer is being printed: one document is begun and must be ended, so signals come too late."""
    if _OURS:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def concluding(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that is set at the first signal; a second raises KeyboardInterrupt."""
    stop = threading.Event()
    asked_for: list[int] = []

    def conclude() -> None:
        stop.set()
        if len(asked_for) == 1:
            say("stopping; what is done is kept. Once more ends it at once.")

    def asked(number: int, frame: Any) -> None:
        asked_for.append(number)
        # Not by this thread, which may be in the middle of the event, or of this very function, and would wait for
        # itself.
        threading.Thread(target=conclude, name="concluding", daemon=True).start()
        if len(asked_for) > 1:
            signal.default_int_handler(number, frame)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, asked)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        settle()
