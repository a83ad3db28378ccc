"""``pacsferry plan``: what a load would do; it fetches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import options as o
from . import tables
from .asking import Words
from .screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app import Planned
    from pacsferry.app.plans import PlannedStudy
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
    return planned(screen, project, words, site=site, sets=sets, max_studies=max_studies, max_images=max_images)


def planned(
    screen: Screen,
    project: str,
    words: Words,
    *,
    site: str | None,
    sets: list[str] | None,
    max_studies: int | None,
    max_images: int | None,
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
        "pauses_s": round(result.seconds, 1),
        "hint": f"`pacsferry load {result.project} --plan {result.plan_id}` does exactly this",
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
    if result.seconds:
        tables.say(out, f"the budget adds {_span(result.seconds)} of pauses")
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


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
