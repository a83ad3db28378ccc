"""The contract of observers: they take whatever a trail may hold, change and print nothing, and answer in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from pacsferry.core.auditline import AuditLine, frozen
from pacsferry.core.ports import Observer, Offer
from pacsferry.core.strict import Strict

from .kit import Contract, build, in_time

#: Seconds that one line, or building, may take, whatever does not answer.
_LONGEST: Final = 15.0
_DETAILS: Final[Sequence[dict[str, Any]]] = (
    {},
    {"requests": 3},
    {"reasons": {"not-sent": 2, "select": 1}, "transports": ["wado-rs", "c-get"], "duration_s": 1.25},
    {"hint": "x" * 200, "names": ["n" * 200] * 40, "ok": None, "dry_run": True},
)


def lines() -> list[AuditLine]:
    """A run of four events, and one of the host's own trail."""
    actions = ("run-started", "expected", "concluded", "run-ended")
    told = [
        AuditLine(
            trail="stroke",
            seq=number,
            at=f"2026-11-21T11:00:0{number}.000Z",
            run="20261121-110000-1a2b3c",
            actor="ana",
            action=action,
            object="" if number in {1, 4} else "2.25.329800735698586629295641978511506172918",
            outcome="incomplete" if number == 3 else "ok",
            details=frozen(details),
            prev=f"{number - 1:064x}",
            hash=f"{number:064x}",
        )
        for number, (action, details) in enumerate(zip(actions, _DETAILS, strict=True), start=1)
    ]
    own = AuditLine(
        trail="",
        seq=1,
        at="2026-11-21T11:00:09.000Z",
        run="",
        actor="1000",
        action="echo",
        object="",
        outcome="failed",
        prev="0" * 64,
        hash="f" * 64,
    )
    return [*told, own]


class ObserverContract(Contract):
    """Override ``offer``, ``settings`` where they have no defaults, and ``heard`` to have arrival checked as well."""

    @pytest.fixture
    def heard(self) -> Callable[[], Sequence[int]] | None:
        """What gives the ``seq`` of the lines that arrived, in order; None where a test cannot look."""
        return None

    @pytest.fixture
    def observer(self, offer: Offer[Any], settings: Strict) -> Iterator[Observer]:
        """The observer under test."""
        made = in_time(lambda: build(offer, settings), seconds=_LONGEST)
        yield made
        in_time(made.close, seconds=_LONGEST)

    def test_each_line_is_taken_or_refused_in_time(self, observer: Observer) -> None:
        for line in lines():
            assert _told(observer, line) in {"taken", "refused"}, "tell() returns, or raises an Exception"

    def test_lines_arrive_in_their_order(self, observer: Observer, heard: Callable[[], Sequence[int]] | None) -> None:
        if heard is None:
            pytest.skip("override the fixture `heard` to have this checked")
        for line in lines():
            observer.tell(line)
        observer.close()
        assert list(heard()) == [line.seq for line in lines()], "every line arrives once, in order"

    def test_nothing_is_changed(self, observer: Observer) -> None:
        for line, same in zip(lines(), lines(), strict=True):
            _told(observer, line)
            assert line == same, "a line is not the observer's to change"

    def test_nothing_is_printed(self, observer: Observer, capfd: pytest.CaptureFixture[str]) -> None:
        capfd.readouterr()
        for line in lines():
            _told(observer, line)
        observer.close()
        out, err = capfd.readouterr()
        assert out == "", "stdout is a command's result"
        assert err == "", "what an observer has to say is an exception"

    def test_it_can_be_closed_twice_and_without_a_line(self, offer: Offer[Any], settings: Strict) -> None:
        made = build(offer, settings)
        in_time(made.close, seconds=_LONGEST)
        in_time(made.close, seconds=_LONGEST)


def _told(observer: Observer, line: AuditLine) -> str:
    """How one line was received."""
    try:
        in_time(lambda: observer.tell(line), seconds=_LONGEST)
    except Exception:
        return "refused"
    return "taken"
