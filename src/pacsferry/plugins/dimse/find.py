"""C-FIND as a finder: every answer, or an error where it is only a part of them; nothing is cached."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from pacsferry.core.archive import Archive
from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level, Match, Ping, Query, Wanted
from pacsferry.core.ports import Finding

from .association import MODELS, Call, Caller, contexts
from .identifiers import IDENTITY, RETURN_KEYS, answer, identifier, is_number, vr_of
from .settings import FindSettings
from .statuses import CANCEL, NO_RESOURCES, PENDING, SUCCESS, failure, trouble

#: An association that nobody used for so long is given back; archives have few.
IDLE_SECONDS = 5.0
#: Earlier than any study; asked for where an archive insists on a date.
ANY_DATE = "19000101-"
#: After so many answers any failure may be a limit; a smaller question is then worth its while.
MANY = 10
_DATES = frozenset({"DA", "TM", "DT"})

Answers = list[dict[str, str]]


class CFind:
    """Finder ``c-find``. Associations are kept for a while and reused; each serves one query at a time."""

    protocol = "dimse"

    def __init__(self, archive: Archive, settings: FindSettings) -> None:
        self._archive = archive
        self._settings = settings
        self._pool = _Pool(Caller(archive, "c-find"))

    def find(self, query: Query) -> Iterator[Match]:
        """All answers, each once. Raises ``TransferError``, and ``ConfigError`` for an unknown keyword.

        Where the archive says that it gives only a part (code "capped"), that part comes first.
        """
        model, level = self._model(query.level)
        keys = self._keys(query, level)
        identifier(level, keys, "")  # an unknown keyword is found before anybody is asked
        return self._answers(query, MODELS[model]["find"], level, keys)

    def _answers(self, query: Query, abstract: str, level: Level, keys: Mapping[str, str]) -> Iterator[Match]:
        found: dict[tuple[str, ...], Match] = {}
        answers, capped = self._pool.ask(abstract, level, keys, self._archive.charset)
        for number, values in enumerate(answers):
            match = Match(level=query.level, keys=values)
            if _nameless(match, query):
                raise trouble("C-FIND", "bad-answer", "an answer of the archive has no StudyInstanceUID")
            found.setdefault(_identity(match, number), match)
        yield from found.values()
        if capped is not None:
            raise capped

    def _model(self, level: Level) -> tuple[str, Level]:
        """Patient queries need Patient Root, or go out as study queries where that is refused."""
        if level is not Level.PATIENT:
            return self._settings.model, level
        return ("study", Level.STUDY) if self._archive.quirks.study_root_only else ("patient", level)

    def _keys(self, query: Query, level: Level) -> dict[str, str]:
        quirks = self._archive.quirks
        asked = (word for word in (*RETURN_KEYS[query.level], *query.wants) if not quirks.leaves_out(word))
        keys = dict.fromkeys(asked, "")
        if level is not query.level:
            keys["StudyInstanceUID"] = ""
        if quirks.requires_study_date:
            keys["StudyDate"] = ANY_DATE
        keys.update(query.keys)
        return {word: text or self._unspecified(word) for word, text in keys.items()}

    def _unspecified(self, keyword: str) -> str:
        """What stands for "anything": nothing (PS3.4 C.2.2.2.3), or a star where the archive wants one."""
        quirks = self._archive.quirks
        if not quirks.universal_star:
            return ""
        plain = is_number(keyword) or (vr_of(keyword) in _DATES and not quirks.wildcards_in_dates)
        return "" if plain else "*"

    def ping(self) -> Ping:
        """C-ECHO. Raises ``TransferError``."""
        return self._pool.caller.ping()

    def probe(self, samples: Sequence[Wanted] = ()) -> Iterator[Finding]:  # noqa: ARG002 - it finds them
        """See ``ports.Prober``: associations, models, levels, keys, caps, character sets."""
        from .probe_find import FindProbe

        return FindProbe(self._archive, self._pool.caller, self._settings.model).findings()

    def rest(self) -> None:
        """Give back associations that wait for another query: the archive has few."""
        self._pool.rest()

    def close(self) -> None:
        """End all associations."""
        self._pool.close()


def _nameless(match: Match, query: Query) -> bool:
    """Whether it is a study that matches and cannot be had; an empty answer is only an odd way to say none."""
    found = query.level is Level.STUDY and any(match.text(word) for word in query.keys)
    return found and not match.text("StudyInstanceUID")


def _identity(match: Match, number: int) -> tuple[str, ...]:
    """What makes an answer the same as another; an answer without a UID is nobody's double."""
    names = IDENTITY[match.level]
    values = tuple(match.text(name) for name in names)
    return values if match.text(_LAST_KEY[match.level]) else (str(number), "")


_LAST_KEY = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}


class _Pool:
    """Associations for C-FIND that wait to be used again."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._idle: list[tuple[str, Call, float]] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def ask(
        self, abstract: str, level: Level, keys: Mapping[str, str], charset: str | None
    ) -> tuple[Answers, TransferError | None]:
        """The answers to one query, and the error where they are only a part of them.

        An association that was lost while it waited is replaced once.
        """
        call = self._take(abstract)
        if call is not None:
            try:
                return self._use(call, abstract, level, keys, charset)
            except TransferError as err:
                if err.code not in {"aborted", "stalled"} or self.caller.closed:
                    raise
        fresh = self.caller.open("C-FIND", contexts(abstract))
        return self._use(fresh, abstract, level, keys, charset)

    def _use(
        self, call: Call, abstract: str, level: Level, keys: Mapping[str, str], charset: str | None
    ) -> tuple[Answers, TransferError | None]:
        answers: Answers = []
        capped = None
        try:
            for one in _answers(call, abstract, level, keys, charset):
                answers.append(one)
        except TransferError as err:
            if err.code != "capped":
                call.drop()
                raise
            capped = err
        except BaseException:
            call.drop()
            raise
        self._give_back(abstract, call)
        return answers, capped

    def _take(self, abstract: str) -> Call | None:
        with self._lock:
            for entry in reversed(self._idle):
                if entry[0] == abstract and entry[1].alive:
                    self._idle.remove(entry)
                    return entry[1]
        return None

    def _give_back(self, abstract: str, call: Call) -> None:
        with self._lock:
            self._idle.append((abstract, call, time.monotonic()))
            self._arm()

    def _arm(self) -> None:
        if self._timer is None and not self.caller.closed:
            self._timer = threading.Timer(IDLE_SECONDS, self._sweep)
            self._timer.daemon = True
            self._timer.start()

    def _sweep(self) -> None:
        """Release what nobody used for a while."""
        limit = time.monotonic() - IDLE_SECONDS / 2
        with self._lock:
            self._timer = None
            old = [entry for entry in self._idle if entry[2] < limit or not entry[1].alive]
            self._idle = [entry for entry in self._idle if entry not in old]
            if self._idle:
                self._arm()
        for _, call, _ in old:
            call.end()

    def rest(self) -> None:
        """Release what waits."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for _, call, _ in idle:
            call.end()

    def close(self) -> None:
        """Release what waits, end what works."""
        self.rest()
        self.caller.close()


def _answers(
    call: Call, abstract: str, level: Level, keys: Mapping[str, str], charset: str | None
) -> Iterator[dict[str, str]]:
    """The pending answers of one request; anything but success at its end is an error."""
    syntax = call.syntax(abstract)
    if syntax is None:
        raise trouble("C-FIND", "no-context", "the archive accepts no query of this information model")
    request = identifier(level, keys, syntax, charset)
    count = 0
    with call.watched():
        for status, dataset in call.assoc.send_c_find(request, abstract, msg_id=call.caller.message_id()):
            code = status.get("Status")
            if code in PENDING:
                if dataset is None:
                    raise trouble("C-FIND", "bad-answer", "an answer cannot be decoded")
                count += 1
                yield answer(dataset, charset)
            elif code is None:
                raise call.lost()
            elif code != SUCCESS:
                raise _ended(int(code), count)


def _ended(status: int, count: int) -> TransferError:
    """A final status that is no success. We never cancel: who ends with that has a limit (seen: Orthanc)."""
    capped = status == NO_RESOURCES or (status == CANCEL and count > 0) or count >= MANY
    if not capped:
        return failure("C-FIND", status)
    return trouble("C-FIND", "capped", f"the archive ends with status 0x{status:04X} after {count} answers")
