"""Writes the skeleton of a plugin: its project, one working plugin of the kind asked for, and the contract as its test.

It overwrites nothing and installs nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from pacsferry.core.errors import ConfigError

_TEMPLATES: Final = Path(__file__).with_name("templates")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

#: Kind -> module, class suffix and contract of the skeleton.
KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "finder": ("finder", "Finder", "FinderContract"),
    "transport": ("transport", "Transport", "TransportContract"),
    "anonymization-profile": ("profile", "Profile", "DeidentifierContract"),
    "gate": ("gate", "Gate", "GateContract"),
    "layout": ("layout", "Layout", "LayoutContract"),
    "pseudonym-source": ("names", "Names", "PseudonymSourceContract"),
    "report": ("report", "Report", "ReportContract"),
    "observer": ("observer", "Observer", "ObserverContract"),
    "vendor": ("vendor", "Vendor", "VendorContract"),
    "web-auth": ("auth", "Auth", "WebAuthContract"),
    "fault": ("fault", "Fault", "MisbehaviourContract"),
}


def render(name: str, kind: str, into: Path) -> list[Path]:
    """Write ``<into>/<name>`` with a plugin of ``kind`` (a key of ``KINDS``) that passes its contract as it is.

    ``name`` is what a profile will say; the distribution is called ``pacsferry-<name>``. Returns the files written.
    Raises ``ConfigError`` for a name or kind that cannot be, and where the folder exists already.
    """
    kind = kind.strip().replace(" ", "-")
    short = name.removeprefix("pacsferry-")
    _check(short, kind)
    folder = into / short
    if folder.exists():
        raise ConfigError(f"{folder} exists already", hint="choose another name, or another folder with --into")
    written = []
    for path, text in _files(short, kind).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def _check(name: str, kind: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise ConfigError(
            f"{name!r} is no name for a plugin",
            hint="lower-case letters, digits and hyphens, a letter first: 'acme-get'",
        )
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(KINDS)}"
        raise ConfigError(f"there is no kind of plugin called {kind!r}", hint=hint)


def _files(name: str, kind: str) -> dict[str, str]:
    """Path to content."""
    stem, suffix, contract = KINDS[kind]
    package = f"pacsferry_{name.replace('-', '_')}"
    words = {
        "name": name,
        "kind": kind,
        "distribution": f"pacsferry-{name}",
        "package": package,
        "stem": stem,
        "class_name": "".join(word.capitalize() for word in name.split("-")) + suffix,
        "contract": contract,
    }
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{package}/__init__.py": f"{kind}.init",
        f"tests/test_{stem}.py": f"{kind}.test" if _has(f"{kind}.test") else "contract.test",
    }
    if _has(f"{kind}.module"):
        sources[f"src/{package}/{stem}.py"] = f"{kind}.module"
    return {path: _fill(source, words) for path, source in sources.items()}


def _has(template: str) -> bool:
    return (_TEMPLATES / f"{template}.txt").is_file()


def _fill(template: str, words: Mapping[str, str]) -> str:
    return Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)
