"""Lists of what survives: paths of keywords, read from shipped tables, files or settings; compiles nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path

from . import reference

#: Lists that ship, each with the lists that it adds to.
SHIPPED = {"rad-loader": ("rad-loader",), "extended": ("rad-loader", "extended")}
FILE = "file:"
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One element that survives: the sequences that lead to it, its own tag, and why."""

    path: tuple[int, ...]
    tag: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """One element that every list keeps (K), gives a new UID (U), or empties where it was there (Z)."""

    tag: int
    action: str
    reason: str


@cache
def _tags() -> dict[str, int]:
    return {keyword: tag for tag, (_, keyword, _) in reference.elements().items() if keyword}


def _table(name: str) -> str:
    return (files(__package__) / "tables" / f"allowlist_{name}.tsv").read_text(encoding="utf-8")


@cache
def frame() -> tuple[Framed, ...]:
    """What keeps an image an image, whatever the list."""
    rows = (line.split("\t") for line in _table("frame").splitlines() if not line.startswith("#"))
    return tuple(Framed(tag=_tags()[keyword], action=action, reason=reason) for keyword, action, reason in rows)


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """When, and what, ``describe`` says; names in braces are filled in from the rules."""
    rows = (line.split("\t") for line in _table("sentences").splitlines() if not line.startswith("#"))
    return tuple((when, text) for when, text in rows)


def listed(name: str) -> tuple[Kept, ...]:
    """The elements of a list: a shipped name, or ``file:PATH``. Raises ``ValueError`` that names the line."""
    if name in SHIPPED:
        return tuple(kept for part in SHIPPED[name] for kept in read(_table(part)))
    if not name.startswith(FILE):
        known = ", ".join(SHIPPED)
        raise ValueError(f"no list named {name!r}; there are {known}, and files: file:/a/path")
    return tuple(read(_text(name.removeprefix(FILE))))


def _text(name: str) -> str:
    """A list's file. Workers read it too, so it needs a path that means the same everywhere."""
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise ValueError("the path of a list has to be absolute, as file:/a/path")
    try:
        about = path.stat()
        if about.st_mode & stat.S_IWOTH:
            raise ValueError("the file of the list can be written by everybody, and it decides what is released")
        if about.st_size > _LONGEST:
            raise ValueError("the file of the list is longer than 1 MiB")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as err:
        raise ValueError(f"the file of the list cannot be read ({type(err).__name__})") from None


def read(text: str) -> Iterator[Kept]:
    """Lines of a path, and behind a tab a reason; blank lines and those with # in front are skipped."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        path, _, reason = line.partition("\t")
        try:
            yield from parse(path.strip(), reason.strip())
        except ValueError as err:
            raise ValueError(f"line {number}: {err}") from None


def parse(text: str, reason: str = "") -> Iterator[Kept]:
    """``Sequence/Element``: keywords or (gggg,eeee), from the top level down; a bar stands between alternatives."""
    steps = [[_tag(name.strip()) for name in step.split("|")] for step in text.split("/")]
    for tags in product(*steps):
        *path, tag = tags
        for each in path:
            if _vr(each) != "SQ":
                raise ValueError(f"{text}: {_keyword(each)} is no sequence, so nothing stands in it")
        _check(text, tag)
        yield Kept(path=tuple(path), tag=tag, reason=reason or "named in the profile")


def _check(text: str, tag: int) -> None:
    """What a list cannot keep, and why."""
    vr = _vr(tag)
    if vr == "SQ":
        raise ValueError(f"{text}: a sequence is kept by naming what stands in it, as {_keyword(tag)}/CodeValue")
    if vr == "PN" and tag != _PATIENT_NAME:
        raise ValueError(f"{text}: names of people are never kept")


_PATIENT_NAME = 0x00100010


def _tag(name: str) -> int:
    """The tag of a keyword or (gggg,eeee) of PS3.6."""
    digits = name.strip("()").replace(",", "")
    tag = _tags().get(name)
    if tag is None and name.startswith("(") and len(digits) == 8:
        try:
            tag = int(digits, 16)
        except ValueError:
            tag = None
    if tag is None or tag not in reference.elements():
        near = "private elements, overlays and curves are removed as a whole" if tag else "write it as PS3.6 does"
        raise ValueError(f"{name!r} is no element of an image that PS3.6 has; {near}")
    return tag


def _vr(tag: int) -> str:
    return reference.elements()[tag][0]


def _keyword(tag: int) -> str:
    return reference.elements()[tag][1]


def merged(rows: Iterable[Kept]) -> dict[tuple[int, ...], dict[int, str]]:
    """Path to tag to reason, with an entry for every sequence on the way."""
    found: dict[tuple[int, ...], dict[int, str]] = {(): {}}
    for row in rows:
        for depth in range(len(row.path)):
            found.setdefault(row.path[: depth + 1], {})
        found[row.path].setdefault(row.tag, row.reason)
    return found
