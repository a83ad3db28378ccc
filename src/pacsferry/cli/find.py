"""``pacsferry find``: what matches, cut down to what identifies nobody unless all is asked for and may be seen."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables
from .asking import Words
from .screen import Screen, plain_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from pacsferry.app.finding import FoundRow, FoundRows

_COLUMNS = ("request", "modalities", "series_count", "image_count", "availability", "sex", "age", "year")
_HEADS = ("request", "modality", "series", "images", "availability", "sex", "age", "year")
_SUFFIXES = frozenset({".csv", ".json"})


def find(
    accessions: o.Accessions = None,
    file: o.File = None,
    sheet: o.Sheet = None,
    column: o.Column = None,
    match: o.Match = None,
    study_date: o.StudyDate = None,
    date_from: o.From = None,
    date_to: o.To = None,
    modality: o.Modality = None,
    max_studies: o.MaxStudies = None,
    max_images: o.MaxImages = None,
    identified: Annotated[
        bool, typer.Option("--identified", help="Show all that the archive answers; audited. Needs a terminal.")
    ] = False,
    save: Annotated[
        str | None,
        o.option(
            "--save", metavar="FILE", help="With --identified: write a .csv or .json inside the private folder instead."
        ),
    ] = None,
    no_wait: o.NoWait = False,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    events: o.Events = False,
) -> int:
    """Show what matches; without a query the last 30 days."""
    from pacsferry import app

    from .progress import told

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    words = Words(
        accessions=accessions,
        file=file,
        sheet=sheet,
        column=column,
        match=match,
        study_date=study_date,
        date_from=date_from,
        date_to=date_to,
        modality=modality,
    )
    asked = words.asked()
    target = _target(identified=identified, save=save, site=site, sets=sets or ())
    with told(screen) as tell:
        found = app.find(
            site,
            asked,
            sets=sets or (),
            max_studies=max_studies,
            max_images=max_images,
            identified=identified,
            wait=not no_wait,
            told=tell,
        )
    if target is not None:
        _save(target, found)
    _show(screen, found, identified=identified and target is None, saved=target)
    return found.exit_code


def _target(*, identified: bool, save: str | None, site: str | None, sets: Sequence[str]) -> Path | None:
    """Where identified answers may go. Raises before anything is contacted."""
    from pacsferry import app
    from pacsferry.core.errors import ConfigError, RefusedError

    if save is None:
        if identified and not sys.stdout.isatty():
            raise RefusedError(
                "--identified shows identities, and standard output is no terminal",
                hint="save them with --save FILE inside the private folder",
            )
        return None
    if not identified:
        raise ConfigError("--save is for --identified", hint="send the result elsewhere with --format csv > FILE")
    private = app.site(site, sets).folders.private.resolve()
    target = Path(save).expanduser().resolve()
    if private not in target.parents:
        raise RefusedError(
            "--save: identities are saved in the private folder only", hint=f"choose a file below {private}"
        )
    if target.suffix not in _SUFFIXES:
        raise ConfigError("--save: this is neither .csv nor .json", hint="name the file with one of these endings")
    return target


def _save(target: Path, found: FoundRows) -> None:
    """All that the archive answered, readable by the owner only. Raises ``StoreError``."""
    from pacsferry.core.errors import StoreError

    rows = [{"request": str(one.request), **one.identified} for one in found.rows]
    content = plain_json({"schema": "pacsferry.found", "version": 1, "status": "ok", "results": rows}) + "\n"
    if target.suffix == ".csv":
        content = _csv(rows)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(content, encoding="utf-8")
        fresh.replace(target)
    except OSError as err:
        raise StoreError(f"--save: cannot be written ({err.strerror})") from None


def _csv(rows: Sequence[Mapping[str, str]]) -> str:
    from pacsferry.core.redact import guard_cell

    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["request"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([guard_cell(row.get(name, "")) for name in columns] for row in rows)
    return text.getvalue()


def _show(screen: Screen, found: FoundRows, *, identified: bool, saved: Path | None) -> None:
    from pacsferry.core.documents import document

    results = [_result(one, identified=identified) for one in found.rows]
    errors = [{"request": number, "error": text} for number, text in found.errors]
    status = {0: "ok", 3: "not_found", 4: "failed"}.get(found.exit_code, "incomplete")
    hint = _hint(found)
    whole = document(
        "find",
        status,
        results=results,
        not_found=list(found.not_found),
        errors=errors,
        saved=str(saved) if saved else None,
        **({"hint": hint} if hint else {}),
    )
    names = list(dict.fromkeys(name for row in results for name in row.get("identified", {})))
    rows = [{**row, **row.get("identified", {})} for row in results]

    def table(out: Console) -> None:
        if results:
            tables.draw(out, (*_HEADS, *names), [[row.get(name) for name in (*_COLUMNS, *names)] for row in rows])
        _remarks(out, found, saved)

    screen.result(whole, table=table, rows=((*_COLUMNS, *names), rows))


def _result(one: FoundRow, *, identified: bool) -> dict[str, Any]:
    return {
        "request": one.request,
        "modalities": list(one.modalities),
        "series_count": one.series_count,
        "image_count": one.image_count,
        "availability": one.availability or None,
        "sex": one.sex or None,
        "age": one.age or None,
        "year": one.year or None,
        **({"identified": dict(one.identified)} if identified else {}),
    }


def _hint(found: FoundRows) -> str | None:
    if found.errors:
        return found.hint or "`pacsferry echo` says whether the archive answers"
    return "check the query, or widen its dates" if found.not_found else None


def _remarks(out: Console, found: FoundRows, saved: Path | None) -> None:
    count = len(found.rows)
    tables.say(out, tables.many(count, "study", "studies") if count else "nothing matches")
    if found.rows and found.not_found:
        tables.say(out, f"nothing matches request {', '.join(map(str, found.not_found))}", "yellow")
    for number, text in found.errors:
        tables.say(out, f"request {number}: {text}", "red")
    if saved:
        tables.say(out, f"saved in {saved}")
    if hint := _hint(found):
        tables.say(out, f"hint: {hint}", "dim")
