"""What a project was asked for, at which archive, and what of it is not complete; it asks nobody."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pacsferry.core.ledger import Ledger
from pacsferry.core.ledger_model import Asked as Remembered
from pacsferry.core.model import Level, Query, Status
from pacsferry.core.query import Asked

from .opening import Opened

_FINISHED = frozenset({Status.OK, Status.SKIPPED, Status.WAIVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Requests to go on with here, numbered anew; ``elsewhere`` counts those of other archives, by their profile."""

    here: tuple[Asked, ...]
    elsewhere: Mapping[str, int]


def frozen(asked: Asked, work: Opened) -> str:
    """A request as the linkage table keeps it."""
    said = {"typed": asked.typed, "keys": asked.query.keys, "series": asked.series, "images": asked.images}
    return json.dumps({**said, **_archive(work)}, sort_keys=True)


def unfinished(work: Opened, *, again: bool) -> Unfinished:
    """The requests that are not complete, each once. ``again``: also those that never found anything.

    A request belongs to the archive that it was made at: another one may have other studies by the same number, or
    none, and what that says is no verdict.
    """
    here: dict[str, Asked] = {}
    elsewhere: dict[str, int] = {}
    for one in _left(work.ledger):
        said = json.loads(one.text)
        if not again and one.status is Status.NOT_FOUND and not one.studies:
            continue
        if _mine(said, _archive(work)):
            here.setdefault(_query(said), _thawed(said))
        else:
            elsewhere[said["site"]] = elsewhere.get(said["site"], 0) + 1
    numbered = (replace(one, ordinal=number) for number, one in enumerate(here.values(), start=1))
    return Unfinished(here=tuple(numbered), elsewhere=elsewhere)


def unfinished_statuses(ledger: Ledger) -> list[Status | None]:
    """How each request that led to no complete study ended; None where its run did not come to it."""
    return [one.status for one in _left(ledger)]


def told_of(elsewhere: Mapping[str, int]) -> list[str]:
    """A sentence for each profile whose requests were left alone."""
    return [
        f"{count} {'request was' if count == 1 else 'requests were'} made at another archive, with the profile {site}: "
        f"go on with `pacsferry resume --site {site}`"
        for site, count in sorted(elsewhere.items())
    ]


def _archive(work: Opened) -> dict[str, str]:
    resolved = work.wiring.resolved
    return {"archive": work.wiring.archive.name, "site": resolved.reference}


def _mine(said: Mapping[str, Any], here: Mapping[str, str]) -> bool:
    """Profiles get other names, and archives other profiles: one of the two is enough."""
    return "site" not in said or said["archive"] == here["archive"] or said["site"] == here["site"]


def _query(said: Mapping[str, Any]) -> str:
    return json.dumps([said[word] for word in ("typed", "keys", "series", "images")], sort_keys=True)


def _thawed(said: Mapping[str, Any]) -> Asked:
    query = Query(level=Level.STUDY, keys=said["keys"])
    return Asked(ordinal=1, typed=said["typed"], query=query, series=said["series"], images=said["images"])


def _left(ledger: Ledger) -> list[Remembered]:
    verdicts = ledger.verdicts()
    return [one for one in _latest(ledger.request_rows()) if not _settled(verdicts, one)]


def _latest(rows: Iterable[Remembered]) -> list[Remembered]:
    """Each request once, as its newest run left it; what it found once it answers for, also if it finds it no more."""
    newest: dict[str, Remembered] = {}
    for one in rows:
        earlier = newest.get(one.text)
        if one.text:
            newest[one.text] = replace(one, studies=one.studies or (earlier.studies if earlier else ()))
    return list(newest.values())


def _settled(verdicts: Mapping[str, Status | None], one: Remembered) -> bool:
    if one.status is None or not one.studies:
        return one.status in _FINISHED
    return all(verdicts.get(key) in _FINISHED for key in one.studies)
