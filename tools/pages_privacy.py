# ruff: noqa: INP001 - beside a script, no package
"""What is done to the data, from the compiled rules: a conformance statement per preset, and an overview of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pages_text import table

from pacsferry.app import conformance, describe_table
from pacsferry.profiles import presets

#: Marks the part of docs/explanation/for-ethics-boards.md that is made.
BEGIN, END = "<!-- presets: begin, made by tools/pages.py -->", "<!-- presets: end -->"
#: An element that shows what becomes of its kind, by the question that it answers.
_ASKED = {
    "dates of study and acquisition": "StudyDate",
    "age": "PatientAge",
    "sex": "PatientSex",
    "weight": "PatientWeight",
    "descriptions (free text)": "SeriesDescription",
    "institution": "InstitutionName",
    "device's serial number": "DeviceSerialNumber",
    "model of the device": "ManufacturerModelName",
}
_SAID = {
    "K": "kept", "S": "moved", "X": "removed", "Z": "emptied", "D": "dummy", "X/Z/D": "removed", "X/D": "removed",
    "Z/D": "emptied", "X/Z": "removed", "U": "new",
}  # fmt: skip


def statements() -> Mapping[str, str]:
    """Page below docs/reference to its text."""
    return {f"conformance-{name}.md": conformance(None, preset=name) for name in presets.names()}


def overview(text: str) -> str:
    """``text`` with the table of presets between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"for-ethics-boards.md: the lines {BEGIN} and {END} are missing")
    return f"{before}{begin}\n{_presets()}{end}{after}"


def _presets() -> str:
    """A row per question, a column per preset."""
    found = {name: {row[1]: row for row in describe_table(None, preset=name)} for name in presets.names()}
    rows = [[f"**{asked}**", *(_fate(found[name][word]) for name in found)] for asked, word in _ASKED.items()]
    private = ["**private data that the standard calls safe**", *(_private(name) for name in found)]
    links = ["conformance statement", *(f"[{name}](../reference/conformance-{name}.md)" for name in found)]
    return table(["", *(f"`{name}`" for name in found)], [*rows, private, links])


def _fate(row: tuple[str, ...]) -> str:
    return _SAID[row[3]]


def _private(name: str) -> str:
    kept = any(row[0].startswith('"') and row[3] == "K" for row in describe_table(None, preset=name))
    return "kept" if kept else "removed"


def made(root: Path) -> dict[Path, str]:
    """The page of which only a part is made, with what should stand in it; nothing where there is no such page."""
    board = root / "docs" / "explanation" / "for-ethics-boards.md"
    return {board: overview(board.read_text(encoding="utf-8"))} if board.exists() else {}
