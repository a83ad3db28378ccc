"""Lets a command start and end faster by looking for garbage seldom meanwhile; a library's user is left alone."""

from __future__ import annotations

import atexit
import gc

_SELDOM = 50_000
_usual: list[int] = []


def begin() -> None:
    """Called first by a process of ours: hardly anything that imports make is garbage."""
    if not _usual:
        _usual.extend(gc.get_threshold())
        gc.set_threshold(_SELDOM, *_usual[1:])
        atexit.register(gc.freeze)  # the interpreter would look through everything once more before it ends


def over(*, seldom: bool = False) -> None:
    """Called when work begins: what is there stays, and what comes is looked at as usual. Only after ``begin``.

    ``seldom``: what comes makes hardly any garbage that only looking for it finds.
    """
    if _usual:
        gc.freeze()
        gc.set_threshold(_SELDOM if seldom else _usual[0], *_usual[1:])
        _usual.clear()
