# ruff: noqa: INP001 - hooks of mkdocs, no package
"""Bring the files beside docs/ (README, changelog, licence) into the site, and list decisions as they come."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
#: File of the repository to its name in the site; a README.md in docs would be taken for an index.
BESIDE = {"README.md": "about.md", "CHANGELOG.md": "changelog.md", "LICENSE": "LICENSE", "NOTICE": "NOTICE"}
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)")


def on_config(config: Any) -> Any:
    """Fill in the pages of the section of decisions."""
    pages = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    for section in config.nav:
        for entry in next(iter(section.values())):
            if isinstance(entry, dict) and "Decisions" in entry:
                entry["Decisions"] = ["decisions/index.md", *(f"decisions/{name}" for name in pages)]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add what stands beside docs/, with links as seen from within."""
    for source, target in BESIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=_LINK.sub(_inwards, text)))
    return files


def _inwards(found: re.Match[str]) -> str:
    """A link of a file of the root: ``docs/x`` is ``x``."""
    return f"]({BESIDE.get(found[1], found[1].removeprefix('docs/'))}"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of pages to what stands beside docs/."""
    depth = page.file.src_uri.count("/")

    def outwards(found: re.Match[str]) -> str:
        name = found[1].removeprefix("../" * (depth + 1))
        return f"]({'../' * depth}{BESIDE[name]}" if name in BESIDE and name != found[1] else found[0]

    return _LINK.sub(outwards, markdown)
