"""``check``: every name and setting of a profile, and where it writes, resolved; it contacts nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacsferry.core.errors import ConfigError

from .opening import plugins, site, wired
from .wiring import problems


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One thing that a profile says, and whether it holds."""

    where: str
    ok: bool
    text: str


def check(name: str | None, sets: Sequence[str] = ()) -> list[CheckLine]:
    """Resolve every name and setting of a profile, and where it writes. Contacts nobody."""
    from pacsferry.core.project import check_folders
    from pacsferry.profiles.requires import missing as unmet

    resolved = site(name, sets, need_archive=False)
    lines = [CheckLine(where="profile", ok=True, text=" -> ".join(path.name for path in resolved.chain))]
    lines += [CheckLine(where="requires", ok=False, text=text) for text in unmet(resolved.profile.requires)]
    lines += [CheckLine(where=w, ok=ok, text=text) for w, ok, text in problems(resolved, plugins())]
    if resolved.profile.has_archive and all(line.ok for line in lines):
        lines += _whole(resolved)
    lines += _shifts(resolved) if all(line.ok for line in lines) else []
    try:
        check_folders(resolved.folders)
    except ConfigError as err:
        lines.append(CheckLine(where="output", ok=False, text=str(err)))
    folders = resolved.folders
    lines += [_writable("output.images", folders.images), _writable("output.private", folders.private)]
    return lines


def _whole(resolved: Any) -> Iterator[CheckLine]:
    """What only shows when everything is wired: the finder that fits, the exclude list that can be read."""
    from pacsferry.profiles.secrets import lines

    try:
        wiring = wired(resolved)
        finder = wiring.finder()
        yield CheckLine(where="find", ok=True, text=f"asks over {finder.protocol}")
        finder.close()
        for _, transport in wiring.transports():
            transport.close()
        if (web := wiring.archive.dicomweb) is not None and web.credentials_over_http:
            where = "archive.dicomweb.credentials_over_http"
            yield CheckLine(where=where, ok=True, text="WARNING: over http anybody on the way can read who we are")
        if (patients := resolved.profile.exclude.patients) is not None:
            listed = lines(patients, resolved.base, "exclude.patients")
            yield CheckLine(where="exclude.patients", ok=True, text=f"{len(listed)} patients are never retrieved")
    except ConfigError as err:
        yield CheckLine(where="wiring", ok=False, text=str(err))


def _shifts(resolved: Any) -> Iterator[CheckLine]:
    """The table of shifts, where one is asked for."""
    from pacsferry.core.pseudonyms import ProjectKeys

    from .shifts import WHERE, mapped

    try:
        found = mapped(wired(resolved).chosen.deidentifier, resolved, ProjectKeys(b""))
    except ConfigError as err:
        yield CheckLine(where=WHERE, ok=False, text=str(err))
    else:
        if found is not None:
            yield CheckLine(where=WHERE, ok=True, text=f"{len(found)} patients have a shift")


def _writable(where: str, folder: Path) -> CheckLine:
    """Whether the folder, or the nearest one above it that exists, lets us write."""
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    ok = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    return CheckLine(where=where, ok=ok, text=str(folder) if ok else f"{folder}: {above} cannot be written")
