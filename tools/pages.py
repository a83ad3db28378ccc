# ruff: noqa: INP001 - a script, no package
"""Write the reference pages and the README's description of what is done, from code; changes nothing else.

    python tools/pages.py [--check]

With ``--check`` nothing is written: each page that is not what the code says is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import pages_commands  # noqa: E402
import pages_documents  # noqa: E402
import pages_plugins  # noqa: E402
import pages_privacy  # noqa: E402

NOTE = "<!-- Made by tools/pages.py from the code; change that, then run `make pages`. -->\n\n"
BEGIN, END = "<!-- describe: begin, made by tools/pages.py -->", "<!-- describe: end -->"

#: Page below docs/reference -> its text.
PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": pages_commands.commands,
    "dimse.md": pages_documents.dimse,
    "errors.md": pages_documents.errors,
    "faults.md": pages_plugins.faults,
    "hooks.md": pages_plugins.hooks,
    "http.md": pages_documents.http,
    "json.md": pages_documents.documents,
    "ports.md": pages_plugins.ports,
    "profile.md": pages_documents.profile,
    "quirks.md": pages_plugins.quirks,
    "reasons.md": pages_documents.reasons,
}


def made() -> dict[Path, str]:
    """Every file that this script answers for, with what should stand in it."""
    texts = {**{name: make() for name, make in PAGES.items()}, **pages_privacy.statements()}
    pages = {ROOT / "docs" / "reference" / name: NOTE + text for name, text in texts.items()}
    readme = ROOT / "README.md"
    return {**pages, **pages_privacy.made(ROOT), readme: described(readme.read_text(encoding="utf-8"))}


def described(text: str) -> str:
    """``text`` with the sentences of ``pacsferry describe`` between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"README.md: the lines {BEGIN} and {END} are missing")
    return f"{before}{begin}\n{sentences()}{end}{after}"


def sentences() -> str:
    """The sentences as a list in Markdown; the words are exactly those of the command."""
    from pacsferry.app import describe

    return "".join(f"- {sentence}\n" for sentence in describe("research-base"))


def stale() -> list[Path]:
    """The files that are not what the code says."""
    return [path for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(argv: list[str] | None = None) -> int:
    """Write, or check; the exit code."""
    parser = argparse.ArgumentParser(description="Write the pages that are made from code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    if not parser.parse_args(argv).check:
        for path, text in made().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    wrong = stale()
    for path in wrong:
        print(f"{path.relative_to(ROOT)}: not what the code says; run `make pages`", file=sys.stderr)  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
