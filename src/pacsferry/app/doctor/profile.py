"""The site profile that ``doctor`` writes: what was asked for and found, and nothing that a profile it extends says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pacsferry.profiles.read import Resolved

from . import toml
from .addresses import Asked

_HEAD = """\
# Written by `pacsferry doctor`: what this archive really does. Look it over, then try it:
#   pacsferry check --site {name}
#   pacsferry load PROJECT ACCESSION --site {name}
"""
#: Paths of a profile that count from its folder.
_PATHS = frozenset({"ca", "cert", "key"})
_DIMSE = frozenset({"c-get", "c-move"})
_INLINE = frozenset({"tls", "auth", "user_identity"})


def profile_text(
    asked: Asked,
    resolved: Resolved,
    target: Path | None,
    *,
    transports: Sequence[str],
    finder: str | None,
    vendor: str,
    quirks: Mapping[str, Any],
    settings: Mapping[str, Any],
    model: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """A whole profile as TOML; ``target`` is where it will be, ``notes`` become comments.

    ``model`` is the information model of everything over DIMSE, where it is not the usual one.
    """
    name = f"./{target.name}" if target else "./site.toml"
    archive = _archive(resolved, target, vendor, settings)
    text = [_HEAD.format(name=name)]
    text += [f"# {note}" for note in notes]
    text += [*([""] if notes else []), f"extends = {toml.value(_extends(asked, resolved, target))}", ""]
    text += _tables(archive, quirks)
    over_dimse = {"model": model} if model else {}
    if model and finder is None and transports[0] in _DIMSE:
        finder = "c-find"
    if finder is not None:
        text += ["[find]", *toml.lines({"use": finder, **(over_dimse if finder == "c-find" else {})}), ""]
    for use in transports:
        more = over_dimse if use in _DIMSE else {}
        text += ["[[transport]]", *toml.lines({"use": use, **_options(resolved, use), **more}), ""]
    return "\n".join(text).rstrip() + "\n"


def _extends(asked: Asked, resolved: Resolved, target: Path | None) -> str:
    """The profile that was given, or the base of all; a file in the same folder by its name there."""
    if asked.site is None:
        return "research-base"
    if resolved.origin is None or resolved.reference == resolved.name:
        return resolved.name
    if target is not None and target.resolve().parent == resolved.origin.resolve().parent:
        return f"./{resolved.origin.name}"
    return str(resolved.origin.resolve())


def _archive(resolved: Resolved, target: Path | None, vendor: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The archive's table as it was resolved, with what was found put in."""
    archive: dict[str, Any] = deepcopy(dict(resolved.tables.get("archive", {})))
    archive.pop("quirks", None)
    archive["vendor"] = vendor
    for address, found in settings.items():
        *above, last = address.split(".")
        if above[:1] != ["archive"]:
            continue
        table = archive
        for part in above[1:]:
            table = table.setdefault(part, {})
        table[last] = found
    moved = target is not None and target.resolve().parent != resolved.base.resolve()
    return _rebased(archive, resolved.base) if moved else archive


def _rebased(table: dict[str, Any], base: Path) -> dict[str, Any]:
    """Relative paths made absolute: the new file is in another folder."""
    return {
        name: _rebased(item, base) if isinstance(item, dict) else _path(name, item, base)
        for name, item in table.items()
    }


def _path(name: str, item: Any, base: Path) -> Any:
    if not isinstance(item, str):
        return item
    if item.startswith("file:"):
        return f"file:{(base / Path(item.removeprefix('file:')).expanduser()).absolute()}"
    return str((base / Path(item).expanduser()).absolute()) if name in _PATHS else item


def _tables(archive: Mapping[str, Any], quirks: Mapping[str, Any]) -> Iterator[str]:
    """``[archive]`` and the tables in it, quirks second."""
    order = [("archive", archive), ("archive.quirks", quirks)]
    dimse = archive.get("dimse")
    if isinstance(dimse, Mapping):
        order.append(("archive.dimse", dimse))
        if isinstance(dimse.get("receiver"), Mapping):
            order.append(("archive.dimse.receiver", dimse["receiver"]))
    order += [
        (f"archive.{name}", table)
        for name, table in archive.items()
        if isinstance(table, Mapping) and name not in {"dimse", "quirks"}
    ]
    for name, table in order:
        if body := list(toml.lines(table, inline=_INLINE)):
            yield from (f"[{name}]", *body, "")


def _options(resolved: Resolved, use: str) -> dict[str, Any]:
    """What the profile that was given sets for a transport."""
    found = next((one for one in resolved.profile.transport if one.use == use), None)
    return dict(found.settings) if found is not None else {}
