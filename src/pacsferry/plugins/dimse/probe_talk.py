"""Bounded questions to an archive, for ``doctor``: so many answers and no more; nothing is kept or shown of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level

from .association import MODELS, VERIFICATION, Call, Caller, contexts
from .identifiers import answer, identifier
from .statuses import CANCEL, PENDING, SUCCESS, failure, trouble

#: After C-CANCEL an archive may send so many answers more, for so long; then it is hung up on.
PATIENCE_ANSWERS = 25
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of one question: data sets as received, the final status (None: we ended it), and whether we cut it."""

    answers: tuple[Dataset, ...] = field(default=(), repr=False)
    status: int | None
    cut: bool = False

    @property
    def refused(self) -> bool:
        """Whether it ended with a failure."""
        return self.status not in {None, SUCCESS, CANCEL}

    @property
    def cancelled(self) -> bool:
        """Whether the archive listened to C-CANCEL."""
        return self.status == CANCEL

    def failure(self) -> TransferError | None:
        """The failure as an error that can be explained."""
        return failure("C-FIND", self.status) if self.refused and self.status is not None else None

    def texts(self) -> list[dict[str, str]]:
        """The answers as keyword to text."""
        return [answer(one) for one in self.answers]


class Talk:
    """Asks on one association after the other; never on two at once."""

    def __init__(self, caller: Caller, charset: str | None) -> None:
        self._caller, self._charset = caller, charset
        self._call: Call | None = None

    def open(self) -> Call:
        """Propose all that an archive could be asked for. Raises ``TransferError``."""
        self.close()
        classes = [VERIFICATION, *(uid for model in MODELS.values() for uid in model.values())]
        self._call = self._caller.open("C-FIND", [context for uid in classes for context in contexts(uid)])
        return self._call

    def ask(self, level: Level, keys: Mapping[str, str], *, limit: int, model: str = "study") -> Told:
        """The first ``limit`` answers. Raises ``TransferError`` where the association does not survive it."""
        call = self._call if self._call and self._call.alive else self.open()
        abstract = MODELS[model]["find"]
        syntax = call.syntax(abstract)
        if syntax is None:
            raise trouble("C-FIND", "no-context", "the archive accepts no query of this information model")
        request = identifier(level, keys, syntax, self._charset)
        try:
            with call.watched():
                return self._read(call, abstract, request, limit)
        except BaseException:
            self.drop()
            raise

    def _read(self, call: Call, abstract: str, request: Dataset, limit: int) -> Told:
        message_id = self._caller.message_id()
        answers: list[Dataset] = []
        since = 0.0
        for status, dataset in call.assoc.send_c_find(request, abstract, msg_id=message_id):
            code = status.get("Status")
            if code is None:
                raise call.lost()
            if code not in PENDING:
                return Told(answers=tuple(answers[:limit]), status=int(code), cut=bool(since))
            if dataset is None:
                raise trouble("C-FIND", "bad-answer", "an answer cannot be decoded")
            answers.append(dataset)
            if not since and len(answers) >= limit:
                since = time.monotonic()
                _cancel(call, abstract, message_id)
            elif since and _impatient(since, len(answers) - limit):
                break
        self.drop()
        return Told(answers=tuple(answers[:limit]), status=None, cut=True)

    def drop(self) -> None:
        """End the association at once."""
        call, self._call = self._call, None
        if call is not None:
            call.drop()

    def close(self) -> None:
        """Release the association."""
        call, self._call = self._call, None
        if call is not None:
            call.end()


def _impatient(since: float, more: int) -> bool:
    return more >= PATIENCE_ANSWERS or time.monotonic() - since > PATIENCE_SECONDS


def _cancel(call: Call, abstract: str, message_id: int) -> None:
    """C-CANCEL (PS3.7 9.3.2.3). Where the association is gone there is nothing to cancel."""
    found: Any = next((cx for cx in call.assoc.accepted_contexts if cx.abstract_syntax == abstract), None)
    with contextlib.suppress(Exception):
        call.assoc.send_c_cancel(message_id, found.context_id)
