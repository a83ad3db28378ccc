"""``pacsferry plan``: what a load would do; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any

from . import options as o
from . import tables
from .asking import Words
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app import Planned
    from pacsferry.app.plans import PlannedStudy
    from pacsferry.core.estimate import Estimate
    from pacsferry.core.model import Row

_HEADS = ("request", "accession", "case", "modality", "series", "expected", "done", "missing", "availability", "status")


def plan(
    project: o.Project,
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
    no_wait: o.NoWait = False,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    events: o.Events = False,
) -> int:
    """Say what load would do, and give an id that load --plan does exactly."""
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
    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose, events=events)
    return planned(
        screen,
        project,
        words,
        site=site,
        sets=sets,
        max_studies=max_studies,
        max_images=max_images,
        wait=not no_wait,
    )


def planned(
    screen: Screen,
    project: str,
    words: Words,
    *,
    site: str | None,
    sets: list[str] | None,
    max_studies: int | None,
    max_images: int | None,
    wait: bool = True,
) -> int:
    """Ask, print what would be done, and return the exit code."""
    from pacsferry import app
    from pacsferry.core.documents import document

    from . import rows
    from .progress import told
    from .stopping import concluding

    asked = words.asked()
    with concluding(screen.say) as stop, told(screen) as tell:
        result = app.plan(
            project,
            asked,
            max_studies=max_studies,
            max_images=max_images,
            site=site,
            sets=sets or (),
            wait=wait,
            told=tell,
            stop=stop,
        )
    results = _results(result)
    columns = (*rows.COLUMNS, "done", "requests", "availability")
    screen.result(
        document("plan", result.status, **_whole(result), results=results),
        table=lambda out: _table(out, result),
        rows=(columns, results),
    )
    return result.exit_code


def _whole(result: Planned) -> dict[str, Any]:
    found = [study.row for study in result.studies]
    return {
        "project": result.project,
        "plan": result.plan_id,
        "studies": len(found),
        "series": sum(study.series for study in result.studies),
        "instances": sum(row.expected or 0 for row in found),
        "done": sum(study.done for study in result.studies),
        "missing": sum(row.missing for row in found),
        "transports": list(result.transports),
        **_time(result.estimate),
        "hint": f"`pacsferry load {result.project} --plan {result.plan_id}` does exactly this",
    }


def _time(found: Estimate) -> dict[str, Any]:
    """What is estimated, as JSON has it: sizes in bytes, times as ISO 8601 on the archive's clock."""
    starts, ends = (at.isoformat(timespec="seconds") if at else None for at in (found.starts, found.ends))
    return {
        "bytes": found.size,
        "bytes_from": "history" if found.measured else "table",
        "uncounted": found.uncounted,
        "pauses_s": round(found.pauses, 1),
        "time_s": None if found.seconds is None else round(found.seconds, 1),
        "starts_at": starts,
        "ends_at": ends,
    }


def _results(result: Planned) -> list[dict[str, Any]]:
    """Rows as a load has them, each with what is done, how many requests the archive would get, and availability."""
    from pacsferry.core.documents import row_document

    of_study = {id(study.row): study for study in result.studies}

    def more(row: Row) -> dict[str, Any]:
        study = of_study.get(id(row))
        if study is None:
            return {"done": 0, "requests": 0, "availability": None}
        return {"done": study.done, "requests": study.requests, "availability": _available(study)}

    return [{**row_document(row), **more(row)} for row in result.rows]


def _table(out: Console, result: Planned) -> None:
    of_study = {id(study.row): study for study in result.studies}
    tables.draw(out, _HEADS, [_line(row, of_study.get(id(row))) for row in result.rows])
    whole = _whole(result)
    studies = tables.many(whole["studies"], "study", "studies")
    said = f"{studies}, {whole['series']:,} series, {tables.many(whole['instances'], 'instance', 'instances')}"
    tables.say(
        out, f"{said}; {whole['done']:,} done already, {whole['missing']:,} to fetch over {result.transports[0]}"
    )
    for sentence in _sentences(result.estimate):
        tables.say(out, sentence)
    for error in sorted({row.error for row in result.rows if row.error}):
        tables.say(out, error, "red")
    tables.say(out, f"Next: {whole['hint']}")


def _line(row: Row, study: PlannedStudy | None) -> tuple[object, ...]:
    series = row.series_count if row.status == "dry-run" else None
    done, missing, available = (study.done, row.missing, _available(study)) if study else (None, None, None)
    return (
        *(row.request, row.accession, row.case_id, row.modality, series, row.expected, done),
        *(missing, available, str(row.status)),
    )


def _available(study: PlannedStudy) -> str | None:
    """What the archive says of the study's parts: one word, or all that apply."""
    return ", ".join(study.availability) or None


def _sentences(found: Estimate) -> Iterator[str]:
    """The time that it will take, for people; always said to be an estimate."""
    if found.starts is None:
        return
    size = f"{found.size / 1e9:.1f} GB" if found.size >= 1e9 else f"{max(found.size / 1e6, 0.1):.1f} MB"
    sizes = "as this archive's images were so far" if found.measured else "as such images usually are"
    if found.seconds is None or found.ends is None:
        yield f"Estimate: about {size}, {sizes}; under this budget that takes longer than can be said"
        return
    pauses = f", with {_span(found.pauses)} of pauses" if found.pauses else ""
    yield f"Estimate: about {size}, {sizes}; {_span(found.seconds)} under the budget{pauses}"
    later = (found.ends.astimezone(UTC) - found.starts.astimezone(UTC)).total_seconds() < found.seconds - 60
    begins = f"begins {found.starts:%a %d %b %H:%M}, " if later else ""
    yield f"Estimate: {begins}ends {found.ends:%a %d %b %H:%M %Z}"
    if found.uncounted:
        unknown = tables.many(found.uncounted, "series has", "series have")
        yield f"The archive does not say how many images {unknown}; add their time"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
