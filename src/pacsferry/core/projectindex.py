"""Where this user's projects were made, so that later commands find them; forgetting it loses nothing."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .drafts import draft, sweep
from .host import user_state_folder
from .projectfile import alone, write_new

_FILE = "projects.json"


def remember(name: str, private: Path) -> None:
    """Note where a project was made. A state folder that cannot be written is no reason to stop."""
    with contextlib.suppress(OSError):
        folder = user_state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(folder):
            _add(folder, name, str(private.absolute()))


def _add(folder: Path, name: str, place: str) -> None:
    known = _read()
    known[name] = [*(other for other in known.get(name, []) if other != place), place]
    sweep(folder)
    temporary = draft(folder / _FILE)
    write_new(temporary, json.dumps({"projects": known}, indent=1, sort_keys=True).encode())
    temporary.replace(folder / _FILE)


def remembered(name: str) -> tuple[Path, ...]:
    """Where projects of that name were made; some may be gone."""
    return tuple(Path(place) for place in _read().get(name, []))


def _read() -> dict[str, list[str]]:
    try:
        projects = json.loads((user_state_folder() / _FILE).read_bytes())["projects"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(projects, dict):
        return {}
    return {
        str(name): [place for place in places if isinstance(place, str)]
        for name, places in projects.items()
        if isinstance(places, list)
    }
