"""How long to go on with one request: a few tries with jitter, or, for what comes from tape, as long as is allowed."""

from __future__ import annotations

import contextlib
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pacsferry.core.errors import TransferError

from .statuses import NOT_YET, Then, those

#: Seconds before the second try; doubled with each.
FIRST = 0.25
PASSING = those(Then.AGAIN)
#: Errors without a status that may be gone in a moment.
_PASSING_CODES = frozenset({"aborted", "no-token"})


class RefusedRequest(TransferError):
    """An HTTP status that is no success."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        retryable: bool,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, retryable=retryable, retry_after=retry_after, hint=hint)
        self.status = status


@dataclass(slots=True, kw_only=True)
class Patience:
    """Of one request. ``nearline`` is how many seconds an archive may say "not yet", ``slow`` that it will."""

    max_tries: int
    max_wait: float
    nearline: float
    slow: bool = False
    tried: int = 0
    until: float | None = None

    def pause(self, err: TransferError) -> float:
        """Seconds before another try. Raises ``err`` where there is none: it would only fail again."""
        self.tried += 1
        err.tries = self.tried
        if self.slow and err.code == "stalled":
            raise _gone()
        if self._not_yet(err):
            return self._until_it_is_there(err)
        if self.tried >= self.max_tries or not _passing(err):
            raise err
        if err.retry_after is None:
            return self._usual * random.uniform(0.5, 1)  # noqa: S311 - jitter
        if err.retry_after > self.max_wait:
            raise err
        return _not_before(err.retry_after)

    @property
    def _usual(self) -> float:
        """The pause where the archive names none."""
        return min(self.max_wait, FIRST * 2.0 ** min(self.tried, 16))

    def _not_yet(self, err: TransferError) -> bool:
        """202 always says so; other statuses mean it where the archive said beforehand that it is slow."""
        status = err.status if isinstance(err, RefusedRequest) else 0
        return status == 202 or (self.slow and status in NOT_YET)

    def _until_it_is_there(self, err: TransferError) -> float:
        now = time.monotonic()
        self.until = now + self.nearline if self.until is None else self.until
        asked = err.retry_after if err.retry_after is not None else self._usual
        if now + asked >= self.until:
            raise _gone(err.retry_after) from None
        return min(_not_before(asked), self.until - now)


def _gone(after: float | None = None) -> TransferError:
    text = "the archive did not bring it back within archive.timeouts.nearline"
    return TransferError(text, code="nearline", retry_after=after)


def _not_before(seconds: float) -> float:
    """Never earlier than asked, and not all at the same moment."""
    return seconds * random.uniform(1, 1.1)  # noqa: S311 - jitter


def _passing(err: TransferError) -> bool:
    if isinstance(err, RefusedRequest):
        return err.status in PASSING
    return err.retryable and err.code in _PASSING_CODES


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After field (RFC 9110 10.2.3), which is a number or a date; None where it is neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None
