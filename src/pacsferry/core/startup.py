"""Lets a process of ours start and end faster: garbage is looked for seldom meanwhile, heavy libraries load when used.

A program that uses us as a library is left alone: nothing here happens unless ``begin`` is called.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Collection, Mapping
from functools import partial
from types import ModuleType
from typing import Any

#: New objects between two looks for garbage: while a process starts (it makes some 150,000 that stay), and at work.
_STARTING, _SELDOM = 300_000, 50_000
_usual: list[int] = []

#: What pydicom imports for pixels and for its sample files, which hardly any run looks at: two thirds of its time; and
#: what SQLAlchemy imports for drivers that we do not use. With each, the functions that an importer only keeps.
LATER: Mapping[str, tuple[str, ...]] = {"numpy": (), "requests": (), "asyncio": ("iscoroutine",)}


def begin() -> None:
    """Called first by a process of ours: hardly anything that imports make is garbage."""
    if not _usual:
        _usual.extend(gc.get_threshold())
        gc.set_threshold(_STARTING, *_usual[1:])
        atexit.register(gc.freeze)  # the interpreter would look through everything once more before it ends
        # pydantic would look through all that is installed for plugins, and show them every value.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        for name, kept in LATER.items():
            later(name, *kept)


def over(*, seldom: bool = False) -> None:
    """Called when work begins: what is there stays, and what comes is looked at as usual. Only after ``begin``.

    ``seldom``: what comes makes hardly any garbage that only looking for it finds.
    """
    if _usual:
        gc.freeze()
        gc.set_threshold(_SELDOM if seldom else _usual[0], *_usual[1:])
        _usual.clear()


def later(name: str, *kept: str) -> None:
    """Let ``import`` of this module, if it is installed, give a stand-in that loads it on its first use.

    To look at a function of ``kept`` is no use yet: it loads the module when it is called.
    """
    if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
        sys.modules[name] = _Later(name, spec, kept)


class _Later(ModuleType):
    """Stands for a module; whoever imported it meanwhile keeps this and is served all the same."""

    def __init__(self, name: str, spec: Any, kept: Collection[str] = ()) -> None:
        super().__init__(name)
        self._kept = kept
        self.__spec__ = spec
        self.__file__ = spec.origin  # whoever looks through all modules for it need not load it

    def __getattr__(self, name: str) -> Any:
        if name in self._kept and self.__name__ not in _loaded:
            return partial(_call, self, name)
        return getattr(_real(self), name)

    def __dir__(self) -> list[str]:
        return dir(_real(self))


def _call(module: _Later, name: str, *given: Any) -> Any:
    return getattr(_real(module), name)(*given)


_loading = threading.RLock()
_loaded: dict[str, ModuleType] = {}


def _real(module: _Later) -> ModuleType:
    name = module.__name__
    if name not in _loaded:
        with _loading:
            if sys.modules.get(name) is module:
                del sys.modules[name]
            _loaded[name] = importlib.import_module(name)
    return _loaded[name]
