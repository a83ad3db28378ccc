"""Join a layout's relative path to the destination, or refuse: names from a peer are hostile until shown plain."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .errors import HeldError

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


def plain(relative: PurePosixPath) -> bool:
    """Whether every part is plain ASCII, starts with a letter or digit, and does not climb."""
    return bool(relative.parts) and not relative.is_absolute() and all(_PART.fullmatch(part) for part in relative.parts)


def plain_part(name: str) -> bool:
    """Whether one part of a path is plain."""
    return _PART.fullmatch(name) is not None


def within(root: Path, relative: PurePosixPath) -> Path:
    """``root / relative`` if every part is plain. Raises ``HeldError``."""
    if not plain(relative):
        raise HeldError("the layout gave a path with an unsafe part", code="path-not-plain")
    return root.joinpath(*relative.parts)
