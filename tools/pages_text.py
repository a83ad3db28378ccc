# ruff: noqa: INP001 - beside a script, no package
"""Markdown out of plain values: tables, code, docstrings; knows nothing of pacsferry."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; cells lose their line breaks and have their bars escaped."""
    lines = [_row(heads), _row(["---"] * len(heads)), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_cell(one) for one in cells) + " |"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(text: str, language: str = "python") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def told(text: str | None) -> str:
    """A docstring as Markdown: its double backticks become single ones."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(text or "")).strip() + "\n"


def signature(function: Any) -> str:
    """``def name(arguments) -> result:``, as the source has it."""
    source = inspect.getsource(function)
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)  # noqa: S101 - whatever else is no hook
    return "\n".join(source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1])


def outline(kind: type) -> str:
    """A class at the top of its module as its author wrote it, without its own docstring and its methods' bodies."""
    source = inspect.getsource(kind)
    lines = source.splitlines()
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ClassDef)  # noqa: S101
    kept = lines[: node.body[0].lineno - 1]
    for one in node.body[1:]:
        kept += _member(one, lines)
    return "\n".join(kept)


def _member(node: ast.stmt, lines: list[str]) -> list[str]:
    """A field, or a method up to the end of its docstring."""
    if not isinstance(node, ast.FunctionDef):
        return lines[node.lineno - 1 : node.end_lineno]
    first = min(one.lineno for one in [node, *node.decorator_list])
    if ast.get_docstring(node):
        return ["", *lines[first - 1 : node.body[0].end_lineno]]
    return ["", *lines[first - 1 : node.body[0].lineno - 1]]
