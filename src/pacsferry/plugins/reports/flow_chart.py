"""A flow of instances from asked for to stored, drawn as SVG by hand; it knows numbers and labels, no study."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pacsferry.core.documents import EXCLUDED, HELD
from pacsferry.core.model import Row
from pacsferry.core.reasons import reason

from .markup import Markup, join, tag

#: Drawing units; the page scales the picture to its width.
_WIDTH, _TALL, _BAR, _GAP, _TOP = 960.0, 230.0, 14.0, 26.0, 34.0
_LEFTS = (0.0, 275.0, 535.0)
_HEADS = ("Asked for", "By modality", "What became of them")
#: More modalities than these are drawn as one.
_MODALITIES = 6
#: Less than this is drawn as this, so that one missing image among thousands is still seen.
_THIN = 3.0
#: Characters of a second line that fit between the last bars and the edge.
_FITS = 62

#: An outcome: what it is called, and the style of its colour.
_OUTCOMES: Mapping[str, str] = {"stored": "Stored", "held": "Held", "missing": "Missing", "excluded": "Excluded"}


@dataclass(frozen=True, slots=True)
class Node:
    """A bar: its column, its label, a second line and its colour."""

    column: int
    label: str
    style: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Where a node is drawn."""

    node: Node
    top: float
    height: float


Flows = Mapping[tuple[Node, Node], int]


def outcomes(row: Row) -> dict[str, int]:
    """Instances of one study by what became of them."""
    return {name: getattr(row, name) for name in _OUTCOMES}


def total(rows: Iterable[Row]) -> Counter[str]:
    """Instances of all studies by what became of them."""
    summed: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
    for row in rows:
        summed.update(outcomes(row))
    return summed


def kind(code: str) -> str:
    """Whether a reason code tells of what is held, excluded or missing."""
    return "excluded" if code in EXCLUDED else "held" if code in HELD else "missing"


def why(row: Row, outcome: str) -> dict[str, int]:
    """Instances of one outcome by reason code; those that no reason accounts for stand under an empty code."""
    left, told = outcomes(row)[outcome], {}
    for code, count in sorted(row.reasons.items()):
        if kind(code) == outcome and left:
            told[code] = min(count, left)
            left -= told[code]
    return {**told, **({"": left} if left else {})}


def flows(rows: Sequence[Row]) -> dict[tuple[Node, Node], int]:
    """How many instances go from where to where."""
    found: Counter[tuple[Node, Node]] = Counter()
    everything = Node(0, f"{sum(total(rows).values()):,} instances", "asked", _many(len(rows), "study", "studies"))
    often = Counter[str]()
    for row in rows:
        often[row.modality or "unknown"] += sum(outcomes(row).values())
    shown = {name for name, _ in often.most_common(_MODALITIES)}
    for row in rows:
        name = row.modality or "unknown"
        middle = Node(1, name if name in shown else "others", "modality")
        found[everything, middle] += sum(outcomes(row).values())
        for end, count in _ends(row):
            found[middle, end] += count
    return {link: count for link, count in found.items() if count}


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _ends(row: Row) -> Iterable[tuple[Node, int]]:
    yield Node(2, "Stored", "stored"), row.stored
    for outcome in ("held", "missing", "excluded"):
        for code, count in why(row, outcome).items():
            yield Node(2, _OUTCOMES[outcome], outcome, reason(code).means if code else ""), count


def chart(rows: Sequence[Row]) -> Markup:
    """The flow as one ``<svg>``, or nothing where there is no instance to draw."""
    links = flows(rows)
    if not links:
        return Markup("")
    scale = _TALL / sum(count for (start, _), count in links.items() if start.column == 0)
    thick = {link: max(count * scale, _THIN) for link, count in links.items()}
    bars = {node: bar for column in range(3) for node, bar in _column(column, links, thick).items()}
    tall = max(bar.top + max(bar.height, 22) for bar in bars.values()) + 14
    heads = [tag("text", head, x=left, y=14, class_="head") for head, left in zip(_HEADS, _LEFTS, strict=True)]
    return tag(
        "svg",
        tag("title", "Flow of instances from asked for to stored"),
        tag("desc", "; ".join(f"{start.label} to {_said(end)}: {count}" for (start, end), count in links.items())),
        join(heads),
        join(_ribbons(links, thick, bars)),
        join(_drawn(bar, links) for bar in bars.values()),
        viewBox=f"0 0 {_WIDTH:g} {tall:.1f}",
        role="img",
        class_="flow",
        xmlns="http://www.w3.org/2000/svg",
    )


def _said(node: Node) -> str:
    return f"{node.label} ({node.detail})" if node.detail else node.label


def _fitting(words: str) -> str:
    return words if len(words) <= _FITS else words[: _FITS - 1].rsplit(" ", 1)[0] + " …"


def _rank(node: Node) -> int:
    order = ("asked", "modality", "stored", "held", "missing", "excluded")
    return order.index(node.style)


def _column(column: int, links: Flows, thick: Mapping[tuple[Node, Node], float]) -> dict[Node, Bar]:
    """Bars of one column from top to bottom: outcomes in their order, then the biggest first."""
    size: defaultdict[Node, int] = defaultdict(int)
    height: defaultdict[Node, float] = defaultdict(float)
    for (start, end), count in links.items():
        node = start if column == 0 else end
        if node.column == column:
            size[node] += count
            height[node] += thick[start, end]
    bars, top = {}, _TOP
    for node in sorted(size, key=lambda n: (_rank(n), -size[n], n.label, n.detail)):
        # What leaves a bar may be drawn thicker than what enters it, because thin links are widened.
        leaving = sum(thickness for (start, _), thickness in thick.items() if start == node)
        bars[node] = Bar(node=node, top=top, height=max(height[node], leaving))
        top += max(bars[node].height, 22.0) + _GAP
    return bars


def _ribbons(links: Flows, thick: Mapping[tuple[Node, Node], float], bars: Mapping[Node, Bar]) -> Iterable[Markup]:
    """One curved band per link; the bands of a bar lie one below the other."""
    out = {node: bar.top for node, bar in bars.items()}
    into = dict(out)
    for start, end in sorted(links, key=lambda link: (bars[link[0]].top, bars[link[1]].top)):
        width = thick[start, end]
        yield _ribbon((_LEFTS[start.column] + _BAR, out[start]), (_LEFTS[end.column], into[end]), width, end.style)
        out[start] += width
        into[end] += width


def _ribbon(start: tuple[float, float], end: tuple[float, float], width: float, style: str) -> Markup:
    (left, top), (right, bottom) = start, end
    middle = (left + right) / 2
    path = (
        f"M{left:.1f},{top:.1f}C{middle:.1f},{top:.1f} {middle:.1f},{bottom:.1f} {right:.1f},{bottom:.1f}"
        f"V{bottom + width:.1f}C{middle:.1f},{bottom + width:.1f} {middle:.1f},{top + width:.1f} "
        f"{left:.1f},{top + width:.1f}Z"
    )
    return tag("path", d=path, class_=f"ribbon {style}")


def _drawn(bar: Bar, links: Flows) -> Markup:
    """The bar and its label to the right of it."""
    node, left = bar.node, _LEFTS[bar.node.column]
    count = sum(count for (_, end), count in links.items() if end == node)
    label = f"{node.label} {count:,}" if node.column else node.label
    middle = bar.top + bar.height / 2 + (-2 if node.detail else 5)
    lines = [tag("text", label, x=left + _BAR + 8, y=f"{middle:.1f}", class_="label")]
    if node.detail:
        lines.append(tag("text", _fitting(node.detail), x=left + _BAR + 8, y=f"{middle + 16:.1f}", class_="detail"))
    box = tag(
        "rect", x=left, y=f"{bar.top:.1f}", width=_BAR, height=f"{bar.height:.1f}", rx=3, class_=f"bar {node.style}"
    )
    return join([box, *lines])
