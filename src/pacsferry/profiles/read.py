"""Resolve a site profile: the file, what it extends, ``--set``; into one checked value, or every error at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacsferry.core.errors import ConfigError
from pacsferry.core.fitting import Problem, attempt
from pacsferry.core.project import Folders

from . import files, presets, sets
from .files import ProfileFile
from .merging import merge
from .model import SiteProfile

#: Where each key got its value: address to the file's label, or ``--set``.
Sources = dict[tuple[str, ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A profile and where it came from.

    ``tables`` is the merged TOML, ``origin`` the file given (None for a shipped one), ``base`` the folder that
    relative paths count from, ``chain`` every file that was read, the given one first.
    """

    name: str
    profile: SiteProfile
    tables: Mapping[str, Any]
    origin: Path | None
    base: Path
    chain: tuple[Path, ...]
    sources: Sources = field(default_factory=dict, repr=False)

    def located(self, err: ConfigError) -> ConfigError:
        """The same error, each line that begins with an address followed by the file that it stands in."""
        given = files.label(self.origin or self.chain[0])
        lines = [_located(line, self.sources, given) for line in str(err).splitlines()]
        return ConfigError("\n".join(lines), hint=err.hint)

    @property
    def reference(self) -> str:
        """What to note in a project, so that later commands resolve the same from anywhere."""
        return str(self.origin) if self.origin is not None and files.is_path(self.name) else self.name

    @property
    def folders(self) -> Folders:
        """Where its projects are."""
        output = self.profile.output
        images, private = (self.base / Path(text).expanduser() for text in (output.images, output.private))
        return Folders(images=images, private=private, mode=output.bits, group=output.group)


def resolve(name: str, sets: Sequence[str] = (), *, need_archive: bool = True, cwd: Path | None = None) -> Resolved:
    """The profile of a name or path, with ``sets`` (``KEY=VALUE``) laid over it.

    ``need_archive=False`` also takes a profile that names no archive, as one that others extend. Raises one
    ``ConfigError`` with every problem, each with its full address and the file it stands in.
    """
    here = cwd or Path.cwd()
    settings = [_parse(text) for text in sets]
    chain = _chain(name, here, settings)
    tables, sources = _merged(chain, settings)
    given = chain[0]
    profile = _checked(tables, sources, settings, given, need_archive=need_archive)
    return Resolved(
        name=name,
        profile=profile,
        tables=tables,
        origin=None if given.shipped else given.path,
        base=here if given.shipped else given.path.parent,
        chain=tuple(file.path for file in chain),
        sources=sources,
    )


_parse = sets.parse


# --- the files


def _chain(name: str, here: Path, settings: Sequence[sets.Setting]) -> list[ProfileFile]:
    """The given file and what it extends, nearest first. Raises ``ConfigError`` for a circle, spelled out."""
    chain: list[ProfileFile] = []
    path: Path | None = files.locate(name, here)
    while path is not None:
        if any(path.samefile(file.path) for file in chain if path.exists()):
            around = " -> ".join(one.name for one in (*(file.path for file in chain), path))
            raise ConfigError(f"site profiles extend each other in a circle: {around}")
        file = files.read(path)
        chain.append(file)
        path = _extended(file, here, settings if len(chain) == 1 else ())
    return chain


def _extended(file: ProfileFile, here: Path, settings: Sequence[sets.Setting]) -> Path | None:
    """What it extends: a name, or a path from the file's own folder (from the current one where ``--set`` says it)."""
    said = [setting.text.strip("\"'") for setting in settings if setting.path == ("extends",)]
    value, base = (said[-1], here) if said else (file.table.get("extends"), file.path.parent)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigError(f"extends: must be a profile's name or a path ({file.label})")
    try:
        return files.locate(value, base)
    except ConfigError as err:
        raise ConfigError(f"extends: {err} ({file.label})", hint=err.hint) from None


# --- merging


def _merged(chain: Sequence[ProfileFile], settings: Sequence[sets.Setting]) -> tuple[dict[str, Any], Sources]:
    tables: dict[str, Any] = {}
    sources: Sources = {}
    for file in reversed(chain):
        tables = merge(tables, file.table)
        sources |= _addresses(file.table, file.label)
    tables.pop("extends", None)
    for setting in settings:
        if setting.path != ("extends",):
            tables = sets.applied(tables, setting)
            sources[setting.path] = "--set"
    return presets.expanded(tables), sources


def _addresses(table: Mapping[str, Any], label: str, at: tuple[str, ...] = ()) -> Sources:
    found: Sources = {}
    for key, value in table.items():
        found[*at, key] = label
        if isinstance(value, Mapping):
            found |= _addresses(value, label, (*at, key))
    return found


# --- checking


def _checked(
    tables: Mapping[str, Any],
    sources: Sources,
    settings: Sequence[sets.Setting],
    given: ProfileFile,
    *,
    need_archive: bool,
) -> SiteProfile:
    profile, problems = attempt(SiteProfile, tables)
    if profile is None and (texts := _wanting_text(tables, problems, settings)) is not None:
        profile, problems = attempt(SiteProfile, texts)
    if profile is not None and need_archive and not profile.has_archive:
        problems = [
            Problem(where=("archive",), text="missing: add [archive.dimse] or [archive.dicomweb], or extend a profile")
        ]
    if profile is None or problems:
        raise _error(problems, sources, given)
    return profile


def _wanting_text(
    tables: Mapping[str, Any], problems: Sequence[Problem], settings: Sequence[sets.Setting]
) -> dict[str, Any] | None:
    """The tables with every ``--set`` value as typed that read as a number where text was wanted (AE title 1234)."""
    wanted = {one.address for one in problems if one.kind == "string_type"}
    again = [one for one in settings if one.address in wanted]
    changed = dict(tables)
    for one in again:
        changed = sets.applied(changed, sets.Setting(path=one.path, value=one.text, text=one.text))
    return changed if again else None


def _error(problems: Sequence[Problem], sources: Sources, given: ProfileFile) -> ConfigError:
    """One line per problem: address, what would be right, and the file to change."""
    blamed = [_source(one.where, sources, given.label) for one in problems]
    lines = [f"{one.line()} ({source})" for one, source in zip(problems, blamed, strict=True)]
    what = "--set" if set(blamed) == {"--set"} else f"site profile {given.label}"
    head = f"{what}: {len(lines)} error{'s' if len(lines) > 1 else ''}"
    return ConfigError("\n  ".join([head, *lines]), hint="`pacsferry schema site` prints every key that there is")


def _source(where: Sequence[str | int], sources: Sources, given: str) -> str:
    """Where the key, or the nearest table around it, was written."""
    path = tuple(str(part) for part in where)
    found = next((sources[path[:length]] for length in range(len(path), 0, -1) if path[:length] in sources), None)
    return found or given


def _located(line: str, sources: Sources, given: str) -> str:
    """Only a line whose address begins with a key of the profile is about the profile."""
    address, colon, _ = line.partition(": ")
    known = address.partition(".")[0] in SiteProfile.model_fields
    return f"{line} ({_source(address.split('.'), sources, given)})" if colon and known else line
