"""``pacsferry status``: where a project stands, what is wrong and what to do about it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as o
from . import tables
from .screen import Screen
from .values import plain

if TYPE_CHECKING:
    from rich.console import Console

    from pacsferry.app.standing import ProjectStatus
    from pacsferry.core.model import Row

_LINKING = frozenset({"request", "accession", "error"})
_COLUMNS = (
    *("case_id", "study_uid", "status", "study_date", "modality", "description", "series_count", "image_count"),
    *("expected", "stored", "held", "missing", "excluded", "evidence", "transports", "reasons", "retryable", "path"),
)
_HEADS = ("case", "date", "modality", "series", "expected", "stored", "held", "missing", "excluded", "status", "path")


def status(
    project: o.Project,
    accession: Annotated[
        str | None, typer.Argument(metavar="[ACCESSION]", help="Only its studies.", show_default=False)
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="Only what is not complete.")] = False,
    site: o.Site = None,
    sets: o.Sets = None,
    fmt: o.Fmt = None,
    json_: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Show cases, counts, outliers, and what is incomplete or held, why, and what to do."""
    from pacsferry import app
    from pacsferry.core.documents import document, row_document
    from pacsferry.core.status import row

    screen = Screen.of(fmt, json_, quiet=quiet, verbose=verbose)
    found = app.status(project, accession, site_name=site, sets=sets or ())
    troubled = {one.study_uid for one in found.problems}
    rows = [row(state) for state in found.studies]
    rows = [one for one in rows if not problems or one.study_uid in troubled]
    results = [{name: value for name, value in row_document(one).items() if name not in _LINKING} for one in rows]
    hint = _hint(found)
    whole = document(
        "status",
        "incomplete" if found.exit_code else "ok",
        project=found.project,
        images=str(found.images),
        counts=found.counts,
        cases=plain(found.cases),
        outliers=plain(found.outliers),
        problems=plain(found.problems),
        unfinished=found.unfinished,
        results=results,
        **({"hint": hint} if hint else {}),
    )
    screen.result(whole, table=lambda out: _table(out, found, rows, hint), rows=(_COLUMNS, results))
    return found.exit_code


def _hint(found: ProjectStatus) -> str | None:
    if not found.problems and not found.unfinished:
        return None
    if any(one.retryable for one in found.problems):
        return f"`pacsferry resume {found.project}` goes on with what is not complete"
    if found.problems:
        return f"`pacsferry waive {found.project} ACCESSION --reason TEXT` accepts a gap for good"
    if found.unfinished > found.not_found:
        return f"`pacsferry resume {found.project}` goes on with what is not complete"
    return f"`pacsferry resume {found.project} --again not_found` asks again for what the archive did not have"


def _table(out: Console, found: ProjectStatus, rows: list[Row], hint: str | None) -> None:
    if rows:
        tables.draw(out, _HEADS, [_line(one) for one in rows])
    counts = found.counts
    cases, studies = tables.many(counts["cases"], "case", "cases"), tables.many(counts["studies"], "study", "studies")
    images = tables.many(counts["stored"], "image", "images")
    tables.say(out, f"{cases}, {studies}, {counts['series']:,} series, {images} in {found.images}", "bold")
    _problems(out, found)
    _outliers(out, found)
    if found.unfinished:
        tables.say(out, f"{tables.many(found.unfinished, 'request', 'requests')} led to no complete study", "yellow")
    if hint:
        tables.say(out, f"Next: {hint}")


def _line(row: Row) -> tuple[object, ...]:
    return (
        *(row.case_id, row.study_date, row.modality, row.series_count, row.expected, row.stored),
        *(row.held or None, row.missing or None, row.excluded or None, str(row.status), row.path),
    )


def _problems(out: Console, found: ProjectStatus) -> None:
    """Counts per reason and what to do about each."""
    counted: Counter[tuple[str, str]] = Counter()
    for one in found.problems:
        counted[one.means, one.advice] += max(one.count, 1)
    for (means, advice), count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        tables.say(out, f"{count:>7,}  {means}", "bold")
        tables.say(out, f"         {advice}")


def _outliers(out: Console, found: ProjectStatus) -> None:
    for one in found.outliers.found:
        usual: Any = f"{one.usual:g}" if isinstance(one.usual, float) else one.usual
        tables.say(out, f"{one.case_id}: {one.kind} {one.value or 'none'}, usual is {usual}", "yellow")
