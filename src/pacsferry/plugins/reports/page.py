"""One self-contained page that tells a researcher how a load went; it fetches nothing and runs no script."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

from pacsferry.core.documents import DONE, Gap, advice, gaps
from pacsferry.core.model import Row, Status, Summary
from pacsferry.core.strict import NoSettings

from .flow_chart import chart, kind, outcomes, total
from .markup import Markup, join, tag
from .released import studies

#: What each status means, for the title of its badge.
_MEANS: Mapping[Status, str] = {
    Status.OK: "every expected instance is stored, or excluded by the profile",
    Status.INCOMPLETE: "instances are missing",
    Status.UNVERIFIED: "the archive did not say how many instances there are",
    Status.CHANGED: "the study changed while it was retrieved",
    Status.OFFLINE: "the archive has it offline",
    Status.HELD: "instances could not be made safe",
    Status.SKIPPED: "it was complete already",
    Status.NOT_FOUND: "the archive found nothing",
    Status.FAILED: "nothing came",
    Status.WAIVED: "the gap was accepted",
    Status.INTERRUPTED: "the run ended before it was complete",
    Status.DRY_RUN: "it was only looked at",
}
_GOOD = {Status.OK, Status.SKIPPED}
_MILD = {Status.WAIVED, Status.DRY_RUN, Status.HELD, Status.UNVERIFIED, Status.CHANGED, Status.INTERRUPTED}
_EVIDENCE = {
    "instance-uids": "each instance by its UID",
    "series-counts": "counts per series",
    "study-count": "a count per study",
    "none": "nothing",
}


class Html:
    """``reports/report.html``: pseudonymous where released, with accessions in private."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def write(self, summary: Summary) -> Mapping[str, bytes]:
        return {"reports/report.html": page(summary).encode()}


def page(summary: Summary) -> str:
    """The whole page."""
    css = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    rows = list(summary.rows) if summary.identified else studies(summary.rows)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=f"default-src 'none'; style-src 'sha256-{digest}'"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{summary.project} · pacsferry"),
        tag("style", Markup(css)),
    )
    main = tag("main", join(_sections(summary, rows)))
    body = tag("body", tag("a", "Skip to the studies", href="#studies", class_="skip"), _header(summary), main)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(summary: Summary) -> Markup:
    started = summary.started.strftime("%Y-%m-%d %H:%M %Z").strip()
    state = _verdict(summary)
    return tag(
        "header",
        tag("p", "pacsferry", class_="brand"),
        tag("h1", summary.project),
        tag("p", tag("span", state[0], class_=f"badge {state[1]}"), " ", state[2], class_="verdict"),
        tag("p", f"{summary.command} · {started} · run {summary.run}", class_="meta"),
        _identified() if summary.identified else "",
    )


def _identified() -> Markup:
    return tag("p", "This page names accession numbers. It belongs in the private folder only.", class_="private")


def _verdict(summary: Summary) -> tuple[str, str, str]:
    """A word, its colour, and a sentence."""
    found = [row for row in summary.rows if row.study_uid or row.case_id]
    nowhere = _number(summary.verification.get("not_found"))
    good = sum(row.status in DONE for row in found)
    said = f"{good:,} of {len(found):,} {'study' if len(found) == 1 else 'studies'} complete."
    if nowhere:
        said += f" {nowhere:,} {'request' if nowhere == 1 else 'requests'} matched nothing."
    colour = {"ok": "good", "failed": "bad"}.get(summary.status, "mild")
    return summary.status.replace("_", " "), colour, said


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _sections(summary: Summary, rows: Sequence[Row]) -> Iterable[Markup]:
    yield _figures(summary, rows)
    yield _flow(rows)
    yield _left(summary, rows)
    yield _studies(summary, rows)
    yield _done(summary)
    yield _provenance(summary)


def _section(title: str, *content: object, name: str) -> Markup:
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def _figures(summary: Summary, rows: Sequence[Row]) -> Markup:
    counted = total(rows)
    size = sum(one.size for many in summary.manifests.values() for one in many)
    cases = len({row.case_id for row in rows if row.case_id})
    figures = [
        ("Requests", summary.verification.get("total_requested", len(rows)), "asked"),
        ("Cases", cases, "asked"),
        ("Studies", sum(bool(row.study_uid) for row in rows), "asked"),
        ("Stored", counted["stored"], "stored"),
        ("Held", counted["held"], "held"),
        ("Missing", counted["missing"], "missing"),
        ("Excluded", counted["excluded"], "excluded"),
    ]
    cards = [_figure(name, f"{value:,}" if isinstance(value, int) else value, style) for name, value, style in figures]
    if size:
        cards.append(_figure("On disk", _bytes(size), "asked"))
    return tag("section", tag("dl", join(cards), class_="figures"), aria_label="Figures")


def _figure(name: str, value: object, style: str) -> Markup:
    quiet = " none" if str(value) == "0" else ""
    return tag("div", tag("dt", name), tag("dd", value), class_=f"figure {style}{quiet}")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _flow(rows: Sequence[Row]) -> Markup:
    drawn = chart([row for row in rows if row.study_uid])
    empty = tag("p", "No instance was found, so there is nothing to draw.", class_="empty")
    return _section("From asked for to stored", drawn or empty, name="flow")


def _left(summary: Summary, rows: Sequence[Row]) -> Markup:
    """Why something is not there, and what to do about each."""
    told = gaps(rows)
    nothing = tag("p", "Nothing is missing and nothing is held.", class_="empty good")
    lines = [_gap(gap) for gap in told]
    head = tag("tr", *(tag("th", name, scope="col") for name in ("Count", "", "What happened", "What to do")))
    table = tag("div", tag("table", tag("thead", head), tag("tbody", join(lines))), class_="scroll")
    hint = advice(summary.project, summary.rows)
    sentence = tag("p", "Next: ", _command(hint), class_="next") if hint else Markup("")
    return _section("What is missing or held, and why", table if lines else nothing, sentence, name="gaps")


def _gap(gap: Gap) -> Markup:
    word = kind(gap.code)
    return tag(
        "tr",
        tag("td", f"{gap.count:,}", class_="number"),
        tag("td", tag("span", word, class_=f"badge {word}")),
        tag("td", gap.means, " ", tag("code", gap.code)),
        tag("td", _command(gap.advice)),
    )


def _command(sentence: str) -> Markup:
    """Backticks become code."""
    parts = sentence.split("`")
    return join(tag("code", part) if place % 2 else part for place, part in enumerate(parts))


def _studies(summary: Summary, rows: Sequence[Row]) -> Markup:
    cells = [_cells(row, identified=summary.identified) for row in rows]
    # A column in which nothing was released would only take room.
    names = [name for name in (cells[0] if cells else {}) if any(row[name] is not None for row in cells)]
    head = tag("tr", *(tag("th", name.strip(), scope="col", class_=_aligned(name)) for name in names))
    body = [tag("tr", *(_cell(name, row[name]) for name in names)) for row in cells]
    table = tag("div", tag("table", tag("thead", head), tag("tbody", join(body))), class_="scroll", tabindex=0)
    empty = tag("p", "No study was found.", class_="empty")
    return _section("Studies", _legend() if body else "", table if body else empty, name="studies")


def _legend() -> Markup:
    names = ("stored", "held", "missing", "excluded")
    return tag("p", join(tag("span", name, class_=f"key {name}") for name in names), class_="legend")


def _aligned(name: str) -> str | None:
    return "number" if name in {"Series", "Instances", "Request"} else None


def _cells(row: Row, *, identified: bool) -> dict[str, object]:
    """What stands below each head; None where there is nothing to say."""
    asked = {"Request": row.request, "Accession": row.accession} if identified else {}
    return {
        **asked,
        "Case": row.case_id,
        "Study date": _date(row.study_date),
        "Modality": row.modality or None,
        "Description": row.description or None,
        "Series": row.series_count,
        "Instances": _fraction(row),
        " ": _stack(row),
        "Status": join([_badge(row.status), _explained(row, identified=identified)]),
    }


def _cell(name: str, value: object) -> Markup:
    shown = "\N{EM DASH}" if value is None else value
    if name == "Case":
        return tag("th", shown, scope="row")
    return tag("td", shown, class_="words" if name == "Description" else _aligned(name))


def _date(date: str | None) -> str | None:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if date and len(date) == 8 and date.isdecimal() else date or None


def _fraction(row: Row) -> Markup:
    expected = "?" if row.expected is None else f"{row.expected:,}"
    return join([f"{row.stored:,}", tag("span", f" / {expected}", class_="of")])


def _stack(row: Row) -> Markup:
    """A bar of what became of the instances."""
    parts = {name: count for name, count in outcomes(row).items() if count}
    whole, left, drawn = sum(parts.values()), 0.0, []
    for name, count in parts.items():
        width = max(100 * count / whole, 2)
        drawn.append(tag("rect", x=f"{left:.2f}", y=0, width=f"{width:.2f}", height=8, class_=f"bar {name}"))
        left += width
    title = ", ".join(f"{count:,} {name}" for name, count in parts.items()) or "nothing"
    return tag(
        "svg", tag("title", title), join(drawn),
        viewBox=f"0 0 {max(left, 100):.2f} 8", preserveAspectRatio="none", role="img", class_="stack",
    )  # fmt: skip


def _badge(status: Status) -> Markup:
    colour = "good" if status in _GOOD else "mild" if status in _MILD else "bad"
    return tag("span", str(status).replace("_", " "), class_=f"badge {colour}", title=_MEANS[status])


def _explained(row: Row, *, identified: bool) -> Markup:
    """Why a study is not whole; transports and evidence folded away."""
    whys = [f"{count:,} \N{MULTIPLICATION SIGN} {code}" for code, count in sorted(row.reasons.items())]
    whys += [row.error] if identified and row.error else []
    reasons = tag("ul", join(tag("li", line) for line in whys), class_="whys") if whys else Markup("")
    if not row.study_uid:
        return reasons
    lines = [f"expected from {_EVIDENCE[row.evidence]}"]
    lines += [f"by {', '.join(row.transports)}"] if row.transports else []
    items = tag("ul", join(tag("li", line) for line in lines))
    return join([tag("details", tag("summary", "how"), items), reasons])


def _done(summary: Summary) -> Markup:
    sentences = tag("ul", join(tag("li", _command(each)) for each in summary.described), class_="sentences")
    empty = tag("p", "The anonymization profile says nothing of itself.", class_="empty")
    return _section("What was done to the data", sentences if summary.described else empty, name="done")


def _provenance(summary: Summary) -> Markup:
    transports = Counter(name for row in summary.rows for name in row.transports)
    absent = sum(summary.unresolved.values())
    facts = {
        "Run": summary.run,
        "pacsferry": summary.version,
        "Anonymization rules": summary.rules_digest,
        "Audit trail": summary.audit_head,
        "Transports": ", ".join(f"{name} ({count:,})" for name, count in sorted(transports.items())),
        "Referred to, not in the project": f"{absent:,} instances" if absent else "",
    }
    pairs = [tag("div", tag("dt", name), tag("dd", tag("code", value))) for name, value in facts.items() if value]
    return _section("Where this comes from", tag("dl", join(pairs), class_="facts"), name="provenance")
